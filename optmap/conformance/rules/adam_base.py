"""Shared by the relatives of Adam: their hyperparameters, the two moments, and the bias correction of the learning rate."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from optmap.conformance.rules.arithmetic import Array, Averaging, scalars
from optmap.conformance.rules.options import BETA, NON_NEGATIVE, POSITIVE, UNIT_OPEN, Rate, Rates, Reals, option
from optmap.conformance.rules.rule import ExperimentalRule, NnRule, State


class Factors(NamedTuple):
    """One, both betas and epsilon as scalars of the parameter's dtype."""

    one: Any
    beta1: Any
    beta2: Any
    eps: Any


@dataclass(frozen=True, kw_only=True)
class NnBetas(NnRule):
    """The hyperparameters of `mindspore.nn`'s relatives of Adam."""

    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    learning_rate: Rates = option(Rate(), 0.001)
    beta1: float = option(UNIT_OPEN, 0.9)
    beta2: float = option(UNIT_OPEN, 0.999)
    eps: float = option(POSITIVE, 1e-8)

    def factors(self, weight: Array) -> Factors:
        """The formula's scalars."""
        return Factors(*scalars(weight, 1, self.beta1, self.beta2, self.eps))


@dataclass(frozen=True, kw_only=True)
class ExperimentalBetas(ExperimentalRule):
    """The hyperparameters of `mindspore.experimental.optim`'s relatives of Adam."""

    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    lr: Rates = option(Rate(), 0.001)
    betas: tuple[float, float] = option(Reals(BETA, BETA), (0.9, 0.999))
    eps: float = option(NON_NEGATIVE, 1e-8)

    def factors(self, weight: Array) -> Factors:
        """The formula's scalars."""
        return Factors(*scalars(weight, 1, *self.betas, self.eps))


def moments(state: State, gradient: Array, by: Factors, how: Averaging) -> tuple[Array, Array]:
    """Update the running averages `m` of the gradient and `v` of its square, and return them."""
    state["m"] = how.of(state["m"], gradient, by.beta1, by.one - by.beta1)
    state["v"] = how.of_square(state["v"], gradient, by.beta2, by.one - by.beta2)
    return state["m"], state["v"]


def corrected_rate(lr: Any, beta1_power: Any, beta2_power: Any) -> Any:
    """`lr * sqrt(1 - beta2**t) / (1 - beta1**t)`, each operation rounded to the scalars' dtype."""
    one = type(lr)(1)
    return lr * np.sqrt(one - beta2_power) / (one - beta1_power)
