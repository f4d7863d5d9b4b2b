"""Lines, indentation and comments: where statements begin and end in the text, and how they move."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Final

from optmap.source.calls import Span
from optmap.source.edits import Edit, line_indent, rest_of_line, start_of_line, starts_line
from optmap.source.model import Module
from optmap.source.text import Source

LINES: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")
_ENDING: Final = re.compile(rb"\r\n|\r|\n")
_BLANK: Final = re.compile(rb"(?:[ \t]*(?:\r\n|\r|\n))*")
_MANY: Final = 9
_UNIT: Final = re.compile(
    rb"(?:^|[\r\n])([ \t]*)(?:for|while|if|with|def|class|else)\b[^\r\n]*:[^\r\n]*(?:\r\n|\r|\n)([ \t]+)"
)


def line_limit(source: Source) -> int:
    """How wide the file's own lines are: as PEP 8 says where some come near to that, at most 120 columns."""
    return source.once(line_limit, lambda: _line_limit(source))


def _line_limit(source: Source) -> int:
    widths = (len(line.decode("utf-8", "replace")) for line in source.body.splitlines())
    widest = min(max(widths, default=0), 120)
    return 79 if 72 < widest < 80 else max(88, widest)


def one_or_three_lines(source: Source, near: ast.stmt, head: str, inside: str, room: int = 0) -> str:
    """`head(inside)` as a template, its argument on a line of its own where it would be too long; `room` is for its slots."""
    width = len(line_indent(source, source.start(near)).expandtabs()) + len(f"{head}({inside})") + room
    return f"{head}({inside})" if width <= line_limit(source) else f"{head}(\n    {inside}\n)"


def first_offset(source: Source, statement: ast.stmt) -> int:
    """Where a statement begins, its decorators included."""
    decorators = getattr(statement, "decorator_list", [])
    if not decorators:
        return source.start(statement)
    return source.body.rindex(b"@", 0, min(source.start(decorator) for decorator in decorators))


def reindented(text: str, old: str, new: str) -> str:
    """Lines at a new indentation; those that do not begin with the old one stay, as they continue others or are empty."""
    lines = LINES.findall(text)
    return "".join(new + line[len(old) :] if line.strip() and line.startswith(old) else line for line in lines)


def indentation_unit(source: Source, node: ast.stmt) -> str:
    """One level of indentation, as the nearest block around the statement has it."""
    own = line_indent(source, source.start(node))
    for match in _UNIT.finditer(source.body):
        outer, inner = match[1].decode(), match[2].decode()
        if inner.startswith(outer) and len(inner) > len(outer) and (own.startswith(inner) or not own):
            return inner[len(outer) :]
    return "    "


def whole_lines(source: Source, statements: Sequence[ast.stmt]) -> Span:
    """The lines of statements that follow one another; a block under `with` begins right behind the statement's head."""
    end = rest_of_line(source, source.end(statements[-1])).end
    head = Module.of(source).parent(statements[0])
    if isinstance(head, ast.With) and head.body[0] is statements[0]:
        item = head.items[-1]
        header = rest_of_line(source, source.end(item.optional_vars or item.context_expr)).end
        match = _ENDING.match(source.body, header)
        return Span(match.end() if match is not None else source.start(statements[0]), end)
    return Span(start_of_line(source, source.start(statements[0])), end)


def removal(source: Source, statement: ast.stmt, *, alone: bool) -> Edit:
    """Take a statement away with its line; its comments stay, and `pass` takes its place where its block would be empty."""
    start, end = first_offset(source, statement), source.end(statement)
    line = rest_of_line(source, end)
    rest = source.body[line.start : line.end]
    if alone:
        return Edit(start, end, "pass")
    if rest.strip() or not starts_line(source, start):
        return _part_of_line(source, start, line, rest)
    begin = start - len(line_indent(source, start))
    match = _ENDING.match(source.body, line.end)
    if match is None:
        before = begin - (source.body[begin - 1 : begin] == b"\n") if begin else 0
        before -= before > 0 and source.body[before - 1 : before] == b"\r"
        return Edit(before, line.end, "")
    return Edit(begin, match.end(), "")


def _part_of_line(source: Source, start: int, line: Span, rest: bytes) -> Edit:
    """Take away a statement that shares its line with a comment, or with other statements."""
    if rest.lstrip()[:1] == b";":
        behind = rest.lstrip()[1:]
        return Edit(start, line.end - len(behind.lstrip()), "")
    before = source.body[start_of_line(source, start) : start].rstrip()
    if before.endswith(b";"):
        return Edit(start_of_line(source, start) + len(before) - 1, line.start, "")
    return Edit(start, line.end - len(rest.lstrip()), "")


def decorator_removal(source: Source, decorator: ast.expr) -> Edit:
    """Take a decorator away with its line; a comment behind it stays."""
    at = source.body.rindex(b"@", 0, source.start(decorator))
    line = rest_of_line(source, source.end(decorator))
    if source.body[line.start : line.end].strip():
        return Edit(at, line.end - len(source.body[line.start : line.end].lstrip()), "")
    match = _ENDING.match(source.body, line.end)
    return Edit(start_of_line(source, at), match.end() if match is not None else line.end, "")


def with_blank_lines(source: Source, edit: Edit) -> Edit:
    """Take the blank lines behind a removed statement along where a blank line, or nothing, stands before it."""
    if source.parts is not None or edit.text or not _is_free(source, edit.start):
        return edit
    blank = _BLANK.match(source.body, edit.end)
    return edit._replace(end=blank.end() if blank is not None else edit.end)


def _is_free(source: Source, offset: int) -> bool:
    """Tell whether a blank line, or nothing, ends at the beginning of a line."""
    return offset == 0 or not _line_before(source, offset).strip()


def _line_before(source: Source, offset: int) -> bytes:
    """The line that ends at an offset, with its ending."""
    body = source.body
    end = offset - 1 - (body[offset - 2 : offset] == b"\r\n")
    return body[start_of_line(source, end) : offset]


def blank_lines(source: Source, offset: int) -> int:
    """How many blank lines end at the beginning of a line; as many as may be wanted behind what opens a block, or nothing."""
    count = 0
    while offset and not _line_before(source, offset).strip():
        offset -= len(_line_before(source, offset))
        count += 1
    return count if offset and not _line_before(source, offset).rstrip().endswith(b":") else _MANY


def above_comments(source: Source, statement: ast.stmt) -> int:
    """The beginning of the line of a statement, or of the comments right above it at its indentation."""
    at = start_of_line(source, first_offset(source, statement))
    indent = line_indent(source, source.start(statement)).encode()
    while at > 0:
        text = _line_before(source, at)
        if not text.lstrip().startswith(b"#") or not text.startswith(indent):
            break
        at -= len(text)
    return at
