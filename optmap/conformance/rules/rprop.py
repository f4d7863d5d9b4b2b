"""Resilient backpropagation: `mindspore.nn.Rprop` and `experimental.optim.Rprop`.

    f = etaplus where g * previous > 0, etaminus where < 0, else 1
    s = clip(s * f, min, max)                      before the first step s = lr
    g = 0 where f = etaminus                       previous = g
    w = w - sign(g) * s

Source: Riedmiller and Braun, https://ieeexplore.ieee.org/document/298623, in the form of torch.optim.Rprop.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optmap.conformance.rules.arithmetic import Array, sign
from optmap.conformance.rules.gradients import experimental_gradient, nn_gradient
from optmap.conformance.rules.options import ANY_POSITIVE, UNIT_OPEN, Flag, Pair, Rate, Rates, Real, option
from optmap.conformance.rules.rule import At, ExperimentalRule, NnRule, State


def rprop(
    weight: Array, gradient: Array, state: State, *, lr: Any, etas: tuple[float, float], sizes: tuple[float, float]
) -> Array:
    """One step; step sizes and the previous gradient are updated in the state."""
    real = weight.dtype.type
    direction = sign(gradient * state["previous"])
    factor = np.where(direction > 0, real(etas[1]), np.where(direction < 0, real(etas[0]), real(1)))
    size = state.get("size", lr) * factor
    state["size"] = np.minimum(np.maximum(size, real(sizes[0])), real(sizes[1]))
    kept = np.where(direction < 0, real(0), gradient)
    state["previous"] = kept
    updated: Array = weight - sign(kept) * state["size"]
    return updated


@dataclass(frozen=True, kw_only=True)
class Rprop(NnRule):
    """`mindspore.nn.Rprop`."""

    learning_rate: Rates = option(Rate(), 0.1)
    etas: tuple[float, float] = option(Pair(UNIT_OPEN, Real(above=1.0), lists=False), (0.5, 1.2))
    step_sizes: tuple[float, float] = option(Pair(Real(), Real(), lists=False), (1e-6, 50.0))

    def __post_init__(self) -> None:
        """Check every hyperparameter, and that the bounds of the step size are in order."""
        super().__post_init__()
        if self.step_sizes[0] > self.step_sizes[1]:
            raise ValueError(f"step_sizes must be (smallest, largest), got {self.step_sizes!r}")

    def start(self, weight: Array) -> State:
        return {"previous": np.zeros_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = nn_gradient(self, weight, gradient, at)
        return rprop(weight, gradient, state, lr=at.lr, etas=self.etas, sizes=self.step_sizes)


@dataclass(frozen=True, kw_only=True)
class ExperimentalRprop(ExperimentalRule):
    """`mindspore.experimental.optim.Rprop`."""

    lr: Rates = option(Rate(each=ANY_POSITIVE), 0.01)
    etas: tuple[float, float] = option(Pair(UNIT_OPEN, Real(above=1.0, integers=True)), (0.5, 1.2))
    step_sizes: tuple[float, float] = option(Pair(Real(integers=True), Real(integers=True)), (1e-6, 50))
    maximize: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return {"previous": np.zeros_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = experimental_gradient(weight, gradient, weight_decay=0.0, maximize=self.maximize)
        return rprop(weight, gradient, state, lr=at.lr, etas=self.etas, sizes=self.step_sizes)
