"""What a formula computes with: one parameter's state, and the hyperparameters and traits of one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from optmap.conformance.scenario import Array

State: TypeAlias = dict[str, Array]
"""Arrays of the parameter's shape or smaller by name; what is not there yet has not been used."""


class By(NamedTuple):
    """One step of one parameter.

    Attributes:
        values: the hyperparameters by canonical name, as the tables state them; what is absent does nothing.
        traits: the value of every trait of the tables that has one.
        step: number of the step, from 1.
        rate: learning rate of the step.
        changing: whether the learning rate changes during the run.
    """

    values: Mapping[str, Any]
    traits: Mapping[str, str]
    step: int
    rate: float
    changing: bool = False

    def of(self, name: str, absent: Any = 0.0) -> Any:
        """A hyperparameter; `absent` where there is none, or None."""
        value = self.values.get(name)
        return absent if value is None else value

    def has(self, trait: str, value: str) -> bool:
        """Whether the rule has this value of a trait."""
        return self.traits.get(trait) == value


Update: TypeAlias = Callable[[Array, Array, State, By], Array]
"""The parameter after one step, for a gradient with decay and scale applied; the state is updated in place."""


class Formula(NamedTuple):
    """The update rule of an algorithm in all frameworks.

    Attributes:
        update: computes one step.
        takes: the hyperparameters that it knows, beside those that are common to all.
        traits: the traits that it knows, beside `decay_filter`, with the values that it knows of each.
        decays: whether it applies decoupled decay itself.
        coupled: whether the update of an element depends on other elements.
    """

    update: Update
    takes: tuple[str, ...] = ()
    traits: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    decays: bool = False
    coupled: bool = False


def average(state: State, name: str, new: Array, keep: float, start: float = 0.0) -> Array:
    """Advance a running average that starts at a constant."""
    old = state.get(name, np.full_like(new, start))
    state[name] = keep * old + (1 - keep) * new
    return state[name]


def root(square: Array, by: By) -> Array:
    """The square root of a mean or a sum of squares, with epsilon where the rule puts it.

    `mixed` is the kernel of MindSpore's RMSProp: beside the root in whole blocks of eight elements, inside it in the rest.
    """
    epsilon = by.of("epsilon")
    inside: Array = np.sqrt(square + epsilon)
    if by.has("epsilon_placement", "inside_root"):
        return inside
    beside: Array = np.sqrt(square) + epsilon
    if not by.has("epsilon_placement", "mixed"):
        return beside
    index = np.arange(square.size).reshape(square.shape)
    return np.where(index < square.size - square.size % 8, beside, inside)
