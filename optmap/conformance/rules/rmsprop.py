"""RMSProp: `mindspore.nn.RMSProp` and `experimental.optim.RMSprop`.

    nn:            s = decay * s + (1 - decay) * g**2,   s starts at ONE
                   b = momentum * b + lr * g / (sqrt(s) + epsilon)         in whole blocks of eight elements
                   b = momentum * b + lr * g / sqrt(s + epsilon)           in the tail of the array
                   w = w - b
    nn, centered:  c = decay * c + (1 - decay) * g
                   b = momentum * b + lr * g / sqrt(s - c**2 + epsilon)    skipped, with w, where that is not > 0
    experimental:  s starts at zero; b = momentum * b + g / (sqrt(s - c**2) + eps), c = 0 unless centered; w = w - lr * b

Source: Tieleman and Hinton, https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf. `nn` follows
tf.compat.v1.train.RMSPropOptimizer (a mean square of one, lr inside the velocity), `experimental` torch.optim.RMSprop.

Quirks reproduced: in the non-centered kernel of `nn` the element's index decides where epsilon is added, so the formula
of an element depends on the size of its array.
"""

from dataclasses import dataclass

import numpy as np

from optmap.conformance.rules.arithmetic import Array, by_lanes, fma, wide
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


@dataclass(frozen=True, kw_only=True)
class RMSProp(ScaledRule):
    """`mindspore.nn.RMSProp`."""

    learning_rate: Rates = option(Rate(), 0.1)
    decay: float = option(NON_NEGATIVE, 0.9)
    momentum: float = option(NON_NEGATIVE, 0.0)
    epsilon: float = option(POSITIVE, 1e-10)
    use_locking: bool = option(Flag(), False)
    centered: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        zeros = np.zeros_like(weight)
        return {"square": np.ones_like(weight), "mean": zeros, "velocity": zeros}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = nn_gradient(self, weight, gradient, at)
        return (self._centered if self.centered else self._plain)(weight, gradient, state, at)

    def _plain(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """NNACL's kernel: fused operations in blocks; in the tail, mean square, root and velocity are in double."""
        real = weight.dtype.type
        decay, momentum, eps = real(self.decay), real(self.momentum), real(self.epsilon)
        rest = 1.0 - float(decay)
        state["square"] = by_lanes(
            lambda g, s: fma(fma(g, g, -s), real(rest), s),
            lambda g, s: (wide(fma(g, g, -s)) * rest + wide(s)).astype(s.dtype),
            gradient,
            state["square"],
        )
        state["velocity"] = by_lanes(
            lambda g, s, b: fma(b, momentum, g * at.lr / (np.sqrt(s) + eps)),
            lambda g, s, b: (wide(b * momentum) + wide(g * at.lr) / np.sqrt(wide(s + eps))).astype(b.dtype),
            gradient,
            state["square"],
            state["velocity"],
        )
        updated: Array = weight - state["velocity"]
        return updated

    def _centered(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """ApplyCenteredRMSProp: every operation is rounded separately."""
        real = weight.dtype.type
        decay, momentum, eps = real(self.decay), real(self.momentum), real(self.epsilon)
        rest = real(1.0 - float(decay))
        square = state["square"] = state["square"] + (gradient * gradient - state["square"]) * rest
        mean = state["mean"] = state["mean"] + (gradient - state["mean"]) * rest
        denominator = (square - mean * mean) + eps
        moves = denominator > 0
        velocity = state["velocity"] * momentum + gradient * at.lr / np.sqrt(denominator)
        state["velocity"] = np.where(moves, velocity, state["velocity"])
        return np.where(moves, weight - velocity, weight)


@dataclass(frozen=True, kw_only=True)
class ExperimentalRMSprop(ExperimentalRule):
    """`mindspore.experimental.optim.RMSprop`."""

    lr: Rates = option(Rate(each=ANY_POSITIVE), 0.01)
    alpha: float = option(ANY_NON_NEGATIVE, 0.99)
    eps: float = option(ANY_POSITIVE, 1e-8)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    momentum: float = option(ANY_NON_NEGATIVE, 0.0)
    centered: bool = option(Flag(), False)
    maximize: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        zeros = np.zeros_like(weight)
        return {"square": zeros, "mean": zeros, "velocity": zeros}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        alpha = real(self.alpha)
        rest = real(1) - alpha
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay, maximize=self.maximize)
        variance = state["square"] = state["square"] * alpha + gradient * gradient * rest
        if self.centered:
            mean = state["mean"] = state["mean"] * alpha + gradient * rest
            variance = variance - mean * mean
        root = np.sqrt(variance) + real(self.eps)
        if self.momentum > 0:
            state["velocity"] = state["velocity"] * real(self.momentum) + gradient / root
            change = state["velocity"] * at.lr
        else:
            change = at.lr * gradient / root
        updated: Array = weight - change
        return updated
