"""Proximal Adagrad: `mindspore.nn.ProximalAdagrad`.

    a = a + g**2
    r = lr / sqrt(a)
    p = w - r * g
    w = sign(p) * max(|p| - r * l1, 0) / (1 + r * l2)

Source: Duchi and Singer, https://papers.nips.cc/paper/3793-efficient-learning-using-forward-backward-splitting.pdf, in the
form of tf.compat.v1.train.ProximalAdagradOptimizer. No epsilon: a zero accumulator and a zero gradient give NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optmap.conformance.rules.arithmetic import Array, by_lanes, fma, sign, wide
from optmap.conformance.rules.gradients import nn_gradient
from optmap.conformance.rules.options import NON_NEGATIVE, Flag, Rate, Rates, option
from optmap.conformance.rules.rule import At, ScaledRule, State

SMALLEST_BLOCK = 4
"""The kernel runs blocks of 8 and then of 4 with one formula; only the remainder after both is the tail."""


@dataclass(frozen=True, kw_only=True)
class ProximalAdagrad(ScaledRule):
    """`mindspore.nn.ProximalAdagrad`."""

    accum: float = option(NON_NEGATIVE, 0.1)
    learning_rate: Rates = option(Rate(), 0.001)
    l1: float = option(NON_NEGATIVE, 0.0)
    l2: float = option(NON_NEGATIVE, 0.0)
    use_locking: bool = option(Flag(), False)

    @property
    def takes_scalars(self) -> bool:
        return False

    def start(self, weight: Array) -> State:
        return {"accum": np.full_like(weight, self.accum)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        l1, l2 = real(self.l1), real(self.l2)
        gradient = nn_gradient(self, weight, gradient, at)
        accum = state["accum"] = fma(gradient, gradient, state["accum"])
        return by_lanes(
            lambda w, g, a: _lanes(w, g, at.lr / np.sqrt(a), l1, l2),
            lambda w, g, a: _tail(w, g, (float(at.lr) / np.sqrt(wide(a))).astype(a.dtype), l1, l2),
            weight,
            gradient,
            accum,
            width=SMALLEST_BLOCK,
        )


def _lanes(weight: Array, gradient: Array, rate: Array, l1: Any, l2: Any) -> Array:
    """The proximal step of a block; every fused operation rounds once."""
    moved: Array = fma(-gradient, rate, weight)
    divisor: Array = fma(l2, rate, type(l2)(1))
    if l1 > 0:
        shrunk = np.fmax(fma(-rate, l1, np.abs(moved)), type(l1)(0))
        quotient: Array = sign(moved) * (shrunk / divisor)
        return quotient
    return np.divide(moved, divisor)


def _tail(weight: Array, gradient: Array, rate: Array, l1: Any, l2: Any) -> Array:
    """The proximal step of the tail; with l1, the threshold and the quotient are in double."""
    moved: Array = fma(-gradient, rate, weight)
    divisor: Array = fma(l2, rate, type(l2)(1))
    if l1 > 0:
        shrunk = np.fmax(wide(np.abs(moved)) - wide(rate * l1), 0.0)
        quotient: Array = sign(moved) * shrunk / wide(divisor)
        return quotient.astype(weight.dtype)
    return np.divide(moved, divisor)
