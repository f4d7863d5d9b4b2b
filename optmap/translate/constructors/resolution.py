"""A constructor call as the tables resolve it, with what the file says of its schedules, its loss scale and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from optmap.diagnostics import UNSUPPORTED_ARGUMENT
from optmap.mapping.plan import Prefer
from optmap.mapping.values import Value, literal_value
from optmap.source.calls import Form
from optmap.translate.constructors.arguments import CallArgument, Refusal
from optmap.translate.constructors.call import CallContext, SiteCall, spoken_dtypes
from optmap.translate.constructors.clipping import clipped, clipping
from optmap.translate.constructors.open import Left, unsupported
from optmap.translate.constructors.resolve import Groups, Rewrite, Serving, resolve
from optmap.translate.findings import Finding
from optmap.translate.prefilter import has_steps
from optmap.translate.unit import Member, Veto, skipping

if TYPE_CHECKING:
    from optmap.translate.constructors.loss_scale import Unscaled

Resolved: TypeAlias = tuple[Rewrite | Refusal, Serving | None, tuple[tuple[Member, Veto], ...]]
"""The answer of the tables, the schedule that the class was chosen for, and members that have to stay for its sake."""


class Resolution:
    """The resolution of one call; `scaled` is what becomes of what multiplies the loss by a scale that the target lacks."""

    def __init__(self, context: CallContext, call: SiteCall, values: list[Value], left: Left) -> None:
        self.context = context
        self.unit, self.options, self.site, self.tied = context[:4]
        self.call = call
        self.values = values
        self.left = left
        self.scaled: Unscaled | None = None

    def run(self, groups: Groups | None) -> Resolved:
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
            for index in map(self.call.index_of, clipped(self.site)):
                if index is not None:
                    self.values[index] = literal_value(None)
            return self._served(groups)
        return resolved, serving, given_up

    def without_unsupported(self, refused: Refusal, groups: Groups | None, found: Sequence[Finding]) -> Resolved:
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

    def _steps_may_clip(self) -> bool:
        """Tell whether steps are looked at, which clip as the optimizer did or veto this."""
        looked = self.options.rewrite_step and has_steps(self.unit.source, self.unit.tables)
        return looked and self.context.vetoes.keys().isdisjoint((clipping(self.site), skipping("steps")))

    def _served(self, groups: Groups | None) -> Resolved:
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
        found = unscaled(
            self.unit,
            self.site,
            self.call.text.arguments[index].node,
            self.context.taken,
            self.context.vetoes,
        )
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
        ask = partial(
            resolve,
            self.unit.tables,
            self.site.api,
            arguments,
            options.target,
            groups=groups,
            serving=serving,
            dtypes=spoken_dtypes(self.unit.source),
        )
        found = ask(prefer=options.prefer)
        trained = options.target.facts.steps.trained if options.prefer is Prefer.AUTO else ()
        if isinstance(found, Rewrite) and trained and found.plan.target.module.name not in trained:
            from optmap.translate.discover.trainers import find_trainer

            trainer = find_trainer(self.site, options.target)
            return ask(prefer=options.prefer, trainer=trainer) if trainer is not None else found
        return found
