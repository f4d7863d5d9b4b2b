"""Which schedules to check: named ones, all of the tables, and those of a user's files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from optmap.conformance.calls import Call, file_of
from optmap.conformance.filecalls import FileCalls, file_schedules
from optmap.conformance.results import Refused
from optmap.conformance.schedule_check import LEADS, SchedulePair, completed, pairs, sample, table_calls
from optmap.conformance.schedule_steps import LONGEST, factors_of
from optmap.conformance.schedules import ScheduleError, has_rates, rates
from optmap.conformance.select import CheckError, Direction, Wishes, find_apis
from optmap.mapping.canonical import attached
from optmap.mapping.load import load_schedules
from optmap.mapping.model import MappingSet
from optmap.mapping.rate import RateError

QUANTITIES: Final = ("steps_per_epoch", "total_steps")
PARTS: Final = 100
"""Rates of a schedule that an optimizer is run with."""
NO_RATES: Final = "its rates follow from a function, a metric or other schedules, and no file is executed"


def wished_pairs(tables: MappingSet, wishes: Wishes) -> tuple[list[SchedulePair], list[Refused], set[str]]:
    """The pairs to run, the calls that are refused, and the names of the settings that schedules took. Raises CheckError."""
    if not (wishes.schedules or wishes.paths or wishes.whole_tables):
        return [], [], set()
    schedules = load_schedules(tables.extra)
    quantities = {name: value for name, value in wishes.settings.items() if name in QUANTITIES}
    for name, value in quantities.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise CheckError(f"--set {name}: found {value!r}, expected a whole number above 0")
    made: list[SchedulePair] = []
    refused: list[Refused] = []
    used = set(quantities)
    for direction in wishes.directions:
        found = FileCalls()
        found.calls, found.refused = _table_calls(schedules, wishes, direction)
        used |= {name for call in found.calls if wishes.schedules for name in wishes.settings if name in call.given}
        _file_calls(found, tables, schedules, wishes, direction)
        used |= found.used
        more, impossible = pairs(tables, schedules, found.calls, direction[1], wishes.length, quantities)  # type: ignore[arg-type]
        made += more
        refused += [*found.refused, *impossible]
    return made, refused, used


def rates_of_files(tables: MappingSet, found: Sequence[SchedulePair]) -> dict[str, dict[str, tuple[float, ...]]]:
    """By file, the rates of each of its schedules over the whole run, as multiples of the largest, by the schedule's name."""
    made: dict[str, dict[str, tuple[float, ...]]] = {}
    for item in found:
        if not item.pair.origin:
            continue
        steps = sorted({item.length * place // PARTS for place in range(PARTS)})
        own = item.rate if attached(item.source) else None
        try:
            schedules = load_schedules(tables.extra)
            values = rates(schedules, item.source, item.pair.hyperparameters, item.length, learning_rate=own,
                           steps_per_epoch=item.pace, at=steps)  # fmt: skip
        except (ScheduleError, RateError):
            continue
        line = item.pair.origin.rpartition(":")[2]
        made.setdefault(file_of(item.pair.origin), {})[f"{item.source.class_name}-{line}"] = factors_of(values.tolist())
    return made


def _table_calls(schedules: MappingSet, wishes: Wishes, direction: Direction) -> tuple[list[Call], list[Refused]]:
    sources, target = direction
    apis = [api for api in schedules.apis.values() if api.framework in sources] if wishes.whole_tables else []
    apis += [api for name in wishes.schedules for api in find_apis(schedules, "a schedule", name, sources)]
    calls: list[Call] = []
    refused: list[Refused] = []
    for api in apis:
        given = {name: value for name, value in wishes.settings.items() if wishes.schedules and name in api.by_name}
        if not has_rates(schedules, api) or not (made := list(table_calls(api, wishes.steps, given))):
            refused.append(Refused(api.name, target, {}, "", (NO_RATES,), untested=True))
        else:
            calls += made
    return calls, refused


def _file_calls(
    found: FileCalls, tables: MappingSet, schedules: MappingSet, wishes: Wishes, direction: Direction
) -> None:
    """Add the schedules of the files that the translator translates, with the values written there."""
    sources, target = direction
    known = {"steps_per_epoch": wishes.steps, "total_steps": wishes.length or LONGEST}
    numbers = tuple((name, wishes.settings.get(name, known[name])) for name in QUANTITIES)
    samples = partial(sample, steps=wishes.steps)
    for path in wishes.paths:
        read = file_schedules(path, tables, sources, target, wishes.settings, numbers, samples)  # type: ignore[arg-type]
        found.refused += read.refused
        found.used |= read.used
        for call in read.calls:
            given = completed(call.api, call.given, wishes.steps)
            leads = {row.name for row in call.api.current if row.ties in LEADS}
            assumed = tuple(item for item in call.assumed if item.name not in leads)
            if given is None or not has_rates(schedules, call.api):
                found.refused.append(
                    Refused(call.api.name, target, call.given, call.origin, (NO_RATES,), untested=True)
                )
                continue
            found.calls.append(call._replace(given=given, assumed=assumed))
