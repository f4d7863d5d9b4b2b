"""The parts that programs are made of, read from `parts/*.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import yaml

HERE = Path(__file__).parent
Choices = dict[str, tuple[str, ...]]
"""The parts that were chosen for each slot, by name."""
FIELDS: Final = frozenset(
    [
        "text",
        "weight",
        "rare",
        "task",
        "warns",
        "head",
        "form",
        "class",
        "first",
        "last",
        "middle",
        "init",
        "forward",
        "size",
        "flat",
        "criterion",
        "loss",
        "backward",
        "record",
        "arguments",
        "before",
        "after",
        "methods",
        "methods_init",
        "head_ops",
        "head_no_grad",
        "epoch",
        "epoch_start",
        "start",
        "between",
        "end",
        "enumerate",
        "wrap",
        "extra",
        "step",
        "closure",
        "make",
        "batch",
        "helper",
        "name",
        "loop",
        "zero",
        "loss_wrap",
        "to",
        "rate",
        "aux",
        "only",
    ]
)
"""What a part may say; writers of programs ask for it."""
PLACES: Final = {"pool": "image", "join": "tokens"}
"""Slots that only programs of one task have."""


@dataclass(frozen=True)
class Part:
    """One choice: its texts by purpose, and what it says of itself."""

    name: str
    fields: Mapping[str, Any]

    def __getitem__(self, field: str) -> str:
        return str(self.fields.get(field) or "")

    def has(self, field: str) -> bool:
        return bool(self.fields.get(field))

    @property
    def rare(self) -> bool:
        return self.has("rare")


class Slot(NamedTuple):
    """A place in a program. `neutral` is the share of its first part, `several` how many parts it may take."""

    name: str
    neutral: float
    several: int
    parts: Mapping[str, Part]

    @property
    def first(self) -> str:
        return next(iter(self.parts))

    def fitting(self, task: str) -> list[str]:
        """The parts that may stand in a program with this task; the first of them is neutral."""
        return [name for name, part in self.parts.items() if task in part.fields.get("task", [task])]

    def choose(self, random: Random, task: str, density: float = 1.0) -> tuple[str, ...]:
        """Parts at random. With a low density more slots stay neutral."""
        names = self.fitting(task)
        if len(names) < 2 or random.random() >= (1 - self.neutral) * density:
            return (names[0],)
        count = random.randint(1, self.several)
        weights = [self.parts[name].fields.get("weight", 1) for name in names[1:]]
        return tuple(random.choices(names[1:], weights, k=count))


@cache
def slots(*files: str, within: str | None = None) -> dict[str, Slot]:
    """The slots of some files, in order. Some parts are there for grammars with limits, which another file states."""
    limits = yaml.safe_load((HERE / "parts" / f"{within}.yaml").read_text()) if within else {}
    return _limited(_read(files), limits)


def _limited(given: dict[str, Slot], limits: Mapping[str, list[str] | str]) -> dict[str, Slot]:
    """The same slots with some of their parts. A slot that the limits do not name keeps what every grammar has."""
    found = {}
    for name, slot in given.items():
        names = limits.get(name, "all")
        kept = [key for key, part in slot.parts.items() if not part.has("only")] if names == "all" else names
        found[name] = slot._replace(parts={key: slot.parts[key] for key in kept})
    return found


@cache
def _read(files: tuple[str, ...]) -> dict[str, Slot]:
    found: dict[str, Slot] = {}
    for file in files:
        for name, body in yaml.safe_load((HERE / "parts" / f"{file}.yaml").read_text()).items():
            parts = {key: Part(key, _fields(value)) for key, value in body["parts"].items()}
            found[name] = Slot(name, body["neutral"], body.get("several", 1), parts)
    return found


def _fields(value: object) -> Mapping[str, Any]:
    fields = value if isinstance(value, dict) else {"text": value}
    unknown = set(fields) - FIELDS
    assert not unknown, f"unknown fields {sorted(unknown)} in {fields}"
    return fields


def choose(given: Iterable[Slot], random: Random, task: str) -> Choices:
    density = random.choice((0.3, 0.6, 1.0))
    return {slot.name: slot.choose(random, task, density) for slot in given}


def neutral(given: Iterable[Slot], task: str) -> Choices:
    return {slot.name: (slot.fitting(task)[0],) for slot in given}


def each_alone(given: Iterable[Slot], tasks: Iterable[str]) -> Iterator[tuple[str, Choices]]:
    """Every part in an otherwise neutral program, in the first task that it fits."""
    slots, order = list(given), list(tasks)
    for slot in slots:
        if PLACES.get(slot.name, order[0]) not in order:
            continue
        for name, part in slot.parts.items():
            fits = part.fields.get("task", order)
            task = next(
                task for task in order if task in fits and (slot.name not in PLACES or task == PLACES[slot.name])
            )
            yield task, neutral(slots, task) | {slot.name: (name,)}


def block(text: str, depth: int = 0) -> list[str]:
    """The lines of a text, indented; none of an empty one."""
    return [f"{'    ' * depth}{line}" if line else "" for line in text.rstrip("\n").split("\n")] if text.strip() else []
