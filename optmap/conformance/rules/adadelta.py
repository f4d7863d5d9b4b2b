"""Adadelta: `mindspore.nn.Adadelta` and `experimental.optim.Adadelta`, one kernel.

    a = rho * a + (1 - rho) * g**2
    d = sqrt(u + eps) / sqrt(a + eps) * g
    u = rho * u + (1 - rho) * d**2
    w = w - lr * d

Source: Zeiler, https://arxiv.org/abs/1212.5701, with a learning rate added.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optmap.conformance.rules.arithmetic import Array, wide
from optmap.conformance.rules.gradients import experimental_gradient, nn_gradient
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    ANY_POSITIVE,
    NON_NEGATIVE,
    POSITIVE,
    Flag,
    Rate,
    Rates,
    Real,
    option,
)
from optmap.conformance.rules.rule import At, ExperimentalRule, ScaledRule, State

UNIT_CLOSED = Real(at_least=0.0, at_most=1.0)


def running(average: Array, value: Array, rho: Any) -> Array:
    """`rho * average + (1 - rho) * value**2`; the first product is rounded, the rest is in double."""
    updated: Array = (wide(rho * average) + (1.0 - float(rho)) * wide(value * value)).astype(average.dtype)
    return updated


def start(weight: Array) -> State:
    """Both averages at zero."""
    return {"accum": np.zeros_like(weight), "accum_update": np.zeros_like(weight)}


def adadelta_kernel(weight: Array, gradient: Array, state: State, *, lr: Any, rho: Any, eps: Any) -> Array:
    """ApplyAdadelta."""
    state["accum"] = running(state["accum"], gradient, rho)
    change = np.sqrt(state["accum_update"] + eps) * (gradient / np.sqrt(state["accum"] + eps))
    state["accum_update"] = running(state["accum_update"], change, rho)
    updated: Array = weight - lr * change
    return updated


@dataclass(frozen=True, kw_only=True)
class Adadelta(ScaledRule):
    """`mindspore.nn.Adadelta`."""

    learning_rate: Rates = option(Rate(), 1.0)
    rho: float = option(UNIT_CLOSED, 0.9)
    epsilon: float = option(NON_NEGATIVE, 1e-6)

    def start(self, weight: Array) -> State:
        return start(weight)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        gradient = nn_gradient(self, weight, gradient, at)
        return adadelta_kernel(weight, gradient, state, lr=at.lr, rho=real(self.rho), eps=real(self.epsilon))


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdadelta(ExperimentalRule):
    """`mindspore.experimental.optim.Adadelta`."""

    lr: Rates = option(Rate(each=ANY_POSITIVE), 1.0)
    rho: float = option(UNIT_CLOSED, 0.9)
    eps: float = option(POSITIVE, 1e-6)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    maximize: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return start(weight)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay, maximize=self.maximize)
        return adadelta_kernel(weight, gradient, state, lr=at.lr, rho=real(self.rho), eps=real(self.eps))
