"""Compares two traces: how far they diverge, at which level, from which step on, and in which parameter."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from optmap.conformance.results import Course, Divergence, Level
from optmap.conformance.scenario import Array, Trace


class Tolerance(NamedTuple):
    """The largest allowed difference of two parameters: `weight` * largest weight + `travel` * distance travelled.

    The distance travelled is the largest that any element of the parameter moves from its start during the run.
    """

    weight: float
    travel: float
    reason: str


TOLERANCES: Final = {
    ("float32", Level.EQUIVALENT): Tolerance(
        3e-6, 2e-5,
        "100 steps, each rounding a weight of size 1 by at most 6e-8 (half of which cancels by sign), and about 100 roundings "
        "of the factors of a step; an epsilon of 1e-7 instead of 1e-8 makes a difference over 1e-1 for small gradients",
    ),
    ("float32", Level.CLOSE): Tolerance(
        3e-6, 1e-2, "one percent of the distance travelled is less than another seed or batch order changes",
    ),
    ("float64", Level.EQUIVALENT): Tolerance(
        1e-14, 1e-11,
        "rounding at 1e-16, amplified by cancellation; the smallest effect of a differing formula, an epsilon of 1e-8 beside "
        "gradients of size 1, is above 1e-9",
    ),
    ("float16", Level.EQUIVALENT): Tolerance(
        2e-2, 5e-2, "20 steps, each rounding a weight of size 1 by up to 5e-4 and a small update by a share of it",
    ),
    ("float16", Level.CLOSE): Tolerance(5e-2, 1e-1, "twice as much: in half precision rounding covers most formulas"),
    ("bfloat16", Level.EQUIVALENT): Tolerance(1.5e-1, 3e-1, "as in float16, each of 20 steps rounding a weight of 1 by 4e-3"),
    ("bfloat16", Level.CLOSE): Tolerance(3e-1, 5e-1, "twice as much, as in float16: rounding covers most formulas"),
    ("float64", Level.CLOSE): Tolerance(1e-14, 1e-2, "as in float32: the practical tolerance does not depend on the dtype"),
}  # fmt: skip


HUGE: Final = 1e5
"""Weights that grow by this factor come from a learning rate that is too large for the problem."""


def compare(first: Trace, second: Trace, start: dict[str, Array], dtype: str) -> Divergence:
    """Compare the parameters of two traces after every step; both must have the same parameters, shapes and dtype."""
    with np.errstate(all="ignore"):
        return _compared(first, second, start, dtype)


def left_finite(trace: Trace) -> int | None:
    """The first step, counted from 1, after which a parameter is not finite; None where all are."""
    lost = [~np.isfinite(value.reshape(len(value), -1)).all(axis=1) for value in trace.parameters.values()]
    steps = np.flatnonzero(np.any(lost, axis=0))
    return int(steps[0]) + 1 if len(steps) else None


def exploded(trace: Trace, start: dict[str, Array]) -> bool:
    """Whether weights have left the numbers, or grown beyond any that training gives."""
    if left_finite(trace) is not None:
        return True
    size = max(float(np.abs(value).max()) for value in start.values())
    return any(float(np.abs(value).max()) > HUGE * max(size, 1.0) for value in trace.parameters.values())


def _compared(first: Trace, second: Trace, start: dict[str, Array], dtype: str) -> Divergence:
    gaps = {name: _gaps(first.parameters[name], second.parameters[name]) for name in first.parameters}
    level, ulp = Level.IDENTICAL, 0
    over: tuple[int, str, float] | None = None
    for name, gap in gaps.items():
        values = np.nan_to_num(first.parameters[name].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        reach = _norms(values - start[name]).max()
        size = max(_norms(values).max(), float(np.abs(start[name]).max()))
        ulp = max(ulp, ulps(first.parameters[name], second.parameters[name], size))
        level = max(level, _level(gap, size, reach, dtype), key=lambda item: item.rank)
        limit = allowed(dtype, Level.EQUIVALENT, size, reach)
        steps = np.flatnonzero(~(gap <= limit))
        if len(steps) and (over is None or steps[0] + 1 < over[0]):
            over = int(steps[0]) + 1, name, limit
    worst = float(max(gap.max() for gap in gaps.values()))
    units = ulp if np.isfinite(worst) else None
    apart = drift(first, second, start)
    if over is None:
        return Divergence(worst, units, apart, None, None, level)
    step, name, limit = over
    return Divergence(
        worst, units, apart, step, name, level,
        *_mismatch(first.parameters[name][step - 1], second.parameters[name][step - 1], limit),
    )  # fmt: skip


SHOWN: Final = 4
"""Elements of a parameter that a failure shows."""


def _mismatch(
    first: Array, second: Array, limit: float
) -> tuple[tuple[int, int], tuple[tuple[float, ...], tuple[float, ...]]]:
    """How many elements lie further apart than the limit, of how many, and the first of them on both sides."""
    wrong = ~(np.abs(first.astype(np.float64) - second.astype(np.float64)) <= limit)
    one, other = (tuple(float(item) for item in side[wrong][:SHOWN]) for side in (first, second))
    return (int(wrong.sum()), int(wrong.size)), (one, other)


def allowed(dtype: str, level: Level, size: float, reach: float) -> float:
    """The largest difference that a level allows, for the largest weight `size` and the distance travelled `reach`."""
    tolerance = TOLERANCES[dtype, level]
    return tolerance.weight * size + tolerance.travel * reach


def _gaps(first: Array, second: Array) -> Array:
    """The largest difference at each step, as (steps,) float64; infinite where a value is not finite, on either side."""
    gap = np.abs(first.astype(np.float64) - second.astype(np.float64))
    return _norms(np.where(np.isfinite(gap), gap, np.inf))


def _norms(values: Array) -> Array:
    """The largest magnitude over all axes but the first."""
    largest: Array = np.abs(values.reshape(len(values), -1)).max(axis=1)
    return largest


def _level(gap: Array, size: float, reach: float, dtype: str) -> Level:
    if not gap.any():
        return Level.IDENTICAL
    worst = gap.max()
    for level in (Level.EQUIVALENT, Level.CLOSE):
        if worst <= allowed(dtype, level, size, reach):
            return level
    return Level.DIVERGENT


NEAR_ZERO: Final = 1e-3
"""Below this fraction of a parameter's largest value, differences are counted in units of that fraction."""


