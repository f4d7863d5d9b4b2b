"""Edits of cells' texts, spliced into the notebook's JSON: no byte outside the edited strings changes."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

from optmap.source.notebook import Cell, JsonString, Notebook
from optmap.values import NamedTuple

_UNIT: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL
)
"""What stands for one character within a JSON string."""

_LINE: Final = re.compile(r"(?:(?!\\n|\\u000[aA])(?:\\u[0-9a-fA-F]{4}|\\.|[^\\]))*(?:\\n|\\u000[aA]|\Z)", re.DOTALL)
"""A line within a JSON string, with its ending."""


class CellEdit(NamedTuple):
    """Replace the characters of a cell's text from `start` up to `end` by `text`."""

    start: int
    end: int
    text: str


class _Group(NamedTuple):
    """Neighbouring strings of a source, from index `first` to `last`, and the edits that they share."""

    first: int
    last: int
    edits: list[CellEdit]


class _Splice(NamedTuple):
    """Replace a range of the file's text."""

    start: int
    end: int
    text: str


def edited_text(text: str, edits: Sequence[CellEdit]) -> str:
    """A cell's text with edits made; they are in order and do not overlap."""
    parts, position = [], 0
    for edit in edits:
        parts += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join((*parts, text[position:]))


def splice_cells(notebook: Notebook, edits: Mapping[int, Sequence[CellEdit]]) -> bytes:
    """The notebook's bytes with edits made to cells, given by number; each cell's are in order and do not overlap."""
    writer = _Writer(notebook)
    splices = [
        splice for cell in notebook.cells if cell.number in edits for splice in writer.cell(cell, edits[cell.number])
    ]
    parts, position = [], 0
    for splice in splices:
        parts += [notebook.text[position : splice.start], splice.text]
        position = splice.end
    return notebook.bom + "".join((*parts, notebook.text[position:])).encode("utf-8")


class _Writer:
    """Writes in the notebook's own style."""

    def __init__(self, notebook: Notebook) -> None:
        self.text = notebook.text
        self.ascii = notebook.text.isascii()
        pairs = ((left, right) for cell in notebook.cells if cell.opening for left, right in pairwise(cell.literals))
        between = next(pairs, None)
        self.separator = self.text[between[0].end : between[1].start] if between else None

    def cell(self, cell: Cell, edits: Sequence[CellEdit]) -> Iterator[_Splice]:
        starts = list(accumulate((len(literal.value) for literal in cell.literals), initial=0))[:-1]
        for group in _groups(starts, len(cell.text), edits):
            literals = cell.literals[group.first : group.last + 1]
            raw = self._edited(literals, starts[group.first], group.edits)
            yield self._rewritten(cell, group, raw)

    def _edited(self, literals: Sequence[JsonString], base: int, edits: Sequence[CellEdit]) -> str:
        """What stands between the quotes of some strings together, with the edits made."""
        raw = "".join(self.text[literal.start + 1 : literal.end - 1] for literal in literals)
        slash = "\\/" in raw
        parts, position = [], 0
        offsets = _offsets(raw, [at - base for edit in edits for at in (edit.start, edit.end)])
        for index, edit in enumerate(edits):
            new = json.dumps(edit.text, ensure_ascii=self.ascii)[1:-1]
            parts += [raw[position : offsets[2 * index]], new.replace("/", "\\/") if slash else new]
            position = offsets[2 * index + 1]
        return "".join((*parts, raw[position:]))

    def _rewritten(self, cell: Cell, group: _Group, raw: str) -> _Splice:
        """Put a text in the place of strings: one a line, if it was one a line before."""
        literals = cell.literals[group.first : group.last + 1]
        start, end = literals[0].start, literals[-1].end
        if cell.opening is None:
            return _Splice(start, end, f'"{raw}"')
        by_line = all("\n" not in literal.value[:-1] for literal in literals)
        lines = [line for line in _LINE.findall(raw) if line] if by_line else [raw] * bool(raw)
        if not lines and len(literals) < len(cell.literals):
            if group.last + 1 < len(cell.literals):
                return _Splice(start, cell.literals[group.last + 1].start, "")
            return _Splice(cell.literals[group.first - 1].end, end, "")
        separators = [self.text[a.end : b.start] for a, b in pairwise(literals)]
        more = self._separator(cell)
        parts = []
        for index, line in enumerate(lines or [""]):
            if index:
                parts.append(separators[index - 1] if index <= len(separators) else more)
            parts.append(f'"{line}"')
        return _Splice(start, end, "".join(parts))

    def _separator(self, cell: Cell) -> str:
        """What stands between two strings of this source, or would."""
        if len(cell.literals) > 1:
            return self.text[cell.literals[0].end : cell.literals[1].start]
        assert cell.opening is not None
        space = self.text[cell.opening + 1 : cell.literals[0].start]
        if "\n" in space or "\r" in space:
            return "," + space
        if self.separator is not None and "\n" not in self.separator:
            return self.separator
        return ", "


def _groups(starts: Sequence[int], length: int, edits: Sequence[CellEdit]) -> list[_Group]:
    """Put together the edits whose strings are the same or stand side by side."""
    groups: list[_Group] = []
    for edit in edits:
        first = max(bisect_right(starts, edit.start) - 1, 0)
        whole = edit.text.endswith("\n") or (not edit.text and edit.start in starts)
        final = (
            edit.end - 1 if whole or edit.end == length else edit.end
        )  # a line that loses its ending takes in the next
        last = max(bisect_right(starts, max(final, edit.start)) - 1, first)
        if groups and first <= groups[-1].last + 1:
            groups[-1].edits.append(edit)
            groups[-1] = groups[-1]._replace(last=max(last, groups[-1].last))
        else:
            groups.append(_Group(first, last, [edit]))
    return groups


def _offsets(raw: str, characters: Sequence[int]) -> list[int]:
    """Where characters, given in order by their indexes, stand in a JSON string's raw text."""
    if "\\" not in raw:
        return list(characters)
    offsets = [match.start() for match in _UNIT.finditer(raw)]
    offsets.append(len(raw))
    return [offsets[index] for index in characters]
