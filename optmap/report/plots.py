"""Lines of a plot as SVG: scales, ticks and path data. The markup around them is in the templates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

WIDTH: Final = 360
HEIGHT: Final = 170
LEFT: Final = 46
BOTTOM: Final = 26
TOP: Final = 8
RIGHT: Final = 8
POINTS: Final = 80
"""The most points of a line: more cannot be told apart at this size."""
FLOOR: Final = 1e-17
"""What a logarithmic scale shows in place of 0 where nothing else is shown."""


Scale: TypeAlias = Callable[[float], float]
"""From a value to its height in pixels."""


class Line(NamedTuple):
    """A line of a plot: its path data, what it is, and the CSS class that gives its look."""

    path: str
    label: str
    look: str


class Tick(NamedTuple):
    """A mark on an axis, in pixels, and its text."""

    at: float
    text: str


class Plot(NamedTuple):
    """A plot: `title` says what it shows, `description` the same in numbers for those who cannot see it."""

    title: str
    description: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def drift_plot(runs: Sequence[tuple[str, Sequence[float]]], levels: Sequence[tuple[str, float]]) -> Plot:
    """Drift over steps on a logarithmic scale: one line for each run, and a straight one for each level."""
    steps = max(len(values) for _, values in runs)
    shown = [value for _, values in (*runs, *((name, [level]) for name, level in levels)) for value in values]
    finite = [value for value in shown if math.isfinite(value) and value > 0] or [FLOOR]
    low, high = math.floor(math.log10(min(finite))), math.ceil(math.log10(max(finite)))
    high = max(high, low + 1)
    every = max(1, math.ceil((high - low) / 5))

    def up(value: float) -> float:
        place = low if value <= 0 else math.log10(value) if math.isfinite(value) else high
        return _up((min(max(place, low), high) - low) / (high - low))

    lines = _runs(runs, steps, up)
    lines += [Line(_level(up(value)), label, "level") for label, value in levels]
    ticks = tuple(Tick(up(10.0**power), f"1e{power}") for power in range(low, high + 1, every))
    return Plot("Drift per step, on a logarithmic scale", _ends(runs), tuple(lines), _across(steps), ticks)


def distance_plot(runs: Sequence[tuple[str, Sequence[float]]]) -> Plot:
    """The distance from the start over steps, on a linear scale."""
    steps = max(len(values) for _, values in runs)
    finite = [value for _, values in runs for value in values if math.isfinite(value)]
    high = max(finite, default=0.0) or 1.0

    def up(value: float) -> float:
        return _up(min(value / high, 1.0) if math.isfinite(value) else 1.0)

    ticks = tuple(Tick(up(high * part), f"{high * part:.2g}") for part in (0, 0.5, 1))
    return Plot(
        "Distance of the weights from their start", _ends(runs), tuple(_runs(runs, steps, up)), _across(steps), ticks
    )


def _runs(runs: Sequence[tuple[str, Sequence[float]]], steps: int, up: Scale) -> list[Line]:
    """A line for each of at most two runs."""
    looks = ("one", "two")
    return [Line(_path(values, steps, up), label, look) for (label, values), look in zip(runs, looks, strict=False)]


def _ends(runs: Sequence[tuple[str, Sequence[float]]]) -> str:
    return "; ".join(f"{label}: {_number(values[-1])} after step {len(values)}" for label, values in runs)


def _up(part: float) -> float:
    return round(TOP + (1 - part) * (HEIGHT - TOP - BOTTOM), 1)


def _along(step: int, steps: int) -> float:
    return round(LEFT + (step - 1) / max(steps - 1, 1) * (WIDTH - LEFT - RIGHT), 1)


def _across(steps: int) -> tuple[Tick, ...]:
    wanted = sorted({1, (steps + 1) // 2, steps})
    return tuple(Tick(_along(step, steps), str(step)) for step in wanted)


def _level(height: float) -> str:
    return f"M{LEFT} {height}H{WIDTH - RIGHT}"


def _path(values: Sequence[float], steps: int, up: Scale) -> str:
    """A line through the values; of many, the largest of each few."""
    size = math.ceil(len(values) / POINTS)
    points = [(_along(size * place + 1, steps), up(value)) for place, value in enumerate(largest(values, POINTS))]
    if size > 1:
        points.append((_along(len(values), steps), up(values[-1])))
    return "M" + "L".join(f"{across} {height}" for across, height in points)


def largest(values: Sequence[float], most: int) -> list[float]:
    """At most so many values; of more, the largest of each few, so that no peak is lost."""
    size = math.ceil(len(values) / most)
    return [max(values[start : start + size], key=_height) for start in range(0, len(values), size or 1)]


def _height(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _number(value: float) -> str:
    return f"{value:.1e}" if math.isfinite(value) else "not finite"
