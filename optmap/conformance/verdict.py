"""Judges measured against expected levels: WORSE in each scenario, BETTER over all scenarios of a pair in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from optmap.conformance.expect import Expectation
from optmap.conformance.levels import Divergence, Level
from optmap.conformance.results import Mode, Result, Verdict


def judge(measured: Divergence, expected: Expectation) -> tuple[Verdict, str | None]:
    """The verdict on one forced run, and the reason where it is not AS_EXPECTED."""
    if measured.level.rank <= expected.level.rank:
        return Verdict.AS_EXPECTED, None
    why = "; ".join(expected.causes) or "the tables state the same traits on both sides"
    return Verdict.WORSE, (
        f"measured {measured.level}, expected {expected.level} at worst ({why}); {measured.parameter} exceeds the rounding "
        f"tolerance from step {measured.first_step_over} on"
    )


def find_better(results: Sequence[Result]) -> list[Result]:
    """Set BETTER for pairs whose update rules differ by the tables, but agree in all scenarios.

    Only float64 counts, where the smallest difference is visible. The results of each pair must be consecutive.
    """
    found: list[Result] = []
    for _, group in groupby(results, key=lambda result: id(result.pair)):
        listed = list(group)
        found += map(_better, listed) if _shows_nothing(listed) else listed
    return found


def _shows_nothing(results: Sequence[Result]) -> bool:
    judged = [
        result for result in results if result.mode is Mode.FORCED and result.dtype == "float64" and result.causes
    ]
    levels = [result.divergence.level for result in judged if result.divergence is not None]
    return bool(judged) and len(levels) == len(judged) and all(level.rank <= Level.EQUIVALENT.rank for level in levels)


def _better(result: Result) -> Result:
    if result.verdict is not Verdict.AS_EXPECTED or not result.causes or result.dtype != "float64":
        return result
    reason = f"no scenario shows the difference that the tables state: {'; '.join(result.causes)}"
    return replace(result, verdict=Verdict.BETTER, reason=reason)
