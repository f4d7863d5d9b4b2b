"""RMSProp and Adadelta, two classes each: `mindspore.nn.RMSProp`, `experimental.optim.RMSprop`, and Adadelta in both.

    nn:            s = decay * s + (1 - decay) * g**2,   s starts at ONE
                   b = momentum * b + lr * g / (sqrt(s) + epsilon)         in whole blocks of eight elements
                   b = momentum * b + lr * g / sqrt(s + epsilon)           in the tail of the array
                   w = w - b
    nn, centered:  c = decay * c + (1 - decay) * g
                   b = momentum * b + lr * g / sqrt(s - c**2 + epsilon)    skipped, with w, where that is not > 0
    experimental:  s starts at zero; b = momentum * b + g / (sqrt(s - c**2) + eps), c = 0 unless centered; w = w - lr * b
    Adadelta:      d = sqrt(u + eps) / sqrt(s + eps) * g,   s with rho for decay, u a like average of d**2;  w = w - lr * d

Source: Tieleman and Hinton, https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf. `nn` follows
tf.compat.v1.train.RMSPropOptimizer (a mean square of one, lr inside the velocity), `experimental` torch.optim.RMSprop.
Adadelta: Zeiler, https://arxiv.org/abs/1212.5701, with a learning rate added; both classes have one kernel.

Quirks reproduced: in the non-centered kernel of `nn` the element's index decides where epsilon is added, so the formula
of an element depends on the size of its array.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from optmap.conformance.rules.arithmetic import Array, Averaging, by_lanes, fma, root, scalars, wide
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    ANY_POSITIVE,
    FLAG,
    NON_NEGATIVE,
    POSITIVE,
    RATE_ABOVE_ZERO,
    Rate,
    Rates,
    Real,
    option,
)
from optmap.conformance.rules.rule import At, ExperimentalRule, NnRule, Rule, State

UNIT_CLOSED = Real(at_least=0.0, at_most=1.0)


@dataclass(frozen=True, kw_only=True)
class RMSProp(NnRule):
    """`mindspore.nn.RMSProp`."""

    slots: ClassVar[tuple[str, ...]] = ("mean", "velocity")

    learning_rate: Rates = option(Rate(), 0.1)
    decay: float = option(NON_NEGATIVE, 0.9)
    momentum: float = option(NON_NEGATIVE, 0.0)
    epsilon: float = option(POSITIVE, 1e-10)
    use_locking: bool = option(FLAG, False)
    centered: bool = option(FLAG, False)

    def start(self, weight: Array) -> State:
        return super().start(weight) | {"square": np.ones_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        return (self._centered if self.centered else self._plain)(weight, gradient, state, at)

    def _plain(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """NNACL's kernel: fused operations in blocks; in the tail, mean square, root and velocity are in double."""
        decay, momentum, eps = scalars(weight, self.decay, self.momentum, self.epsilon)
        rest = 1.0 - float(decay)
        state["square"] = by_lanes(
            lambda g, s: Averaging.FUSED.of_square(s, g, decay, s.dtype.type(rest)),
            lambda g, s: (wide(fma(g, g, -s)) * rest + wide(s)).astype(s.dtype),
            gradient,
            state["square"],
        )
        state["velocity"] = by_lanes(
            lambda g, s, b: fma(b, momentum, g * at.lr / root(s, eps, inside=False)),
            lambda g, s, b: (wide(b * momentum) + wide(g * at.lr) / np.sqrt(wide(s + eps))).astype(b.dtype),
            gradient,
            state["square"],
            state["velocity"],
        )
        updated: Array = weight - state["velocity"]
        return updated

    def _centered(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """ApplyCenteredRMSProp: every operation is rounded separately."""
        decay, momentum, eps = scalars(weight, self.decay, self.momentum, self.epsilon)
        rest, how = weight.dtype.type(1.0 - float(decay)), Averaging.STEPPED
        square = state["square"] = how.of_square(state["square"], gradient, decay, rest)
        mean = state["mean"] = how.of(state["mean"], gradient, decay, rest)
        denominator = (square - mean * mean) + eps
        moves = denominator > 0
        velocity = state["velocity"] * momentum + gradient * at.lr / np.sqrt(denominator)
        state["velocity"] = np.where(moves, velocity, state["velocity"])
        return np.where(moves, weight - velocity, weight)


@dataclass(frozen=True, kw_only=True)
class ExperimentalRMSprop(ExperimentalRule):
    """`mindspore.experimental.optim.RMSprop`."""

    slots: ClassVar[tuple[str, ...]] = ("square", "mean", "velocity")

    lr: Rates = option(RATE_ABOVE_ZERO, 0.01)
    alpha: float = option(ANY_NON_NEGATIVE, 0.99)
    eps: float = option(ANY_POSITIVE, 1e-8)
    momentum: float = option(ANY_NON_NEGATIVE, 0.0)
    centered: bool = option(FLAG, False)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        one, alpha, momentum, eps = scalars(weight, 1, self.alpha, self.momentum, self.eps)
        rest, how = one - alpha, Averaging.WEIGHTED
        variance = state["square"] = how.of_square(state["square"], gradient, alpha, rest)
        if self.centered:
            mean = state["mean"] = how.of(state["mean"], gradient, alpha, rest)
            variance = variance - mean * mean
        denominator = root(variance, eps, inside=False)
        if self.momentum > 0:
            state["velocity"] = state["velocity"] * momentum + gradient / denominator
            change = state["velocity"] * at.lr
        else:
            change = at.lr * gradient / denominator
        updated: Array = weight - change
        return updated


@dataclass(frozen=True, kw_only=True)
class AdadeltaFormula(Rule):
    """ApplyAdadelta."""

    slots: ClassVar[tuple[str, ...]] = ("accum", "accum_update")

    rho: float = option(UNIT_CLOSED, 0.9)

    def moved(self, weight: Array, gradient: Array, state: State, lr: Any, epsilon: float) -> Array:
        """The parameter after one step."""
        rho, eps = scalars(weight, self.rho, epsilon)

        def averaged(average: Array, value: Array) -> Array:
            """The first product is rounded, the rest is in double."""
            updated: Array = (wide(rho * average) + (1.0 - float(rho)) * wide(value * value)).astype(average.dtype)
            return updated

        state["accum"] = averaged(state["accum"], gradient)
        change = np.sqrt(state["accum_update"] + eps) * (gradient / np.sqrt(state["accum"] + eps))
        state["accum_update"] = averaged(state["accum_update"], change)
        updated: Array = weight - lr * change
        return updated


@dataclass(frozen=True, kw_only=True)
class Adadelta(AdadeltaFormula, NnRule):
    """`mindspore.nn.Adadelta`."""

    learning_rate: Rates = option(Rate(), 1.0)
    epsilon: float = option(NON_NEGATIVE, 1e-6)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        return self.moved(weight, gradient, state, at.lr, self.epsilon)


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdadelta(AdadeltaFormula, ExperimentalRule):
    """`mindspore.experimental.optim.Adadelta`."""

    lr: Rates = option(RATE_ABOVE_ZERO, 1.0)
    eps: float = option(POSITIVE, 1e-6)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        return self.moved(weight, gradient, state, at.lr, self.eps)
