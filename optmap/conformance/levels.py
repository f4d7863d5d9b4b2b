"""Levels of agreement and measured divergence, as values for reports. This module does not import numpy."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Level(StrEnum):
    """How well two runs agree, from best to worst in the order of definition."""

    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    CLOSE = "CLOSE"
    DIVERGENT = "DIVERGENT"

    @property
    def rank(self) -> int:
        """0 for the best."""
        return _ORDER.index(self)


_ORDER: Final = tuple(Level)


class Divergence(NamedTuple):
    """How far two runs of the same scenario diverge.

    Attributes:
        max_abs: largest difference of an element at any step; infinite where two values differ and are not both finite.
        max_ulp: the same in units in the last place (ULP) of the dtype, counted across zero.
        drift: distance of the two end points over the distance that the first run travelled (Euclidean norms).
        first_step_over: first step, counted from 1, over the tolerance of EQUIVALENT; None if no step is.
        parameter: name of the parameter that is over the tolerance first.
        level: the measured level.
    """

    max_abs: float
    max_ulp: int
    drift: float
    first_step_over: int | None
    parameter: str | None
    level: Level
