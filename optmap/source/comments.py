"""Comments outlive the code around them: whatever edits take away without writing it again goes above the statement."""

from __future__ import annotations

import ast
import io
import tokenize
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

from optmap.source.calls import LONE_RETURN
from optmap.source.changes import Change, ConflictError, place_of
from optmap.source.edits import Edit, line_indent, rest_of_line, start_of_line, starts_line
from optmap.source.layout import first_offset
from optmap.source.model import Module
from optmap.source.text import Source
from optmap.values import NamedTuple


class Comment(NamedTuple):
    """A comment of the file: where it begins, and what it says."""

    start: int
    text: str


def with_comments(source: Source, edits: Sequence[tuple[Edit, Change]]) -> list[Edit]:
    """The edits of changes, and insertions that put lost comments above their statements. Raises ConflictError."""
    found = [edit for edit, _ in edits]
    lost: dict[int, list[str]] = {}
    written = "".join(edit.text for edit in found if "#" in edit.text)
    count: Counter[str] = Counter()
    for edit, change in edits:
        for text in _taken(source, edit):
            count[text] += 1
            if written.count(text) < count[text]:
                lost.setdefault(_above(source, found, change, place_of(change)), []).append(text)
    if not lost:
        return found
    for at, texts in lost.items():
        indent = line_indent(source, rest_of_line(source, at).end)
        same = [edit for edit in found if edit.start == edit.end == at]
        lines = [f"{indent}{text}{source.newline}" for text in texts]
        found = [edit for edit in found if edit not in same]
        found.append(Edit(at, at, "".join((*lines, *(edit.text for edit in same)))))
    return sorted(found, key=lambda edit: (edit.start, edit.end))


def _taken(source: Source, edit: Edit) -> Iterator[str]:
    """The comments that an edit takes away."""
    if b"#" in source.body[edit.start : edit.end]:
        comments = source_comments(source)
        first, last = (bisect_left(comments, (at, "")) for at in edit[:2])
        yield from (comment.text for comment in comments[first:last])


def source_comments(source: Source) -> Sequence[Comment]:
    """Every comment of a file, in order."""
    return source.once(source_comments, lambda: tuple(_comments(source)))


def gap_start(source: Source, offset: int, limit: int) -> int:
    """Where white space and comments begin that end at an offset."""
    while offset > limit and source.body[offset - 1] in b" \t\r\n\f":
        offset -= 1
    if b"#" not in source.body[start_of_line(source, offset) : offset]:
        return offset
    comments = source_comments(source)
    before = comments[max(bisect_left(comments, (offset, "")) - 1, 0) :][:1]
    inside = before and limit <= before[0].start < offset <= before[0].start + len(before[0].text.encode())
    return gap_start(source, before[0].start, limit) if inside else offset


def _comments(source: Source) -> Iterator[Comment]:
    """As the parser does, Python's tokenizer must take a lone carriage return for the end of a line; offsets stay."""
    lines = io.StringIO(LONE_RETURN.sub(b"\n", source.body).decode(), newline="")
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(lines.readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                yield Comment(source.line_starts[row - 1] + len(source.line(row)[:column].encode()), token.string)


def _above(source: Source, edits: Sequence[Edit], change: Change, node: ast.AST) -> int:
    """The beginning of the line of the innermost statement around a node whose line begins within no edit."""
    module = Module.of(source)
    around: ast.AST | None = module.statement(node)
    while isinstance(around, ast.stmt):
        block, index = module.block(around)
        while index and not starts_line(source, first_offset(source, block[index])):
            index -= 1
        at = first_offset(source, block[index])
        line = start_of_line(source, at)
        if starts_line(source, at) and not any(edit.start < line < edit.end for edit in edits):
            return line
        around = module.parent(around)
    raise ConflictError("a comment would be lost", change)
