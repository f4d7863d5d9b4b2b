"""How well two runs agree, as values: what reports show. Nothing here needs numpy."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Level(StrEnum):
    """How well two runs agree; the order is that of the definition, best first."""

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
    """How far two runs of the same scenario lie apart.

    Attributes:
        max_abs: largest difference of an element at any step; infinite where only one side is a number.
        max_ulp: the same in units in the last place of the dtype, counted across zero.
        drift: distance of the two end points over the distance that the first run travelled (Euclidean norms).
        first_step_over: first step, counted from 1, over the tolerance of EQUIVALENT; None where there is none.
        parameter: where that was.
        level: measured level.
    """

    max_abs: float
    max_ulp: int
    drift: float
    first_step_over: int | None
    parameter: str | None
    level: Level
