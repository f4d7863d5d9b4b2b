"""The text of a call that takes the place of one: names change in place, old text is kept, and so is the layout."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Protocol

from optmap.source.calls import Argument, CallText, Form, Items, Span, comments_in, display_items
from optmap.source.edits import Edit, line_indent, remove_pieces, remove_range, rest_of_line, starts_line
from optmap.source.templates import CallTemplate, NewArgument, Piece
from optmap.source.text import Source
from optmap.values import NamedTuple


class Writer(Protocol):
    """Writes templates: anew, or in the place of what stands there."""

    def render(self, pieces: Sequence[Piece]) -> str: ...
    def in_place(self, span: Span, pieces: Sequence[Piece]) -> list[Edit]: ...


class Layout(NamedTuple):
    """How a call spreads its arguments: `exploded` means one a line, at `indent`."""

    exploded: bool
    indent: str

    def separator(self, newline: str) -> str:
        return f",{newline}{self.indent}" if self.exploded else ", "


def layout_of(source: Source, call: CallText) -> Layout:
    """Read the layout off the pieces: exploded if every piece, or every one but the first, begins its line."""
    pieces = call.items.pieces
    if not pieces:
        return Layout(False, "")
    own_line = [starts_line(source, piece.start) for piece in pieces]
    exploded = all(own_line[1:]) and (own_line[0] or len(pieces) > 1)
    return Layout(exploded, line_indent(source, pieces[-1].start) if exploded else "")


class CallLayout:
    """Makes the edits of one call."""

    def __init__(self, source: Source, call: CallText, new: CallTemplate, writer: Writer) -> None:
        self.source = source
        self.call = call
        self.new = new
        self.writer = writer
        self.layout = layout_of(source, call) if not new.beside else Layout(False, "")
        self.separator = self.layout.separator(source.newline)
        self.changes: list[Edit] = []

    def edits(self) -> list[Edit]:
        front, back, by_argument = self._sorted()
        for index, given in by_argument.items():
            self._argument(self.call.arguments[index], given)
        gone = [index for index in range(len(self.call.arguments)) if index not in by_argument]
        if back and gone and gone[-1] == len(self.call.arguments) - 1:
            back = self._reuse_place(back, gone)
        removed = remove_pieces(self.source, self.call.items, gone) if gone else []
        unwrapped = [
            remove_range(self.source, span.start, span.end)
            for span in self.call.wrapping
            if span.start < span.end and not any(edit.start <= span.start and span.end <= edit.end for edit in removed)
        ]
        if len(self.new.arguments) > 1:
            self._bracket_lone_generator([self.call.arguments[index] for index in by_argument])
        before, behind = self._insertions(front, back, gone)
        callee = self.writer.in_place(self.call.callee, self.new.callee.pieces)
        return [*callee, *before, *self.changes, *behind, *unwrapped, *removed]

    def _sorted(self) -> tuple[list[str], list[str], dict[int, list[NewArgument]]]:
        """The new arguments that go to the front and to the back, and those that take the place of old ones."""
        front: list[str] = []
        back: list[str] = []
        by_argument: dict[int, list[NewArgument]] = {}
        for given in self.new.arguments:
            if given.place is not None:
                by_argument.setdefault(given.place, []).append(given)
            else:
                (back if by_argument else front).append(self._text(given))
        return front, back, by_argument

    def _text(self, given: NewArgument) -> str:
        return f"{given.lead}{self.writer.render(given.value.pieces)}"

    def _bracket_lone_generator(self, kept: Sequence[Argument]) -> None:
        """A generator expression needs brackets of its own as soon as it is not the only argument."""
        for argument in kept:
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
        text = self.separator.join(back)
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

    def _argument(self, argument: Argument, given: Sequence[NewArgument]) -> None:
        if len(given) == 1 and given[0].element is None:
            self._name(argument, given[0].name)
            self.changes += self.writer.in_place(argument.value_span, given[0].value.pieces)
        else:
            self._split(argument, given)

    def _name(self, argument: Argument, name: str | None) -> None:
        if argument.form is Form.POSITIONAL:
            if name is not None:
                self.changes.append(Edit(argument.span.start, argument.span.start, f"{name}="))
        elif argument.entry:
            assert argument.name_span is not None
            self.changes.append(Edit(argument.name_span.start, argument.value_span.start, f"{name}="))
        elif argument.name != name and argument.form is Form.KEYWORD:
            assert argument.name_span is not None
            self.changes.append(Edit(argument.name_span.start, argument.name_span.end, str(name)))

    def _split(self, argument: Argument, given: Sequence[NewArgument]) -> None:
        """Turn one argument into several: where it is a display, each of them takes the place of an element."""
        elements = _elements(argument.node, given)
        if elements is None:
            joined = self.separator.join(map(self._text, given))
            self.changes.append(Edit(argument.span.start, argument.span.end, joined))
            return
        assert isinstance(argument.node, ast.Tuple | ast.List)
        items = display_items(self.source, argument.node)
        if comments_in(self.source, argument.span.start, argument.span.end):
            text = self._split_with_comments(items, elements)
            self.changes.append(Edit(argument.span.start, argument.span.end, text))
            return
        previous = argument.span.start
        for position in sorted(elements):
            span, item = items.pieces[position], elements[position]
            lead = "" if previous == argument.span.start else self.separator
            self.changes.append(Edit(previous, span.start, f"{lead}{item.name}="))
            self.changes += self.writer.in_place(span, item.value.pieces)
            previous = span.end
        self.changes.append(Edit(previous, argument.value_span.end, ""))

    def _split_with_comments(self, items: Items, elements: dict[int, NewArgument]) -> str:
        """Write each element on a line of its own, its comments above it: behind it a comma may have to follow."""
        lines: list[str] = []
        for position, span in enumerate(items.pieces):
            following = items.pieces[position + 1].start if position + 1 < len(items.pieces) else items.close.start
            lines += comments_in(self.source, span.end, following)
            if position in elements:
                comma = "," if position < max(elements) else ""
                lines.append(f"{self._text(elements[position])}{comma}")
        lines[:0] = comments_in(self.source, items.open.end, items.pieces[0].start)
        return (self.source.newline + (self.layout.indent or "    ")).join(lines)

    def _insertions(self, front: list[str], back: list[str], gone: Sequence[int]) -> tuple[list[Edit], list[Edit]]:
        """New arguments that go before the first one that stays, and those that go behind the last."""
        items, separator = self.call.items, self.separator
        without = set(gone)
        kept = [piece for index, piece in enumerate(items.pieces) if index not in without]
        if not kept:
            at = items.pieces[0].start if items.pieces else items.open.end
            return ([Edit(at, at, separator.join(front + back))] if front or back else []), []
        before, behind = [], []
        if front:
            at = items.pieces[0].start
            start = next((span.start for span in self.call.wrapping if span.end == at), at)
            before.append(Edit(start, start, separator.join(front) + separator))
        if back:
            behind = self._append(kept[-1], separator.join(back))
        return before, behind

    def _append(self, last: Span, text: str) -> list[Edit]:
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
        broken = self.separator[1:]
        if after.startswith("#"):
            if comma is not None:
                return [Edit(line.end, line.end, f"{broken}{text},")]
            return [Edit(last.end, last.end, ","), Edit(line.end, line.end, f"{broken}{text}")]
        return [Edit(end, end, f"{broken}{text}," if comma is not None else f",{broken}{text}")]


def _elements(node: ast.expr, given: Sequence[NewArgument]) -> dict[int, NewArgument] | None:
    """The arguments by the place of the element of a display that each takes; None where it is no such display."""
    found = {item.element: item for item in given if item.element is not None}
    return found if isinstance(node, ast.Tuple | ast.List) and len(found) == len(given) else None
