"""Adagrad: `mindspore.nn.Adagrad` and `experimental.optim.Adagrad`.

    a = a + g**2
    nn:            w = w - lr * g / sqrt(a + 1e-8)
    experimental:  w = w - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(a) + eps)

Source: Duchi, Hazan and Singer, https://jmlr.org/papers/v12/duchi11a.html, which has no epsilon.

Quirks reproduced: `nn.Adagrad` documents no epsilon, but its CPU kernel adds 1e-8 inside the root. Its update_slots is
ignored: the accumulator always grows. In a group, `initial_accumulator_value` is ignored.
"""

from dataclasses import dataclass

import numpy as np

from optmap.conformance.rules.arithmetic import Array
from optmap.conformance.rules.gradients import experimental_gradient, nn_gradient
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    ANY_POSITIVE,
    NON_NEGATIVE,
    POSITIVE,
    Flag,
    Rate,
    Rates,
    option,
)
from optmap.conformance.rules.rule import At, ExperimentalRule, ScaledRule, State

FIXED_EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class Adagrad(ScaledRule):
    """`mindspore.nn.Adagrad`."""

    accum: float = option(NON_NEGATIVE, 0.1)
    learning_rate: Rates = option(Rate(), 0.001)
    update_slots: bool = option(Flag(), True)

    def start(self, weight: Array) -> State:
        return {"accum": np.full_like(weight, self.accum)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        gradient = nn_gradient(self, weight, gradient, at)
        state["accum"] = state["accum"] + gradient * gradient
        updated: Array = weight - at.lr * gradient * (real(1) / np.sqrt(state["accum"] + real(FIXED_EPSILON)))
        return updated


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdagrad(ExperimentalRule):
    """`mindspore.experimental.optim.Adagrad`."""

    lr: Rates = option(Rate(each=ANY_POSITIVE), 0.01)
    lr_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    initial_accumulator_value: float = option(ANY_NON_NEGATIVE, 0.0)
    eps: float = option(POSITIVE, 1e-10)
    maximize: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return {"accum": np.full_like(weight, self.initial_accumulator_value)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay, maximize=self.maximize)
        rate = at.lr / (real(1) + real(at.step - 1) * real(self.lr_decay))
        state["accum"] = state["accum"] + gradient * gradient
        updated: Array = weight - rate * gradient * (real(1) / (np.sqrt(state["accum"]) + real(self.eps)))
        return updated
