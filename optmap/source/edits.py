"""Edits as values, and the one pure function that applies them."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from optmap.source.calls import Items, Span, comments_in, display_items, read_call, skip_gap
from optmap.source.text import Source
from optmap.values import NamedTuple

_INDENT: Final = re.compile(rb"[ \t\f]*")
_LINE: Final = re.compile(rb"[^\r\n]*")


class Edit(NamedTuple):
    """Replace the body's bytes from `start` up to `end` by `text`."""

    start: int
    end: int
    text: str


class OverlapError(Exception):
    """Two edits want the same bytes, which begin at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"edits overlap at offset {offset}")
        self.offset = offset


def apply_edits(body: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the body with all edits made. Raises OverlapError; insertions at one place keep the order given."""
    parts: list[bytes] = []
    position = 0
    for edit in ordered(edits):
        if edit.start < position:
            raise OverlapError(edit.start)
        parts += (body[position : edit.start], edit.text.encode())
        position = edit.end
    return b"".join((*parts, body[position:]))


def ordered(edits: Iterable[Edit]) -> list[Edit]:
    """Sort edits by place; an insertion comes before a replacement that starts where it stands."""
    return sorted(dict.fromkeys(edits), key=lambda edit: (edit.start, edit.end))


def remove_pieces(source: Source, items: Items, gone: Sequence[int]) -> list[Edit]:
    """Remove some of the comma-separated pieces with their commas; comments between them stay."""
    edits: list[Edit] = []
    kept = sorted(set(range(len(items.pieces))).difference(gone))
    if not kept:
        last = items.trailing_comma or items.pieces[-1]
        return [remove_range(source, items.pieces[0].start, last.end)]
    for previous, index in zip((-1, *kept), kept, strict=False):
        first_gone = previous + 1
        if first_gone < index:
            edits.append(remove_range(source, items.pieces[first_gone].start, items.pieces[index].start))
    last_kept = kept[-1]
    if last_kept < len(items.pieces) - 1:
        if items.trailing_comma is not None:
            edits.append(remove_range(source, items.commas[last_kept].end, items.trailing_comma.end))
        else:
            edits.append(remove_range(source, items.pieces[last_kept].end, items.pieces[-1].end))
    return edits


def members_of(owner: ast.AST) -> Sequence[ast.AST | None]:
    """What goes alone: keywords of a call, names of an import, elements of a display or keys of a dictionary."""
    names = ("keywords", "names", "elts", "keys")
    return next((getattr(owner, name) for name in names if hasattr(owner, name)), ())


def remove_members(
    source: Source, owner: ast.Call | ast.Import | ast.ImportFrom | ast.List | ast.Dict, gone: Sequence[ast.AST]
) -> list[Edit]:
    """Remove keywords of a call, some of the names that an import binds, or items of a display."""
    wanted = {id(member) for member in gone}
    if isinstance(owner, ast.Call):
        call = read_call(source, owner)
        values = {id(item.value) for item in owner.keywords if id(item) in wanted}
        return remove_pieces(
            source, call.items, [i for i, item in enumerate(call.arguments) if id(item.node) in values]
        )
    items = display_items(source, owner) if isinstance(owner, ast.List | ast.Dict) else _imported(source, owner)
    return remove_pieces(source, items, [i for i, item in enumerate(members_of(owner)) if id(item) in wanted])


def _imported(source: Source, statement: ast.Import | ast.ImportFrom) -> Items:
    """Split the names of an import at their commas, with or without parentheses around them."""
    end = source.end(statement)
    spans = [Span(source.start(item), source.end(item)) for item in statement.names]  # type: ignore[arg-type]
    commas = []
    for span, following in zip(spans, [*spans[1:], None], strict=True):
        at = skip_gap(source, span.end)
        if following is not None or (at < end and source.body[at : at + 1] == b","):
            commas.append(Span(at, at + 1))
    return Items(Span(spans[0].start, spans[0].start), Span(end, end), tuple(spans), tuple(commas))


def remove_range(source: Source, start: int, end: int) -> Edit:
    """Delete a range of pieces, commas and white space, but keep the comments that stand in it."""
    text = source.text(start, end)
    comments = comments_in(source, start, end)
    if not comments:
        return Edit(start, end, "")
    newline = source.newline
    indent = line_indent(source, start)
    kept = (newline + indent).join(comment.strip() for comment in comments)
    tail = text[len(text.rstrip(" \t")) :]
    needs_break = not text.rstrip(" \t").endswith(("\n", "\r")) and end < len(source.body)
    lead = "  " if text[:1] in (" ", "\t") else ""
    rest = rest_of_line(source, end)
    if needs_break and not source.body[rest.start : rest.end].strip():
        return Edit(start, rest.end, lead + kept)
    return Edit(start, end, lead + kept + newline + (indent if needs_break else tail))


def start_of_line(source: Source, offset: int) -> int:
    """Where the line of an offset begins."""
    return source.line_starts[bisect_right(source.line_starts, offset) - 1]


def line_indent(source: Source, offset: int) -> str:
    """The white space that the line of this offset begins with; a form feed starts the indentation anew, as in Python."""
    match = _INDENT.match(source.body, start_of_line(source, offset), offset)
    return match[0].decode().rpartition("\f")[2] if match else ""


def starts_line(source: Source, offset: int) -> bool:
    """Tell whether only white space stands before the offset on its line, which continues no other."""
    start = start_of_line(source, offset)
    before = start
    while before and source.body[before - 1] in b"\r\n":
        before -= 1
    return not source.body[start:offset].strip() and source.body[before - 1 : before] != b"\\"


def has_own_lines(source: Source, statement: ast.stmt) -> bool:
    """Tell whether a statement shares its lines with nothing but a comment."""
    rest = rest_of_line(source, source.end(statement))
    behind = source.body[rest.start : rest.end].strip()
    return starts_line(source, source.start(statement)) and (not behind or behind.startswith(b"#"))


def rest_of_line(source: Source, offset: int) -> Span:
    """The span from the offset to the end of its line, line ending excluded."""
    match = _LINE.match(source.body, offset)
    assert match is not None
    return Span(match.start(), match.end())
