"""Training steps of translated optimizers: each is reported, and with --rewrite-step the plain ones are rewritten.

Nothing here is imported unless a file has a translated call and mentions what a step is made of.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.diagnostics import SCHEDULE_STEPS, STEP, STEP_NOT_PLAIN, STEP_REWRITTEN, UNFOLLOWED_STEP
from optmap.mapping.frameworks import Facts, Gradients, Kind, fill
from optmap.source.changes import Rename, Replace
from optmap.source.model import Module
from optmap.source.syntax import imported
from optmap.translate.constructors.clipping import clipped, clipping
from optmap.translate.discover.events import Event, read_training
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding, Place, offset_of
from optmap.translate.steps.outcome import StepOutcome
from optmap.translate.steps.read.plan import Clip, PlainStep
from optmap.translate.steps.read.step import begin
from optmap.translate.steps.read.targets import READ, Retargeted, keep_company, read_step
from optmap.translate.steps.read.unfollowed import unfollowed
from optmap.translate.steps.reasons import NotPlain, Reason, Why, because
from optmap.translate.steps.write.fresh_names import UsedNames, lines_of
from optmap.translate.steps.write.preview import shown_step
from optmap.translate.steps.write.trainers import TRAINERS, shown_trainer
from optmap.translate.unit import STEPS, Member, Outcome, Rewritten, Unit, Veto

_WORD: Final = re.compile(r"\w+")


def run(unit: Unit, before: Outcome) -> Outcome:
    """Report every step of the translated optimizers, or rewrite it where the options say so and it is plain."""
    if not before.optimizers:
        return before
    veto = before.vetoes.get(STEPS)
    refusal = because(Why.REFUSED, reason=veto.reason) if veto is not None and veto.finding is None else None
    rewrite = unit.options.rewrite_step and (veto is None or refusal is not None)
    sites = [item.site for item in before.optimizers]
    options = unit.options._replace(rewrite_step=rewrite)
    changes = (item for one in before.rewritten for item in one.changes)
    changed = frozenset(id(item.node) for item in changes if isinstance(item, Rename | Replace))
    room = _Steps(unit._replace(options=options), sites, refusal, before, changed)
    outcome = room.run()
    stepped = room.stepped(outcome.findings)
    settled = {unit.source.start(node) for node in outcome.settled}
    after = before._replace(
        findings=tuple(
            item
            for item in before.findings
            if offset_of(unit.source, item.node) not in settled
            and not (item.code is SCHEDULE_STEPS and id(item.node) in stepped)
        ),
        mentions=tuple(item for item in before.mentions if offset_of(unit.source, item.node) not in settled),
    )
    if outcome.changes or outcome.needed or outcome.gone:
        made = Rewritten((), tuple(outcome.changes), tuple(outcome.needed), tuple(outcome.gone), outcome.bridged)
        after = after._replace(steps=(made,))
    found = {member: Veto("not all of its steps clip in its place") for member in room.unclipped(outcome)}
    after = after._replace(found={**after.found, **found})
    unproved = [veto.finding] if veto is not None and veto.finding is not None else []
    return after.reporting([*outcome.findings, *unproved])


class _Steps:
    """The steps of one file, each reported or, where it is plain, put aside to be rewritten with the others."""

    def __init__(
        self, unit: Unit, replaced: Sequence[CallSite], refusal: Reason | None, before: Outcome, changed: frozenset[int]
    ) -> None:
        self.changed = changed
        self.unit = unit
        self.source = unit.source
        self.target = unit.options.target
        self.rewrite = unit.options.rewrite_step
        self.replaced = replaced
        self.refusal = refusal
        self.vetoes = before.vetoes
        self.names = before.names
        made = (change for item in before.optimizers for change in item.change.changes)
        self.clips = {id(item.site.node): clipped(item.site, item.target) for item in before.optimizers}
        self.put = frozenset(id(change.node) for change in made if isinstance(change, Replace))
        self.training = read_training(Module.of(unit.source), replaced)
        self.used = UsedNames(self.training.module)
        self.findings: list[Finding] = []
        self.read: list[Retargeted] = []
        self.minimized: list[Event] = []
        self.left: list[Event] = []

    def run(self) -> StepOutcome:
        events = self.training.events
        steps = [event for event in events if event.kind is not Kind.ZERO_GRAD]
        for event in steps:
            self._step(event)
        if events and not steps:
            self._report(events[0], None, because(Why.NO_STEP))
        self._report_unfollowed()
        if self.rewrite:
            self._report_clearing()
        outcome = self._graph() if self.minimized else None
        return outcome or self._rewritten()

    def stepped(self, findings: Sequence[Finding]) -> set[int]:
        """The optimizers (ids) all of whose steps were rewritten, with those of what sets their learning rates."""
        written = {id(item.node) for item in findings if item.code is STEP_REWRITTEN}
        steps = [event for event in self.training.events if event.kind is not Kind.ZERO_GRAD]
        left = {id(event.site.node) for event in steps if id(event.call) not in written or not self._scheduler(event)}
        return {id(event.site.node) for event in steps} - left

    def unclipped(self, outcome: StepOutcome) -> Iterator[Member]:
        """The optimizers whose own clipping went, though not all of their steps clip in their place."""
        written = {id(item.node) for item in outcome.findings if item.code is STEP_REWRITTEN}
        for site in self.replaced:
            own = [item for item in self.training.events if item.site is site and item.kind is not Kind.ZERO_GRAD]
            if self.clips[id(site.node)] and not (own and all(id(item.call) in written for item in own)):
                yield clipping(site)

    def _report_unfollowed(self) -> None:
        """Report, once, what may step an optimizer of the file beside the steps that were found."""
        found = unfollowed(self.training, tuple(self.replaced))
        if found:
            idiom = fill(self.target.facts.steps.shown.idiom, optimizer="optimizer")
            said = f"an optimizer that optmap did not follow may step here ({lines_of(found)})"
            self.findings.append(Finding(UNFOLLOWED_STEP, said, found[0], detail=idiom or None))

    def _rewritten(self) -> StepOutcome:
        """What becomes of the steps that were put aside."""
        self.read, alone = keep_company(self.read)
        for read in alone:
            self.left.append(read.event)
            self._leave(read, because(Why.ANOTHER_STEPS))
        if not self.read:
            return StepOutcome(self.findings)
        if self.target.facts.steps.gradients is Gradients.FUNCTION:
            from optmap.translate.steps.write.mindspore import rewrite_steps

            try:
                return rewrite_steps(
                    self.unit, self.training, self._plans(), self.findings, self.vetoes, self.left, self.changed
                )
            except NotPlain as error:
                return self._all_left(error.reason)
        from optmap.translate.steps.write.retarget import rewrite_steps as rewrite_others

        return rewrite_others(self.unit, self.training, self.read, self.findings, self.left)

    def _all_left(self, reason: Reason) -> StepOutcome:
        """The models change for all steps or for none."""
        for read in self.read:
            self._leave(read, reason)
        return StepOutcome(self.findings)

    def _leave(self, read: Retargeted, reason: Reason) -> None:
        try:
            self._report(read.event, self._code(read.event, read), reason)
        except NotPlain:
            self._report(read.event, None, reason)

    def _step(self, event: Event) -> None:
        """Report a step, or put it aside to be rewritten."""
        steps, read = self.target.facts.steps, None
        if self.rewrite and event.kind is Kind.MINIMIZE and event.kind in steps.written:
            self.minimized.append(event)
            return
        refusal = None if event.kind in steps.written else because(Why.NOT_WRITTEN, framework=self.target.facts.title)
        try:
            if event.kind in READ:
                if event.holder is None:
                    raise NotPlain(Why.UNNAMED, line=event.call.lineno)
                read = read_step(begin(self.source, self.training, event), self.target)
                read = read._replace(scheduler=self._scheduler(event))
                if read.cell is not None and id(read.cell.scale) in self.put:  # it has become 1.0
                    read = read._replace(cell=read.cell._replace(scale=None))
                read = self._clipping(read)
                refusal = next(iter(read.refusals), None) or refusal or self._company()
            if read is not None and self.rewrite and refusal is None:
                self.read.append(read)
            else:
                self.left.append(event)
                self._report(event, self._code(event, read), refusal)
        except NotPlain as error:
            self.left.append(event)
            self._report(event, None, error.reason)

    def _clipping(self, read: Retargeted) -> Retargeted:
        """A step that also clips as its optimizer did. Raises NotPlain where no such step is written."""
        clips = self.clips.get(id(read.event.site.node))
        if not clips:
            return read
        holder = read.event.holder
        if (
            read.plan is None
            or read.plan.head is None
            or holder is None
            or len(holder.sites) > 1
            or len(read.plan.holder.models or ()) != 1
        ):
            raise NotPlain(Why.CLIPPED, line=read.event.site.node.lineno)
        own = tuple(Clip(read.plan.step, how, bound) for how, bound in clips.values())
        return read._replace(plan=read.plan._replace(own_clips=own))

    def _code(self, event: Event, read: Retargeted | None) -> str:
        """What is shown for a step. Raises NotPlain where it cannot be."""
        if read is None:
            code = shown_trainer(self.training.module, event, self.target, self.used)
        else:
            code = shown_step(self.source, read, self.target, self.used)
        scheduler = self._scheduler(event)
        if not scheduler or event.holder is None:
            return code
        step = re.compile(rf"^( *){re.escape(event.holder.text)}\.step\(\)$", re.MULTILINE)
        return step.sub(rf"\g<0>\n\g<1>{scheduler}.step()", code)

    def _scheduler(self, event: Event) -> str:
        """What was attached to an optimizer and must be stepped with it, as it is written where the optimizer is."""
        holder = event.holder
        place = id(holder.variable.scope) if holder is not None else 0
        names = (name for (scope, name), own in self.names.items() if holder and (scope, own) == (place, holder.text))
        return next(names, "")

    def _report(self, event: Event, code: str | None, refusal: Reason | None) -> None:
        """Show what a step becomes, and say why it is not rewritten, or why no code can be shown."""
        facts, own = self.target.facts, event.site.api.framework.facts
        idiom = facts.steps.shown.idiom or f"the step has to be written as {facts.title} has it"
        holder = event.holder.text if event.holder is not None else "optimizer"
        detail = fill(idiom, optimizer=holder) if event.kind not in TRAINERS and code is None else None
        if self.rewrite:
            said = f"left as it is: {refusal}"
        elif code is None:
            said = f"rewrite this {own.title} step by hand: {refusal}"
        else:
            unless = f"leaves it: {refusal}" if refusal is not None else "writes this"
            said = f"replace this {own.title} step; --rewrite-step {unless}"
        if code is not None and self._mentions(code, own):
            said += f"; the code still uses {own.title}"
        code_of = STEP_NOT_PLAIN if self.rewrite else STEP
        self.findings.append(Finding(code_of, said, event.call, replacement=code, detail=detail))

    def _mentions(self, code: str, own: Facts) -> bool:
        """Tell whether code uses names that the file imports from a framework."""
        module, words = self.training.module, frozenset(_WORD.findall(code))
        imports = (item for node in module.nodes(ast.Import, ast.ImportFrom) for item in imported(node))
        own_names = {name for _, name, path in imports if path.partition(".")[0] in own.packages}
        if code.isascii() and own_names.isdisjoint(words):  # Python reads other letters as these at times
            return False
        names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
        found = (module.bound(name, at=module.tree) for name in names)
        paths = (binding.path for variable in found if variable is not None for binding in variable.bindings)
        return any(path is not None and path.partition(".")[0] in own.packages for path in paths)

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
                self._report_graph(event, error.reason)
            return None

    def _report_graph(self, event: Event, refusal: Reason) -> None:
        """A graph that is not rewritten, or a function that computes the loss."""
        try:
            self._report(event, self._code(event, None), refusal)
        except NotPlain:
            self._report(event, None, refusal)

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
        return because(Why.NOT_TRANSLATED, line=getattr(left[0], "lineno", 1))

    def _report_clearing(self) -> None:
        """Gradients that are cleared far from any step: what stays there would be an error."""
        module, events = self.training.module, self.training.events
        gone = [node for plan in self._plans() for node in plan.gone]
        functions = [module.function_of(item.call) for item in events if item.kind is not Kind.ZERO_GRAD]
        for event in events:
            around, statement = module.function_of(event.call), module.statement(event.call)
            lonely = not any(around is place for place in functions)
            if event.kind is Kind.ZERO_GRAD and lonely and not any(statement is node for node in gone):
                message = "left as it is: no step stands in the same function"
                if self.target.facts.steps.gradients is not Gradients.RECORDED:
                    message += f"; {self.target.facts.title} has no gradients to clear"
                self.findings.append(Finding(STEP_NOT_PLAIN, message, event.call))

    def _plans(self) -> list[PlainStep]:
        return [step.plan for step in self.read if step.plan is not None]
