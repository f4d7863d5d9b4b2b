"""Edits as values, and the one pure function that applies them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from optmap.source.calls import Items, Span, comments_in
from optmap.source.text import Source


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


class Shifts:
    """Where the offsets of a body lie once edits are made, and the other way round."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._edits = ordered(edits)
        self._ends = [(edit.end, edit.start == edit.end) for edit in self._edits]
        grown = (len(edit.text.encode()) - (edit.end - edit.start) for edit in self._edits)
        self._moves = list(accumulate(grown, initial=0))
        self._starts = [edit.start + move for edit, move in zip(self._edits, self._moves, strict=False)]

    def new(self, offset: int) -> int:
        """Where an offset that no edit touches lies afterwards; insertions at it come behind it."""
        return offset + self._moves[bisect_left(self._ends, (offset, True))]

    def old(self, offset: int) -> int:
        """Where an offset of the edited body lay before; of a new text, where the edit begins."""
        index = bisect_right(self._starts, offset)
        edit = self._edits[index - 1] if index else None
        if edit is not None and offset < self._starts[index - 1] + len(edit.text.encode()):
            return edit.start
        return offset - self._moves[index]


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
    return Edit(start, end, lead + kept + newline + (indent if needs_break else tail))


def line_indent(source: Source, offset: int) -> str:
    """The white space that the line of this offset begins with."""
    start = source.body.rfind(b"\n", 0, offset) + 1
    start = max(start, source.body.rfind(b"\r", 0, offset) + 1)
    match = re.match(rb"[ \t\f]*", source.body[start:offset])
    return match[0].decode() if match else ""


def starts_line(source: Source, offset: int) -> bool:
    """Tell whether only white space stands before the offset on its line, which continues no other."""
    start = max(source.body.rfind(b"\n", 0, offset), source.body.rfind(b"\r", 0, offset)) + 1
    return not source.body[start:offset].strip() and not source.body[:start].rstrip(b"\r\n").endswith(b"\\")


def rest_of_line(source: Source, offset: int) -> Span:
    """The span from the offset to the end of its line, line ending excluded."""
    match = re.compile(rb"[^\r\n]*").match(source.body, offset)
    assert match is not None
    return Span(match.start(), match.end())
