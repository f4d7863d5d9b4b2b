"""Proof that an edited file is what was meant: it parses, and its tree is the old one with the changes made, no more.

A file's tree is that of its top-level statements one after another, wherever each begins a line of its own at column 0 and
the text between two such places parses by itself. So only those stretches are parsed and compared whose bytes changed.
"""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from optmap.source.changes import Change, Delete, Insert, extent
from optmap.source.compose import to_edits
from optmap.source.edits import Edit, starts_line
from optmap.source.expected import Different, Expected
from optmap.source.layout import first_offset
from optmap.source.text import Source, SourceError, encoding_of, parse_body
from optmap.values import NamedTuple


class VerificationError(Exception):
    """The edited file is not provably right; `changes` are those that the difference belongs to."""

    def __init__(self, message: str, changes: Iterable[Change] = ()) -> None:
        super().__init__(message)
        self.changes = tuple(changes)


class Stretch(NamedTuple):
    """Top-level statements from one that begins a line up to another, and their text before and after."""

    statements: tuple[ast.stmt, ...]
    start: int
    end: int
    text: bytes


def verify(source: Source, body: bytes, changes: Sequence[Change], edits: Sequence[Edit]) -> None:
    """Prove that an edited body is the source with the changes made. Raises SourceError or VerificationError.

    `edits`, in order, are what made the body of the source's: they only tell where the two may differ.
    """
    expected = Expected(source, changes)
    for stretch in stretches(source, body, changes, edits):
        try:
            expected.compare(stretch.statements, parse_body(stretch.text).body, stretch.text)
        except SourceError as error:
            raise VerificationError(error.message, _inside(source, changes, stretch)) from None
        except Different as difference:
            found = (difference.change,) if difference.change else _inside(source, changes, stretch)
            raise VerificationError(str(difference), found) from None
    missing = _missing(source, changes, expected.met)
    if missing:
        raise VerificationError("a change is not in the result", missing)


def verify_bytes(source: Source, body: bytes, output: bytes) -> None:
    """Prove that Python will read an edited body in the bytes that are written. Raises SourceError or VerificationError."""
    if not source.declares:
        return
    if encoding_of(output) != source.encoding or not output.startswith(source.bom):
        raise VerificationError("the file's encoding is no longer declared")
    if source.encoding != "utf-8" and output.decode(source.encoding) != body.decode():
        raise VerificationError("the file does not survive its encoding")
    try:
        ast.parse(
            _head(output) if source.encoding == "utf-8" else output
        )  # as bytes: a comment may declare an encoding
    except (SyntaxError, ValueError) as error:
        raise VerificationError(f"Python cannot read the result: {error}") from None


def _head(output: bytes) -> bytes:
    """The first two lines, as far as they hold nothing but comments: only these may declare an encoding."""
    lines = output.splitlines(keepends=True)[:2]
    code = (index for index, line in enumerate(lines) if line.removeprefix(b"\xef\xbb\xbf").strip()[:1] not in b"#")
    return b"".join(lines[: next(code, 2)])


def _missing(source: Source, changes: Sequence[Change], met: set[int]) -> list[Change]:
    """Changes that were not come across, but for those inside a statement that goes and those that change no text."""
    missing = [change for change in changes if hash(change) not in met]
    if not missing:
        return []
    gone = [extent(source, change) for change in changes if isinstance(change, Delete) and hash(change) in met]
    spans = [(change, extent(source, change)) for change in missing]
    lost = [change for change, span in spans if not any(s <= span.start and span.end <= e for s, e in gone)]
    return [change for change in lost if to_edits(source, [change])]


def _inside(source: Source, changes: Iterable[Change], stretch: Stretch) -> list[Change]:
    return [item for item in changes if stretch.start <= extent(source, item).start < stretch.end]


def stretches(source: Source, body: bytes, changes: Sequence[Change], edits: Sequence[Edit]) -> Iterator[Stretch]:
    """The stretches of a file that edits touch. Raises VerificationError where the rest of the file is not what it was."""
    places = _places(source)
    offsets = [0, *(offset for offset, _ in places[1:]), len(source.body)]
    indices = [0, *(index for _, index in places[1:]), len(source.tree.body)]
    growth = list(accumulate((len(edit.text.encode()) - (edit.end - edit.start) for edit in edits), initial=0))
    starts = [edit.start for edit in edits]
    position = at = 0
    for first, last in _touched(source, offsets, changes, edits):
        start, end = offsets[first], offsets[last]
        begin = start + growth[bisect_left(starts, start)]
        stop = end + growth[bisect_left(starts, end) if end < len(source.body) else len(edits)]
        text = body[begin:stop]
        if body[at:begin] != source.body[position:start]:
            raise VerificationError("the file changed outside the edits")
        if end < len(source.body) and text and (text[-1:] not in b"\r\n" or source.body[end : end + 1] == b"\n"):
            raise VerificationError("a statement does not end where another begins")
        yield Stretch(tuple(source.tree.body[indices[first] : indices[last]]), start, end, text)
        position, at = end, stop
    if body[at:] != source.body[position:]:
        raise VerificationError("the file changed outside the edits")


def _touched(
    source: Source, offsets: Sequence[int], changes: Sequence[Change], edits: Sequence[Edit]
) -> list[list[int]]:
    """The stretches that edits, and the statements beside which others are put, lie in; neighbours are one stretch."""
    spans = [(edit.start, edit.end) for edit in edits]
    spans += [(at, at) for at in (extent(source, item).start for item in changes if isinstance(item, Insert))]
    found: list[list[int]] = []
    for start, end in sorted(spans):
        first = min(bisect_right(offsets, start) - 1, len(offsets) - 2)
        last = max(bisect_left(offsets, end), first + 1)
        if found and first <= found[-1][1]:
            found[-1][1] = max(last, found[-1][1])
        else:
            found.append([first, last])
    return found


def _places(source: Source) -> list[tuple[int, int]]:
    """Where top-level statements begin a logical line at column 0: the offset, and the index of the statement."""
    found: list[tuple[int, int]] = []
    for index, statement in enumerate(source.tree.body):
        start = first_offset(source, statement)
        column = start - source.line_starts[bisect_right(source.line_starts, start) - 1]
        if column == 0 and starts_line(source, start):
            found.append((start, index))
    return found if found and found[0][1] == 0 else [(0, 0), *found]
