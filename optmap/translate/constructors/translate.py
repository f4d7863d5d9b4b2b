"""One constructor call: resolve it, and see whether all that stands in it and around it can follow, or refuse it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from optmap.diagnostics import (
    GROUP_KEY,
    HIDDEN_GROUPS,
    INVALID_CALL,
    UNEDITABLE,
)
from optmap.mapping.plan import Plan
from optmap.mapping.values import Value, is_scalar, read_value
from optmap.mapping.vocabulary import PARAMETERS
from optmap.source.model import Module
from optmap.source.text import SourceError
from optmap.translate.constructors.arguments import Refusal
from optmap.translate.constructors.call import CallContext, read_site, split_finding
from optmap.translate.constructors.call_rate import CallRate
from optmap.translate.constructors.open import Left, rates_of_groups
from optmap.translate.constructors.reasons import at_changing_rate
from optmap.translate.constructors.resolution import Resolution
from optmap.translate.constructors.write import CallOutcome, Decision, reported, write_call
from optmap.translate.findings import Finding
from optmap.translate.parameters.groups import GroupEntry
from optmap.translate.parameters.sharing import Sharing


class CallTranslation:
    """The translation of one call; `optimizers` are the ids of all constructor calls of the file."""

    def __init__(self, context: CallContext, sharing: Sharing, optimizers: Collection[int]) -> None:
        self.context = context
        self.unit, self.options, self.site = context[:3]
        self.source = self.unit.source
        self.sharing = sharing
        self.optimizers = optimizers
        self.left = Left(self.source, self.site.api.framework.facts.packages)
        """What --todo leaves open."""

    def _value(self, node: ast.expr) -> Value:
        """What is known of an argument; a variable may hold a scalar of numpy's."""
        held = Module.of(self.context.unit.source).reaching(node).values if isinstance(node, ast.Name) else ()
        found = read_value(node)
        return found._replace(is_scalar=True) if held and all(map(is_scalar, held)) else found

    def run(self) -> CallOutcome:
        """Translate the call, or say why not."""
        try:
            self.call = read_site(self.source, self.site)
        except SourceError as error:
            message = f"{self.site.api.name}: {error.message}"
            return CallOutcome((Finding(UNEDITABLE, message, self.site.node),))
        values = [self._value(argument.node) for argument in self.call.text.arguments]
        given = self.call.argument(PARAMETERS)
        self.parameters = self.sharing.parameters(self.site, given.node) if given is not None else None
        rate = CallRate(self.context, self.call, self.left)
        resolution = Resolution(self.context, self.call, values, self.left)
        refusal = self._unreadable_parameters() or rate.refused_by_schedules()
        if refusal is not None:
            return CallOutcome((refusal,))
        rate.set_aside(values)
        groups = self.parameters.groups if self.parameters else None
        resolved, serving, given_up = resolution.run(groups)
        if isinstance(resolved, Refusal):
            from optmap.translate.parameters.advice import in_own_words

            found = reported(self.call, in_own_words(resolved.reasons, self.parameters))
            resolved, serving, given_up = resolution.without_unsupported(resolved, groups, found)
            if isinstance(resolved, Refusal):
                return CallOutcome(found)
        plan = resolved.plan
        refusal = self._open(self._hidden_groups(), plan) or rate.refused(resolved, serving, self._entries())
        refusal = refusal or self._open(self._inexpressible(plan), plan)
        if refusal is not None:
            return CallOutcome((refusal,), given_up=given_up)
        reasons = at_changing_rate(resolved.reasons) if serving is not None else resolved.reasons
        decision = Decision(
            self.site, self.call, values, plan, reasons, self.parameters, rate.attached, resolution.scaled,
            self.optimizers, self.left,
        )  # fmt: skip
        return write_call(self.unit, self.options, decision)._replace(given_up=given_up)

    def _unreadable_parameters(self) -> Finding | None:
        """Parameter groups that are not written out, or a sum of what cannot be added."""
        if self.parameters is None:
            return None
        at = self.call.place(self.call.index_of(PARAMETERS))
        if self.parameters.unreadable is not None:
            return Finding(GROUP_KEY, "a parameter group has keys that are not written out", at)
        if self.parameters.sums:
            from optmap.translate.parameters.checks import sum_message

            return split_finding(INVALID_CALL, sum_message(self.parameters.sums[0]), at)
        return None

    def _entries(self) -> Sequence[GroupEntry]:
        return self.parameters.entries if self.parameters is not None else ()

    def _open(self, refused: Finding | None, plan: Plan) -> Finding | None:
        """Leave the parameters open in place of a refusal, where --todo asks for it and the target takes any."""
        index = self.call.index_of(PARAMETERS)
        if refused is None or not self.options.todo or index is None or plan.target.parameters_argument is None:
            return refused
        self.left.argument(index, self.call.text.arguments[index], refused)
        self.parameters = None
        return None

    def _hidden_groups(self) -> Finding | None:
        """Parameter groups that are made where the file does not show it."""
        lost = self.parameters.lost if self.parameters is not None else ()
        hidden = next((item for item in lost if item.groups), None)
        if hidden is None:
            return None
        message = f"parameter groups are built elsewhere, and {hidden.reason}; write them at the call"
        return split_finding(HIDDEN_GROUPS, message, self.call.place(self.call.index_of(PARAMETERS)))

    def _inexpressible(self, plan: Plan) -> Finding | None:
        """What in the parameters themselves the target cannot express."""
        facts, argument = self.site.api.framework.facts.parameters, self.call.argument(PARAMETERS)
        flagged = facts.flag is not None and self.source.holds(facts.flag.encode())
        if argument is None or self.parameters is None or not (self.parameters.entries or facts.own_names or flagged):
            return None
        from optmap.translate.parameters.checks import inexpressible

        entries = self.parameters.entries
        rates = rates_of_groups(self.site, self.unit.tables, plan, entries) if self.options.todo else {}
        for entry in entries:
            if id(entry.value) in rates and id(entry.value) not in self.left.settled:
                self.left.entry(entry, rates[id(entry.value)])
        entries = [entry for entry in entries if id(entry.value) not in self.left.settled]
        return inexpressible(self.site, self.unit.tables, plan, argument.node, argument.span, entries)
