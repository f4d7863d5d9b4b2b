"""What a check found before, so that a later one fails only on what got worse."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from optmap.baselines import dump, parse
from optmap.conformance.results import Level, Refused, Report, Result

FACTOR: Final = 2.0
"""A drift that is larger by this factor is worse, where it is more than rounding."""


class KnownRun(NamedTuple):
    """What was found for a run: its level and drift, None where it did not run, and whether it passed."""

    level: str | None
    drift: float | None
    passed: bool

    def __str__(self) -> str:
        return "not run" if self.level is None else f"{self.level} with a drift of {_number(self.drift)}"


class Known(NamedTuple):
    """The runs of a baseline by their keys, and the keys of the calls that it refuses."""

    entries: Mapping[tuple[str, ...], KnownRun]
    refused: tuple[tuple[str, ...], ...]


def text(report: Report) -> str:
    """The baseline of a report."""
    results = [{"run": _key(item), **_entry(item)._asdict()} for item in report.results]
    refused = [_refused_key(item) for item in report.refused if item.fails]
    return dump(results=results, refused=refused)


def known(baseline: str) -> Known:
    """What the text of a baseline says. Raises BaselineError."""
    return parse(baseline, "check", _known)


def _known(content: Any) -> Known:
    entries = {
        tuple(each["run"]): KnownRun(each["level"], each["drift"], each["passed"]) for each in content["results"]
    }
    return Known(entries, tuple(map(tuple, content["refused"])))


def compared(report: Report, before: Known) -> Report:
    """The report in which what the baseline has passes, and what is worse than there does not."""
    left = Counter(before.refused)
    results = tuple(_held(item, before.entries.get(tuple(_key(item)))) for item in report.results)
    return replace(report, results=results, refused=tuple(_accepted(item, left) for item in report.refused))


def _held(result: Result, before: KnownRun | None) -> Result:
    if before is None:
        return result
    now = _entry(result)
    if _worse(now, before):
        return replace(
            result, accepted=False, regressed=True, reason=f"worse than the baseline: {before} there, {now} now"
        )
    return replace(result, known=not result.passes)


def _worse(now: KnownRun, before: KnownRun) -> bool:
    """Tell whether a run got worse: in its verdict, its level, or far in its drift."""
    if now.level is None or before.level is None:
        return before.passed and not now.passed
    old, new = Level(before.level), Level(now.level)
    if new.rank != old.rank:
        return new.rank > old.rank
    further = _size(now.drift) > FACTOR * _size(before.drift) and new.rank > Level.EQUIVALENT.rank
    return further or (before.passed and not now.passed)


def _size(drift: float | None) -> float:
    """A drift, infinite where it was not finite."""
    return float("inf") if drift is None else drift


def _entry(result: Result) -> KnownRun:
    measured = result.divergence
    if measured is None:
        return KnownRun(None, None, result.passes)
    drift = measured.drift if measured.drift < float("inf") else None
    return KnownRun(str(measured.level), drift, result.passes)


def _key(result: Result) -> list[str]:
    """What tells a run from others, without the line of the call: lines move."""
    pair = result.pair
    given = json.dumps([dict(pair.hyperparameters), list(map(dict, pair.groups))], sort_keys=True, default=str)
    origin = pair.origin.rpartition(":")[0]
    return [origin, pair.source, given, pair.target, result.scenario, result.dtype, str(result.mode), result.engine]


def _refused_key(item: Refused) -> list[str]:
    return [item.origin.rpartition(":")[0], item.source, item.target]


def _accepted(item: Refused, left: Counter[tuple[str, ...]]) -> Refused:
    key = tuple(_refused_key(item))
    if not item.fails or not left[key]:
        return item
    left[key] -= 1
    return replace(item, known=True)


def _number(drift: float | None) -> str:
    return "more than any number" if drift is None else f"{drift:.1e}"
