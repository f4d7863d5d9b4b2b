"""All plain steps of a file whose target is torch or TensorFlow. Models stay as they are; what remains is reported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from optmap.diagnostics import MODE_DIFFERS, STEP_NOT_PLAIN, STEP_REWRITTEN
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import fill
from optmap.mapping.steps import Pair
from optmap.source.changes import Change, Delete
from optmap.source.flow import Effects
from optmap.source.syntax import argument_values, chain_of, inner, is_alias
from optmap.translate.constructors.spelling import NewImport, spell_path
from optmap.translate.discover.events import Event, Training, model_uses
from optmap.translate.discover.trained import Chain
from optmap.translate.findings import Finding
from optmap.translate.steps.names.carried import carry
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.references import NameRewriter
from optmap.translate.steps.outcome import StepOutcome
from optmap.translate.steps.read.cells import LossCell
from optmap.translate.steps.read.compiled import callee, no_longer_compiled
from optmap.translate.steps.read.plan import PlainStep
from optmap.translate.steps.read.tape import untold_in_functions, untold_models, untrained_models
from optmap.translate.steps.read.targets import Retargeted, computing, keep_company, model_calls
from optmap.translate.steps.reasons import NotPlain, Reason, Why, because
from optmap.translate.steps.write.clips import called_in, calls_of, spelled, spelled_clips
from optmap.translate.steps.write.flags import asks, drop_flags
from optmap.translate.steps.write.fresh_names import UsedNames, free, report
from optmap.translate.steps.write.splice import Splicer, Words, paused
from optmap.translate.unit import Unit

_SILENT: Final = frozenset(
    {"trainable_variables", "trainable_weights", "summary", "build", "load_weights", "save_weights"}
)
"""What may be asked of a Keras model without its computing anything."""


def rewrite_steps(
    unit: Unit, training: Training, steps: Sequence[Retargeted], findings: list[Finding], left: Sequence[Event] = ()
) -> StepOutcome:
    """Return the edits of all steps; those that are `left` stay as they are."""
    return _Retarget(unit, training, findings, bool(left)).run(steps)


class _Retarget:
    def __init__(self, unit: Unit, training: Training, findings: list[Finding], some_left: bool) -> None:
        self.some_left = some_left
        self.source = unit.source
        self.sites = unit.sites
        self.tables = unit.tables
        self.target = unit.options.target
        self.training = training
        self.module = training.module
        self.findings = findings
        self.used = UsedNames(training.module)
        self.needed: list[NewImport] = []
        self.changes: list[Change] = []
        self.touched: set[int] = set()
        self.gone: list[ast.expr] = []
        self.done: list[Retargeted] = []
        self.settled: list[ast.expr] = []
        self.notes: list[tuple[ast.expr, Pair]] = []

    def run(self, steps: Sequence[Retargeted]) -> StepOutcome:
        framework = steps[0].event.site.api.framework
        names = NameRewriter(self.source, self.tables, (framework, self.target), self.training, ())
        self.parts = {id(step): self._computed(step) for step in steps}
        carried = self._carried(names, steps)
        for step, changes in carried:
            try:
                words = self._words(step)
            except NotPlain as error:
                self._left(step, error.reason)
                continue
            if words is None:
                self._left(step, f"the file binds '{self.target}' to something else")
                continue
            self._rename(changes)
            self._write(step, words)
            self.done.append(step)
            self.findings.append(Finding(STEP_REWRITTEN, f"the step of {step.holder} was rewritten", step.event.call))
            self._report_mode(step)
        if not self.done:
            return StepOutcome(self.findings)
        self._drop_functions()
        self.changes += map(Delete, names.compiled)
        self.gone += map(callee, names.compiled)
        self.findings += no_longer_compiled(self.module, framework)
        stays = list(self._remains(framework))
        report(self.findings, stays, self.notes, str(framework))
        return StepOutcome(self.findings, self.changes, self.needed, self.gone, tuple(self.settled))

    def _carried(self, names: NameRewriter, steps: Sequence[Retargeted]) -> list[tuple[Retargeted, NameChanges]]:
        """The steps whose forward parts can be written in the target's words, with these.

        A function that a step calls beside one that stays as it is must not change.
        """
        found: list[tuple[Retargeted, NameChanges]] = []
        for step in steps:
            try:
                found.append((step, carry(names, self.parts[id(step)], paused(self.module, step.plan))))
            except NotPlain as error:
                self._left(step, error.reason)
        if self.some_left or len(found) < len(steps):
            for step, changes in list(found):
                own = {id(node) for part in self.parts[id(step)] for node in inner(part)}
                shared = step.called is not None or not changes.touched.keys() <= own
                if (shared and changes.touched) or any(loss.called for loss in _losses(step)):
                    found.remove((step, changes))
                    self._left(step, because(Why.OTHER_LEFT, line=step.event.call.lineno))
        kept, alone = keep_company([step for step, _ in found])
        for step in alone:
            self._left(step, because(Why.ANOTHER_STEPS))
        return [item for item in found if any(item[0] is step for step in kept)]

    def _computed(self, step: Retargeted) -> list[ast.AST]:
        """What runs under gradients, a forward part or the forward function, and what models compute in front of it."""
        plan = step.plan
        if plan is None:
            return [step.called.function] if step.called is not None and step.called.function is not None else []
        found: list[ast.AST] = [node for node in (*plan.region, plan.value) if hasattr(node, "lineno")]
        made: set[str] = set()
        front = computing(self.module.block(plan.backward)[0], plan.backward) if plan.head is None else ()
        for statement in front:
            effect = Effects.of(self.source).effect(statement)
            if statement in plan.region or not (effect.wants & made or model_calls([statement], plan.training)):
                continue
            made |= effect.binds
            found += statement.body if isinstance(statement, ast.With) else [statement]
        return found

    def _left(self, step: Retargeted, reason: Reason | str) -> None:
        self.findings.append(Finding(STEP_NOT_PLAIN, f"left as it is, because {reason}", step.event.call))

    def _rename(self, changes: NameChanges) -> None:
        """Take over what becomes of names; what several steps share is changed once."""
        self.changes += changes.changes
        self.needed += changes.needed
        self.gone += changes.gone
        self.notes += changes.notes
        self.touched |= changes.touched.keys()

    def _words(self, step: Retargeted) -> Words | None:
        made = ""
        path = self.target.facts.steps.tape
        if path is not None:
            at = self.module.statement(step.event.call)
            spelling = spell_path(self.module, path, self.target.facts.called(path), at)
            if spelling is None:
                return None
            if spelling.needs is not None:
                self.needed.append(spelling.needs)
            made = spelling.text
        tape, gradients, loss = (free(name, self.used, keep=True) for name in ("tape", "grads", "loss"))
        clips = step.plan.clips if step.plan is not None else step.called.clips if step.called is not None else ()
        own = step.plan.own_clips if step.plan is not None else ()
        scaled = free("scaled", self.used, keep=True)
        for clip in clips:
            self.gone += called_in(clip)
            self.settled += calls_of(clip)
            self.touched |= set(map(id, calls_of(clip)))
        spelled_words = spelled_clips(self.module, self.target.facts, (*clips, *own), self.needed)
        shown, total = self.target.facts.steps.shown, ""
        if step.plan is not None and step.plan.loop is not None:
            total = free("total", self.used)
        sums = fill(shown.total, total=total, grads=gradients) if total else ""
        trainable = self.target.facts.parameters.trainable
        words = Words(tape, gradients, loss, made, trainable, spelled_words, total, sums, scaled)
        plan, at = step.plan, self.module.statement(step.event.call)
        if plan is None or not plan.shared or not isinstance(plan.backward, ast.Assign):
            return words
        names = {name: free(name, self.used, keep=True) for name in ("parameter", "gradient")}
        names |= {"grads": ast.unparse(plan.backward.targets[0]), "loss": plan.loss or "", "parameters": plan.shared}
        taken = spelled(self.module, self.target.facts, shown.taken, at, self.needed)
        return words._replace(taken=fill(taken, **names), assigned=fill(shown.assigned, **names))

    def _write(self, step: Retargeted, words: Words) -> None:
        if step.plan is not None and step.plan.head is not None:
            changes = NameChanges()
            drop_flags(step.plan, changes)
            self.changes += changes.changes
            self.touched |= changes.touched.keys()
        splicer = Splicer(self.source, step, words)
        self.gone += (loss.call.func for loss in _losses(step) if loss.call is not None)
        if step.cell is not None:
            splicer.cell(self.target.facts.steps.shown)
            self.gone.append(step.cell.call.func)
        elif step.called is not None:
            splicer.called(step.called)
            self.gone += (node.func for node in inner(step.called.step) if isinstance(node, ast.Call))
        elif step.plan is not None and step.plan.head is not None:
            rest = [model for model in step.plan.toggled if self._used_elsewhere(step.plan, model)]
            splicer.taped(step.plan, untold_models(self.module, step.plan), rest)
            self.gone += (item.context_expr.func for item in step.plan.head.items)  # type: ignore[attr-defined]
        elif step.plan is not None:
            front = computing(self.module.block(step.plan.backward)[0], step.plan.backward)
            nodes = [*front, *([] if step.plan.region else [step.plan.value])]
            calls = model_calls(nodes, step.plan.training)
            self.touched |= set(map(id, calls))
            splicer.flag(calls)
            splicer.stepped(step.plan)
            contexts = paused(self.module, step.plan)
            splicer.pause(contexts, self.target.facts.steps.shown)
            self.gone += (callee(item.context_expr) for node in contexts for item in node.items)
        self.changes += splicer.changes

    def _report_mode(self, step: Retargeted) -> None:
        """A torch model is in training mode from the start, others are not: warn where the file does not set the mode."""
        start = self.target.facts.models.start
        if start is None:
            return
        if step.plan is None and not any(map(self._trains, self.module.attributes("set_train"))):
            said = f"the file never calls set_train(), so that it trains in inference mode, while {start}"
            self.findings.append(Finding(MODE_DIFFERS, said, step.event.call))
        elif step.called is not None:
            for model in untrained_models(self.module, step.called.function):
                said = (
                    f"if {'.'.join(model)} is a model, it computes in inference mode without set_train(), while {start}"
                )
                self.findings.append(Finding(MODE_DIFFERS, said, step.event.call))
        if step.plan is None or step.plan.head is None:
            return
        for model in (*untold_models(self.module, step.plan, sure=False), *untold_in_functions(self.module, step.plan)):
            said = f"if {'.'.join(model)} is a model, it is called in inference mode under the tape, while {start}"
            self.findings.append(Finding(MODE_DIFFERS, said, step.event.call))

    def _trains(self, node: ast.Attribute) -> bool:
        """Tell whether `model.set_train` is called, and not to put the model into inference mode."""
        call = self.module.parent(node)
        given = argument_values(call) if isinstance(call, ast.Call) else [node]
        return not any(isinstance(value, ast.Constant) and not value.value for value in given)

    def _used_elsewhere(self, plan: PlainStep, model: Chain) -> bool:
        """Tell whether the file may call a Keras model outside the step, where it is not in training mode by itself."""
        assert plan.head is not None
        inside = {id(node) for node in inner(plan.head)} | self._applied
        for node in (*self.module.names(model[-1]), *self.module.attributes(model[-1])):
            parent, whole = self.module.parent(node), node
            while isinstance(outer := self.module.parent(whole), ast.Attribute):
                whole = outer
            if id(node) in inside or not isinstance(getattr(whole, "ctx", None), ast.Load) or chain_of(node) is None:
                continue
            rest = parent.attr if isinstance(parent, ast.Attribute) else ""
            given = isinstance(parent, ast.Call | ast.keyword | ast.Starred)
            call = self.module.call_of(node)
            told = call is not None and _trains(call)
            if (rest and rest not in _SILENT) or (not rest and given and not told):
                return True
        return False

    @cached_property
    def _applied(self) -> set[int]:
        """What is given to `optimizer.apply_gradients(...)`, by id."""
        calls = (self.module.parent(node) for node in self.module.attributes("apply_gradients"))
        given = [node.args[0] for node in calls if isinstance(node, ast.Call) and node.args]
        return {id(item) for node in given for item in inner(node)}

    def _copies_model(self, call: ast.Call) -> bool:
        """`copy.deepcopy(model)`."""
        if not self.module.paths(call.func) <= {"copy.deepcopy", "copy.copy"} or len(call.args) != 1:
            return False
        return any(use is call.args[0] for use in model_uses(self.training))

    def _drop_functions(self) -> None:
        """Gradient functions that nothing uses any more go away."""
        made: dict[int, list[Retargeted]] = {}
        for step in self.done:
            if step.called is not None and step.called.made.statement is not None:
                made.setdefault(id(step.called.made.statement), []).append(step)
            elif step.called is not None:
                self.gone.append(step.called.made.call.func)
        for steps in made.values():
            called = steps[0].called
            assert called is not None
            assert called.made.statement is not None
            block, _ = self.module.block(called.made.statement)
            variable = self.module.variable(called.made.statement.targets[0])
            if variable is not None and len(variable.uses) == len(steps) and len(block) > 1:
                self.changes.append(Delete(called.made.statement, blank_lines=True))
                self.gone.append(called.made.call.func)

    def _remains(self, framework: Framework) -> Iterator[tuple[ast.expr, str | None]]:
        """What else of the file is the source framework's."""
        done: list[ast.AST] = [site.node for site in self.sites.calls]
        done += [*(item.node for item in self.sites.mentions if isinstance(item.node, ast.AST)), *self.gone]
        known = {id(item) for node in done for item in inner(node)}
        roots = frozenset(self.tables.roots[framework])
        for node, _ in self.module.references(roots).references:
            paths = self.module.paths(node) if id(node) not in known else ()
            leads = any(path is not None and path.partition(".")[0] in roots for path in paths)
            if leads and not is_alias(self.module.parent(node), node):
                yield node, None
        models, flag = self.target.facts.models, framework.facts.models.flag
        words = models.lacking.get(framework, {})
        plans = [step.plan for step in self.done if step.plan is not None]
        gone = {id(node) for plan in plans for item in (plan.step, *plan.gone) for node in inner(item)}
        for node in self.module.nodes(ast.Call, ast.Attribute):
            if id(node) in known or id(node) in self.touched or id(node) in gone:
                continue
            if isinstance(node, ast.Attribute):
                if self.module.call_of(node) is None and asks(self.module, node, words):
                    yield node, f".{node.attr}: {words[node.attr]}"
            elif "deepcopy" in words and self._copies_model(node):
                yield node, f"deepcopy(): {words['deepcopy']}"
            elif isinstance(node.func, ast.Attribute) and node.func.attr in words and node.func.attr != "deepcopy":
                yield node, f".{node.func.attr}(): {words[node.func.attr]}"
            elif flag is not None and any(word.arg == flag for word in node.keywords):
                yield node, f"{flag}=...: {models.mode}"


def _losses(step: Retargeted) -> list[LossCell]:
    """The cells that compute the loss of a step."""
    found = [step.cell.loss if step.cell is not None else None, step.called.cell if step.called is not None else None]
    return [item for item in found if item is not None]


def _trains(call: ast.Call) -> bool:
    """`model(x, training=True)`."""
    values = [word.value for word in call.keywords if word.arg == "training"]
    return any(isinstance(value, ast.Constant) and value.value is True for value in values)
