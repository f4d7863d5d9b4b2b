"""A plain step to the idiom of torch or of TensorFlow: the edits, and what they do to the tree.

The step's own lines stay as they are, at another indentation where a gradient tape comes or goes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import NamedTuple

from optmap.mapping.model import Framework
from optmap.source.calls import comments_in, read_call
from optmap.source.edits import Edit, line_indent, rest_of_line
from optmap.source.text import Source
from optmap.translate.parameters.groups import ACCESSORS
from optmap.translate.steps.read.plan import Plan
from optmap.translate.steps.read.targets import Step
from optmap.translate.steps.read.value_and_grad import Called
from optmap.translate.steps.write.layout import (
    LINES,
    behind_header,
    edited,
    indentation_unit,
    line_start,
    reindented,
    removal,
)
from optmap.translate.verify import Kept


class Words(NamedTuple):
    """The names that a step is written with; `made` is how `tf.GradientTape` is spelled, empty for torch."""

    tape: str
    gradients: str
    loss: str
    made: str


class Splicer:
    """Collects the edits of one step. `inner` are edits inside its forward part, which are made where its lines move."""

    def __init__(self, source: Source, step: Step, words: Words, inner: Sequence[Edit]) -> None:
        self.source = source
        self.step = step
        self.words = words
        self.inner = inner
        self.edits: list[Edit] = []
        self.statements: dict[int, list[ast.stmt | Kept]] = {}
        self.fresh: list[ast.AST] = []

    def called(self, called: Called) -> None:
        """A gradient function's call becomes one of the forward function, and what takes its gradients."""
        targets = ", ".join(called.targets)
        node = self._new(f"{targets} = {called.forward}()")
        assert isinstance(node, ast.Assign)
        assert isinstance(node.value, ast.Call)
        node.value.args, node.value.keywords = called.call.args, called.call.keywords
        start, end = self.source.start(called.statement), self.source.end(called.statement)
        text = f"{targets} = {called.forward}"
        indent = line_indent(self.source, start)
        behind = rest_of_line(self.source, end).end
        newline = self.source.newline + indent
        if self.words.made:
            unit = indentation_unit(self.source, called.statement)
            before, after = f"{self._with()}{newline}{unit}", self._gradient(called.gradients, called.targets[0])
            first: list[ast.stmt | Kept] = [self._under([node])]
            self._indent(called.call, indent, unit)
        else:
            before, after = f"{self.step.holder}.zero_grad(){newline}", f"{called.targets[0]}.backward()"
            first = [self._new(f"{self.step.holder}.zero_grad()"), node]
        self.edits.append(Edit(start, self.source.end(called.call.func), before + text))
        self.edits.append(Edit(behind, behind, newline + after))
        self.statements[id(called.statement)] = [*first, self._new(after)]
        self._update(called.step, called.gradients)

    def _indent(self, call: ast.Call, indent: str, unit: str) -> None:
        """Move the lines on which a call goes on, unless a string goes over several of them."""
        strings = (node for node in ast.walk(call) if isinstance(node, ast.Constant | ast.JoinedStr))
        if any(node.end_lineno != node.lineno for node in strings):
            return
        start, end = self.source.end(call.func), self.source.end(call)
        for match in re.finditer(rb"\r\n|\r|\n", self.source.body[start:end]):
            at = start + match.end()
            if self.source.body[at:].startswith(indent.encode()):
                self.edits.append(Edit(at, at, unit))

    def taped(self, plan: Plan, rest: Sequence[tuple[str, ...]]) -> None:
        """A gradient tape goes away. The models in `rest` go back to evaluation mode behind the forward part."""
        head = plan.head
        assert head is not None
        indent = line_indent(self.source, self.source.start(head))
        before = [*(f"{'.'.join(model)}.train()" for model in plan.toggled), f"{self.step.holder}.zero_grad()"]
        after = [f"{'.'.join(model)}.eval()" for model in rest]
        start, end = behind_header(self.source, head), rest_of_line(self.source, self.source.end(plan.region[-1])).end
        own = line_indent(self.source, self.source.start(plan.region[0]))
        text = reindented(edited(self.source, start, end, self.inner), own, indent)
        newline = self.source.newline
        lines = "".join(f"{indent}{line}{newline}" for line in before) + text
        lines += "".join(f"{newline}{indent}{line}" for line in after)
        self.edits.append(Edit(line_start(self.source, head), end, lines))
        self.statements[id(head)] = [*map(self._new, before), *map(Kept, plan.region), *map(self._new, after)]
        self._replace(plan.backward, f"{plan.loss}.backward()")
        self._update(plan.step, "")

    def stepped(self, plan: Plan) -> None:
        """The forward part of a torch step goes under a gradient tape."""
        source = self.source
        for node in plan.gone:
            if node is not plan.backward:
                self.statements[id(node)] = []
        loss = plan.loss or self.words.loss
        unit = indentation_unit(source, plan.step)
        gradient = self._gradient(self.words.gradients, loss)
        if plan.region:
            first, last = plan.region[0], plan.region[-1]
            indent = line_indent(source, source.start(first))
            start, end = line_start(source, first), rest_of_line(source, source.end(last)).end
            inside = [node for node in plan.gone if start <= source.start(node) < end]
            gone = [removal(source, node) for node in inside]
            text = reindented(edited(source, start, end, [*self.inner, *gone]), indent, indent + unit)
            self.edits.append(Edit(start, end, f"{indent}{self._with()}{source.newline}{text}"))
            self.edits += [removal(source, node) for node in plan.gone if node not in (*inside, plan.backward)]
            self.statements |= {id(node): [] for node in plan.region}
            self.statements[id(first)] = [self._under([Kept(node) for node in plan.region])]
            self._replace(plan.backward, gradient)
        else:
            self._alone(plan, f"{loss} = ", gradient, unit)
        self._update(plan.step, self.words.gradients)

    def _alone(self, plan: Plan, text: str, gradient: str, unit: str) -> None:
        """`criterion(model(x), y).backward()`: the loss gets a name."""
        source, back = self.source, plan.backward
        start, end = source.start(back), source.end(back)
        newline = source.newline + line_indent(source, start)
        value = edited(source, start, source.end(plan.value), self.inner)
        behind = rest_of_line(source, end).end
        self.edits.append(Edit(start, end, f"{self._with()}{newline}{unit}{text}{value}"))
        self.edits.append(Edit(behind, behind, newline + gradient))
        self.edits += [removal(source, node) for node in plan.gone if node is not back]
        node = self._new(f"{text}0")
        assert isinstance(node, ast.Assign)
        node.value = plan.value
        self.statements[id(back)] = [self._under([node]), self._new(gradient)]

    def drop(self, statement: ast.stmt) -> None:
        """Take a statement away, and the blank lines behind it where some stand before it, too."""
        edit = removal(self.source, statement)
        comments = comments_in(self.source, self.source.start(statement), self.source.end(statement))
        indent = line_indent(self.source, self.source.start(statement))
        lines = LINES.findall(self.source.body[: edit.start].decode())
        if comments and not edit.text and edit.start == line_start(self.source, statement):
            edit = edit._replace(
                text="".join(f"{indent}{comment.strip()}{self.source.newline}" for comment in comments)
            )
        elif self.source.parts is None and not edit.text and (len(lines) < 2 or not lines[-2].strip()):
            blank = re.compile(rb"(?:[ \t]*(?:\r\n|\r|\n))*").match(self.source.body, edit.end)
            edit = edit._replace(end=blank.end() if blank is not None else edit.end)
        self.edits.append(edit)
        self.statements[id(statement)] = []

    def flag(self, calls: Sequence[ast.Call], expressions: dict[int, ast.AST]) -> list[Edit]:
        """Tell calls of models that they are for training; what becomes of them is added to `expressions`."""
        found = []
        for call in calls:
            items = read_call(self.source, call).items.pieces
            at = items[-1].end if items else self.source.end(call) - 1
            found.append(Edit(at, at, ", training=True" if items else "training=True"))
            word = ast.keyword("training", ast.Constant(True))
            new = ast.Call(call.func, call.args, [*call.keywords, word])
            self.fresh += [new, word, word.value]
            expressions[id(call)] = new
        return found

    def _update(self, statement: ast.Expr, gradients: str) -> None:
        text = f"{self.step.holder}.step()"
        if self.words.made:
            text = f"{self.step.holder}.apply_gradients(zip({gradients}, {self._variables()}))"
        self._replace(statement, text)

    def _replace(self, statement: ast.stmt, text: str) -> None:
        self.edits.append(Edit(self.source.start(statement), self.source.end(statement), text))
        self.statements[id(statement)] = [self._new(text)]

    def _variables(self) -> str:
        return f"{'.'.join(self.step.model)}.{ACCESSORS[Framework.TENSORFLOW].trainable}"

    def _gradient(self, gradients: str, loss: str) -> str:
        return f"{gradients} = {self.words.tape}.gradient({loss}, {self._variables()})"

    def _with(self) -> str:
        return f"with {self.words.made}() as {self.words.tape}:"

    def _under(self, body: Sequence[ast.stmt | Kept]) -> ast.stmt:
        node = self._new(f"{self._with()} pass")
        assert isinstance(node, ast.With)
        node.body = list(body)  # type: ignore[arg-type]
        return node

    def _new(self, text: str) -> ast.stmt:
        node = ast.parse(text).body[0]
        self.fresh += ast.walk(node)
        return node
