"""Adagrad: `mindspore.nn.Adagrad`, `experimental.optim.Adagrad` and `nn.ProximalAdagrad`.

    a = a + g**2
    nn:            w = w - lr * g / sqrt(a + 1e-8)
    experimental:  w = w - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(a) + eps)
    proximal:      r = lr / sqrt(a)
                   p = w - r * g
                   w = sign(p) * max(|p| - r * l1, 0) / (1 + r * l2)

Source: Duchi, Hazan and Singer, https://jmlr.org/papers/v12/duchi11a.html, which has no epsilon; proximal: Duchi and Singer,
https://papers.nips.cc/paper/3793-efficient-learning-using-forward-backward-splitting.pdf, in the form of
tf.compat.v1.train.ProximalAdagradOptimizer, without epsilon: a zero accumulator and a zero gradient give NaN.

Quirks reproduced: `nn.Adagrad` documents no epsilon, but its CPU kernel adds 1e-8 inside the root. Its update_slots is
ignored: the accumulator always grows. In a group, `initial_accumulator_value` is ignored.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optmap.conformance.rules.arithmetic import Array, by_lanes, fma, root, scalars, sign, wide
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    FLAG,
    NON_NEGATIVE,
    POSITIVE,
    RATE_ABOVE_ZERO,
    Rate,
    Rates,
    option,
)
from optmap.conformance.rules.rule import At, ExperimentalRule, NnRule, Rule, State

SMALLEST_BLOCK = 4
"""The proximal kernel runs blocks of 8 and then of 4 with one formula; only the remainder after both is the tail."""


@dataclass(frozen=True, kw_only=True)
class AdagradFormula(Rule):
    """The formula of both classes; `epsilon_inside` tells where epsilon is added."""

    epsilon_inside: ClassVar[bool] = False

    eps: float = option(POSITIVE, 1e-10)
    lr_decay: float = option(ANY_NON_NEGATIVE, 0.0)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        one, eps, past, lr_decay = scalars(weight, 1, self.eps, at.step - 1, self.lr_decay)
        state["accum"] = state["accum"] + gradient * gradient
        rate = at.lr / (one + past * lr_decay)
        updated: Array = weight - rate * gradient * (one / root(state["accum"], eps, inside=self.epsilon_inside))
        return updated


@dataclass(frozen=True, kw_only=True)
class Adagrad(AdagradFormula, NnRule):
    """`mindspore.nn.Adagrad`."""

    fixed: ClassVar[tuple[str, ...]] = ("eps", "lr_decay")
    epsilon_inside: ClassVar[bool] = True

    accum: float = option(NON_NEGATIVE, 0.1)
    learning_rate: Rates = option(Rate(), 0.001)
    eps: float = option(POSITIVE, 1e-8)
    update_slots: bool = option(FLAG, True)

    def start(self, weight: Array) -> State:
        return {"accum": np.full_like(weight, self.accum)}


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdagrad(AdagradFormula, ExperimentalRule):
    """`mindspore.experimental.optim.Adagrad`."""

    lr: Rates = option(RATE_ABOVE_ZERO, 0.01)
    initial_accumulator_value: float = option(ANY_NON_NEGATIVE, 0.0)

    def start(self, weight: Array) -> State:
        return {"accum": np.full_like(weight, self.initial_accumulator_value)}


@dataclass(frozen=True, kw_only=True)
class ProximalAdagrad(NnRule):
    """`mindspore.nn.ProximalAdagrad`."""

    accum: float = option(NON_NEGATIVE, 0.1)
    learning_rate: Rates = option(Rate(), 0.001)
    l1: float = option(NON_NEGATIVE, 0.0)
    l2: float = option(NON_NEGATIVE, 0.0)
    use_locking: bool = option(FLAG, False)

    @property
    def takes_scalars(self) -> bool:
        return False

    def start(self, weight: Array) -> State:
        return {"accum": np.full_like(weight, self.accum)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        one, l1, l2 = scalars(weight, 1, self.l1, self.l2)
        accum = state["accum"] = fma(gradient, gradient, state["accum"])

        def moved(w: Array, g: Array, rate: Array) -> tuple[Array, Array]:
            """The plain step, and the divisor."""
            return fma(-g, rate, w), fma(l2, rate, one)

        def block(w: Array, g: Array, a: Array) -> Array:
            rate = at.lr / np.sqrt(a)
            plain, divisor = moved(w, g, rate)
            shrunk: Array = sign(plain) * (np.fmax(fma(-rate, l1, np.abs(plain)), type(l1)(0)) / divisor)
            return shrunk if l1 > 0 else np.divide(plain, divisor)

        def tail(w: Array, g: Array, a: Array) -> Array:
            """With l1, the threshold and the quotient are in double."""
            rate = (float(at.lr) / np.sqrt(wide(a))).astype(a.dtype)
            plain, divisor = moved(w, g, rate)
            quotient = sign(plain) * np.fmax(wide(np.abs(plain)) - wide(rate * l1), 0.0) / wide(divisor)
            return quotient.astype(w.dtype) if l1 > 0 else np.divide(plain, divisor)

        return by_lanes(block, tail, weight, gradient, accum, width=SMALLEST_BLOCK)
