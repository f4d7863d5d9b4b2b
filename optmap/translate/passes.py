"""The passes over a file, in order, and the one rule for what stands and falls together.

A pass may veto a member of a group: a schedule, a variable that several optimizers share, what a wrapper wraps, the steps.
The veto spreads along the bonds between members, and the passes run again under all vetoes that are known, until no new one
comes up. The modules of a pass are imported only for files that want it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from optmap.translate.constructors.imports import run as run_imports
from optmap.translate.constructors.run import run as run_constructors
from optmap.translate.discover.sites import WRAPPED
from optmap.translate.prefilter import has_steps, looks_up_optimizers, names_packages
from optmap.translate.unit import Outcome, Pass, Unit, Vetoes, skipping
from optmap.values import NamedTuple

Run: TypeAlias = Callable[[Unit, Outcome], Outcome]


class _Pass(NamedTuple):
    """A pass whose modules are imported when it runs for the first time."""

    name: str
    test: Callable[[Unit], bool]
    load: Callable[[], Run]

    def wanted(self, unit: Unit) -> bool:
        return self.test(unit)

    def run(self, unit: Unit, before: Outcome) -> Outcome:
        return self.load()(unit, before)


def _wraps(unit: Unit) -> bool:
    own = any(WRAPPED in site.api.by_tie for site in unit.sites.calls)
    return own or names_packages(unit.source, unit.options.sources, unit.tables.extra)


def _wrappers() -> Run:
    from optmap.translate.discover.wrappers import run

    return run


def _schedules() -> Run:
    from optmap.translate.schedules.run import run

    return run


def _surrounded(unit: Unit) -> bool:
    body, sites, sources = unit.source.body, unit.sites, unit.options.sources
    elsewhere = looks_up_optimizers(body, sites.mentions, unit.tables, sources)
    elsewhere = elsewhere or names_packages(unit.source, sources, unit.tables.extra)
    return bool(sites.calls) or elsewhere


def _surroundings() -> Run:
    from optmap.translate.surroundings.run import run

    return run


def _stepped(unit: Unit) -> bool:
    return has_steps(unit.source, unit.tables)


def _steps() -> Run:
    from optmap.translate.steps.run import run

    return run


def _frontier() -> Run:
    from optmap.translate.frontier.run import run

    return run


PASSES: Final[tuple[Pass, ...]] = (
    _Pass("wrappers", _wraps, _wrappers),
    _Pass("schedules", lambda unit: bool(unit.sites.schedules), _schedules),
    _Pass("constructors", lambda unit: bool(unit.sites.calls or unit.sites.already), lambda: run_constructors),
    _Pass("surroundings", _surrounded, _surroundings),
    _Pass("steps", lambda unit: bool(unit.sites.calls) and _stepped(unit), _steps),
    _Pass("frontier", lambda unit: bool(unit.sites.calls), _frontier),
    _Pass("imports", lambda unit: bool(unit.sites.calls), lambda: run_imports),
)

REPORTING: Final = ("surroundings", "steps")
"""Passes without which what the others do is still right, as long as no step is rewritten."""


def run_passes(unit: Unit, vetoes: Vetoes) -> Outcome:
    """Run the passes until nothing more is vetoed."""
    while True:
        outcome = Outcome(vetoes, unit.sites.mentions, unit.sites.constructing)
        for each in PASSES:
            skipped = vetoes.get(skipping(each.name))
            if skipped is not None:
                outcome = outcome.reporting([skipped.finding] if skipped.finding is not None else [])
            elif each.wanted(unit):
                outcome = each.run(unit, outcome)
                new = _new_vetoes(outcome)
                if new:
                    vetoes = {**vetoes, **new}
                    break
        else:
            return outcome


def _new_vetoes(outcome: Outcome) -> Vetoes:
    """What came up in this round and what follows from it; clashes count only once all else stands."""
    new = {member: veto for member, veto in outcome.found.items() if member not in outcome.vetoes}
    for bond in outcome.bonds if outcome.left else ():
        veto = None if bond.member in outcome.vetoes else bond.broken(outcome.left)
        if veto is not None:
            new.setdefault(bond.member, veto)
    return new or {member: veto for member, veto in outcome.clashes.items() if member not in outcome.vetoes}
