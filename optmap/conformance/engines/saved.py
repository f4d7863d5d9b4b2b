"""What the engines' modules of state are asked and answer: files with the saved state of an optimizer."""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeAlias

from optmap.values import NamedTuple

State: TypeAlias = "dict[str, dict[str, Any]]"
"""Arrays by quantity and parameter; a scalar quantity stands there once for each parameter."""


class Reading(NamedTuple):
    """A request for the state in a file.

    `slots` has the framework's names by quantity, `expected` the number of parameters, 0 where it is not known, and `entry`
    the keys, with dots between them, under which the state stands in the file. `others` are names that only other classes use.
    """

    path: str
    api: str
    arguments: dict[str, Any]
    slots: dict[str, str]
    others: tuple[str, ...]
    expected: int
    entry: str


class Saved(NamedTuple):
    """The state in a file, in the class's own form: parameters in their order, and the hyperparameters that the file has."""

    names: list[str]
    state: State
    hyperparameters: dict[str, Any]


class Writing(NamedTuple):
    """A request for the content of a file; `shapes` has an array of zeros for each parameter, in the optimizer's order."""

    api: str
    arguments: dict[str, Any]
    slots: dict[str, str]
    shapes: dict[str, Any]
    state: State


class StateModule(Protocol):
    """The interface of an engine's module of state. Both raise StateError."""

    def read(self, wanted: Reading) -> Saved:
        """The state in a file; nothing that the file holds is run."""
        ...

    def write(self, wanted: Writing) -> bytes:
        """The content of a file with this state."""
        ...


WIRED: Final = (Reading, Saved, Writing)
"""The classes of the values in messages."""
