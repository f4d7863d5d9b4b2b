"""Hyperparameters: declared as dataclass fields with MindSpore's defaults, and checked as MindSpore checks them."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Rates: TypeAlias = float | Sequence[float]
"""A learning rate: one number, or one number per step."""

_KEY = "option"


@dataclass(frozen=True)
class Real:
    """A real number within bounds; `integers` says whether MindSpore accepts an int for a float."""

    at_least: float = -math.inf
    above: float = -math.inf
    at_most: float = math.inf
    below: float = math.inf
    integers: bool = False
    optional: bool = False

    def check(self, name: str, value: object) -> None:
        """Raise ValueError unless the value is allowed under this name."""
        if value is None and self.optional:
            return
        if isinstance(value, bool) or not isinstance(value, float | int):
            raise ValueError(f"{name} must be a number, got {value!r}")
        if isinstance(value, int) and not self.integers:
            raise ValueError(f"{name} must be a float, got the int {value!r}, which MindSpore rejects with a TypeError")
        if math.isnan(value):
            raise ValueError(f"{name} must be a number, got NaN")
        if not (
            self.at_least <= value <= self.at_most
            and (value > self.above or self.above == -math.inf)
            and (value < self.below or self.below == math.inf)
        ):
            raise ValueError(f"{name} must be {self._bounds()}, got {value!r}")

    def _bounds(self) -> str:
        limits = (
            (">=", self.at_least, -math.inf),
            (">", self.above, -math.inf),
            ("<=", self.at_most, math.inf),
            ("<", self.below, math.inf),
        )
        return " and ".join(f"{sign} {limit!r}" for sign, limit, free in limits if limit != free)


@dataclass(frozen=True)
class Flag:
    """A bool."""

    def check(self, name: str, value: object) -> None:
        """Raise ValueError unless the value is a bool."""
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")


@dataclass(frozen=True)
class Reals:
    """Two real numbers, each with its own bounds; `lists` says whether MindSpore accepts a list for a tuple."""

    first: Real
    second: Real
    lists: bool = True

    def check(self, name: str, value: object) -> None:
        """Raise ValueError unless the value is a pair within bounds."""
        if not isinstance(value, tuple | list if self.lists else tuple) or len(value) != 2:
            raise ValueError(f"{name} must be a {'pair' if self.lists else 'tuple'} of two numbers, got {value!r}")
        self.first.check(f"{name}[0]", value[0])
        self.second.check(f"{name}[1]", value[1])


@dataclass(frozen=True)
class Rate:
    """A learning rate within bounds, or one per step; None only where MindSpore computes it."""

    each: Real = Real(at_least=0.0, integers=True)
    sequences: bool = True

    def check(self, name: str, value: object) -> None:
        """Raise ValueError unless the value is a learning rate or a sequence of them."""
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            if not self.sequences:
                raise ValueError(f"{name} must be one number: MindSpore rejects a changing learning rate here")
            if not value:
                raise ValueError(f"{name} must not be an empty sequence")
            for step, rate in enumerate(value, start=1):
                self.each.check(f"{name} of step {step}", rate)
            return
        self.each.check(name, value)


@dataclass(frozen=True)
class Choice:
    """One of several texts, or None."""

    values: tuple[str, ...]

    def check(self, name: str, value: object) -> None:
        """Raise ValueError unless the value is one of the texts or None."""
        if value is not None and value not in self.values:
            raise ValueError(f"{name} must be one of {list(self.values)}, got {value!r}")


Option: TypeAlias = Real | Flag | Reals | Rate | Choice


def option(kind: Option, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that `check_options` checks; without a default, the API requires a value."""
    return dataclasses.field(default=default, metadata={_KEY: kind})


def check_options(instance: Any) -> None:
    """Raise ValueError for the first field of a dataclass instance with a value that its option does not allow."""
    for field in dataclasses.fields(instance):
        if _KEY in field.metadata:
            field.metadata[_KEY].check(field.name, getattr(instance, field.name))


FLAG = Flag()
UNIT_OPEN = Real(above=0.0, below=1.0)
POSITIVE = Real(above=0.0)
NON_NEGATIVE = Real(at_least=0.0)
ANY_NON_NEGATIVE = Real(at_least=0.0, integers=True)
ANY_POSITIVE = Real(above=0.0, integers=True)
BETA = Real(at_least=0.0, below=1.0)
RATE_ABOVE_ZERO = Rate(each=ANY_POSITIVE)
