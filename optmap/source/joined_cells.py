"""A notebook's code cells as one Python source, in which names flow from cell to cell."""

from __future__ import annotations

import ast
import re
import sys
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from optmap.source.edits import starts_line
from optmap.source.magics import CellCode, CellKind, names_in, read_cell
from optmap.source.notebook import Cell, Notebook
from optmap.source.text import Parts, Source, SourceError, parse_body
from optmap.values import NamedTuple

_OWN: Final = (CellKind.PYTHON, CellKind.FUNCTION)
_IMPORT: Final = re.compile(r"^[ \t]*((?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+[^\r\n;#(\\]+)", re.MULTILINE)
_BOUND: Final = re.compile(
    r"^([^=#\r\n'\"(]*)=(?!=)|\b(?:def|class|as|global|del)[ \t]+(\w[\w, \t]*)|\bfor[ \t]+(.+?)[ \t]in\b|(\w+)[ \t]*:=",
    re.MULTILINE,
)
_TRAINS: Final = re.compile(r"\b(?:apply_gradients|minimize|compile)\b")


class Line(int):
    """The number of a line of the joined cells; in a text it is the one within its cell."""

    text: str

    def __str__(self) -> str:
        return self.text


class Part(NamedTuple):
    """A cell in the source: where its text begins and ends, and its first line."""

    cell: Cell
    code: CellCode
    start: int
    end: int
    line: int


class View(NamedTuple):
    """The source, the parts of it that are cells' own text, and the cells that are not Python."""

    source: Source
    parts: tuple[Part, ...]
    left: tuple[tuple[Cell, CellCode], ...]

    def part_at(self, offset: int) -> Part | None:
        """The part that an offset lies in, its end included."""
        index = bisect_right(self.parts, offset, key=lambda part: part.start) - 1
        return self.parts[index] if index >= 0 and offset <= self.parts[index].end else None

    def part_of_line(self, line: int) -> Part | None:
        """The part that a line belongs to; None for what no cell holds."""
        return self.part_at(self.source.line_starts[line - 1]) if line <= len(self.source.line_starts) else None


def _numbered(tree: ast.Module, lines: Sequence[tuple[int, int]]) -> ast.Module:
    """The tree, whose lines name their cells wherever a message speaks of them."""
    made: dict[int, Line] = {}

    def line(number: int) -> Line:
        if number not in made:
            found = made[number] = Line(number)
            first, cell = lines[max(bisect_right(lines, (number, sys.maxsize)) - 1, 0)]
            found.text = f"{number - first + 1} of cell {cell}"
        return made[number]

    for node in ast.walk(tree) if lines else ():
        if isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.ExceptHandler | ast.arg | ast.alias):
            node.lineno = line(node.lineno)
            node.end_lineno = line(node.end_lineno or node.lineno)
    return tree


def view(notebook: Notebook) -> View:
    """Put the cells together. Raises SourceError where they can be parsed one by one, but not together."""
    codes = [(cell, _read(cell)) for cell in notebook.cells]
    body, parts = _join(codes)
    lines = tuple((part.line, part.cell.number) for part in parts)
    source = Source(body, "utf-8", b"", _numbered(parse_body(body), lines))
    kept = tuple((part.start, part.end) for part in parts if part.code.magic)
    left = tuple((cell, code) for cell, code in codes if code.kind not in _OWN)
    found = View(source, tuple(parts), left)
    marked = Source(body, "utf-8", b"", source.tree, Parts(lines, tuple(_anchors(found)), kept))
    return found._replace(source=marked)


def _read(cell: Cell) -> CellCode:
    """A cell that runs as a function keeps what it imports to itself, which one source cannot show."""
    code = read_cell(cell.text)
    hidden = code.kind is CellKind.FUNCTION and re.search(r"^[ \t]*(?:import|from)\b", code.text, re.MULTILINE)
    return code._replace(kind=CellKind.UNKNOWN, lead="") if hidden else code


def _join(codes: Sequence[tuple[Cell, CellCode]]) -> tuple[bytes, list[Part]]:
    """Two empty lines, as a coding cookie counts on the first two only, and each cell on lines of its own."""
    endings = (re.search(r"\r\n|\r|\n", cell.text) for cell, _ in codes)
    newline = next((found[0] for found in endings if found), "\n")
    body = bytearray((newline * 2).encode())
    line = 3
    parts = []
    for cell, code in codes:
        block = b""
        if code.kind in _OWN:
            lead, text = code.lead.encode(), code.text.encode()
            start = len(body) + len(lead)
            parts.append(Part(cell, code, start, start + len(text), line + len(lead.splitlines())))
            block = lead + text + (b"" if text.endswith(b"\n") else newline.encode())
        block += _stand_in(cell.text, code).encode()
        body += block
        line += len(block.splitlines())
    return bytes(body), parts


def _stand_in(text: str, code: CellCode) -> str:
    """Statements that use, bind and import what a text may that is not, or not all, Python."""
    if code.kind is CellKind.FOREIGN:
        return ""
    if code.kind in _OWN:
        return f"if ():\n {', '.join(sorted(code.words))}\n" if code.words else ""
    names = sorted(names_in(text))
    lines = [found.strip() for found in _IMPORT.findall(text) if _parses(found.strip())]
    rest = _IMPORT.sub(lambda found: "" if _parses(found[1].strip()) else found[0], text)
    bound = {name for found in _BOUND.findall(rest) for piece in found for name in names_in(piece)}
    lines += [f"{name} = 0" for name in sorted(bound)]
    if _TRAINS.search(text):
        lines += [f"{name}.minimize()" for name in names]
    lines += [", ".join(names)] if names else []
    return "".join(("if ():\n", *(f" {line}\n" for line in lines))) if lines else ""


def _parses(text: str) -> bool:
    try:
        parse_body(text.encode("utf-8", "replace"))
    except SourceError:
        return False
    return True


def _anchors(found: View) -> list[int]:
    """Offsets of statements before which an import may stand: the imports, then the first statement, and in magic cells."""
    ranked: list[tuple[int, int]] = []
    for statement in found.source.tree.body:
        for inner in _inside(found, statement):
            at = _start(found.source, inner)
            part = found.part_at(at)
            if part is not None and not _is_blank(found.source, part, inner, at):
                rank = _rank(found, part, inner, at)
                if rank == 0 or all(rank != other for other, _ in ranked):
                    ranked.append((rank, at))
    return [at for _, at in sorted(ranked)]


def _inside(found: View, statement: ast.stmt) -> list[ast.stmt]:
    """The statement itself, or the cell's own statements where it is what a cell's lead opens."""
    if isinstance(statement, ast.If) and found.part_at(found.source.start(statement)) is None:
        return statement.body
    return [statement]


def _start(source: Source, statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    at = min([source.start(statement), *map(source.start, decorators)])
    return source.body.rindex(b"@", 0, at) if decorators else at


def _is_blank(source: Source, part: Part, statement: ast.stmt, at: int) -> bool:
    """Blanked text, a docstring, or an import from `__future__`."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return False
    own = part.cell.text.encode()[at - part.start : source.end(statement) - part.start]
    return isinstance(statement.value.value, str) or own != source.body[at : source.end(statement)]


def _rank(found: View, part: Part, statement: ast.stmt, at: int) -> int:
    plain = part.code.kind is CellKind.PYTHON and part.code.magic is None and not part.code.lead
    if not plain or not starts_line(found.source, at):
        return 3 if part.code.kind is CellKind.FUNCTION else 2
    return 0 if isinstance(statement, ast.Import | ast.ImportFrom) else 1
