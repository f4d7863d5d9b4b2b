"""What takes the place of a training step that was read, as code for people: in the words of the file and of its target."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Shown, fill
from optmap.source.model import Module
from optmap.source.syntax import chain_of, inner
from optmap.source.text import Source
from optmap.translate.discover.trained import Chain
from optmap.translate.steps.read.plan import PlainStep
from optmap.translate.steps.read.targets import Retargeted
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.translate.steps.write.clips import clipping
from optmap.translate.steps.write.fresh_names import UsedNames, free
from optmap.translate.steps.write.pieces import BEFORE, BEHIND, Piece, filled, shown, text_of


def shown_step(source: Source, step: Retargeted, target: Framework, used: UsedNames) -> str:
    """The code for a step; names that it needs are added to those that are `used`. Raises NotPlain where it has none."""
    words = target.facts.steps.shown
    if not words.gradients:
        raise NotPlain(Why.NOT_WRITTEN, framework=target.facts.title)
    module = Module.of(source)
    if step.cell is not None:
        return with_imports(module, shown(module, _cells(module, step, target, used)), words, target)
    pieces = _Called(source, step, words, used) if step.called is not None else _Planned(source, step, words, used)
    return with_imports(module, shown(module, pieces.all()), words, target)


def with_imports(module: Module, code: str, words: Shown, target: Framework) -> str:
    """The code behind the import that its own words need. Raises NotPlain where the file binds that name to something else."""
    own = " ".join(value for value in words if isinstance(value, str)) + " ".join(words.clip.values())
    needed = []
    for name, path in target.facts.names.items():
        if not (re.search(rf"(?<![\w.]){name}\.", code) and re.search(rf"(?<![\w.]){name}\.", own)):
            continue
        variable = module.bound(name, at=module.tree)
        if variable is None:
            needed.append(f"import {path}" if path == name else f"import {path} as {name}")
        elif {binding.path for binding in variable.bindings} != {path}:
            raise NotPlain(Why.NAME_TAKEN, name=name)
    return "\n".join((*needed, "", code)) if needed else code


class _Pieces:
    """The pieces of one step: what computes the gradients, and what gives them to the optimizer."""

    def __init__(self, source: Source, step: Retargeted, words: Shown, used: UsedNames) -> None:
        self.source = source
        self.step = step
        self.words = words
        self.used = used
        backward = step.plan.backward if step.plan is not None else None
        kept = backward.targets[0] if isinstance(backward, ast.Assign) else None
        self.names = {
            "optimizer": step.holder, "model": ".".join(step.model), "tape": free("tape", used, keep=True),
            "grads": kept.id if isinstance(kept, ast.Name) else free("grads", used, keep=True),
        }  # fmt: skip

    def all(self) -> Iterator[Piece]:
        """Every piece, in any order."""
        raise NotImplementedError

    def fill(self, template: str, **texts: str) -> str:
        return filled(template, **{**self.names, **texts})


class _Called(_Pieces):
    """A step whose gradient function goes, and whose forward function is called in its place."""

    def all(self) -> Iterator[Piece]:
        called = self.step.called
        assert called is not None
        given = deepcopy(called.call)
        given.func = ast.parse(called.forward, mode="eval").body
        results = called.targets or (free("loss", self.used, keep=True),)
        self.names |= {"grads": called.gradients, "loss": results[0]}
        targets = ", ".join(results)
        yield Piece([called.statement], self.fill(self.words.called, call=ast.unparse(given), targets=targets))
        for clip in called.clips:
            yield Piece([clip.statement], clipping(clip, self.words.clip, called.gradients, self.names["model"]))
        last = next((clip.made for clip in reversed(called.clips)), called.gradients)
        yield Piece([called.step], self.fill(self.words.update, grads=last))
        made = called.made.statement
        if made is not None and self._is_idle(made):
            yield Piece([made], "")

    def _is_idle(self, made: ast.Assign) -> bool:
        """Tell whether a gradient function is only called, so that nothing uses it once its steps are replaced."""
        module = Module.of(self.source)
        variable = module.variable(made.targets[0])
        calls = [module.parent(use) for use in variable.uses] if variable is not None else [None]
        return all(isinstance(call, ast.Call) and call.func in variable.uses for call in calls if variable is not None)


def _cells(module: Module, step: Retargeted, target: Framework, used: UsedNames) -> Iterator[Piece]:
    """The functions that take the place of cells, and the modes of models that were theirs."""
    from optmap.translate.steps.write.cells import loss_function, step_function

    assert step.cell is not None
    words, (root, _, tape) = target.facts.steps.shown, (target.facts.steps.tape or "").partition(".")
    made = f"{next((name for name, path in target.facts.names.items() if path == root), root)}.{tape}"
    names = {name: free(name, used, keep=True) for name in ("tape", "grads", "loss", "scaled")}
    yield Piece([step.cell.statement], step_function(step, words, {**names, "made": made}))
    for statement, text in loss_function(step.cell.loss):
        yield Piece([statement], text)
    for node in (*step.cell.modes, *step.cell.loss.modes):
        yield Piece([module.statement(node)], fill(words.training, model=ast.unparse(step.cell.loss.model)))


class _Planned(_Pieces):
    """A step whose statements compute the loss, and move into a function or under a gradient tape where the target has these."""

    def all(self) -> Iterator[Piece]:
        plan = self.plan = self._plan()
        if plan.shared:
            raise NotPlain(Why.ONLY_TOGETHER)
        self.names["loss"] = plan.loss or free("loss", self.used, keep=True)
        if plan.head is not None:
            self.names["model"] = ".".join(plan.holder.models[0]) if plan.holder.models else self.names["model"]
        if plan.clips and plan.clips[0].given:
            self.names["grads"] = plan.clips[0].given
        if self.words.before:
            self.names |= {"forward": free("forward_fn", self.used), "function": free("grad_fn", self.used)}
            yield Piece([plan.hoist], self._definition(), BEFORE)
        for ready in plan.ready:
            yield Piece([ready.statement], self._modes(ready.models, self.words.training), BEHIND)
        yield from self._gradients()
        yield from self._update()

    def _plan(self) -> PlainStep:
        assert self.step.plan is not None
        return self.step.plan

    def _definition(self) -> str:
        plan = self.plan
        value = plan.loss or self._value()
        code = self.fill(
            self.words.before, given=", ".join(plan.arguments), body=self._body(), results=", ".join((value, *plan.returned)),
            loss=value, and_given="".join(f", {name}" for name in plan.arguments),
            more=self.words.more if plan.returned else "",
        )  # fmt: skip
        modes = [self._modes(plan.training, self.words.training)] * bool(plan.training)
        return "\n\n".join((*modes, code))

    def _body(self) -> str:
        return "\n".join(self._text(item) for item in self.plan.region)

    def _text(self, statement: ast.stmt | ast.expr) -> str:
        """A statement of the forward part, or the loss, without what only the source framework is told."""
        told = Told(self.step, self.words, self.names["tape"])
        asked = any(isinstance(node, ast.Call | ast.With) and told.concerns(node) for node in inner(statement))
        changed = told.visit(deepcopy(statement)) if asked else statement
        if not told.changed:
            return text_of(self.source, statement) if isinstance(statement, ast.stmt) else ast.unparse(statement)
        return "\n".join(map(ast.unparse, changed if isinstance(changed, list) else [changed]))

    def _value(self) -> str:
        return self._text(self.plan.value)

    def _gradients(self) -> Iterator[Piece]:
        plan = self.plan
        run = self._run()
        lines = self._around()
        if self.words.before:
            named = f"({', '.join((self.names['loss'], *plan.returned))})" if plan.returned else self.names["loss"]
            given = ", ".join(plan.arguments)
            code = self.fill(self.words.gradients, targets=named, given=given,
                             and_given="".join(f", {name}" for name in plan.arguments))  # fmt: skip
        else:
            body = [self._body()] if plan.region else []
            body += [f"{self.names['loss']} = {self._value()}"] * (plan.loss is None)
            code = self.fill(self.words.gradients, body="\n".join(body))
        last = [self.fill(self.words.total, total=self._total())] * (plan.loop is not None)
        yield Piece(run, "\n".join((*lines[0], code, *last, *lines[1])))

    def _run(self) -> Sequence[ast.stmt]:
        """The statements that the call takes the place of: those of the forward part and what goes between them."""
        plan = self.plan
        if plan.head is not None:
            return [plan.head]
        if not plan.region:
            return [plan.backward]
        block, _ = Module.of(self.source).block(plan.region[0])
        return block[block.index(plan.region[0]) : block.index(plan.region[-1]) + 1]

    def _around(self) -> tuple[list[str], list[str]]:
        """The modes of models for a call alone, as Keras has them."""
        plan, words = self.plan, self.words
        if plan.head is None or not words.training:
            return [], []
        training = [self._modes(plan.toggled, words.training)] * bool(plan.toggled)
        evaluation = [self._modes(plan.toggled, words.evaluation)] * bool(plan.toggled)
        if words.before:
            return training, evaluation
        from optmap.translate.steps.read.tape import untold_models

        untold = untold_models(Module.of(self.source), plan)
        return [*[self._modes(untold, words.evaluation)] * bool(untold), *training], []

    def _modes(self, models: Sequence[Chain], template: str) -> str:
        return "\n".join(fill(template, model=".".join(model)) for model in models)

    def _update(self) -> Iterator[Piece]:
        plan = self.plan
        run = {id(item) for item in self._run()}
        summed = {"grads": self._total()} if plan.loop is not None else {}
        for statement in plan.gone:
            if id(statement) not in run:
                clears = plan.loop is not None and statement is not plan.backward
                yield Piece([statement], f"{self._total()} = None" if clears else "")
        for clip in plan.clips:
            if clip.how not in self.words.clip:
                raise NotPlain(Why.CLIPPED, line=clip.statement.lineno)
            gradients = summed.get("grads", self.names["grads"])
            yield Piece([clip.statement], clipping(clip, self.words.clip, gradients, self.names["model"]))
        summed = summed or {"grads": plan.clipped(self.names["grads"])}
        yield Piece([plan.step], self.fill(self.words.update, **summed))
        if plan.loop is not None:
            yield Piece([plan.loop], f"{self._total()} = None", BEFORE)

    def _total(self) -> str:
        if "total" not in self.names:
            self.names["total"] = free("total", self.used)
        return self.names["total"]


class Told(ast.NodeTransformer):
    """What only one framework is told: the mode in each call of a model, the context of a part of the step."""

    def __init__(self, step: Retargeted, words: Shown, tape: str) -> None:
        assert step.plan is not None
        self.off = {path.rpartition(".")[2] for path in step.event.site.api.framework.facts.steps.recording.unrecorded}
        self.paused = fill(words.paused, tape=tape)
        self.toggled = step.plan.toggled
        self.flagged = () if words.training else step.plan.training
        self.stop = words.stop
        self.changed = False

    def concerns(self, node: ast.Call | ast.With) -> bool:
        """Tell whether a call or block may have to change, whatever becomes of what it holds."""
        if isinstance(node, ast.With):
            return any(isinstance(item.context_expr, ast.Call) for item in node.items)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else None
        return (bool(self.stop) and name == "detach") or chain_of(node.func) in (*self.toggled, *self.flagged)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if self.stop and isinstance(node.func, ast.Attribute) and node.func.attr == "detach" and not node.args:
            self.changed = True
            return ast.Call(ast.parse(self.stop, mode="eval").body, [node.func.value], [])
        chain = chain_of(node.func)
        told = [word for word in node.keywords if word.arg == "training"]
        if chain in self.toggled and told:
            node.keywords.remove(told[0])
            self.changed = True
        elif chain in self.flagged and not told:
            node.keywords.append(ast.keyword("training", ast.Constant(True)))
            self.changed = True
        return node

    def visit_With(self, node: ast.With) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        calls = [item.context_expr for item in node.items]
        called = {(chain_of(call.func) or ("",))[-1] for call in calls if isinstance(call, ast.Call)}
        self.changed = self.changed or called <= {"autocast"} or called <= self.off
        if called <= {"autocast"}:
            return node.body
        if not called <= self.off:
            return node
        if self.paused:
            return ast.With([ast.withitem(ast.parse(self.paused, mode="eval").body)], node.body, lineno=node.lineno)
        stored = (item for item in inner(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store))
        names = dict.fromkeys(item.id for item in stored)
        return [*node.body, *(ast.parse(f"{name} = {self.stop}({name})").body[0] for name in names)]
