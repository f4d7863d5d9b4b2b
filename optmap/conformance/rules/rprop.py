"""Resilient backpropagation: `mindspore.nn.Rprop` and `experimental.optim.Rprop`.

    f = etaplus where g * previous > 0, etaminus where < 0, else 1
    s = clip(s * f, min, max)                      before the first step s = lr
    g = 0 where f = etaminus                       previous = g
    w = w - sign(g) * s

Source: Riedmiller and Braun, https://ieeexplore.ieee.org/document/298623, in the form of torch.optim.Rprop.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optmap.conformance.rules.arithmetic import Array, flushed, scalars, sign
from optmap.conformance.rules.options import RATE_ABOVE_ZERO, UNIT_OPEN, Rate, Rates, Real, Reals, option
from optmap.conformance.rules.rule import At, ExperimentalRule, NnRule, Rule, State


@dataclass(frozen=True, kw_only=True)
class ResilientFormula(Rule):
    """The formula of both classes."""

    slots: ClassVar[tuple[str, ...]] = ("previous",)

    etas: tuple[float, float] = option(Reals(UNIT_OPEN, Real(above=1.0, integers=True)), (0.5, 1.2))
    step_sizes: tuple[float, float] = option(Reals(Real(integers=True), Real(integers=True)), (1e-6, 50))

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        zero, one, shrunk, grown, smallest, largest = scalars(weight, 0, 1, *self.etas, *self.step_sizes)
        direction = sign(flushed(gradient * state["previous"]))
        factor = np.where(direction > 0, grown, np.where(direction < 0, shrunk, one))
        state["size"] = np.minimum(np.maximum(state.get("size", at.lr) * factor, smallest), largest)
        state["previous"] = np.where(direction < 0, zero, gradient)
        updated: Array = weight - sign(flushed(state["previous"])) * state["size"]
        return updated


@dataclass(frozen=True, kw_only=True)
class Rprop(ResilientFormula, NnRule):
    """`mindspore.nn.Rprop`."""

    fixed: ClassVar[tuple[str, ...]] = ("loss_scale",)

    learning_rate: Rates = option(Rate(), 0.1)
    etas: tuple[float, float] = option(Reals(UNIT_OPEN, Real(above=1.0), lists=False), (0.5, 1.2))
    step_sizes: tuple[float, float] = option(Reals(Real(), Real(), lists=False), (1e-6, 50.0))

    def __post_init__(self) -> None:
        """Check every hyperparameter, and that the bounds of the step size are in order."""
        super().__post_init__()
        if self.step_sizes[0] > self.step_sizes[1]:
            raise ValueError(f"step_sizes must be (smallest, largest), got {self.step_sizes!r}")


@dataclass(frozen=True, kw_only=True)
class ExperimentalRprop(ResilientFormula, ExperimentalRule):
    """`mindspore.experimental.optim.Rprop`."""

    fixed: ClassVar[tuple[str, ...]] = ("weight_decay",)

    lr: Rates = option(RATE_ABOVE_ZERO, 0.01)
