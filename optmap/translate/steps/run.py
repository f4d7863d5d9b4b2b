"""Training steps of translated optimizers: each is said, and with --rewrite-step the plain ones are rewritten.

Nothing here is imported unless a file has a translated call and mentions what a step is made of.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from optmap.diagnostics import STEP, STEP_NOT_PLAIN
from optmap.mapping.frameworks import Gradients, Kind
from optmap.mapping.model import MappingSet
from optmap.source.names import Function
from optmap.source.text import Source
from optmap.translate.discover.events import Event
from optmap.translate.discover.holders import Finder, everything
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.findings import Finding, Place, offset_of, position
from optmap.translate.options import Options
from optmap.translate.steps.outcome import StepOutcome
from optmap.translate.steps.read.plain import StepReader
from optmap.translate.steps.read.plan import NotPlain, Plan
from optmap.translate.steps.write.preview import shown_plan, shown_step, shown_torch_step
from optmap.translate.unit import STEPS, Outcome, Rewritten, Unit

if TYPE_CHECKING:
    from optmap.translate.steps.read.tape import TapeReader
    from optmap.translate.steps.read.targets import Step as OtherStep


def run(unit: Unit, before: Outcome) -> Outcome:
    """Report every step of the translated optimizers, or rewrite it where the options say so and it is plain."""
    if not before.optimizers:
        return before
    veto = before.vetoes.get(STEPS)
    options = unit.options if veto is None else unit.options._replace(rewrite_step=False)
    sites = [item.site for item in before.optimizers]
    outcome = _Steps(unit.source, unit.sites, sites, unit.tables, options).run()
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
    def __init__(
        self, source: Source, sites: Sites, replaced: Sequence[CallSite], tables: MappingSet, options: Options
    ) -> None:
        self.source = source
        self.sites = sites
        self.replaced = replaced
        self.tables = tables
        self.options = options
        self.finder = Finder(source, everything(source), replaced)
        self.events = self.finder.events()
        self.findings: list[Finding] = []
        self.plans: list[tuple[Plan, Event]] = []
        self.minimized: list[Event] = []
        self.tapes: list[TapeReader] = []
        self.others: list[OtherStep] = []

    def run(self) -> StepOutcome:
        for event in self._steps():
            self._step(event)
        if self.options.rewrite_step:
            self._forgotten()
        if self.others:
            from optmap.translate.steps.write.retarget import rewrite_steps as rewrite_others

            return rewrite_others(
                self.source, self.sites, self.tables, self.options, self.finder, self.others, self.findings
            )
        outcome = self._graph()
        if outcome is not None:
            return outcome
        if not self.plans:
            return StepOutcome(self.findings)
        from optmap.translate.steps.write.mindspore import rewrite_steps

        return rewrite_steps(
            self.source, self.sites, self.tables, self.options, self.finder, self.plans, self.findings, self.tapes
        )

    def _graph(self) -> StepOutcome | None:
        """Rewrite a TensorFlow 1 graph that one optimizer minimizes; None where there is none that is plain."""
        if not self.minimized:
            return None
        from optmap.translate.steps.read.graph import read_graph
        from optmap.translate.steps.write.mindspore import rewrite_graph

        first = self.minimized[0]
        try:
            if len(self.events) > 1:
                raise NotPlain("the file trains in several places")
            self._check_company(first)
            graph = read_graph(self.source, first.site), first
            return rewrite_graph(
                self.source, self.sites, self.tables, self.options, self.finder, graph, list(self.findings)
            )
        except NotPlain as reason:
            for event in self.minimized:
                text = shown_step(self.source, event, self.options.target)
                self.findings.append(Finding(STEP_NOT_PLAIN, f"left as it is, because {reason}; {text}", event.call))
            return None

    def _steps(self) -> Iterable[Event]:
        """One event for each step: what only clears gradients belongs to the step beside it."""
        if any(event.kind is not Kind.ZERO_GRAD for event in self.events):
            return [event for event in self.events if event.kind is not Kind.ZERO_GRAD]
        return self.events[:1]

    def _check_company(self, event: Event) -> None:
        """Models and losses change for the whole file, so no optimizer of it may stay what it was. Raises NotPlain."""
        done = {id(site.node) for site in self.replaced}
        left: list[Place] = [site.node for site in self.sites.calls if id(site.node) not in done]
        left += [item.node for item in self.sites.mentions if id(item.node) in self.sites.constructing]
        if left:
            line, _ = position(self.source, offset_of(self.source, left[0]))
            raise NotPlain(f"an optimizer of the same file was not translated (line {line})")

    def _forgotten(self) -> None:
        """Gradients that are cleared far from any step: what stays there would be an error."""
        gone = {id(node) for plan, _ in self.plans for node in plan.gone}
        gone |= {id(node) for step in self.others if step.plan is not None for node in step.plan.gone}
        functions = [_around(event) for event in self.events if event.kind is not Kind.ZERO_GRAD]
        for event in self.events:
            lonely = not any(_around(event) is place for place in functions)
            if event.kind is Kind.ZERO_GRAD and lonely and id(event.ancestors[-1]) not in gone:
                message = "left as it is, because no step stands in the same function"
                if self.options.target.facts.steps.gradients is not Gradients.RECORDED:
                    message += f"; {self.options.target.facts.title} has no gradients to clear"
                self.findings.append(Finding(STEP_NOT_PLAIN, message, event.call))

    def _tape(self, event: Event) -> None:
        from optmap.translate.steps.read.tape import TapeReader

        reader = TapeReader(self.source, self.finder, self.events, event, self.options.target)
        try:
            plan = reader.read()
            self._check_company(event)
        except NotPlain as reason:
            text = shown_step(self.source, event, self.options.target)
            self.findings.append(Finding(STEP_NOT_PLAIN, f"left as it is, because {reason}; {text}", event.call))
            return
        self.plans.append((plan, event))
        self.tapes.append(reader)

    def _other(self, event: Event) -> bool:
        """Read a step whose target is torch or TensorFlow; False where there is no reader for it."""
        from optmap.translate.steps.read.targets import can_rewrite, read_step

        if not can_rewrite(event, self.options.target):
            return False
        wanted = self.options.rewrite_step
        text = self._shown(event)
        try:
            step = read_step(self.source, self.finder, self.events, event, self.options.target)
            self._check_company(event)
        except NotPlain as reason:
            code, text = (STEP_NOT_PLAIN, f"left as it is, because {reason}; {text}") if wanted else (STEP, text)
            self.findings.append(Finding(code, text if wanted else f"{text} ({reason})", event.call))
            return True
        if wanted:
            self.others.append(step)
        else:
            self.findings.append(Finding(STEP, f"{text} (--rewrite-step writes it)", event.call))
        return True

    def _shown(self, event: Event) -> str:
        """The replacement of a step where no function gives gradients."""
        if event.kind not in (Kind.STEP, Kind.SCALED_STEP) or event.holder is None:
            return shown_step(self.source, event, self.options.target)
        reader = StepReader(self.source, self.finder, self.events, event)
        return shown_torch_step(self.source, reader, self.options.target)

    def _step(self, event: Event) -> None:
        steps = self.options.target.facts.steps
        written = event.kind in steps.written
        if steps.gradients is not Gradients.FUNCTION and event.holder is not None and self._other(event):
            return
        if self.options.rewrite_step and event.kind is Kind.MINIMIZE and written:
            self.minimized.append(event)
            return
        if self.options.rewrite_step and event.kind is Kind.APPLY_GRADIENTS and written and event.holder:
            self._tape(event)
            return
        if not (event.kind in (Kind.STEP, Kind.SCALED_STEP) and written) or event.holder is None:
            code, text = STEP, self._shown(event)
            if self.options.rewrite_step:
                code = STEP_NOT_PLAIN
                name = self.options.target.facts.title
                text = text if steps.written else f"left as it is, because steps of {name} are not written yet; {text}"
            self.findings.append(Finding(code, text, event.call))
            return
        reader = StepReader(self.source, self.finder, self.events, event)
        try:
            plan = reader.read()
            self._check_company(event)
        except NotPlain as reason:
            text = shown_plan(self.source, reader, self.options.target, reason)
            if self.options.rewrite_step:
                self.findings.append(Finding(STEP_NOT_PLAIN, f"left as it is, because {reason}; {text}", event.call))
            else:
                self.findings.append(Finding(STEP, f"{text} ({reason})", event.call))
            return
        if self.options.rewrite_step:
            self.plans.append((plan, event))
        else:
            text = shown_plan(self.source, reader, self.options.target)
            self.findings.append(Finding(STEP, f"{text} (--rewrite-step writes it)", event.call))


def _around(event: Event) -> ast.AST | None:
    return next((node for node in reversed(event.ancestors) if isinstance(node, Function)), None)
