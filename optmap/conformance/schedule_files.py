"""Which schedules to check: named ones, all of the tables, and those of a user's files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from optmap.conformance.results import Refused
from optmap.conformance.schedule_check import (
    ScheduleCall,
    ScheduleError,
    SchedulePair,
    completed,
    find_schedules,
    pairs,
    sample,
    table_calls,
)
from optmap.conformance.select import CheckError, Direction
from optmap.mapping.load import load_schedules
from optmap.mapping.model import OPTIMIZER, MappingSet
from optmap.mapping.records import Literal

QUANTITIES: Final = ("steps_per_epoch", "total_steps")


class Wishes(NamedTuple):
    """What was asked for; see `api.check`."""

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    everything: bool
    directions: tuple[Direction, ...]
    steps: int
    settings: Mapping[str, Literal]


def wished_pairs(tables: MappingSet, wishes: Wishes) -> tuple[list[SchedulePair], list[Refused], set[str]]:
    """The pairs to run, the calls that are refused, and the names of the settings that schedules took. Raises CheckError."""
    if not (wishes.names or wishes.paths or wishes.everything):
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
        calls, left = _table_calls(schedules, wishes, direction)
        used |= {name for call in calls if wishes.names for name in wishes.settings if name in call.given}
        for path in wishes.paths:
            found, unbound, names = _file_calls(path, tables, wishes, direction)
            calls += found
            used |= names
            left += unbound
        more, impossible = pairs(tables, schedules, calls, direction[1], wishes.steps, quantities)  # type: ignore[arg-type]
        made += more
        refused += [*left, *impossible]
    return made, refused, used


def _table_calls(
    schedules: MappingSet, wishes: Wishes, direction: Direction
) -> tuple[list[ScheduleCall], list[Refused]]:
    sources, target = direction
    apis = [api for api in schedules.apis.values() if api.framework in sources] if wishes.everything else []
    try:
        apis += [api for name in wishes.names for api in find_schedules(schedules, name, sources)]
    except ScheduleError as error:
        raise CheckError(str(error)) from None
    calls: list[ScheduleCall] = []
    refused: list[Refused] = []
    for api in apis:
        given = {name: value for name, value in wishes.settings.items() if wishes.names and name in api.by_name}
        if completed(api, given, wishes.steps) is None or schedules.algorithms[api.algorithm].no_rate is not None:
            reason = "its rates follow from a function, a metric or other schedules, of which there are no samples"
            refused.append(Refused(api.name, target, {}, "", (reason,)))
        else:
            calls += table_calls(api, wishes.steps, given)
    return calls, refused


def _file_calls(
    path: Path, tables: MappingSet, wishes: Wishes, direction: Direction
) -> tuple[list[ScheduleCall], list[Refused], set[str]]:
    """The schedules of one file that the translator translates, with the values written there, and the settings used."""
    from optmap.conformance.filecalls import read_file, read_literals
    from optmap.source.calls import read_call
    from optmap.translate.constructors.arguments import Refusal
    from optmap.translate.findings import ignored_lines
    from optmap.translate.options import Options
    from optmap.translate.schedules.translate import TranslatedSchedule
    from optmap.translate.schedules.translations import translate_schedules
    from optmap.translate.unit import Unit

    sources, target = direction
    source, sites = read_file(path, tables, sources, target)
    if not sites.schedules:
        return [], [], set()
    numbers = tuple((name, wishes.settings.get(name, wishes.steps)) for name in QUANTITIES)
    options = Options(target, sources, quantities=numbers)  # type: ignore[arg-type]
    samples = partial(sample, steps=wishes.steps)
    schedules = translate_schedules(Unit(source, sites, tables, options, ignored_lines(source)), {})
    calls: list[ScheduleCall] = []
    refused: list[Refused] = []
    used: set[str] = set()
    for site in schedules.calls:
        origin = f"{path}:{site.node.lineno}"
        made = schedules.of(site)
        if not isinstance(made, TranslatedSchedule):
            refused.append(Refused(site.api.name, target, {}, origin, (made,)))
            continue
        found, names = read_literals(source, site, read_call(source, site.node), wishes.settings, samples, origin)
        used |= names
        if isinstance(found, Refusal):
            refused.append(Refused(site.api.name, target, {}, origin, ("it cannot be bound",)))
            continue
        given = completed(site.api, found.given, wishes.steps)
        leads = {row.name for row in site.api.current if row.ties in ((OPTIMIZER,), ("global_step",))}
        assumed = tuple(text for text in found.assumed if text.partition("=")[0] not in leads)
        if given is None or schedules.unit.tables.algorithms[site.api.algorithm].no_rate is not None:
            continue  # nothing of it can be computed without running the file
        calls.append(ScheduleCall(site.api, given, origin, assumed=assumed))
    return calls, refused, used
