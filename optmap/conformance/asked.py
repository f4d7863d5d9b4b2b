"""What `check` is asked for, as values: directions, scenarios, calls, steps and limits, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from optmap.conformance.calls import Call, default_call
from optmap.conformance.catalog import SILENT, catalog
from optmap.conformance.filecalls import file_calls
from optmap.conformance.results import FailOn, Refused
from optmap.conformance.run import RunOptions
from optmap.conformance.scenario import Scenario
from optmap.conformance.select import CheckError, Direction, Wishes, find_apis, table_calls, with_settings
from optmap.conformance.simulate import DTYPES
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import DEFAULT
from optmap.mapping.model import MappingSet
from optmap.nearest import nearest

STEPS: Final = 100
ROW_STEPS: Final = 40
MOST_STEPS: Final = 100_000


def directions(
    tables: MappingSet, sources: Iterable[Framework | str] | None, to: Framework | str | None, everything: bool
) -> list[Direction]:
    """The source frameworks of each target. Raises CheckError."""
    every = tables.frameworks.values()
    targets = list(every) if to is None and everything else [_framework(tables, to or DEFAULT)]
    wanted = frozenset(_framework(tables, name) for name in sources) if sources is not None else None
    if wanted is not None and len(targets) == 1 and targets[0] in wanted:
        raise CheckError(f"found {targets[0]} both as source and as target, expected two different frameworks")
    found = [((frozenset(every) if wanted is None else wanted) - {target}, target) for target in targets]
    return [(frameworks, target) for frameworks, target in found if frameworks]


def _framework(tables: MappingSet, name: str) -> Framework:
    if name not in tables.frameworks:
        raise CheckError(f"unknown framework {name!r}{nearest(name, tables.frameworks)}")
    return tables.frameworks[name]


def choose_scenarios(names: Iterable[str] | None, seed: int, everything: bool = False) -> dict[str, Scenario]:
    """The named scenarios; by default those of ordinary training, and with `everything` missing gradients, too."""
    if seed < 0:
        raise CheckError(f"found seed {seed}, expected 0 or more")
    known = catalog(seed)
    usual = [name for name in known if not known[name].rare or (everything and name == SILENT)]
    wanted = usual if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise CheckError(f"unknown scenario {name!r}{nearest(name, known)}")
    return {name: known[name] for name in known if name in wanted}


def run_options(steps: int | None, dtypes: Sequence[str]) -> RunOptions:
    if steps is not None and not 1 <= steps <= MOST_STEPS:
        raise CheckError(f"found {steps} steps, expected 1 to {MOST_STEPS}")
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise CheckError(f"unknown dtype {dtype!r}, expected one of {', '.join(DTYPES)}")
    return RunOptions(steps or STEPS, steps or ROW_STEPS, tuple(dict.fromkeys(dtypes)) or DTYPES)


def time_limit_of(seconds: float | None) -> float | None:
    if seconds is not None and not seconds > 0:
        raise CheckError(f"found a time limit of {seconds:g} seconds, expected more than 0")
    return seconds


def read_fail_on(text: str) -> FailOn:
    if text not in list(FailOn):
        raise CheckError(f"unknown fail_on {text!r}, expected one of {', '.join(FailOn)}")
    return FailOn(text)


def wished_calls(
    tables: MappingSet, wishes: Wishes, taken: set[str]
) -> tuple[list[tuple[Call, Framework]], list[Refused]]:
    """All requested calls of optimizers, each with its target, and the calls of files whose arguments cannot be bound.

    `taken` are the settings that schedules use.
    """
    alone = bool(wishes.schedules)
    if not (wishes.optimizers or wishes.paths or wishes.everything or alone):
        raise CheckError("found nothing to check, expected files, --optimizer NAME, --schedule NAME or --all")
    made = _table_calls(tables, wishes)
    if made:
        made = with_settings(tables, made, wishes.settings, taken)
    calls = [(call, target) for call in made for sources, target in wishes.directions if call.api.framework in sources]
    refused: list[Refused] = []
    used = set(taken)
    for path in wishes.paths:
        for sources, target in wishes.directions:
            found = file_calls(path, tables, sources, target, wishes.settings)
            calls += [(call, target) for call in found.calls]
            refused += found.refused
            used |= found.used
    unused = set(wishes.settings) - used
    if not (wishes.optimizers or wishes.everything) and unused and (calls or alone):
        raise CheckError(f"--set {min(unused)}: found a name that no checked call takes")
    return calls, refused


def _table_calls(tables: MappingSet, wishes: Wishes) -> list[Call]:
    """The calls of the named classes, or of all."""
    sources = frozenset[Framework]().union(*(frameworks for frameworks, _ in wishes.directions))
    named = [api for name in wishes.optimizers for api in find_apis(tables, "an optimizer", name, sources)]
    if not wishes.everything:
        return [default_call(tables, api) for api in named]
    return table_calls(tables, named or [api for api in tables.apis.values() if api.framework in sources])
