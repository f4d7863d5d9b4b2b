"""A plain step to the idiom of torch or of TensorFlow.

The step's own lines stay as they are, at another indentation where a gradient tape comes or goes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from optmap.mapping.frameworks import Shown, fill
from optmap.source.calls import Form, read_call
from optmap.source.changes import Change, Delete, Insert, Replace, Where
from optmap.source.model import Module
from optmap.source.syntax import inner
from optmap.source.templates import CallTemplate, NewArgument, Template, copied, template
from optmap.source.text import Source
from optmap.translate.steps.read.detached import records_nothing
from optmap.translate.steps.read.plan import Clip, PlainStep
from optmap.translate.steps.read.targets import Retargeted
from optmap.translate.steps.read.value_and_grad import GradientCall
from optmap.translate.steps.write.cells import loss_changes, step_changes
from optmap.translate.steps.write.clips import clipping, own_clipping
from optmap.translate.steps.write.forward import gone_changes, run_of
from optmap.values import NamedTuple


class Words(NamedTuple):
    """The names that a step is written with.

    `made` is how the gradient tape is spelled, empty where there is none; `variables` what a model gives its variables by.
    `clip` says how gradients are clipped, with the names of the framework as the file spells them. `total` is what gradients
    are added up in, `sums` the line that does so. `taken` takes gradients of parameters alone, `assigned` sets them.
    """

    tape: str
    gradients: str
    loss: str
    made: str
    variables: str = ""
    clip: Mapping[str, str] = {}
    total: str = ""
    sums: str = ""
    scaled: str = ""
    taken: str = ""
    assigned: str = ""


class Splicer:
    """Collects the changes of one step."""

    def __init__(self, source: Source, step: Retargeted, words: Words) -> None:
        self.source = source
        self.step = step
        self.words = words
        self.changes: list[Change] = []

    def called(self, called: GradientCall) -> None:
        """A gradient function's call becomes one of the forward function, and what takes its gradients."""
        targets = called.targets or (self.words.loss,)
        text = f"{', '.join(targets)} = $call"
        if self.words.made:
            before, after = f"{self._with()}\n    ", self._gradient(called.gradients, targets[0])
        else:
            before, after = f"{self.step.holder}.zero_grad()\n", f"{targets[0]}.backward()"
        self.changes.append(Replace(called.call.func, Template(called.forward)))
        self.changes.append(Replace(called.statement, template(before + text, call=called.call)))
        self.changes.append(Insert(called.statement, Where.AFTER, Template(after)))
        self.changes += loss_changes(Module.of(self.source), called.cell) if called.cell is not None else ()
        self._clip(called.clips)
        self._update(called.step, next((clip.made for clip in reversed(called.clips)), called.gradients))

    def cell(self, shown: Shown) -> None:
        """A cell that makes steps becomes a function."""
        words = self.words
        names = {"tape": words.tape, "grads": words.gradients, "loss": words.loss, "scaled": words.scaled}
        self.changes += step_changes(Module.of(self.source), self.step, shown, {**names, "made": words.made})

    def taped(self, plan: PlainStep, untold: Sequence[tuple[str, ...]], rest: Sequence[tuple[str, ...]]) -> None:
        """A gradient tape goes away.

        The models that are `untold` that they are for training are in evaluation mode for the forward part; those in `rest`
        go back to it.
        """
        assert plan.head is not None
        lines = [f"{'.'.join(model)}.eval()" for model in untold]
        lines += (f"{'.'.join(model)}.train()" for model in plan.toggled)
        lines += [] if plan.shared else [f"{self.step.holder}.zero_grad()"]
        lines += ["$body", *(f"{'.'.join(model)}.eval()" for model in rest)]
        self.changes.append(Replace(plan.head, template("\n".join(lines), body=run_of(self.source, plan))))
        self.changes += (Delete(node) for node in plan.gone if node is not plan.backward)
        self._clip(plan.clips)
        if plan.shared:
            self._replace(plan.backward, self.words.taken)
            self._replace(plan.step, f"{self.words.assigned}\n{self._updating('')}")
            return
        if plan.backward is plan.step:
            self._replace(plan.step, f"{plan.loss}.backward()\n{self._updating('')}")
            return
        self._replace(plan.backward, f"{plan.loss}.backward()")
        self._update(plan.step, "")

    def stepped(self, plan: PlainStep) -> None:
        """The forward part of a torch step goes under a gradient tape."""
        loss = plan.loss or self.words.loss
        gradient = self._gradient(self.words.gradients, loss) + f"\n{self.words.sums}" * bool(self.words.sums)
        kept = plan._replace(gone=tuple(node for node in plan.gone if node is not plan.backward))
        summed = gone_changes(Module.of(self.source), kept, self.words.total)
        self.changes += summed
        run = run_of(self.source, plan)
        if run:
            text = f"{self._with()}\n    $body"
            whole = template(text, body=run)
            if plan.loss is None:  # (a + b).backward()
                whole = template(f"{text}\n    {loss} = {plan.sum or '$value'}", body=run, value=plan.value)
            self.changes.append(Replace(run, whole))
            self._replace(plan.backward, gradient)
        else:
            text = f"{self._with()}\n    {loss} = $value"
            self.changes.append(Replace(plan.backward, template(text, value=plan.value)))
            self.changes.append(Insert(plan.backward, Where.AFTER, Template(gradient)))
        self._clip(plan.clips)
        self._update(plan.step, plan.clipped(self.words.total or self.words.gradients))

    def pause(self, contexts: Sequence[ast.With], shown: Shown) -> None:
        """Contexts in which nothing is recorded are the tape's."""
        for item in (item for node in contexts for item in node.items):
            self.changes.append(Replace(item.context_expr, Template(fill(shown.paused, tape=self.words.tape))))

    def _clip(self, clips: Sequence[Clip]) -> None:
        for clip in clips:
            self._replace(
                clip.statement, clipping(clip, self.words.clip, self.words.total or self.words.gradients, self._model())
            )

    def flag(self, calls: Sequence[ast.Call]) -> None:
        """Tell calls of models that they are for training."""
        stars = {Form.UNPACKED_LIST: "*", Form.UNPACKED_MAPPING: "**"}
        for call in calls:
            arguments = enumerate(read_call(self.source, call).arguments)
            given = [
                NewArgument(stars.get(item.form, item.name), copied(item.node), index) for index, item in arguments
            ]
            flag = NewArgument("training", Template("True"))
            self.changes.append(Replace(call, CallTemplate(copied(call.func), (*given, flag), beside=True)))

    def _update(self, statement: ast.stmt, gradients: str) -> None:
        self._replace(statement, self._updating(gradients))

    def _updating(self, gradients: str) -> str:
        """What makes the update, and steps the scheduler."""
        if self.words.made:
            return f"{self.step.holder}.apply_gradients(zip({gradients}, {self._variables()}))"
        plan = self.step.plan
        own = own_clipping(plan, self.words.clip, gradients, self._model()) if plan is not None else ""
        return f"{own}{self.step.holder}.step()" + (f"\n{self.step.scheduler}.step()" if self.step.scheduler else "")

    def _replace(self, statement: ast.stmt, text: str) -> None:
        self.changes.append(Replace(statement, Template(text)))

    def _model(self) -> str:
        plan = self.step.plan
        taped = plan is not None and plan.head is not None and plan.holder.models
        return ".".join(plan.holder.models[0] if taped and plan is not None and plan.holder.models else self.step.model)

    def _variables(self) -> str:
        return f"{self._model()}.{self.words.variables}"

    def _gradient(self, gradients: str, loss: str) -> str:
        return f"{gradients} = {self.words.tape}.gradient({loss}, {self._variables()})"

    def _with(self) -> str:
        return f"with {self.words.made}() as {self.words.tape}:"


def paused(module: Module, plan: PlainStep | None) -> list[ast.With]:
    """The contexts of a forward part in which nothing is recorded."""
    if plan is None:
        return []
    facts = plan.event.site.api.framework.facts.steps.recording
    nodes = (node for item in plan.region for node in inner(item) if isinstance(node, ast.With))
    return [node for node in nodes if records_nothing(module, facts, node)]
