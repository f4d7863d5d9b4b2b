"""AdaMax: `mindspore.nn.AdaMax` and `experimental.optim.Adamax`.

    m = beta1 * m + (1 - beta1) * g
    nn.AdaMax:   u = max(beta2 * u, |g|)          w = w - lr / (1 - beta1**t) * m / (u + eps)
    Adamax:      u = max(beta2 * u, |g| + eps)    w = w - lr / (1 - beta1**t) * m / u

Source: Kingma and Ba, https://arxiv.org/abs/1412.6980, algorithm 2, which has no eps. `nn.AdaMax` places it as Keras does,
`Adamax` as torch.optim.Adamax does.
"""

from dataclasses import dataclass

import numpy as np

from optmap.conformance.rules.arithmetic import Array, power
from optmap.conformance.rules.gradients import experimental_gradient, nn_gradient
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    ANY_POSITIVE,
    BETA,
    POSITIVE,
    UNIT_OPEN,
    Flag,
    Pair,
    Rate,
    Rates,
    option,
)
from optmap.conformance.rules.rule import At, ExperimentalRule, ScaledRule, State


@dataclass(frozen=True, kw_only=True)
class AdaMax(ScaledRule):
    """`mindspore.nn.AdaMax`."""

    learning_rate: Rates = option(Rate(), 0.001)
    beta1: float = option(UNIT_OPEN, 0.9)
    beta2: float = option(UNIT_OPEN, 0.999)
    eps: float = option(POSITIVE, 1e-8)

    @property
    def takes_scalars(self) -> bool:
        return False

    def start(self, weight: Array) -> State:
        return {"m": np.zeros_like(weight), "u": np.zeros_like(weight), "beta1_power": weight.dtype.type(1)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        one, beta1, beta2 = real(1), real(self.beta1), real(self.beta2)
        gradient = nn_gradient(self, weight, gradient, at)
        state["beta1_power"] = state["beta1_power"] * beta1
        state["m"] = beta1 * state["m"] + (one - beta1) * gradient
        state["u"] = np.maximum(beta2 * state["u"], np.abs(gradient))
        updated: Array = weight - at.lr / (one - state["beta1_power"]) * (state["m"] / (state["u"] + real(self.eps)))
        return updated


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdamax(ExperimentalRule):
    """`mindspore.experimental.optim.Adamax`."""

    lr: Rates = option(Rate(each=ANY_POSITIVE), 0.002)
    betas: tuple[float, float] = option(Pair(BETA, BETA), (0.9, 0.999))
    eps: float = option(ANY_POSITIVE, 1e-8)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    maximize: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return {"m": np.zeros_like(weight), "u": np.zeros_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        one, beta1, beta2 = real(1), real(self.betas[0]), real(self.betas[1])
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay, maximize=self.maximize)
        state["m"] = state["m"] * beta1 + gradient * (one - beta1)
        state["u"] = np.maximum(state["u"] * beta2, np.abs(gradient) + real(self.eps))
        rate = at.lr / (one - power(beta1, at.step))
        updated: Array = weight - rate * state["m"] / state["u"]
        return updated
