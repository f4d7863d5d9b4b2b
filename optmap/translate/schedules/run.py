"""The pass over a file's schedules: each is translated together with its optimizers, or none of them is touched.

An optimizer and what sets its learning rate stand or fall together: the bonds between them say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from optmap.diagnostics import SCHEDULE_MEMBER, SCHEDULE_REFUSED, SCHEDULER
from optmap.mapping.canonical import attached
from optmap.mapping.frameworks import fill
from optmap.mapping.load import load_schedules
from optmap.mapping.model import MappingSet
from optmap.source.text import Source
from optmap.translate.constructors.resolve import Serving
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.findings import Finding
from optmap.translate.options import Options
from optmap.translate.results import Status
from optmap.translate.schedules.advice import advice
from optmap.translate.schedules.owners import Ties, schedule_calls
from optmap.translate.schedules.translate import TranslatedSchedule, translate_schedule
from optmap.translate.unit import Bond, Outcome, Rewritten, Tied, Translation, Unit, Vetoes

if TYPE_CHECKING:
    from optmap.translate.schedules.attach import Taken


def run(unit: Unit, before: Outcome) -> Outcome:
    """Translate the schedules that are not vetoed, and tell the optimizers what theirs ask for."""
    skipped = [line for line, codes in unit.ignored.items() if not codes]
    schedules = Schedules(unit.source, unit.sites, unit.tables, unit.options, before.vetoes, skipped)
    tied: dict[int, Tied] = {}
    for site in unit.sites.calls:
        if id(site.node) not in before.vetoes and not unit.skips(site.node):
            tied[id(site.node)] = schedules.tied_to(site)
    done = schedules.done()
    mentions = tuple(schedules.mentions(done))
    refused = frozenset(id(item.node) for item in mentions if item.code is SCHEDULE_REFUSED)
    results = [unit.result(item.site.node, item.site.api.name, item.target, Status.TRANSLATED) for item in done]
    after = before._replace(
        mentions=mentions,
        constructing=before.constructing | refused,
        bonds=tuple(schedules.bonds()),
        tied=tied,
        schedules=tuple(Translation(item.site, item.target, schedules.change(item)) for item in done),
        calls=(*before.calls, *results),
    )
    return after.reporting(schedules.findings(done))


class AttachedGroup(NamedTuple):
    """Attached schedules and all optimizers that they are attached to."""

    schedules: tuple[CallSite, ...]
    optimizers: tuple[CallSite, ...]


class Schedules:
    """What one round knows about the schedules of a file, but for those on the `ignored` lines."""

    def __init__(
        self,
        source: Source,
        sites: Sites,
        tables: MappingSet,
        options: Options,
        vetoes: Vetoes,
        ignored: Collection[int],
    ) -> None:
        self.source = source
        self.sites = sites
        self.options = options
        self.tables = load_schedules(tables.extra).at(dict(options.versions))
        self.vetoes = vetoes
        self.calls = [site for site in schedule_calls(sites, self.tables) if site.node.lineno not in ignored]
        self.ties = Ties(source, sites, self.calls)
        self.tied = {id(site.node): self.ties.find(site) for site in self.calls}
        self.wholes = list(self._wholes())
        self.by_optimizer = {id(item.node): whole for whole in self.wholes for item in whole.optimizers}
        self.by_schedule = {id(item.node): whole for whole in self.wholes for item in whole.schedules}
        self.inside = {id(part.node): site for site in self.calls for part in self.ties.parts(site)}
        self.names: Taken = {}
        self._made: dict[int, TranslatedSchedule | str] = {}

    def _wholes(self) -> Iterator[AttachedGroup]:
        """Join attached schedules that share an optimizer."""
        left = {id(site.node): site for site in self.calls
                if attached(site.api) and self.tied[id(site.node)].reason is None}  # fmt: skip
        order = {member: index for index, member in enumerate(left)}
        beside: dict[int, list[CallSite]] = {}
        for site in left.values():
            for item in self.tied[id(site.node)].optimizers:
                beside.setdefault(id(item.node), []).append(site)
        for first in tuple(left.values()):
            schedules: list[CallSite] = []
            optimizers: dict[int, CallSite] = {}
            more = [first] if id(first.node) in left else []
            while more:
                for site in more:
                    del left[id(site.node)]
                schedules += more
                new = {id(item.node): item for site in more for item in self.tied[id(site.node)].optimizers}
                optimizers |= new
                near = {id(site.node): site for member in new for site in beside[member] if id(site.node) in left}
                more = sorted(near.values(), key=lambda site: order[id(site.node)])
            if schedules:
                yield AttachedGroup(tuple(schedules), tuple(optimizers.values()))

    def make(self, schedule: CallSite) -> TranslatedSchedule | str:
        """Translate a schedule; a clause that says why where it is refused."""
        at = id(schedule.node)
        return self.vetoes[at].reason if at in self.vetoes else self._translated(schedule)

    def _translated(self, schedule: CallSite) -> TranslatedSchedule | str:
        at = id(schedule.node)
        if at not in self._made:
            tie = self.tied[at]
            if tie.reason is not None:
                self._made[at] = tie.reason
            else:
                problem = self._broken_sequence(schedule)
                made = problem or translate_schedule(self.source, self.sites, schedule, self.tables, self.options)
                only = self.options.target.facts.schedules.only
                if isinstance(made, str) and only == "attached" and not attached(schedule.api):
                    made = self._moved(schedule) or made
                if isinstance(made, str) and only == "passed" and self._may_pass(schedule):
                    made = self._passed(schedule)
                whole = self.inside.get(at)
                if isinstance(made, str) and whole is not None and whole.api.algorithm == "sequential":
                    made = f"it is a part of the one on line {whole.node.lineno}"
                self._made[at] = made
        return self._made[at]

    def _moved(self, schedule: CallSite) -> TranslatedSchedule | str | None:
        """Attach a schedule that is passed, where torch only knows attached ones."""
        from optmap.translate.schedules.attach import attach_schedule

        return attach_schedule(self.source, self.sites, self.ties, schedule, self.tables, self.options, self.names)

    def _may_pass(self, schedule: CallSite) -> bool:
        own = schedule.api
        return (
            attached(own)
            and own.instead is None
            and own.algorithm != "sequential"
            and id(schedule.node) not in self.inside
        )

    def _passed(self, schedule: CallSite) -> TranslatedSchedule | str:
        """Pass a schedule that is attached, where Keras only knows passed ones."""
        from optmap.translate.schedules.inline import pass_schedule

        whole = self.by_schedule.get(id(schedule.node))
        if whole is not None and len(whole.schedules) > 1:
            other = next(item for item in whole.schedules if item is not schedule)
            return f"the one on line {other.node.lineno} sets the rate of the same optimizer"
        return pass_schedule(self.source, self.sites, self.ties, schedule, self.tables, self.options)

    def _broken_sequence(self, schedule: CallSite) -> str | None:
        """A sequence is made of schedules that the file shows, and not every framework can switch to any."""
        if schedule.api.algorithm != "sequential":
            return None
        found = self.ties.parts(schedule)
        if not found:
            return "the schedules that it is made of are not written out in this file"
        unswitched = self.options.target.facts.schedules.unswitched
        later = next((part for part in found[1:] if part.api.algorithm in unswitched), None)
        return fill(unswitched[later.api.algorithm], line=str(later.node.lineno)) if later is not None else None

    def whole_of(self, optimizer: CallSite) -> AttachedGroup | None:
        """The attached schedules that decide which class an optimizer becomes; None where there is none to be kept."""
        whole = self.by_optimizer.get(id(optimizer.node))
        return whole if whole is not None and self._stands(whole) else None

    def _stands(self, whole: AttachedGroup) -> bool:
        return all(isinstance(self.make(item), TranslatedSchedule) for item in whole.schedules)

    def tied_to(self, optimizer: CallSite) -> Tied:
        """The classes that can take what sets the optimizer's learning rate, or why nothing can."""
        schedule = self.ties.behind(optimizer)
        whole = self.whole_of(optimizer)
        if schedule is not None:
            veto = self.vetoes.get(id(schedule.node))
            blamed = veto is not None and id(optimizer.node) in veto.blamed
            made = self._translated(schedule) if blamed else self.make(schedule)
            if isinstance(made, str):
                return Tied(refusal=self._refusal(schedule, made, optimizer))
            if whole is None:
                return Tied(_serving(made, f"only these take the schedule {made.target.name}"))
            return Tied(refusal="the learning rate is a schedule, and another one is attached to the optimizer")
        if whole is not None:
            made = self.make(whole.schedules[0])
            assert isinstance(made, TranslatedSchedule)
            line = whole.schedules[0].node.lineno
            why = f"a schedule is attached to the optimizer on line {line}, which only these take"
            return Tied(_serving(made, why), schedules=tuple(id(item.node) for item in whole.schedules))
        return Tied(self._advised(optimizer))

    def _advised(self, optimizer: CallSite) -> Serving | None:
        """The classes that take what has to be attached in place of a schedule that is left as it is."""
        target = self.options.target
        module = next(
            (api.module for api in self.tables.apis.values() if api.framework == target and attached(api)), None
        )
        whole = self.by_optimizer.get(id(optimizer.node))
        if module is None or whole is None:
            return None
        line = whole.schedules[0].node.lineno
        why = f"what replaces the schedule on line {line} is attached to the optimizer, which only these take"
        return Serving(module.serves, module.unserved, why, needed=False)

    def _refusal(self, schedule: CallSite, reason: str, optimizer: CallSite | None) -> str:
        parts = self.ties.parts(schedule)
        whole = self.inside.get(id(schedule.node))
        shown = None
        if whole is None or whole.api.algorithm != "sequential":
            shown = advice(self.source, schedule, optimizer, self.tables, self.options, parts)
        return f"the schedule {schedule.api.name} is left as it is: {reason}" + (f". {shown}" if shown else "")

    def done(self) -> list[TranslatedSchedule]:
        """The schedules that are translated, if all of their optimizers are."""
        wholes = (item for whole in self.wholes if self._stands(whole) for item in whole.schedules)
        passed = (item for item in self.calls if not attached(item.api))
        made = (self.make(item) for item in (*wholes, *passed))
        return [item for item in made if isinstance(item, TranslatedSchedule)]

    def bonds(self) -> Iterator[Bond]:
        """Each schedule stands only with all of its optimizers."""
        for whole in self.wholes:
            if self._stands(whole):
                optimizers = tuple(item.node for item in whole.optimizers)
                for schedule in whole.schedules:
                    yield Bond(id(schedule.node), optimizers, "the optimizer on line {line} is not translated")
        for schedule in self.calls:
            if not attached(schedule.api) and isinstance(self.make(schedule), TranslatedSchedule):
                users = tuple(item.node for item in self.tied[id(schedule.node)].optimizers)
                reason = "it is the learning rate on line {line}, too, where the call is not translated"
                yield Bond(id(schedule.node), users, reason, blames=True)

    def change(self, made: TranslatedSchedule) -> Rewritten:
        """What becomes of a schedule; where it cannot be proved, its optimizers stay as they are."""
        optimizers = tuple(item.node for item in self.tied[id(made.site.node)].optimizers)
        return Rewritten(optimizers, made.changes, made.needed, (made.site.callee,))

    def mentions(self, done: Sequence[TranslatedSchedule]) -> Iterator[Finding]:
        """The file's mentions, without those that were translated, and with a reason for attached ones that were not."""
        made = {id(item.site.callee) for item in done}
        calls = {id(site.callee): site for site in self.calls}
        told = {id(found.node) for site in self.sites.calls if (found := self.ties.behind(site)) is not None}
        for mention in self.sites.mentions:
            site = calls.get(id(mention.node))
            if mention.code is not SCHEDULER or site is None:
                yield mention
            elif id(mention.node) not in made and id(site.node) not in told:
                yield self._left(mention, site)

    def _left(self, mention: Finding, site: CallSite) -> Finding:
        """What to report of a schedule that is left as it is."""
        tie = self.tied[id(site.node)]
        own = self.make(site)
        loose = tie.reason is not None and own == tie.reason
        if site.api.instead is not None and loose:
            return mention._replace(message=f"{mention.message}; {site.api.instead}")
        reason = own if isinstance(own, str) else self._shared(site)
        if not attached(site.api) or reason is None:
            return mention
        if tie.reason is not None:
            return mention._replace(message=f"{mention.message}; {reason}")
        message = self._refusal(site, reason, tie.optimizers[0])
        return mention._replace(code=SCHEDULE_REFUSED, message=message)

    def _shared(self, site: CallSite) -> str | None:
        """Why an attached schedule is left as it is that could be translated: another one of the same optimizer is."""
        whole = self.by_schedule.get(id(site.node))
        if whole is None:
            return None
        other = next((item for item in whole.schedules if isinstance(self.make(item), str)), None)
        return f"so is the one on line {other.node.lineno}, which shares its optimizer" if other else None

    def findings(self, done: Sequence[TranslatedSchedule]) -> Iterator[Finding]:
        """What to report of translated schedules, and of uses of them that the target does not know."""
        for made in done:
            yield from made.findings
            lacking = self.options.target.facts.schedules.lacking
            if not lacking or not attached(made.target):
                continue
            for reference in self.ties.uses_of(made.site):
                member = reference.chain[1] if len(reference.chain) > 1 else ""
                if member in lacking:
                    message = f"{made.target.name} has no {member}; {lacking[member]}"
                    yield Finding(SCHEDULE_MEMBER, message, reference.node, str(made.target.at))


def _serving(made: TranslatedSchedule, why: str) -> Serving:
    module = made.target.module
    return Serving(module.serves, module.unserved, why, made.target.name if made.moves else "")
