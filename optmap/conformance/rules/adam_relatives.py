"""Relatives of Adam, with the moments `m` and `v` of `adam`; source and deviations stand with each class."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from optmap.conformance.rules.adam_base import ExperimentalBetas, NnBetas, moments
from optmap.conformance.rules.arithmetic import Array, Averaging, power, quotient, wide
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    ANY_POSITIVE,
    FLAG,
    POSITIVE,
    RATE_ABOVE_ZERO,
    Rates,
    option,
)
from optmap.conformance.rules.rule import At, State

THRESHOLD = 5.0
"""RAdam adapts the rate from this length of the approximated average on."""


@dataclass(frozen=True, kw_only=True)
class AdamWeightDecay(NnBetas):
    """`mindspore.nn.AdamWeightDecay`.

        w = w - lr * (m / (sqrt(v) + eps) + weight_decay * w)

    Loshchilov and Hutter, https://arxiv.org/abs/1711.05101, without their bias correction, as in BERT's optimizer. The name
    filter applies to the decoupled decay, and there is no loss scale.
    """

    fixed: ClassVar[tuple[str, ...]] = ("loss_scale",)

    eps: float = option(POSITIVE, 1e-6)

    def prepared(self, weight: Array, gradient: Array, at: At) -> Array:
        return gradient

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """See the base class; from the root on everything is in double, rounded once at the end."""
        by = self.factors(weight)
        m, v = moments(state, gradient, by, Averaging.FUSED)
        decay = weight.dtype.type(self.weight_decay if at.decayed else 0.0)
        change = wide(m) / (np.sqrt(wide(v)) + float(by.eps)) + wide(decay * weight)
        updated: Array = (wide(weight) - change * float(at.lr)).astype(weight.dtype)
        return updated


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdamW(ExperimentalBetas):
    """`mindspore.experimental.optim.AdamW`, composed of single operations.

        w = (1 - lr * weight_decay) * w - lr / (1 - beta1**t) * m / (sqrt(v) / sqrt(1 - beta2**t) + eps)

    Loshchilov and Hutter, in the form of torch.optim.AdamW; with amsgrad the root is that of the largest `v` so far.
    """

    slots: ClassVar[tuple[str, ...]] = ("m", "v", "vmax")

    weight_decay: float = option(ANY_NON_NEGATIVE, 0.01)
    amsgrad: bool = option(FLAG, False)

    def prepared(self, weight: Array, gradient: Array, at: At) -> Array:
        return -gradient if self.maximize else gradient

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        by = self.factors(weight)
        m, largest = moments(state, gradient, by, Averaging.WEIGHTED)
        if self.amsgrad:
            largest = state["vmax"] = np.maximum(state["vmax"], largest)
        denominator = np.sqrt(largest) / np.sqrt(by.one - power(by.beta2, at.step)) + by.eps
        step_size = at.lr / (by.one - power(by.beta1, at.step))
        shrunk = weight * (by.one - at.lr * weight.dtype.type(self.weight_decay))
        updated: Array = shrunk - m / denominator * step_size
        return updated


@dataclass(frozen=True, kw_only=True)
class AdaMax(NnBetas):
    """`mindspore.nn.AdaMax`.

        u = max(beta2 * u, |g|)          w = w - lr / (1 - beta1**t) * m / (u + eps)

    Kingma and Ba, https://arxiv.org/abs/1412.6980, algorithm 2, which has no eps; it is placed as in Keras.
    """

    slots: ClassVar[tuple[str, ...]] = ("m", "u")

    @property
    def takes_scalars(self) -> bool:
        return False

    def start(self, weight: Array) -> State:
        return super().start(weight) | {"beta1_power": weight.dtype.type(1)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        by = self.factors(weight)
        state["beta1_power"] = state["beta1_power"] * by.beta1
        state["m"] = Averaging.WEIGHTED.of(state["m"], gradient, by.beta1, by.one - by.beta1)
        state["u"] = np.maximum(by.beta2 * state["u"], np.abs(gradient))
        updated: Array = weight - at.lr / (by.one - state["beta1_power"]) * (state["m"] / (state["u"] + by.eps))
        return updated


@dataclass(frozen=True, kw_only=True)
class TorchBetas(ExperimentalBetas):
    """Hyperparameters with the defaults and bounds of the counterparts in torch."""

    lr: Rates = option(RATE_ABOVE_ZERO, 0.002)
    eps: float = option(ANY_POSITIVE, 1e-8)


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdamax(TorchBetas):
    """`mindspore.experimental.optim.Adamax`.

        u = max(beta2 * u, |g| + eps)    w = w - lr / (1 - beta1**t) * m / u

    As `AdaMax`, with eps placed as in torch.optim.Adamax.
    """

    slots: ClassVar[tuple[str, ...]] = ("m", "u")

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        by = self.factors(weight)
        state["m"] = Averaging.WEIGHTED.of(state["m"], gradient, by.beta1, by.one - by.beta1)
        old, new = state["u"] * by.beta2, np.abs(gradient) + by.eps
        state["u"] = np.where(new > old, new, old)  # as amax, which keeps the first of two where one is NaN
        updated: Array = weight - quotient(at.lr / (by.one - power(by.beta1, at.step)) * state["m"], state["u"])
        return updated


@dataclass(frozen=True, kw_only=True)
class NAdam(TorchBetas):
    """`mindspore.experimental.optim.NAdam`.

        mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2)            M_t = mu_1 * ... * mu_t
        d = sqrt(v / (1 - beta2**t)) + eps
        w = w - lr * (1 - mu_t) / (1 - M_t) * g / d - lr * mu_(t+1) / (1 - M_(t+1)) * m / d

    Dozat, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ, in the form of torch.optim.NAdam.
    """

    fixed: ClassVar[tuple[str, ...]] = ("maximize",)

    momentum_decay: float = option(ANY_NON_NEGATIVE, 0.004)

    def start(self, weight: Array) -> State:
        return super().start(weight) | {"mu_product": weight.dtype.type(1)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        by = self.factors(weight)
        mu, mu_next = self._mu(by.beta1, at.step), self._mu(by.beta1, at.step + 1)
        product = state["mu_product"] = state["mu_product"] * mu
        m, v = moments(state, gradient, by, Averaging.WEIGHTED)
        root = np.sqrt(v / (by.one - power(by.beta2, at.step))) + by.eps
        weight = weight - at.lr * (by.one - mu) / (by.one - product) * gradient / root
        updated: Array = weight - at.lr * mu_next / (by.one - product * mu_next) * m / root
        return updated

    def _mu(self, beta1: Any, step: int) -> Any:
        """The momentum of a step, a scalar of beta1's dtype."""
        real = type(beta1)
        return beta1 * (real(1) - real(0.5) * power(real(0.96), real(step) * real(self.momentum_decay)))