def ulps(first: Array, second: Array, size: float) -> int:
    """The largest difference in units in the last place, see `Divergence`; 0 for equal values and for what is not finite.

    `size` is the parameter's largest value.
    """
    differ = (first != second) & np.isfinite(first) & np.isfinite(second)
    if not differ.any():
        return 0
    one, other = first[differ], second[differ]
    floor = first.dtype.type(size * NEAR_ZERO if np.isfinite(size) else 0)
    largest = np.maximum(np.maximum(np.abs(one), np.abs(other)), floor)
    gap = np.abs(one.astype(np.float64) - other)
    return int(np.ceil((gap / np.spacing(largest)).max()))


def course(first: Trace, second: Trace, start: dict[str, Array], dtype: str) -> Course:
    """How two traces move from the same start, step by step."""
    apart = travelled = reached = np.zeros(1)
    with np.errstate(all="ignore"):
        for name, values in first.parameters.items():
            one, other = values.astype(np.float64), second.parameters[name].astype(np.float64)
            apart = apart + _squares(one - other)
            travelled = travelled + _squares(one - start[name])
            reached = reached + _squares(other - start[name])
        drifts = np.where(apart == 0, 0.0, np.sqrt(apart / travelled[-1]))
        drifts = np.where(np.isnan(drifts), np.inf, drifts)
    equivalent, close = (TOLERANCES[dtype, level].travel for level in (Level.EQUIVALENT, Level.CLOSE))
    source, target = (tuple(np.sqrt(values).tolist()) for values in (travelled, reached))
    return Course(tuple(drifts.tolist()), source, target, (equivalent, close))


def _squares(values: Array) -> Array:
    """The sum of squares at each step."""
    total: Array = (values.reshape(len(values), -1) ** 2).sum(axis=1)
    return total


def drift(first: Trace, second: Trace, start: dict[str, Array]) -> float:
    """The distance of the two end points, divided by the distance that the first run travelled (Euclidean norms)."""
    apart = travelled = 0.0
    for name, values in first.parameters.items():
        one, other = values[-1].astype(np.float64), second.parameters[name][-1].astype(np.float64)
        with np.errstate(all="ignore"):
            apart += float(np.sum((one - other) ** 2))
            travelled += float(np.sum((one - start[name]) ** 2))
    if apart == 0.0:
        return 0.0
    return float(np.sqrt(apart / travelled)) if travelled and np.isfinite(apart + travelled) else float("inf")
