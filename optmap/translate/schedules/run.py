"""The schedules of one file: each is translated together with its optimizers, or none of them is touched.

An optimizer and what sets its learning rate stand or fall together. A pass over the file collects what it did; where a part
turns out to be missing, `finish` notes why, and the pass is made again without the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from optmap.diagnostics import SCHEDULE_ARGUMENT, SCHEDULE_MEMBER, SCHEDULE_REFUSED, SCHEDULER
from optmap.mapping.load import load_schedules
from optmap.mapping.model import Framework, MappingSet
from optmap.mapping.schedule_plan import attached
from optmap.source.text import Source
from optmap.translate.constructors.resolve import Note, Serving
from optmap.translate.discover.sites import CallSite, Mention, Sites
from optmap.translate.options import Options
from optmap.translate.schedules.advice import advice
from optmap.translate.schedules.owners import Tie, Ties, schedule_calls
from optmap.translate.schedules.translate import Made, Remark, translate_schedule

if TYPE_CHECKING:
    from optmap.translate.schedules.attach import Taken

_ABSENT: Final = {
    "state_dict": "keep scheduler.last_epoch and the learning rates yourself",
    "load_state_dict": "set scheduler.last_epoch and the learning rates yourself",
    "print_lr": "print scheduler.get_last_lr()",
}
"""Members of torch's attached schedules that MindSpore's lack, and what to do instead."""

Refused = dict[int, tuple[str, int]]
"""Why a schedule is left alone, and the id of the optimizer call that is to blame (0 for none), by the id of its call."""


class Whole(NamedTuple):
    """Attached schedules and all optimizers that they are attached to."""

    schedules: tuple[CallSite, ...]
    optimizers: tuple[CallSite, ...]


class Schedules:
    """What one pass knows about the schedules of a file. `refused` lives as long as the passes over the file."""

    def __init__(
        self,
        source: Source,
        sites: Sites,
        tables: MappingSet,
        options: Options,
        refused: Refused,
        ignored: Collection[int],
    ) -> None:
        self.source = source
        self.sites = sites
        self.options = options
        self.tables = load_schedules(tables.extra).at(dict(options.versions))
        self.refused = refused
        self._before = len(refused)
        self.calls = [site for site in schedule_calls(sites, self.tables) if site.node.lineno not in ignored]
        self.ties = Ties(source, sites, self.calls)
        self.tied = {id(site.node): self.ties.find(site) for site in self.calls}
        self.wholes = list(self._wholes())
        self.inside = {id(part.node): site for site in self.calls for part in self.ties.parts(site)}
        self.names: Taken = {}
        self._made: dict[int, Made | str] = {}

    def _wholes(self) -> Iterator[Whole]:
        """Join attached schedules that share an optimizer."""
        left = [site for site in self.calls if attached(site.api) and self.tied[id(site.node)].reason is None]
        while left:
            schedules = [left.pop(0)]
            optimizers = {id(item.node): item for item in self.tied[id(schedules[0].node)].optimizers}
            while more := [s for s in left if any(id(o.node) in optimizers for o in self.tied[id(s.node)].optimizers)]:
                for site in more:
                    left.remove(site)
                    schedules.append(site)
                    optimizers |= {id(item.node): item for item in self.tied[id(site.node)].optimizers}
            yield Whole(tuple(schedules), tuple(optimizers.values()))

    def make(self, schedule: CallSite) -> Made | str:
        """Translate a schedule; a clause that says why where it is refused."""
        at = id(schedule.node)
        return self.refused[at][0] if at in self.refused else self._translated(schedule)

    def _translated(self, schedule: CallSite) -> Made | str:
        at = id(schedule.node)
        if at not in self._made:
            tie = self.tied[at]
            if tie.reason is not None:
                self._made[at] = tie.reason
            else:
                problem = self._broken_sequence(schedule)
                made = problem or translate_schedule(self.source, self.sites, schedule, self.tables, self.options)
                if isinstance(made, str) and self.options.target is Framework.TORCH and not attached(schedule.api):
                    made = self._moved(schedule) or made
                if isinstance(made, str) and self.options.target is Framework.TENSORFLOW and self._may_pass(schedule):
                    made = self._passed(schedule)
                whole = self.inside.get(at)
                if isinstance(made, str) and whole is not None and whole.api.algorithm == "sequential":
                    made = f"it is a part of the one on line {whole.node.lineno}"
                self._made[at] = made
        return self._made[at]

    def _moved(self, schedule: CallSite) -> Made | str | None:
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

    def _passed(self, schedule: CallSite) -> Made | str:
        """Pass a schedule that is attached, where Keras only knows passed ones."""
        from optmap.translate.schedules.inline import pass_schedule

        whole = next((item for item in self.wholes if schedule in item.schedules), None)
        if whole is not None and len(whole.schedules) > 1:
            other = next(item for item in whole.schedules if item is not schedule)
            return f"the one on line {other.node.lineno} sets the rate of the same optimizer"
        return pass_schedule(self.source, self.sites, self.ties, schedule, self.tables, self.options)

    def _broken_sequence(self, schedule: CallSite) -> str | None:
        """A sequence is made of schedules that the file shows; MindSpore cannot switch to a MultiStepLR."""
        if schedule.api.algorithm != "sequential":
            return None
        found = self.ties.parts(schedule)
        if not found:
            return "the schedules that it is made of are not written out in this file"
        later = [part for part in found[1:] if part.api.algorithm == "multi_step"]
        if later and self.options.target is Framework.MINDSPORE:
            line = later[0].node.lineno
            return f"MindSpore's SequentialLR cannot switch to a MultiStepLR (line {line}): that raises AttributeError"
        return None

    def whole_of(self, optimizer: CallSite) -> Whole | None:
        """The attached schedules that decide which class an optimizer becomes; None where there is none to be kept."""
        for whole in self.wholes:
            if any(item.node is optimizer.node for item in whole.optimizers):
                return whole if all(isinstance(self.make(item), Made) for item in whole.schedules) else None
        return None

    def serving(self, optimizer: CallSite) -> Serving | Note | None:
        """The classes that can take what sets the optimizer's learning rate; a Note where nothing can."""
        schedule = self.ties.behind(optimizer)
        whole = self.whole_of(optimizer)
        if schedule is not None:
            blamed = self.refused.get(id(schedule.node), ("", 0))[1] == id(optimizer.node)
            made = self._translated(schedule) if blamed else self.make(schedule)
            if isinstance(made, str):
                return Note(SCHEDULE_ARGUMENT, self._refusal(schedule, made, optimizer))
            if whole is None:
                return _serving(made, f"only these take the schedule {made.target.name}")
            return Note(
                SCHEDULE_ARGUMENT, "the learning rate is a schedule, and another one is attached to the optimizer"
            )
        if whole is not None:
            made = self.make(whole.schedules[0])
            assert isinstance(made, Made)
            line = whole.schedules[0].node.lineno
            return _serving(made, f"a schedule is attached to the optimizer on line {line}, which only these take")
        return self._advised(optimizer)

    def _advised(self, optimizer: CallSite) -> Serving | None:
        """The classes that take what has to be attached in place of a schedule that is left as it is."""
        target = self.options.target
        module = next(
            (api.module for api in self.tables.apis.values() if api.framework is target and attached(api)), None
        )
        whole = next((item for item in self.wholes if any(o.node is optimizer.node for o in item.optimizers)), None)
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

    def detach(self, optimizer: CallSite, reasons: Sequence[Note]) -> bool:
        """Give up the schedules attached to an optimizer that no class which takes them can express."""
        whole = self.whole_of(optimizer)
        if whole is None:
            return False
        why = "; ".join(note.message for note in reasons)
        self._give_up(whole, f"the optimizer on line {optimizer.node.lineno} has to become another class ({why})")
        return True

    def _give_up(self, whole: Whole, reason: str) -> None:
        for schedule in whole.schedules:
            self.refused[id(schedule.node)] = (reason, 0)

    def finish(self, replaced: Sequence[CallSite]) -> list[Made] | None:
        """The translated schedules of the optimizers that were; None where the pass has to be made again without some."""
        done = {id(site.node) for site in replaced}
        found = []
        for whole in self.wholes:
            if not all(isinstance(self.make(item), Made) for item in whole.schedules):
                continue
            absent = [item for item in whole.optimizers if id(item.node) not in done]
            if absent:
                self._give_up(whole, f"the optimizer on line {absent[0].node.lineno} is not translated")
            found += [made for item in whole.schedules if isinstance(made := self.make(item), Made)]
        for schedule in self.calls:
            if attached(schedule.api) or not isinstance(made := self.make(schedule), Made):
                continue
            users = self.tied[id(schedule.node)].optimizers
            absent = [item for item in users if id(item.node) not in done]
            if absent and len(absent) < len(users):
                line = absent[0].node.lineno
                reason = f"it is the learning rate on line {line}, too, where the call is not translated"
                self.refused[id(schedule.node)] = (reason, id(absent[0].node))
            if not absent:
                found.append(made)
        return None if len(self.refused) > self._before else found

    def mentions(self, done: Sequence[Made]) -> Iterator[Mention]:
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

    def _left(self, mention: Mention, site: CallSite) -> Mention:
        tie = self.tied[id(site.node)]
        reason = self._reason(site, tie)
        if site.api.instead is not None and tie.reason is not None and reason is tie.reason:
            return mention._replace(message=f"{mention.message}; {site.api.instead}")
        if not attached(site.api) or reason is None:
            return mention
        if tie.reason is not None:
            return mention._replace(message=f"{mention.message}; {reason}")
        return mention._replace(
            code=SCHEDULE_REFUSED, message=self._refusal(site, reason, tie.optimizers[0]), call=True
        )

    def _reason(self, site: CallSite, tie: Tie) -> str | None:
        """Why an attached schedule was left alone: its own reason, or that of another one of the same optimizer."""
        own = self.make(site)
        if isinstance(own, str):
            return own
        for whole in self.wholes:
            if site in whole.schedules:
                other = next((item for item in whole.schedules if isinstance(self.make(item), str)), None)
                return f"so is the one on line {other.node.lineno}, which shares its optimizer" if other else None
        return tie.reason

    def remarks(self, done: Sequence[Made]) -> Iterator[Remark]:
        """What to say about translated schedules, and about uses of them that the target does not know."""
        for made in done:
            for remark in made.remarks:
                yield remark if remark.node is not None else remark._replace(node=made.site.node)
            if self.options.target is not Framework.MINDSPORE or not attached(made.target):
                continue
            for reference in self.ties.uses_of(made.site):
                member = reference.chain[1] if len(reference.chain) > 1 else ""
                if member in _ABSENT:
                    message = f"{made.target.name} has no {member}; {_ABSENT[member]}"
                    yield Remark(SCHEDULE_MEMBER, message, reference.node, str(made.target.at))


def _serving(made: Made, why: str) -> Serving:
    module = made.target.module
    return Serving(module.serves, module.unserved, why, made.target.name if made.edited is None else "")
