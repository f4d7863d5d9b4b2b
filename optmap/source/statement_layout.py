"""Statements that come, go and change: their lines, indentation and comments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from optmap.source.calls import Span
from optmap.source.changes import Change, Delete, Insert, Replace, Where
from optmap.source.edits import Edit, line_indent, members_of, remove_members, rest_of_line, start_of_line, starts_line
from optmap.source.layout import (
    above_comments,
    blank_lines,
    decorator_removal,
    first_offset,
    indentation_unit,
    reindented,
    removal,
    whole_lines,
    with_blank_lines,
)
from optmap.source.model import Module
from optmap.source.slots import SlotWriter
from optmap.source.syntax import Function
from optmap.source.templates import Block, Piece
from optmap.source.text import Source

_INNER: Final = "\n    "
_FUNCTION: Final = re.compile(r"^def ", re.MULTILINE)
_PARTED: Final = re.compile(r"(?<!\n)\n\n(?=\S)")
_BREAK: Final = re.compile(r"\n(?!\n)((?:    )*)")


def _apart(pieces: Sequence[Piece], lines: int) -> Sequence[Piece]:
    """Statements with functions among them, parted by so many blank lines."""
    if lines == 1 or not any(isinstance(piece, str) and _FUNCTION.search(piece) for piece in pieces):
        return pieces
    return [
        piece[: index == 0] + _PARTED.sub("\n" * (lines + 1), piece[index == 0 :]) if isinstance(piece, str) else piece
        for index, piece in enumerate(pieces)
    ]


class StatementLayout:
    """Makes the edits of the changes of statements."""

    def __init__(self, source: Source, changes: Sequence[Change], slots: SlotWriter) -> None:
        self.source = source
        self.slots = slots
        self.deletes = [change for change in changes if isinstance(change, Delete)]
        self.inserts = [change for change in changes if isinstance(change, Insert)]
        self.deleted = {id(change.node) for change in self.deletes}
        heads = (change.node for change in changes if isinstance(change, Replace))
        self.becoming = {id(node[0] if isinstance(node, tuple) else node) for node in heads}
        self.units: dict[str, str] = {}

    def delete(self, change: Delete) -> list[Edit]:
        node = change.node
        if not isinstance(node, ast.stmt):
            owner = Module.of(self.source).parent(node)
            assert owner is not None
            if isinstance(node, ast.expr) and hasattr(owner, "decorator_list"):
                return [decorator_removal(self.source, node)]
            gone = [member for member in members_of(owner) if id(member) in self.deleted]
            return remove_members(self.source, owner, gone) if gone[:1] == [node] else []  # type: ignore[arg-type]
        alone = self._empties_block(node)
        edit = removal(self.source, node, alone=alone)
        whole = not alone and (change.blank_lines or self._is_followed(node))
        return [with_blank_lines(self.source, edit) if whole else edit]

    def _is_followed(self, statement: ast.stmt) -> bool:
        """Tell whether another statement of a block follows, but for the module's own, which blank lines group."""
        module = Module.of(self.source)
        block, place = module.block(statement)
        return module.parent(statement) is not self.source.tree and any(
            id(item) not in self.deleted for item in block[place + 1 :]
        )

    def insert(self, change: Insert) -> Edit:
        source, anchor = self.source, change.anchor
        indent, newline = line_indent(source, source.start(anchor)), source.newline
        at = first_offset(source, anchor)
        apart = self._apart(anchor)
        lines = self._lines(_apart(change.template.pieces, apart), anchor, indent)
        if change.where is Where.AFTER:
            at = rest_of_line(source, source.end(anchor)).end
            return Edit(at, at, newline + lines)
        if not starts_line(source, at) or source.body[at - 1 : at] == b";":
            return Edit(at, at, "".join(f"{line.strip()}; " for line in lines.splitlines()))
        if change.where is Where.BEFORE:
            return Edit(at, at, lines.removeprefix(indent) + newline + indent)
        at = start_of_line(source, at) if id(anchor) in self.becoming else above_comments(source, anchor)
        closed = isinstance(anchor, Function | ast.ClassDef)
        if lines.lstrip().startswith("def "):
            above = (
                blank_lines(source, self._behind_gone(at)) if change is self._first_above(anchor) else apart * closed
            )
            lines = newline * max(apart - above, 0) + lines
        behind = newline * (apart == 2 and closed and lines.endswith(newline))
        return Edit(at, at, lines + newline + behind)

    def _apart(self, statement: ast.stmt) -> int:
        """How many blank lines part functions from what stands beside them."""
        return 1 + (Module.of(self.source).parent(statement) is self.source.tree and self.source.parts is None)

    def _first_above(self, anchor: ast.stmt) -> Insert:
        return next(item for item in self.inserts if item.anchor is anchor and item.where is Where.ABOVE)

    def _empties_block(self, statement: ast.stmt) -> bool:
        """Tell whether a statement is the first of a block of which nothing is left."""
        parent = Module.of(self.source).parent(statement)
        blocks = (getattr(parent, name, None) for name in ("body", "orelse", "finalbody"))
        block = next((block for block in blocks if isinstance(block, list) and block and block[0] is statement), [])
        return bool(block) and not isinstance(parent, ast.Module) and all(id(item) in self.deleted for item in block)

    @cached_property
    def _gone(self) -> dict[int, int]:
        """Where the lines of deleted statements begin, by where they end."""
        edits = (edit for item in self.deletes for edit in self.delete(item) if not edit.text)
        return {edit.end: edit.start for edit in edits}

    def _behind_gone(self, offset: int) -> int:
        while offset in self._gone:
            offset = self._gone[offset]
        return offset

    def replace(self, node: ast.stmt | Block, pieces: Sequence[Piece]) -> list[Edit]:
        """Replace statements: one keeps the comment behind it, a run goes with its lines."""
        source = self.source
        if isinstance(node, tuple):
            first, span = node[0], whole_lines(source, node)
            at = line_indent(source, source.start(first))
            return [Edit(span.start, span.end, self._lines(pieces, first, at))]
        span = Span(first_offset(source, node), source.end(node))
        indent = line_indent(source, span.start)
        if any(isinstance(piece, tuple) for piece in pieces):
            lines = self._lines(pieces, node, indent)
            return [Edit(start_of_line(source, span.start), rest_of_line(source, span.end).end, lines)]
        laid_out = self._indented(pieces, node, indent)
        edits = [*self.slots.in_place(span, laid_out, node), *self._continued(laid_out, indent)]
        if isinstance(laid_out[0], str) and laid_out[0].startswith("def ") and starts_line(source, span.start):
            line = start_of_line(source, span.start)
            wanted = self._apart(node) - blank_lines(source, line)
            edits[:0] = [Edit(line, line, source.newline * wanted)] if wanted > 0 else []
        return edits

    def _continued(self, pieces: Sequence[Piece], indent: str) -> Iterator[Edit]:
        """Move the lines on which a slot goes on, where it stands deeper than before and holds no string of several lines."""
        deeper = ""
        for piece in pieces:
            if isinstance(piece, str):
                lines = re.split(r"[\r\n]", piece)
                if len(lines) > 1:
                    deeper = re.match(r"[ \t]*", lines[-1])[0].removeprefix(indent)  # type: ignore[index]
            elif isinstance(piece, ast.expr) and deeper:
                strings = (item for item in ast.walk(piece) if isinstance(item, ast.Constant | ast.JoinedStr))
                if any(item.end_lineno != item.lineno for item in strings):
                    continue
                for line in range(piece.lineno, piece.end_lineno or piece.lineno):
                    at = self.source.line_starts[line]
                    if self.source.body.startswith(indent.encode(), at):
                        yield Edit(at, at, deeper)

    def _indented(self, pieces: Sequence[Piece], near: ast.stmt, indent: str) -> list[Piece]:
        """The text of a template with the file's line ending and indentation; blank lines stay empty."""
        deeper = any(isinstance(piece, str) and _INNER in piece for piece in pieces)
        unit = self._unit(near, indent) if deeper else ""
        found = list(pieces)
        for index, piece in enumerate(found):
            if isinstance(piece, str):
                text = piece if index + 1 < len(found) else piece.rstrip("\n")
                lines = _BREAK.sub(lambda match: f"\n{indent}{unit * (len(match[1]) // 4)}", text)
                lines = lines.replace("\n", self.source.newline)
                found[index] = lines + self.source.newline * (len(piece) - len(text))
        return found

    def _unit(self, near: ast.stmt, indent: str) -> str:
        if indent not in self.units:
            self.units[indent] = indentation_unit(self.source, near)
        return self.units[indent]

    def _lines(self, pieces: Sequence[Piece], near: ast.stmt, indent: str) -> str:
        """A template's lines at an indentation; statements in slots come with their own lines."""
        parts: list[str] = [indent]
        for piece in self._indented(pieces, near, indent):
            if isinstance(piece, tuple):
                inside = re.search(r"[^\r\n]*\Z", parts[-1])
                assert inside is not None
                parts[-1] = parts[-1][: inside.start()]
                parts.append(self._block(piece, inside[0]).removesuffix("\n").removesuffix("\r"))
            else:
                parts.append(piece if isinstance(piece, str) else self.slots.text(piece, tight=False))
        return "".join(parts)

    def _block(self, statements: Block, indent: str) -> str:
        """The lines of old statements, with the changes inside them, at a new indentation."""
        span = whole_lines(self.source, statements)
        text = self.slots.inner(span, statements)
        return reindented(text, line_indent(self.source, self.source.start(statements[0])), indent)
