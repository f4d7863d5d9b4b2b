"""A generated program: what it is made of, its text, and how it is to be run."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple, Protocol

from tests.differential.parts import Choices, Slot


class Program(NamedTuple):
    """A program of one framework.

    `kind` names the grammar that made it. `task` says what its batches are. `warns` are the codes of messages that would truly
    tell of a difference between the two sides. `ordinary` programs have no part that is marked as rare. A `replay` program is run with
    gradients that are given to the optimizers of both sides.
    """

    kind: str
    source: str
    task: str
    choices: Choices
    text: str
    warns: frozenset[str]
    ordinary: bool
    replay: bool = False


class Grammar(Protocol):
    """Makes programs of one kind."""

    kind: str
    SLOTS: dict[str, Slot]

    def generate(self, random: Random) -> Program: ...
    def alone(self) -> Iterator[Program]: ...
    def render(self, task: str, choices: Choices) -> Program: ...
