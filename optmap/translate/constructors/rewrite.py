"""A plan to edits of one call: names change in place, argument text is copied, the call keeps its layout."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from optmap.mapping.plan import Constant, FromArgument, Plan, TargetArgument
from optmap.mapping.values import Conversion, Value, convert, write_literal
from optmap.source.calls import Argument, CallText, Form, Items, Span, comments_in, display_items
from optmap.source.edits import (
    Edit,
    line_indent,
    remove_pieces,
    remove_range,
    rest_of_line,
    starts_line,
)
from optmap.source.text import Source

if TYPE_CHECKING:
    from optmap.mapping.formula import Formula


class Layout(NamedTuple):
    """How a call spreads its arguments: `exploded` means one a line, at `indent`."""

    exploded: bool
    indent: str

    def separator(self, newline: str) -> str:
        return f",{newline}{self.indent}" if self.exploded else ", "


def formula_text(formula: Formula, source: Source, call: CallText) -> str:
    """Write a formula; only schedules have any."""
    from optmap.translate.schedules.formula_text import write_formula

    return write_formula(formula, source, call)


def layout_of(source: Source, call: CallText) -> Layout:
    """Read the layout off the pieces: exploded if every piece, or every one but the first, begins its line."""
    pieces = call.items.pieces
    if not pieces:
        return Layout(False, "")
    own_line = [starts_line(source, piece.start) for piece in pieces]
    exploded = all(own_line[1:]) and (own_line[0] or len(pieces) > 1)
    return Layout(exploded, line_indent(source, pieces[-1].start) if exploded else "")


def call_edits(
    source: Source, call: CallText, values: Sequence[Value], plan: Plan, callee: str, inferred: str | None
) -> list[Edit]:
    """Return the edits that turn the call into what the plan says; `inferred` is the text of unnamed parameters."""
    return _CallRewriter(source, call, values, plan).edits(callee, inferred)


class _CallRewriter:
    def __init__(self, source: Source, call: CallText, values: Sequence[Value], plan: Plan) -> None:
        self.source = source
        self.call = call
        self.values = values
        self.plan = plan
        self.layout = layout_of(source, call)
        self.used: set[int] = set()
        self.changes: list[Edit] = []

    def edits(self, callee: str, inferred: str | None) -> list[Edit]:
        front: list[str] = []
        back: list[str] = []
        by_argument: dict[int, list[TargetArgument]] = {}
        for target in self.plan.arguments:
            indices = [piece.index for piece in target.pieces if isinstance(piece, FromArgument)]
            if indices:
                by_argument.setdefault(min(indices), []).append(target)
            elif all(isinstance(piece, Constant) for piece in target.pieces):
                back.append(f"{target.parameter.name}={self._constants(target)}")
            else:
                assert inferred is not None
                front.append(inferred)
        for index, targets in by_argument.items():
            self._argument(index, targets)
        gone = [index for index in range(len(self.call.arguments)) if index not in self.used]
        if back and gone and gone[-1] == len(self.call.arguments) - 1:
            back = self._reuse_place(back, gone)
        removed = remove_pieces(self.source, self.call.items, gone) if gone else []
        unwrapped = [
            remove_range(self.source, span.start, span.end)
            for span in self.call.wrapping
            if span.start < span.end and not any(edit.start <= span.start and span.end <= edit.end for edit in removed)
        ]
        if len(self.plan.arguments) > 1:
            self._bracket_lone_generator()
        before, behind = self._insertions(front, back, gone)
        callee_edit = Edit(self.call.callee.start, self.call.callee.end, callee)
        return [callee_edit, *before, *self.changes, *behind, *unwrapped, *removed]

    def _bracket_lone_generator(self) -> None:
        """A generator expression needs brackets of its own as soon as it is not the only argument."""
        for argument in self.call.arguments:
            if (
                isinstance(argument.node, ast.GeneratorExp)
                and self.source.start(argument.node) == self.call.items.open.start
            ):
                span = argument.span
                self.changes[:0] = [Edit(span.start, span.start, "("), Edit(span.end, span.end, ")")]

    def _reuse_place(self, back: list[str], gone: list[int]) -> list[str]:
        """Write new arguments where the last run of old ones goes away, so that commas and line breaks stay."""
        first = gone[-1]
        while first - 1 in gone:
            first -= 1
        gone.remove(first)
        span = self.call.arguments[first].span
        text = self.layout.separator(self.source.newline).join(back)
        end = span.end
        if first == len(self.call.arguments) - 1:
            text, end = self._leave_comment(text, end)
        self.changes.append(Edit(span.start, end, text))
        return []

    def _leave_comment(self, text: str, end: int) -> tuple[str, int]:
        """Give the comment of an argument that went away a line of its own, so that it does not seem to speak of another."""
        comma = self.call.items.trailing_comma
        line = rest_of_line(self.source, comma.end if comma else end)
        after = self.source.text(line.start, line.end)
        if not self.layout.exploded or not after.lstrip().startswith("#"):
            return text, end
        blank = len(after) - len(after.lstrip())
        return f"{text}{',' if comma else ''}{self.source.newline}{self.layout.indent}", line.start + blank

    def _argument(self, index: int, targets: list[TargetArgument]) -> None:
        argument = self.call.arguments[index]
        self.used.add(index)
        if len(targets) == 1 and not targets[0].compound and targets[0].pieces[0].element is None:  # type: ignore[union-attr]
            self._keep(argument, targets[0], targets[0].pieces[0])  # type: ignore[arg-type]
        elif len(targets) == 1 and targets[0].compound:
            text = ", ".join(self._piece_text(piece) for piece in targets[0].pieces)  # type: ignore[arg-type]
            self.changes.append(Edit(argument.span.start, argument.span.end, f"{targets[0].parameter.name}=({text})"))
        else:
            self._split(argument, targets)

    def _keep(self, argument: Argument, target: TargetArgument, piece: FromArgument) -> None:
        name = target.parameter.name
        if argument.form is Form.POSITIONAL:
            first = argument is self.call.arguments[0] and target.parameter.leads
            if not first:
                self.changes.append(Edit(argument.span.start, argument.span.start, f"{name}="))
        elif argument.entry:
            assert argument.name_span is not None
            self.changes.append(Edit(argument.name_span.start, argument.value_span.start, f"{name}="))
        elif argument.name != name:
            assert argument.name_span is not None
            self.changes.append(Edit(argument.name_span.start, argument.name_span.end, name))
        if piece.formula is not None:
            span = argument.value_span
            self.changes.append(Edit(span.start, span.end, formula_text(piece.formula, self.source, self.call)))
        else:
            self._convert(argument.value_span, self.values[piece.index], piece.conversion)

    def _convert(self, span: Span, value: Value, how: Conversion) -> None:
        if how is Conversion.NONE:
            return
        if value.known and not isinstance(value.literal, str | tuple | None):
            self.changes.append(Edit(span.start, span.end, write_literal(convert(value.literal, how))))  # type: ignore[arg-type]
        else:
            self.changes += [Edit(span.start, span.start, f"{how}("), Edit(span.end, span.end, ")")]

    def _split(self, argument: Argument, targets: list[TargetArgument]) -> None:
        """Turn one tuple argument into several arguments, one for each element that the target takes."""
        pieces = {_element(target): target for target in targets}
        elements = self.values[self.call.arguments.index(argument)].elements
        if elements is None:
            name = self.source.text(argument.value_span.start, argument.value_span.end)
            texts = [f"{pieces[k].parameter.name}={self._wrap(f'{name}[{k}]', pieces[k])}" for k in sorted(pieces)]
            joined = self.layout.separator(self.source.newline).join(texts)
            self.changes.append(Edit(argument.span.start, argument.span.end, joined))
            return
        assert isinstance(argument.node, ast.Tuple | ast.List)
        items = display_items(self.source, argument.node)
        if comments_in(self.source, argument.span.start, argument.span.end):
            self.changes.append(
                Edit(argument.span.start, argument.span.end, self._split_with_comments(items, pieces, elements))
            )
            return
        separator = self.layout.separator(self.source.newline)
        previous = argument.span.start
        for position, span in enumerate(items.pieces):
            if position not in pieces:
                continue
            lead = "" if previous == argument.span.start else separator
            self.changes.append(Edit(previous, span.start, f"{lead}{pieces[position].parameter.name}="))
            self._convert(span, elements[position], _conversion(pieces[position]))
            previous = span.end
        self.changes.append(Edit(previous, argument.value_span.end, ""))

    def _split_with_comments(self, items: Items, pieces: dict[int, TargetArgument], elements: tuple[Value, ...]) -> str:
        """Write each element on a line of its own, its comments above it: behind it a comma may have to follow."""
        lines: list[str] = []
        for position, span in enumerate(items.pieces):
            following = items.pieces[position + 1].start if position + 1 < len(items.pieces) else items.close.start
            lines += comments_in(self.source, span.end, following)
            if position not in pieces:
                continue
            text = _converted(self.source.text(span.start, span.end), elements[position], _conversion(pieces[position]))
            comma = "," if position < max(pieces) else ""
            lines.append(f"{pieces[position].parameter.name}={text}{comma}")
        lines[:0] = comments_in(self.source, items.open.end, items.pieces[0].start)
        return (self.source.newline + (self.layout.indent or "    ")).join(lines)

    def _wrap(self, text: str, target: TargetArgument) -> str:
        how = _conversion(target)
        return text if how is Conversion.NONE else f"{how}({text})"

    def _piece_text(self, piece: FromArgument | Constant) -> str:
        if isinstance(piece, Constant):
            return write_literal(piece.literal)
        span = self.call.arguments[piece.index].value_span
        text = self.source.text(span.start, span.end)
        if piece.element is not None:
            elements = self.call.arguments[piece.index].node
            inner = elements.elts[piece.element] if hasattr(elements, "elts") else None
            text = (
                f"{text}[{piece.element}]"
                if inner is None
                else self.source.text(self.source.start(inner), self.source.end(inner))
            )
        value = self.values[piece.index]
        if piece.element is not None and value.elements is not None:
            value = value.elements[piece.element]
        return _converted(text, value, piece.conversion)

    def _constants(self, target: TargetArgument) -> str:
        first = target.pieces[0]
        if isinstance(first, Constant) and first.formula is not None:
            return formula_text(first.formula, self.source, self.call)
        literals = tuple(piece.literal for piece in target.pieces if isinstance(piece, Constant))
        return write_literal(literals if target.compound else literals[0])

    def _insertions(self, front: list[str], back: list[str], gone: Sequence[int]) -> tuple[list[Edit], list[Edit]]:
        """New arguments that go before the first one that stays, and those that go behind the last."""
        items, newline = self.call.items, self.source.newline
        separator = self.layout.separator(newline)
        kept = [piece for index, piece in enumerate(items.pieces) if index not in gone]
        if not kept:
            at = items.pieces[0].start if items.pieces else items.open.end
            return ([Edit(at, at, separator.join(front + back))] if front or back else []), []
        before, behind = [], []
        if front:
            at = items.pieces[0].start
            start = next((span.start for span in self.call.wrapping if span.end == at), at)
            before.append(Edit(start, start, separator.join(front) + separator))
        if back:
            behind = self._append(kept[-1], separator.join(back), separator)
        return before, behind

    def _append(self, last: Span, text: str, separator: str) -> list[Edit]:
        """Add arguments behind the last one that stays, behind its comment where each argument has a line."""
        items = self.call.items
        comma = items.trailing_comma
        position = items.pieces.index(last)
        anchor = items.commas[position].end if comma is not None else last.end
        end = max([anchor, *(span.end for span in self.call.wrapping if span.start == last.end)])
        if not self.layout.exploded:
            return [Edit(end, end, f" {text}," if comma is not None else f", {text}")]
        line = rest_of_line(self.source, end)
        after = self.source.text(line.start, line.end).strip()
        broken = separator[1:]
        if after.startswith("#"):
            if comma is not None:
                return [Edit(line.end, line.end, f"{broken}{text},")]
            return [Edit(last.end, last.end, ","), Edit(line.end, line.end, f"{broken}{text}")]
        return [Edit(end, end, f"{broken}{text}," if comma is not None else f",{broken}{text}")]


def _converted(text: str, value: Value, how: Conversion) -> str:
    """The text of a value after a conversion: a literal in its new type, or the text inside a call of the type."""
    if how is Conversion.NONE:
        return text
    return write_literal(convert(value.literal, how)) if value.known else f"{how}({text})"  # type: ignore[arg-type]


def _element(target: TargetArgument) -> int:
    piece = target.pieces[0]
    assert isinstance(piece, FromArgument)
    assert piece.element is not None
    return piece.element


def _conversion(target: TargetArgument) -> Conversion:
    piece = target.pieces[0]
    return piece.conversion if isinstance(piece, FromArgument) else Conversion.NONE
