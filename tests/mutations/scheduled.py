"""Schedules under other tables: what they become, and whether that gives other rates."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from optmap.conformance.scenario import ScheduleJob
from optmap.conformance.schedule_check import SchedulePair
from optmap.conformance.schedule_files import wished_pairs
from optmap.conformance.select import Wishes
from optmap.mapping.load import load_schedules
from optmap.mapping.model import MappingSet

from .simulated import base

STEPS: Final = 60


@contextmanager
def reading(tables: MappingSet) -> Iterator[None]:
    """Let everything read these tables of schedules."""
    names = [
        name for name, module in sys.modules.items() if name.startswith("optmap.") and hasattr(module, "load_schedules")
    ]
    patches = [patch(f"{name}.load_schedules", lambda extra=(): tables) for name in names]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def pairs_of(names: Iterable[str]) -> dict[str, Any]:
    """Every pair of these schedules, and every refusal, by call and target."""
    found: dict[str, Any] = {}
    for name in names:
        framework = load_schedules().apis[name].framework
        for target in base().frameworks.values():
            if target == framework:
                continue
            wishes = Wishes((), (name,), (), True, ((frozenset({framework}), target),), STEPS, {})
            pairs, refused, _ = wished_pairs(base(), wishes)
            for pair in pairs:
                found[f"{name} to {target}: {dict(pair.pair.hyperparameters)} ({pair.pair.row})"] = pair
            for item in refused:
                found[f"{name} to {target}: {dict(item.hyperparameters)} refused"] = item.reasons
    return found


def same_rates(sessions: Mapping[str, Any], before: Any, after: Any) -> bool:
    """Whether what becomes of a schedule is another call with the very same rates."""
    if not (isinstance(before, SchedulePair) and isinstance(after, SchedulePair)):
        return False
    jobs = [
        ScheduleJob.of(
            pair.target.name,
            pair.pair.arguments,
            pair.length,
            learning_rate=pair.rate,
            steps_per_epoch=pair.pace,
            at=pair.at,
        )
        for pair in (before, after)
    ]
    one, other = sessions[before.target.framework].rates(jobs)
    return before.target.name == after.target.name and not one.failure and bool(one.values == other.values)


def lost(before: Any, after: Any) -> bool:
    """Whether a schedule is refused now, or at the pace at which it was translated."""
    if not isinstance(after, SchedulePair):
        return True
    return (
        isinstance(before, SchedulePair)
        and after.pace < before.pace
        and brief(after._replace(pace=before.pace)) == brief(before)
    )


def brief(item: Any) -> str:
    """What a user gets, as text."""
    if isinstance(item, SchedulePair):
        return f"{item.pair.target}{dict(item.pair.arguments)} {item.rate} {item.pace}"
    return repr(item)