@dataclass(frozen=True, kw_only=True)
class RAdam(TorchBetas):
    """`mindspore.experimental.optim.RAdam`.

        rho = 2 / (1 - beta2) - 1                      rho_t = rho - 2 * t * beta2**t / (1 - beta2**t)
        c = m / (1 - beta1**t)
        rho_t > 5:  w = w - lr * c * sqrt(1 - beta2**t) / (sqrt(v) + eps) * r_t
                    r_t = sqrt((rho_t - 4) * (rho_t - 2) * rho / ((rho - 4) * (rho - 2) * rho_t))
        otherwise:  w = w - lr * c

    Liu and others, https://arxiv.org/abs/1908.03265, in the form of torch.optim.RAdam.
    """

    fixed: ClassVar[tuple[str, ...]] = ("maximize",)

    lr: Rates = option(RATE_ABOVE_ZERO, 0.001)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real, by = weight.dtype.type, self.factors(weight)
        two, four = real(2), real(4)
        m, v = moments(state, gradient, by, Averaging.WEIGHTED)
        beta2_power = power(by.beta2, at.step)
        correction1, correction2 = by.one - power(by.beta1, at.step), by.one - beta2_power
        limit = two / (by.one - by.beta2) - by.one
        rho = limit - real(2 * at.step) * beta2_power / correction2
        change = m / correction1 * at.lr
        if rho > THRESHOLD:
            rest = (limit - four) * (limit - two)
            rectified = np.sqrt((rho - four) * (rho - two) * limit / (rest * rho))
            change = change * (np.sqrt(correction2) / (np.sqrt(v) + by.eps)) * rectified
        updated: Array = weight - change
        return updated
