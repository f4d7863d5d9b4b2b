"""Training steps of translated optimizers: each is reported, and with --rewrite-step the plain ones are rewritten.

Nothing here is imported unless a file has a translated call and mentions what a step is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optmap.diagnostics import STEP, STEP_NOT_PLAIN
from optmap.mapping.frameworks import Gradients, Kind
from optmap.source.model import Module
from optmap.translate.discover.events import Event, read_training
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding, Place, offset_of, position
from optmap.translate.steps.outcome import StepOutcome
from optmap.translate.steps.read.plan import Plan
from optmap.translate.steps.read.step import begin
from optmap.translate.steps.read.torch_step import plan_of, read_torch_step
from optmap.translate.steps.reasons import NotPlain, Reason, Why, because
from optmap.translate.steps.write.preview import shown_plan, shown_step, shown_torch_step
from optmap.translate.unit import STEPS, Outcome, Rewritten, Unit, Vetoes

if TYPE_CHECKING:
    from optmap.translate.steps.read.targets import Retargeted

_TORCH: tuple[Kind, ...] = (Kind.STEP, Kind.SCALED_STEP)


def run(unit: Unit, before: Outcome) -> Outcome:
    """Report every step of the translated optimizers, or rewrite it where the options say so and it is plain."""
    if not before.optimizers:
        return before
    veto = before.vetoes.get(STEPS)
    refusal = because(Why.REFUSED, reason=veto.reason) if veto is not None and veto.finding is None else None
    rewrite = unit.options.rewrite_step and (veto is None or refusal is not None)
    sites = [item.site for item in before.optimizers]
    options = unit.options._replace(rewrite_step=rewrite)
    outcome = _Steps(unit._replace(options=options), sites, refusal, before.vetoes).run()
    settled = {unit.source.start(node) for node in outcome.settled}
    after = before._replace(
        findings=tuple(item for item in before.findings if offset_of(unit.source, item.node) not in settled),
        mentions=tuple(item for item in before.mentions if offset_of(unit.source, item.node) not in settled),
    )
    if outcome.changes or outcome.needed or outcome.gone:
        made = Rewritten((), tuple(outcome.changes), tuple(outcome.needed), tuple(outcome.gone))
        after = after._replace(steps=(made,))
    unproved = [veto.finding] if veto is not None and veto.finding is not None else []
    return after.reporting([*outcome.findings, *unproved])


class _Steps:
    """The steps of one file, each reported or, where it is plain, put aside to be rewritten with the others."""

    def __init__(self, unit: Unit, replaced: Sequence[CallSite], refusal: Reason | None, vetoes: Vetoes) -> None:
        self.unit = unit
        self.source = unit.source
        self.target = unit.options.target
        self.rewrite = unit.options.rewrite_step
        self.replaced = replaced
        self.refusal = refusal
        self.vetoes = vetoes
        self.training = read_training(Module.of(unit.source), replaced)
        self.findings: list[Finding] = []
        self.plans: list[Plan] = []
        self.minimized: list[Event] = []
        self.others: list[Retargeted] = []

    def run(self) -> StepOutcome:
        for event in self._events():
            self._step(event)
        if self.rewrite:
            self._report_clearing()
        if self.others:
            from optmap.translate.steps.write.retarget import rewrite_steps as rewrite_others

            return rewrite_others(self.unit, self.training, self.others, self.findings)
        outcome = self._graph() if self.minimized else None
        if outcome is None and self.plans:
            from optmap.translate.steps.write.mindspore import rewrite_steps

            try:
                return rewrite_steps(self.unit, self.training, self.plans, self.findings, self.vetoes)
            except NotPlain as error:
                for plan in self.plans:
                    self._report(plan.event, self._shown(plan.event), error.reason)
        return outcome or StepOutcome(self.findings)

    def _events(self) -> Sequence[Event]:
        """One event for each step: what only clears gradients belongs to the step beside it."""
        events = self.training.events
        return [event for event in events if event.kind is not Kind.ZERO_GRAD] or events[:1]

    def _step(self, event: Event) -> None:
        """Report a step, or put it aside to be rewritten."""
        steps, held = self.target.facts.steps, event.holder is not None
        written = event.kind in steps.written
        if steps.gradients is not Gradients.FUNCTION and held and self._retargeted(event):
            return
        if written and self.rewrite and event.kind is Kind.MINIMIZE:
            self.minimized.append(event)
        elif written and self.rewrite and event.kind is Kind.APPLY_GRADIENTS and held:
            self._tape(event)
        elif written and event.kind in _TORCH and held:
            self._torch(event)
        elif self.rewrite and not steps.written:
            self._report(event, self._shown(event), because(Why.NOT_WRITTEN, framework=self.target.facts.title))
        else:
            self.findings.append(Finding(STEP_NOT_PLAIN if self.rewrite else STEP, self._shown(event), event.call))

    def _torch(self, event: Event) -> None:
        step, refusal = read_torch_step(begin(self.source, self.training, event))
        refusal = refusal or self._company()
        if refusal is None and self.rewrite:
            self.plans.append(plan_of(step))
        else:
            self._report(event, shown_plan(step, self.target, refusal), refusal)

    def _tape(self, event: Event) -> None:
        from optmap.translate.steps.read.tape import read_tape

        try:
            plan = read_tape(begin(self.source, self.training, event), self.target)
            self._check_company()
            self.plans.append(plan)
        except NotPlain as error:
            self._report(event, shown_step(self.training.module, event, self.target), error.reason)

    def _retargeted(self, event: Event) -> bool:
        """Read a step whose target is torch or TensorFlow; False where there is no reader for it."""
        from optmap.translate.steps.read.targets import can_rewrite, read_retargeted

        if not can_rewrite(event, self.target):
            return False
        refusal = None
        try:
            step = read_retargeted(begin(self.source, self.training, event), self.target)
            self._check_company()
            if self.rewrite:
                self.others.append(step)
                return True
        except NotPlain as error:
            refusal = error.reason
        self._report(event, self._shown(event), refusal)
        return True

    def _report(self, event: Event, text: str, refusal: Reason | None) -> None:
        """Show what a step becomes, and why it is not rewritten."""
        if self.rewrite:
            finding = Finding(STEP_NOT_PLAIN, f"left as it is, because {refusal}; {text}", event.call)
        else:
            finding = Finding(STEP, f"{text} ({refusal or '--rewrite-step writes it'})", event.call)
        self.findings.append(finding)

    def _shown(self, event: Event) -> str:
        """The replacement of a step, as far as it can be told."""
        if event.kind not in _TORCH or event.holder is None:
            return shown_step(self.training.module, event, self.target)
        return shown_torch_step(begin(self.source, self.training, event), self.target)

    def _graph(self) -> StepOutcome | None:
        """Rewrite a TensorFlow 1 graph that one optimizer minimizes; None where there is none that is plain."""
        from optmap.translate.steps.read.session import read_graph
        from optmap.translate.steps.write.mindspore import rewrite_graph

        first = self.minimized[0]
        try:
            if len(self.training.events) > 1:
                raise NotPlain(Why.SEVERAL_PLACES)
            self._check_company()
            graph = read_graph(self.source, first.site), first
            return rewrite_graph(self.unit, self.training, graph, list(self.findings))
        except NotPlain as error:
            for event in self.minimized:
                self._report(event, shown_step(self.training.module, event, self.target), error.reason)
            return None

    def _check_company(self) -> None:
        """Raises NotPlain where an optimizer of the file stays what it was."""
        reason = self._company()
        if reason is not None:
            raise NotPlain(reason)

    def _company(self) -> Reason | None:
        """Why no step can be rewritten: models and losses change for the whole file, so every optimizer must."""
        if self.refusal is not None:
            return self.refusal
        done, sites = {id(site.node) for site in self.replaced}, self.unit.sites
        left: list[Place] = [site.node for site in sites.calls if id(site.node) not in done]
        left += [item.node for item in sites.mentions if id(item.node) in sites.constructing]
        if not left:
            return None
        line, _ = position(self.source, offset_of(self.source, left[0]))
        return because(Why.NOT_TRANSLATED, line=line)

    def _report_clearing(self) -> None:
        """Gradients that are cleared far from any step: what stays there would be an error."""
        module, events = self.training.module, self.training.events
        gone = [node for plan in self._plans() for node in plan.gone]
        functions = [module.function_of(item.call) for item in events if item.kind is not Kind.ZERO_GRAD]
        for event in events:
            around, statement = module.function_of(event.call), module.statement(event.call)
            lonely = not any(around is place for place in functions)
            if event.kind is Kind.ZERO_GRAD and lonely and not any(statement is node for node in gone):
                message = "left as it is, because no step stands in the same function"
                if self.target.facts.steps.gradients is not Gradients.RECORDED:
                    message += f"; {self.target.facts.title} has no gradients to clear"
                self.findings.append(Finding(STEP_NOT_PLAIN, message, event.call))

    def _plans(self) -> list[Plan]:
        return [*self.plans, *(step.plan for step in self.others if step.plan is not None)]
