"""The first lines of the text report of `check`: one for each pair, with its level, its verdict and how far the two drift."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.conformance.results import Level, Mode, Result
from optmap.report.check_summary import Summary, severity, verdict_words
from optmap.report.plots import largest

BARS: Final = "▁▂▃▄▅▆▇█"
"""A bar for each power of ten up to 1."""
LENGTH: Final = 10
"""The most bars of a line."""
LEGEND: Final = f"{BARS[0]}..{BARS[-1]}  drift over the steps: each bar is ten times the one below, from 1e-7 to 1"


def pair_lines(listed: Sequence[Summary], *, few: bool, drawn: bool) -> Iterator[str]:
    """A line for each call and its translation; where these are many, for each pair of classes."""
    groups: dict[object, list[Summary]] = {}
    for summary in listed:
        pair = summary.pair
        groups.setdefault(id(pair) if few else (pair.source, pair.target), []).append(summary)
    packages = {(item.pair.source.partition(".")[0], item.pair.target.partition(".")[0]) for item in listed}
    for group in groups.values():
        pair = group[0].pair
        names = [name.partition(".")[2] if len(packages) == 1 else name for name in (pair.source, pair.target)]
        where = f"{pair.origin}: " if few and pair.origin else ""
        worst = max(group, key=lambda item: (bool(item.failed), _severity(item)))
        calls = "" if few else f", {len(group)} call{'s' * (len(group) != 1)}"
        bars = _bars(worst) if drawn else ""
        yield "  ".join(
            filter(None, [f"{where}{' -> '.join(names)}", rating(worst), f"{_measured(worst)}{calls}", bars])
        )
    if drawn and any(map(_bars, listed)):
        yield LEGEND


def rating(summary: Summary) -> str:
    """The level with the verdict: a difference that the tables predict is known."""
    level = summary.level
    if summary.failed:
        words = verdict_words(summary.failed[0]).removeprefix(f"{Level.DIVERGENT}, ")
        return f"{level} ({words})" if level is not None else words
    if level is None:
        return "NOT_RUN"
    if any(item.known for item in summary.forced):
        return f"{level} (in the baseline)"
    return f"{level} (known)" if level.rank > Level.EQUIVALENT.rank else level


def _worst(summary: Summary) -> Result | None:
    return max((item for item in summary.forced if item.divergence), key=severity, default=None)


def _severity(summary: Summary) -> tuple[int, float]:
    worst = _worst(summary)
    return (-1, 0.0) if worst is None else severity(worst)


def _measured(summary: Summary) -> str:
    worst = _worst(summary)
    if worst is None or worst.divergence is None:
        return "not run"
    far, steps = worst.divergence.drift, f"{worst.steps} step{'s' * (worst.steps != 1)}"
    if worst.mode is Mode.SCHEDULE:
        over = worst.divergence.first_step_over
        return f"equal rates for {steps}" if over is None else f"rates differ from step {over} on"
    return f"drift {far:.2g} after {steps}"


def _bars(summary: Summary) -> str:
    """How the drift of the worst run grows."""
    worst = _worst(summary)
    if worst is None or worst.course is None:
        return ""
    heights = (
        len(BARS) - 1 if not math.isfinite(value) else 0 if value <= 0 else math.ceil(math.log10(value)) + len(BARS) - 1
        for value in largest(worst.course.drift, LENGTH)
    )
    return "".join(BARS[min(max(height, 0), len(BARS) - 1)] for height in heights)
