"""What becomes of the learning rate of a call: it is carried over, moves into a schedule, or cannot follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from optmap.diagnostics import SCHEDULE_ARGUMENT
from optmap.mapping.plan import Plan
from optmap.mapping.values import Value
from optmap.source.calls import Argument
from optmap.translate.constructors.call import CallContext, SiteCall, split_finding
from optmap.translate.constructors.learning_rate import learning_rate_object
from optmap.translate.constructors.open import OPEN, Left, same_value, with_text
from optmap.translate.constructors.resolve import Rewrite, Serving
from optmap.translate.findings import Finding
from optmap.translate.parameters.groups import GroupEntry

if TYPE_CHECKING:
    from optmap.translate.schedules.rates import Attached


class CallRate:
    """The learning rate of one call; `attached` is what it becomes if it holds one for each step, or is left open."""

    def __init__(self, context: CallContext, call: SiteCall, left: Left) -> None:
        self.context = context
        self.unit, self.options, self.site, self.tied = context[:4]
        self.call = call
        self.left = left
        self.attached: Attached | None = None

    def refused_by_schedules(self) -> Finding | None:
        """What its schedules say against the call."""
        if self.tied.refusal is None:
            return None
        rate = self.call.argument("learning_rate")
        refused = split_finding(
            SCHEDULE_ARGUMENT, self.tied.refusal, self.call.place(self.call.index_of("learning_rate"))
        )
        if rate is None or not self.options.todo:
            return refused
        self._want(refused, rate)
        return None

    def set_aside(self, values: list[Value]) -> None:
        """Take the learning rate for any value, where something else takes its place or it has one for each step."""
        rate = self.call.index_of("learning_rate")
        gone = self.attached is not None or (self.tied.serving is not None and bool(self.tied.serving.moved))
        lists = self.site.api.framework.facts.rates.lists
        if rate is not None and (gone or (lists and values[rate].elements is not None)):
            values[rate] = Value()

    def refused(self, resolved: Rewrite, serving: Serving | None, groups: Iterable[GroupEntry]) -> Finding | None:
        """What cannot follow of the learning rate: that of the call, or of a group beside a schedule."""
        refusal = self._schedule(resolved.plan) if serving is None else None
        moved = serving.moved if serving is not None else self.options.target.facts.schedules.function or ""
        if serving is not None or (self.attached and self.attached.changes):
            refusal = refusal or self._group_rate(moved, groups)
        return refusal

    def _schedule(self, plan: Plan) -> Finding | None:
        """An object in the place of the learning rate, unless it becomes rates that are attached."""
        argument = self.call.argument("learning_rate")
        what = learning_rate_object(self.site, argument.node, self.unit.tables) if argument is not None else None
        if argument is None or what is None or self.attached is not None:
            return None
        from optmap.translate.constructors.rate_list import rate_list_advice
        from optmap.translate.schedules.rates import attach_rates

        lists = self.site.api.framework.facts.rates.lists
        found = attach_rates(self.unit, self.site, argument.node, self.context.taken) if lists else None
        if found is not None and not isinstance(found, str):
            self.attached = found
            return None
        advice = rate_list_advice(self.unit.source, what, argument.node, self.site.api.framework, plan.target)
        why = f" ({found})" if found is not None else ""
        message = f"the learning rate is {what.text}, which {plan.target.name} cannot take{why}{advice}"
        refused = split_finding(SCHEDULE_ARGUMENT, message, argument.span)
        if not self.options.todo:
            return refused
        self._want(refused, argument)
        return None

    def _want(self, refused: Finding, argument: Argument) -> None:
        """Leave a learning rate open: the call fails where it stands, until a person has said what it is."""
        from optmap.translate.schedules.rates import Attached

        self.attached = Attached(OPEN, (), (), (), (with_text(self.unit.source, argument.node, refused),))

    def _group_rate(self, moved: str, groups: Iterable[GroupEntry]) -> Finding | None:
        """A schedule that is attached sets the rate of every group, one that was passed that of the others."""
        rate = self.call.argument("learning_rate")
        for entry in groups if moved else ():
            if entry.key in ("lr", "learning_rate") and entry.sets:
                message = f"a group has its own learning rate on line {entry.value.lineno}"
                message = f"{message}, which the schedule leaves alone and {moved} does not"
                refused = Finding(SCHEDULE_ARGUMENT, message, self.site.node)
                if self.attached and rate is not None and same_value(self.site.module, entry.value, rate.node):
                    self.left.settle(entry, self.attached.value)
                elif not self.options.todo:
                    return refused
                else:
                    self.left.entry(entry, refused)
        return None
