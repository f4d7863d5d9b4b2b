"""What becomes of each schedule of a file, before its optimizers are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from optmap.mapping.canonical import attached
from optmap.mapping.frameworks import fill
from optmap.mapping.load import load_schedules
from optmap.source.model import Module
from optmap.translate.discover.sites import CallSite
from optmap.translate.schedules.owners import (
    AttachedGroup,
    Owners,
    Ownership,
    attached_groups,
    schedule_calls,
)
from optmap.translate.schedules.stability import Stability
from optmap.translate.schedules.translate import TranslatedSchedule, translate_schedule
from optmap.translate.unit import Unit, Vetoes, failed_on


@dataclass(frozen=True)
class Translations:
    """The schedules of a file, but for those that a comment asks to leave alone. `unit` has the tables of schedules.

    `owners` are the optimizers of each, `wholes` the sequence or chain that one is a part of, `groups` the attached ones with
    their optimizers, `made` what becomes of each. The mappings are by the id of the schedule's node.
    """

    unit: Unit
    vetoes: Vetoes
    ownership: Ownership
    calls: tuple[CallSite, ...]
    owners: Mapping[int, Owners]
    wholes: Mapping[int, CallSite]
    groups: tuple[AttachedGroup, ...]
    group: Mapping[int, AttachedGroup]
    made: Mapping[int, TranslatedSchedule | str]

    def of(self, schedule: CallSite) -> TranslatedSchedule | str:
        """The translation of a schedule; a clause that says why where it is refused."""
        veto = self.vetoes.get(id(schedule.node))
        return veto.reason if veto is not None else self.made[id(schedule.node)]

    def stands(self, group: AttachedGroup) -> bool:
        """Tell whether every schedule of a group is translated."""
        return all(isinstance(self.of(item), TranslatedSchedule) for item in group.schedules)

    def done(self) -> Iterator[TranslatedSchedule]:
        """The schedules that are translated, if all of their optimizers are."""
        joined = [item for group in self.groups if self.stands(group) for item in group.schedules]
        passed = [item for item in self.calls if not attached(item.api)]
        made = (self.of(item) for item in (*joined, *passed))
        return (item for item in made if isinstance(item, TranslatedSchedule))


def translate_schedules(unit: Unit, vetoes: Vetoes) -> Translations:
    """Translate each schedule of a file for itself."""
    module = Module.of(unit.source)
    tables = load_schedules(unit.tables.extra).at(dict(unit.options.versions))
    found = schedule_calls(module, unit.sites, tables)
    calls = tuple(site for site in found if not unit.skips(site.node) and failed_on(vetoes, site.node) is None)
    optimizers = tuple(site for site in unit.sites.calls if failed_on(vetoes, site.node) is None)
    unit = unit._replace(tables=tables, sites=unit.sites._replace(calls=optimizers))
    ownership = Ownership(module, optimizers, calls)
    owners = {id(site.node): ownership.find(site) for site in calls}
    known = [site for site in calls if attached(site.api) and owners[id(site.node)].reason is None]
    groups = tuple(attached_groups(known, owners))
    group = {id(item.node): each for each in groups for item in each.schedules}
    wholes = {id(part.node): site for site in calls for part in ownership.parts(site)}
    made: dict[int, TranslatedSchedule | str] = {}
    room = Translations(unit, vetoes, ownership, calls, owners, wholes, groups, group, made)
    _Translator(room, made).run()
    return room


class _Translator:
    """Fills in what becomes of each schedule."""

    def __init__(self, room: Translations, made: dict[int, TranslatedSchedule | str]) -> None:
        self.room = room
        self.unit = room.unit
        self.ownership = room.ownership
        self.made = made
        self.stability = Stability(room.ownership.module)
        self.names: dict[tuple[int, str], str] = {}

    def run(self) -> None:
        """Translate in the order of the optimizers, which have the first choice of names."""
        used = (self.ownership.passed_to(site) for site in self.unit.sites.calls)
        for site in (*(item for item in used if item is not None), *self.room.calls):
            veto = self.room.vetoes.get(id(site.node))
            if id(site.node) not in self.made and (veto is None or veto.blamed):
                made = self.made[id(site.node)] = self._translated(site)
                self.names.update(made.names if isinstance(made, TranslatedSchedule) else ())

    def _translated(self, schedule: CallSite) -> TranslatedSchedule | str:
        reason = self.room.owners[id(schedule.node)].reason
        if reason is not None:
            return reason
        only = self.unit.options.target.facts.schedules.only
        broken = self._broken_sequence(schedule) or self._stepped(schedule)
        made = broken or translate_schedule(self.unit, self.ownership, schedule)
        if isinstance(made, str) and only == "attached" and not attached(schedule.api):
            made = self._attached(schedule) or made
        if isinstance(made, str) and only == "passed" and self._may_be_passed(schedule):
            made = self._passed(schedule)
        whole = self.room.wholes.get(id(schedule.node))
        if isinstance(made, str) and whole is not None and whole.api.algorithm == "sequential":
            return f"it is a part of the one on line {whole.node.lineno}"
        return made

    def _stepped(self, schedule: CallSite) -> str | None:
        """Why the calls of its step() do not suit the target; None where they do."""
        api, stepped = schedule.api, self.unit.options.target.facts.schedules.stepped
        given = (tie for tie, row in api.by_tie.items() if schedule.given(row.name) is not None)
        names = (api.algorithm, *(f"{api.algorithm}.{tie}" for tie in given))
        why = next((stepped[name] for name in names if name in stepped), None)
        call = self.ownership.step_with_epoch(schedule) if why is not None else None
        if call is None:
            return None
        return f"{why} (line {call.lineno}); call step() without one, after the last step of each epoch"

    def _attached(self, schedule: CallSite) -> TranslatedSchedule | str | None:
        """Attach a schedule that is passed, where torch only knows attached ones."""
        from optmap.translate.schedules.attach import attach_schedule

        return attach_schedule(self.unit, self.ownership, self.stability, schedule, self.names)

    def _may_be_passed(self, schedule: CallSite) -> bool:
        own = schedule.api
        alone = own.algorithm != "sequential" and id(schedule.node) not in self.room.wholes
        return attached(own) and own.instead is None and alone

    def _passed(self, schedule: CallSite) -> TranslatedSchedule | str:
        """Pass a schedule that is attached, where Keras only knows passed ones."""
        from optmap.translate.schedules.inline import pass_schedule

        group = self.room.group.get(id(schedule.node))
        if group is not None and len(group.schedules) > 1:
            other = next(item for item in group.schedules if item is not schedule)
            return f"the one on line {other.node.lineno} sets the rate of the same optimizer"
        return pass_schedule(self.unit, self.ownership, self.stability, schedule)

    def _broken_sequence(self, schedule: CallSite) -> str | None:
        """A sequence is made of schedules that the file shows, and not every framework can switch to any."""
        if schedule.api.algorithm != "sequential":
            return None
        found = self.ownership.parts(schedule)
        if not found:
            return "the schedules that it is made of are not written out in this file"
        unswitched = self.unit.options.target.facts.schedules.unswitched
        later = next((part for part in found[1:] if part.api.algorithm in unswitched), None)
        return fill(unswitched[later.api.algorithm], line=str(later.node.lineno)) if later is not None else None
