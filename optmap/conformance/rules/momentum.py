"""Momentum: `mindspore.nn.Momentum`.

    a = momentum * a + g
    w = w - lr * a

Source: Polyak's heavy ball; the form of tf.compat.v1.train.MomentumOptimizer, lr outside the velocity.

Quirks reproduced: use_nesterov is accepted and has no effect on CPU; `nesterov` of `mindspore.nn.SGD` has one.
"""

from dataclasses import dataclass

import numpy as np

from optmap.conformance.rules.arithmetic import Array
from optmap.conformance.rules.gradients import nn_gradient
from optmap.conformance.rules.options import NON_NEGATIVE, Flag, option
from optmap.conformance.rules.rule import At, ScaledRule, State


@dataclass(frozen=True, kw_only=True)
class Momentum(ScaledRule):
    """`mindspore.nn.Momentum`; learning_rate and momentum have no defaults."""

    momentum: float = option(NON_NEGATIVE)
    use_nesterov: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return {"velocity": np.zeros_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = nn_gradient(self, weight, gradient, at)
        state["velocity"] = state["velocity"] * weight.dtype.type(self.momentum) + gradient
        updated: Array = weight - state["velocity"] * at.lr
        return updated
