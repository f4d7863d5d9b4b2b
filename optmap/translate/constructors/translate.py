"""One constructor call: resolve it, and see whether all that stands in it and around it can follow, or refuse it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from optmap.diagnostics import (
    GROUP_KEY,
    HIDDEN_GROUPS,
    INVALID_CALL,
    SCHEDULE_ARGUMENT,
    UNEDITABLE,
    UNSUPPORTED_ARGUMENT,
    Code,
)
from optmap.mapping.plan import Plan, Prefer
from optmap.mapping.values import Value, literal_value, read_value
from optmap.mapping.vocabulary import PARAMETERS
from optmap.source.calls import Argument, Form
from optmap.source.text import SourceError
from optmap.translate.constructors.arguments import CallArgument, Refusal
from optmap.translate.constructors.call import read_site
from optmap.translate.constructors.clipping import clipped, clipping
from optmap.translate.constructors.learning_rate import learning_rate_object
from optmap.translate.constructors.open import OPEN, Left, rates_of_groups, same_value, unsupported, with_text
from optmap.translate.constructors.reasons import at_changing_rate
from optmap.translate.constructors.resolve import Groups, Rewrite, Serving, resolve
from optmap.translate.constructors.write import CallOutcome, Decision, reported, write_call
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding, Place
from optmap.translate.options import Options
from optmap.translate.parameters.sharing import Sharing
from optmap.translate.prefilter import has_steps
from optmap.translate.unit import Member, Tied, Unit, Veto, Vetoes, skipping

if TYPE_CHECKING:
    from optmap.translate.constructors.loss_scale import Unscaled
    from optmap.translate.schedules.rates import Attached


class CallTranslation:
    """The translation of one call; `tied` is what its schedules ask for, `optimizers` are the ids of all constructor calls.

    `taken` are the names that schedules have, by the id of their scope, with their optimizers.
    """

    def __init__(
        self, unit: Unit, options: Options, site: CallSite, sharing: Sharing, tied: Tied, optimizers: Collection[int],
        taken: Mapping[tuple[int, str], str], vetoes: Vetoes,
    ) -> None:  # fmt: skip
        self.unit = unit
        self.source = unit.source
        self.site = site
        self.tables = unit.tables
        self.options = options
        self.sharing = sharing
        self.tied = tied
        self.optimizers = optimizers
        self.taken = taken
        self.vetoes = vetoes
        self.attached: Attached | None = None
        """What a learning rate becomes that holds one for each step."""
        self.scaled: Unscaled | None = None
        """What multiplies the loss by a scale that the target lacks."""
        self.left = Left(unit.source, site.api.framework.facts.packages)
        """What --todo leaves open."""

    def run(self) -> CallOutcome:
        """Translate the call, or say why not."""
        try:
            self.call = read_site(self.source, self.site)
        except SourceError as error:
            message = f"{self.site.api.name}: {error.message}"
            return CallOutcome((Finding(UNEDITABLE, message, self.site.node),))
        self.values = [read_value(argument.node) for argument in self.call.text.arguments]
        given = self.call.argument(PARAMETERS)
        self.parameters = self.sharing.parameters(self.site, given.node) if given is not None else None
        refusal = self._unreadable_parameters() or self._refused_schedule()
        if refusal is not None:
            return CallOutcome((refusal,))
        self._set_rate_aside()
        groups = self.parameters.groups if self.parameters else None
        resolved, serving, given_up = self._resolve_scaled(groups)
        if isinstance(resolved, Refusal):
            from optmap.translate.parameters.advice import in_own_words

            found = reported(self.call, in_own_words(resolved.reasons, self.parameters))
            resolved, serving, given_up = self._without_unsupported(resolved, groups, found)
            if isinstance(resolved, Refusal):
                return CallOutcome(found)
        plan = resolved.plan
        refusal = self._open(self._hidden_groups(), plan) or self._refused_rate(resolved, serving)
        refusal = refusal or self._open(self._inexpressible(plan), plan)
        if refusal is not None:
            return CallOutcome((refusal,), given_up=given_up)
        reasons = at_changing_rate(resolved.reasons) if serving is not None else resolved.reasons
        decision = Decision(
            self.site, self.call, self.values, plan, reasons, self.parameters, self.attached, self.scaled,
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

            return _finding(INVALID_CALL, sum_message(self.parameters.sums[0]), at)
        return None

    def _refused_schedule(self) -> Finding | None:
        """What its schedules say against the call."""
        if self.tied.refusal is None:
            return None
        rate = self.call.argument("learning_rate")
        refused = _finding(SCHEDULE_ARGUMENT, self.tied.refusal, self.call.place(self.call.index_of("learning_rate")))
        if rate is None or not self.options.todo:
            return refused
        self._want(refused, rate)
        return None

    def _set_rate_aside(self) -> None:
        """Take the learning rate for any value, where something else takes its place or it has one for each step."""
        rate = self.call.index_of("learning_rate")
        gone = self.attached is not None or (self.tied.serving is not None and bool(self.tied.serving.moved))
        lists = self.site.api.framework.facts.rates.lists
        if rate is not None and (gone or (lists and self.values[rate].elements is not None)):
            self.values[rate] = Value()

    def _resolve_scaled(
        self, groups: Groups | None
    ) -> tuple[Rewrite | Refusal, Serving | None, tuple[tuple[Member, Veto], ...]]:
        """Resolve the call, without its loss scale where the target lacks that and the file can do without.

        So it is with the clipping of gradients, if its steps are rewritten and clip.
        """
        resolved, serving, given_up = self._served(groups)
        scale = self.call.index_of("loss_scale")
        if isinstance(resolved, Refusal) and scale is not None:
            resolved = self._unscaled(scale, resolved)
            if self.scaled is not None:
                self.values[scale] = literal_value(1.0)
                return self._served(groups)
        if isinstance(resolved, Refusal) and self._steps_may_clip():
            for index in (self.call.index_of(name) for name in clipped(self.site)):
                self.values[index or 0] = literal_value(None)
            return self._served(groups)
        return resolved, serving, given_up

    def _without_unsupported(
        self, refused: Refusal, groups: Groups | None, found: Sequence[Finding]
    ) -> tuple[Rewrite | Refusal, Serving | None, tuple[tuple[Member, Veto], ...]]:
        """Resolve the call without the arguments that the target lacks, where --todo leaves them open."""
        lacking = unsupported(self.call.text, refused) if self.options.todo else []
        for place in lacking:
            item = next(item for item in found if item.node == self.call.place(place))
            self.left.argument(place, self.call.text.arguments[place], item)
        if not lacking:
            return refused, None, ()
        resolved, serving, given_up = self._served(groups)
        names = (
            {parameter.name for parameter in resolved.plan.target.parameters}
            if isinstance(resolved, Rewrite)
            else set()
        )
        taken = not names.isdisjoint(self.left.names.values())  # the target takes something else by that name
        return (refused if taken else resolved), serving, given_up

    def _open(self, refused: Finding | None, plan: Plan) -> Finding | None:
        """Leave the parameters open in place of a refusal, where --todo asks for it and the target takes any."""
        index = self.call.index_of(PARAMETERS)
        if refused is None or not self.options.todo or index is None or plan.target.parameters_argument is None:
            return refused
        self.left.argument(index, self.call.text.arguments[index], refused)
        self.parameters = None
        return None

    def _steps_may_clip(self) -> bool:
        """Tell whether steps are looked at, which clip as the optimizer did or veto this."""
        looked = self.options.rewrite_step and has_steps(self.source.body, self.tables)
        return looked and self.vetoes.keys().isdisjoint((clipping(self.site), skipping("steps")))

    def _served(
        self, groups: Groups | None
    ) -> tuple[Rewrite | Refusal, Serving | None, tuple[tuple[Member, Veto], ...]]:
        """Resolve the call among the classes that take its schedules, or without those, where no such class will do."""
        serving = self.tied.serving
        resolved = self._resolve(groups, serving)
        if isinstance(resolved, Refusal) and serving is not None:
            usual = self._resolve(groups, None)
            if isinstance(usual, Rewrite) and (self.tied.schedules or not serving.needed):
                why = "; ".join(reason.message for reason in resolved.reasons)
                veto = Veto(f"the optimizer on line {self.site.node.lineno} has to become another class ({why})")
                return usual, None, tuple((member, veto) for member in self.tied.schedules)
        return resolved, serving, ()

    def _unscaled(self, index: int, resolved: Refusal) -> Refusal:
        """Look whether a loss scale that the target lacks can go together with what multiplies the loss by it."""
        from optmap.translate.constructors.loss_scale import unscaled

        mine = [item.index == index and item.code is UNSUPPORTED_ARGUMENT for item in resolved.reasons]
        if not any(mine) or not self.site.api.framework.facts.scaling.managers:
            return resolved
        found = unscaled(self.unit, self.site, self.call.text.arguments[index].node, self.taken, self.vetoes)
        if not isinstance(found, str):
            self.scaled = found
            return resolved
        found_in = zip(resolved.reasons, mine, strict=True)
        return Refusal(
            tuple(item._replace(statement=f"{item.statement}, and {found}") if own else item for item, own in found_in)
        )

    def _resolve(self, groups: Groups | None, serving: Serving | None) -> Rewrite | Refusal:
        options = self.options
        written = zip(self.call.text.arguments, self.values, strict=True)
        arguments = [
            CallArgument(Form.EMPTY if place in self.left.names else item.form, item.name, value)
            for place, (item, value) in enumerate(written)
        ]
        ask = partial(resolve, self.tables, self.site.api, arguments, options.target, groups=groups, serving=serving)
        found = ask(prefer=options.prefer)
        trained = options.target.facts.steps.trained if options.prefer is Prefer.AUTO else ()
        if isinstance(found, Rewrite) and trained and found.plan.target.module.name not in trained:
            from optmap.translate.discover.trainers import find_trainer

            trainer = find_trainer(self.site, options.target)
            return ask(prefer=options.prefer, trainer=trainer) if trainer is not None else found
        return found

    def _hidden_groups(self) -> Finding | None:
        """Parameter groups that are made where the file does not show it."""
        lost = self.parameters.lost if self.parameters is not None else ()
        hidden = next((item for item in lost if item.groups), None)
        if hidden is None:
            return None
        message = f"parameter groups are built elsewhere, and {hidden.reason}; write them at the call"
        return _finding(HIDDEN_GROUPS, message, self.call.place(self.call.index_of(PARAMETERS)))

    def _refused_rate(self, resolved: Rewrite, serving: Serving | None) -> Finding | None:
        """What cannot follow of the learning rate: that of the call, or of a group beside a schedule."""
        refusal = self._schedule(resolved.plan) if serving is None else None
        moved = serving.moved if serving is not None else self.options.target.facts.schedules.function or ""
        if serving is not None or (self.attached and self.attached.changes):
            refusal = refusal or self._group_rate(moved)
        return refusal

    def _schedule(self, plan: Plan) -> Finding | None:
        """An object in the place of the learning rate, unless it becomes rates that are attached."""
        argument = self.call.argument("learning_rate")
        what = learning_rate_object(self.site, argument.node, self.tables) if argument is not None else None
        if argument is None or what is None or self.attached is not None:
            return None
        from optmap.translate.constructors.rate_list import rate_list_advice
        from optmap.translate.schedules.rates import attach_rates

        lists = self.site.api.framework.facts.rates.lists
        found = attach_rates(self.unit, self.site, argument.node, self.taken) if lists else None
        if found is not None and not isinstance(found, str):
            self.attached = found
            return None
        advice = rate_list_advice(self.source, what, argument.node, self.site.api.framework, plan.target)
        why = f" ({found})" if found is not None else ""
        message = f"the learning rate is {what.text}, which {plan.target.name} cannot take{why}{advice}"
        refused = _finding(SCHEDULE_ARGUMENT, message, argument.span)
        if not self.options.todo:
            return refused
        self._want(refused, argument)
        return None

    def _want(self, refused: Finding, argument: Argument) -> None:
        """Leave a learning rate open: the call fails where it stands, until a person has said what it is."""
        from optmap.translate.schedules.rates import Attached

        self.attached = Attached(OPEN, (), (), (), (with_text(self.source, argument.node, refused),))

    def _group_rate(self, moved: str) -> Finding | None:
        """A schedule that is attached sets the rate of every group, one that was passed that of the others."""
        rate = self.call.argument("learning_rate")
        for entry in self.parameters.entries if moved and self.parameters is not None else ():
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

    def _inexpressible(self, plan: Plan) -> Finding | None:
        """What in the parameters themselves the target cannot express."""
        facts, argument = self.site.api.framework.facts.parameters, self.call.argument(PARAMETERS)
        flagged = facts.flag is not None and facts.flag.encode() in self.source.body
        if argument is None or self.parameters is None or not (self.parameters.entries or facts.own_names or flagged):
            return None
        from optmap.translate.parameters.checks import inexpressible

        entries = self.parameters.entries
        rates = rates_of_groups(self.site, self.tables, plan, entries) if self.options.todo else {}
        for entry in entries:
            if id(entry.value) in rates and id(entry.value) not in self.left.settled:
                self.left.entry(entry, rates[id(entry.value)])
        entries = [entry for entry in entries if id(entry.value) not in self.left.settled]
        return inexpressible(self.site, self.tables, plan, argument.node, argument.span, entries)


def _finding(code: Code, text: str, at: Place) -> Finding:
    """A finding whose text may have code below its first line."""
    message, _, shown = text.partition("\n")
    return Finding(code, message, at, replacement=shown or None)
