"""A plain training step to MindSpore's idiom: a forward function, `value_and_grad` over the optimizer's parameters, an update.

The text is spliced together from the step's own lines; what the tree must look like afterwards is built from its own nodes,
so that one can be held against the other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import NamedTuple

from optmap.source.edits import Edit, apply_edits, line_indent, rest_of_line
from optmap.source.text import Source
from optmap.translate.steps.read.plan import Plan, Ready
from optmap.translate.verify import Kept

LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")


class StepNames(NamedTuple):
    """What the new function and variables are called, and how `mindspore.value_and_grad` and `mindspore.ops` are spelled."""

    forward: str
    gradient_function: str
    gradients: str
    loss: str
    value_and_grad: str
    ops: str


class Rendered(NamedTuple):
    """The edits of one step, and what they do to the tree: what takes the place of which statements."""

    edits: list[Edit]
    before: tuple[ast.stmt, list[ast.stmt | Kept]]
    instead: dict[int, list[ast.stmt]]
    fresh: list[ast.AST]


def signature(plan: Plan, names: StepNames) -> tuple[str, str, str]:
    """The first line of the forward function, what it returns besides the loss, and the line that calls it."""
    loss = plan.loss or names.loss
    given = ", ".join(plan.arguments)
    targets = f"({', '.join((loss, *plan.returned))})" if plan.returned else loss
    call = f"{targets}, {names.gradients} = {names.gradient_function}({given})"
    return f"def {names.forward}({given}):", "".join(f", {name}" for name in plan.returned), call


def differentiate(plan: Plan, names: StepNames) -> str:
    """The line that makes the gradient function."""
    aux = ", has_aux=True" if plan.returned else ""
    return (
        f"{names.gradient_function} = {names.value_and_grad}({names.forward}, None, {plan.holder.text}.parameters{aux})"
    )


def render(source: Source, plan: Plan, names: StepNames, inner: Sequence[Edit]) -> Rendered:
    """Return the edits of one step; `inner` are other edits, those inside lines that move are made on the way."""
    writer = _Writer(source, plan, names, inner)
    return Rendered(writer.edits(), writer.definition(), writer.instead(), writer.fresh)


def make_ready(source: Source, ready: Ready) -> tuple[Edit, list[ast.stmt | Kept]]:
    """Put models into training mode behind the statement that constructs their optimizer."""
    lines = [f"{'.'.join(model)}.set_train()" for model in ready.models]
    indent = line_indent(source, source.start(ready.statement))
    end = rest_of_line(source, source.end(ready.statement)).end
    text = "".join(source.newline + indent + line for line in lines)
    return Edit(end, end, text), [Kept(ready.statement), *(ast.parse(line).body[0] for line in lines)]


class _Writer:
    def __init__(self, source: Source, plan: Plan, names: StepNames, inner: Sequence[Edit]) -> None:
        self.source = source
        self.plan = plan
        self.names = names
        self.inner = inner
        self.fresh: list[ast.AST] = []
        self.indent = line_indent(source, source.start(plan.anchor))
        self.hoisted = line_indent(source, source.start(plan.hoist))
        self.unit = indentation_unit(source, plan.step)

    def edits(self) -> list[Edit]:
        plan, source = self.plan, self.source
        _, _, call = signature(plan, self.names)
        update = f"{plan.holder.text}({self.names.gradients})"
        start, end = self._extent()
        lines = (source.newline + self.indent).join((*self._modes(True), call, *self._modes(False)))
        found = [self._definition_edit(), Edit(start, end, self.indent + lines)]
        found += [removal(self.source, node) for node in plan.gone if not start <= source.start(node) < end]
        found.append(Edit(source.start(plan.step), source.end(plan.step), update))
        for clip in plan.clips:
            text = clip.call(self.names.ops, self.names.gradients)
            found.append(Edit(source.start(clip.statement), source.end(clip.statement), text))
        return found

    def _modes(self, on: bool) -> list[str]:
        return [f"{'.'.join(model)}.set_train({'' if on else 'False'})" for model in self.plan.toggled]

    def _extent(self) -> tuple[int, int]:
        """From the beginning of the first line that moves to the end of the last; a lone backward pass keeps its comment."""
        source, region = self.source, self.plan.region
        start = line_start(source, self.plan.anchor)
        if not region:
            return start, source.end(self.plan.backward)
        return start, rest_of_line(source, source.end(region[-1])).end

    def _definition_edit(self) -> Edit:
        at = self._place()
        newline, inside = self.source.newline, self.hoisted + self.unit
        head, rest, _ = signature(self.plan, self.names)
        lines = [f"{self.hoisted}{'.'.join(model)}.set_train()" for model in self.plan.training]
        if lines or not self._stands_free(at):
            lines.append("")
        lines.append(self.hoisted + head)
        text = newline.join(lines) + newline + self._body(inside)
        value = self.plan.loss or self._value()
        text += f"{inside}return {value}{rest}{newline}{newline}"
        text += self.hoisted + differentiate(self.plan, self.names) + newline
        if isinstance(self.plan.hoist, ast.FunctionDef):
            text += newline
        return Edit(at, at, text)

    def _stands_free(self, at: int) -> bool:
        """Tell whether a block or a blank line ends in front of the offset."""
        for node in sorted(self.plan.gone, key=self.source.start, reverse=True):
            start = line_start(self.source, node)
            if start < at and not self.source.body[start:at].count(b"#") and removal(self.source, node).end == at:
                at = start
        lines = LINES.findall(self.source.body[:at].decode())
        before = lines[-2] if len(lines) > 1 else ""
        return not before.strip() or before.rstrip().endswith(":")

    def _place(self) -> int:
        """The beginning of the line of the statement that the function goes before, or of the comments right above it."""
        hoist = self.plan.hoist
        at = line_start(self.source, min([hoist, *getattr(hoist, "decorator_list", [])], key=self.source.start))
        while at > 0 and hoist is not self.plan.anchor:
            line = self.source.body.rfind(b"\n", 0, at - 1) + 1
            line = max(line, self.source.body.rfind(b"\r", 0, at - 1) + 1)
            text = self.source.body[line:at]
            if not text.lstrip().startswith(b"#") or not text.startswith(self.hoisted.encode()):
                break
            at = line
        return at

    def _body(self, indent: str) -> str:
        """The lines of the forward part with the edits that fall into them, at a new indentation."""
        if not self.plan.region:
            return ""
        start, end = self._extent()
        indentation = line_indent(self.source, self.source.start(self.plan.region[0]))
        if self.plan.head is not None:
            start = behind_header(self.source, self.plan.head)
        text = self._edited(start, end, [removal(self.source, node) for node in self.plan.gone])
        body = reindented(text, indentation, indent)
        return body if body.endswith(("\n", "\r")) else body + self.source.newline

    def _edited(self, start: int, end: int, more: Sequence[Edit] = ()) -> str:
        return edited(self.source, start, end, (*self.inner, *more))

    def _value(self) -> str:
        value = self.plan.value
        text = self._edited(self.source.start(value), self.source.end(value))
        return text if isinstance(value, ast.Call | ast.Name | ast.Attribute | ast.Subscript) else f"({text})"

    def definition(self) -> tuple[ast.stmt, list[ast.stmt | Kept]]:
        """The statements that stand before the hoist statement afterwards."""
        head, rest, _ = signature(self.plan, self.names)
        found: list[ast.stmt | Kept] = [self._new(f"{'.'.join(model)}.set_train()") for model in self.plan.training]
        function = self._new(f"{head}\n    return {self.plan.loss or '_'}{rest}")
        assert isinstance(function, ast.FunctionDef)
        result = function.body[0]
        assert isinstance(result, ast.Return)
        if self.plan.loss is None and isinstance(result.value, ast.Tuple):
            result.value.elts[0] = self.plan.value
        elif self.plan.loss is None:
            result.value = self.plan.value
        function.body = [*map(Kept, self.plan.region), result]  # type: ignore[list-item]
        return self.plan.hoist, [*found, function, self._new(differentiate(self.plan, self.names))]

    def instead(self) -> dict[int, list[ast.stmt]]:
        """What takes the place of each statement of the step."""
        _, _, call = signature(self.plan, self.names)
        moved = () if self.plan.head is not None else self.plan.region
        found: dict[int, list[ast.stmt]] = {id(node): [] for node in (*moved, *self.plan.gone)}
        found[id(self.plan.anchor)] = [self._new(line) for line in (*self._modes(True), call, *self._modes(False))]
        for clip in self.plan.clips:
            found[id(clip.statement)] = [self._new(clip.call(self.names.ops, self.names.gradients))]
        found[id(self.plan.step)] = [self._new(f"{self.plan.holder.text}({self.names.gradients})")]
        return found

    def _new(self, text: str) -> ast.stmt:
        node = ast.parse(text).body[0]
        self.fresh += ast.walk(node)
        return node


def edited(source: Source, start: int, end: int, edits: Sequence[Edit]) -> str:
    """The text between two offsets with the edits that fall into it."""
    moved = [
        Edit(edit.start - start, edit.end - start, edit.text)
        for edit in edits
        if start <= edit.start <= edit.end <= end
    ]
    return apply_edits(source.body[start:end], moved).decode()


def reindented(text: str, old: str, new: str) -> str:
    """Lines at a new indentation; those that do not begin with the old one stay, as they continue others or are empty."""
    moves = (line.strip() and line.startswith(old) for line in LINES.findall(text))
    return "".join(
        new + line[len(old) :] if move else line for move, line in zip(moves, LINES.findall(text), strict=True)
    )


def removal(source: Source, node: ast.stmt) -> Edit:
    """Take a statement away with its line; a comment on the line stays."""
    line = rest_of_line(source, source.end(node))
    rest = source.body[line.start : line.end]
    if rest.strip():
        return Edit(source.start(node), line.end - len(rest.lstrip()), "")
    start = line_start(source, node)
    match = re.compile(rb"\r\n|\r|\n").match(source.body, line.end)
    if match is not None:
        return Edit(start, match.end(), "")
    return Edit(len(source.body[:start].removesuffix(b"\n").removesuffix(b"\r")), line.end, "")


def behind_header(source: Source, head: ast.With) -> int:
    """Where the line after that of a with statement's head begins."""
    header = rest_of_line(source, source.end(head.items[0].optional_vars or head)).end
    match = re.compile(rb"\r\n|\r|\n").match(source.body, header)
    return match.end() if match is not None else source.start(head.body[0])


def line_start(source: Source, node: ast.stmt | ast.expr) -> int:
    start = source.start(node)
    return max(source.body.rfind(b"\n", 0, start), source.body.rfind(b"\r", 0, start)) + 1


def indentation_unit(source: Source, node: ast.stmt) -> str:
    """One level of indentation, as the nearest block around the statement has it."""
    own = line_indent(source, source.start(node))
    for match in re.finditer(
        rb"(?:^|[\r\n])([ \t]*)(?:for|while|if|with|def|class|else)\b[^\r\n]*:[^\r\n]*(?:\r\n|\r|\n)([ \t]+)",
        source.body,
    ):
        outer, inner = match[1].decode(), match[2].decode()
        if inner.startswith(outer) and len(inner) > len(outer) and (own.startswith(inner) or not own):
            return inner[len(outer) :]
    return "    "
