"""AdamW: `mindspore.nn.AdamWeightDecay` and `experimental.optim.AdamW`.

    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    AdamWeightDecay:  w = w - lr * (m / (sqrt(v) + eps) + weight_decay * w)
    AdamW:            w = (1 - lr * weight_decay) * w - lr / (1 - beta1**t) * m / (sqrt(v) / sqrt(1 - beta2**t) + eps)

Source: Loshchilov and Hutter, https://arxiv.org/abs/1711.05101. AdamWeightDecay departs from it: it has no bias correction,
as in BERT's optimizer. AdamW follows torch.optim.AdamW; with amsgrad the root is that of the largest `v` so far.
"""

from dataclasses import dataclass

import numpy as np

from optmap.conformance.rules.adam_kernel import moments
from optmap.conformance.rules.arithmetic import Array, power, wide
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    BETA,
    NON_NEGATIVE,
    POSITIVE,
    UNIT_OPEN,
    Flag,
    Pair,
    Rate,
    Rates,
    option,
)
from optmap.conformance.rules.rule import At, ExperimentalRule, NnRule, State


@dataclass(frozen=True, kw_only=True)
class AdamWeightDecay(NnRule):
    """`mindspore.nn.AdamWeightDecay`; the name filter applies to the decoupled decay, and there is no loss scale."""

    learning_rate: Rates = option(Rate(), 0.001)
    beta1: float = option(UNIT_OPEN, 0.9)
    beta2: float = option(UNIT_OPEN, 0.999)
    eps: float = option(POSITIVE, 1e-6)

    def start(self, weight: Array) -> State:
        return {"m": np.zeros_like(weight), "v": np.zeros_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """See the base class; from the root on everything is in double, rounded once at the end."""
        real = weight.dtype.type
        moments(state, gradient, real(self.beta1), real(self.beta2))
        decay = real(self.weight_decay if at.decayed else 0.0)
        root = np.sqrt(wide(state["v"])) + float(real(self.eps))
        change = wide(state["m"]) / root + wide(decay * weight)
        updated: Array = (wide(weight) - change * float(at.lr)).astype(weight.dtype)
        return updated


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdamW(ExperimentalRule):
    """`mindspore.experimental.optim.AdamW`, composed of single operations."""

    lr: Rates = option(Rate(), 0.001)
    betas: tuple[float, float] = option(Pair(BETA, BETA), (0.9, 0.999))
    eps: float = option(NON_NEGATIVE, 1e-8)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.01)
    amsgrad: bool = option(Flag(), False)
    maximize: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return {"m": np.zeros_like(weight), "v": np.zeros_like(weight), "vmax": np.zeros_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        one = real(1)
        gradient = -gradient if self.maximize else gradient
        beta1, beta2 = real(self.betas[0]), real(self.betas[1])
        state["m"] = state["m"] * beta1 + gradient * (one - beta1)
        state["v"] = state["v"] * beta2 + gradient * gradient * (one - beta2)
        largest = state["v"]
        if self.amsgrad:
            largest = state["vmax"] = np.maximum(state["vmax"], state["v"])
        root = np.sqrt(one - power(beta2, at.step))
        denominator = np.sqrt(largest) / root + real(self.eps)
        step_size = at.lr / (one - power(beta1, at.step))
        shrunk = weight * (one - at.lr * real(self.weight_decay))
        updated: Array = shrunk - state["m"] / denominator * step_size
        return updated
