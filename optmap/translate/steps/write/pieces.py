"""Code that is shown in place of statements of a file: its pieces, each headed by a comment that says where it goes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import Final

from optmap.source.model import Module
from optmap.source.text import Source
from optmap.values import NamedTuple

_SLOT: Final = re.compile(r"^([ \t]*)\{(\w+)\}\n?|\{(\w+)\}", re.MULTILINE)


class Piece(NamedTuple):
    """Text for neighbouring statements of one block: in place of them, or, with a word, in front of or behind them."""

    statements: Sequence[ast.stmt]
    text: str
    beside: str = ""


class _Group(NamedTuple):
    """Pieces that stand side by side; `first` to `last` are the places in the block that they take."""

    block: Sequence[ast.stmt]
    first: int
    last: int
    lines: str
    text: str


def shown(module: Module, pieces: Iterable[Piece]) -> str:
    """The pieces in the order of the file, neighbours joined."""
    groups: list[_Group] = []
    for piece in sorted(pieces, key=_place):
        block, place = module.block(piece.statements[0])
        first, last = place, place + len(piece.statements) - 1
        if piece.beside:
            first, last = (place, place - 1) if piece.beside == BEFORE else (last + 1, last)
        at = groups[-1] if groups else None
        if at is not None and at.block is block and at.last + 1 == first:
            text = f"{at.text}\n{piece.text}".strip("\n")
            groups[-1] = at._replace(first=min(at.first, first), last=last, text=text)
        else:
            groups.append(_Group(block, first, last, f"{piece.beside} line {piece.statements[0].lineno}", piece.text))
    return "\n\n".join(map(_headed, groups))


BEFORE: Final = "in front of"
BEHIND: Final = "behind"


def _place(piece: Piece) -> tuple[int, int, bool]:
    first = piece.statements[0]
    return first.lineno, first.col_offset, not piece.beside


def _headed(group: _Group) -> str:
    taken = group.block[group.first : group.last + 1]
    if not taken:
        return f"# {group.lines}:\n{group.text}"
    start, end = taken[0].lineno, taken[-1].end_lineno
    lines = f"line {start}" if start == end else f"lines {start} to {end}"
    return f"# in place of {lines}:\n{group.text}" if group.text else f"# without {lines}"


def filled(template: str, **texts: str) -> str:
    """Put texts in place of the words in braces. One that has a line of its own is indented, and goes with it if it is empty."""

    def put(match: re.Match[str]) -> str:
        if match[3] is not None:
            return texts.get(match[3], match[0])
        text = texts.get(match[2])
        if text is None:
            return match[0]
        whole = match[0].endswith("\n") or match.end() == len(template)
        lines = "\n".join(match[1] + line if line.strip() else "" for line in text.split("\n"))
        return lines + match[0][len(match[1]) + len(match[2]) + 2 :] if text or not whole else ""

    return _SLOT.sub(put, template)


def text_of(source: Source, statement: ast.stmt) -> str:
    """A statement as the file has it, without the indentation of its block."""
    start = source.start(statement)
    text = source.text(start, source.end(statement))
    if statement.lineno == statement.end_lineno and len(text.splitlines()) == 1:
        return text
    line = source.body.rfind(b"\n", 0, start) + 1
    margin = source.body[line:start].decode()
    if not margin.strip():
        text = "\n".join(item.removeprefix(margin) for item in text.splitlines())
    try:
        (again,) = ast.parse(text).body
    except (SyntaxError, ValueError):
        return ast.unparse(statement)
    return text if ast.dump(again) == ast.dump(statement) else ast.unparse(statement)
