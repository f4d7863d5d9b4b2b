"""Notebooks: their cells are translated as one source, and the edits carried back into the JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from optmap.diagnostics import (
    BROKEN_CELL,
    BROKEN_NOTEBOOK,
    FOREIGN_CELL,
    OLD_NOTEBOOK,
    SKIPPED_CELL,
    UNVERIFIED,
    Diagnostic,
)
from optmap.mapping.model import MappingSet
from optmap.source.cells import CellEdit, edited_text, splice_cells
from optmap.source.edits import Edit
from optmap.source.joined_cells import View, view
from optmap.source.magics import PYTHON_ELSEWHERE, CellCode, CellKind
from optmap.source.notebook import Cell, Notebook, NotebookError, read_notebook
from optmap.source.text import Source, SourceError
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_parsed
from optmap.translate.prefilter import may_hold_optimizers, may_mention
from optmap.translate.results import CallResult, CellChange, FileResult, Status, failed

_LETTER: Final = re.compile(rb"\\u00[4-7]")
"""An escape for an ASCII letter, which could hide a name."""


_NEWLINE: Final = re.compile(r"(?:\r\n|\r|\n)\Z")

_Placed = TypeVar("_Placed", CallResult, Diagnostic)


class _Unproved(Exception):
    """The edited notebook is not provably right."""


def notebook_source(data: bytes) -> Source:
    """The code cells of a notebook as one source. Raises SourceError."""
    return view(read_notebook(data)).source


def translate_notebook(data: bytes, tables: MappingSet, options: Options) -> FileResult:
    """Translate a notebook's content. Problems with the content are reported in the result, never raised."""
    whole = data.strip(b" \t\r\n\xef\xbb\xbf")
    looks_whole = whole.startswith(b"{") and whole.endswith(b"}")
    if looks_whole and not may_hold_optimizers(data, tables, options.sources) and not _LETTER.search(data):
        return FileResult(data)
    try:
        notebook = read_notebook(data)
        code = "\n".join(cell.text for cell in notebook.cells)
        if not may_hold_optimizers(code.encode("utf-8", "replace"), tables, options.sources):
            return FileResult(data)
        found = view(notebook)
    except NotebookError as error:
        return failed(data, OLD_NOTEBOOK if error.old else BROKEN_NOTEBOOK, error.message, error.line, error.column)
    except SourceError as error:
        return failed(data, BROKEN_NOTEBOOK, f"the code cells together {error.message}", 1, 1)
    result = translate_parsed(found.source.body, found.source, tables, options)
    return _Carrier(data, notebook, found, tables, options).carry(result)


class _Carrier:
    """Carries a result for the joined cells back to the notebook."""

    def __init__(self, data: bytes, notebook: Notebook, found: View, tables: MappingSet, options: Options) -> None:
        self.data = data
        self.notebook = notebook
        self.view = found
        self.tables = tables
        self.options = options

    def carry(self, result: FileResult) -> FileResult:
        if result.error is not None:
            return failed(self.data, BROKEN_NOTEBOOK, f"the code cells together {result.error}", 1, 1)
        calls = tuple(placed for call in result.calls if (placed := self._placed(call)) is not None)
        said = [item for found in result.diagnostics if (item := self._placed(found)) is not None]
        for cell, code in self.view.left:
            said += _left_alone(cell, code, self.tables, self.options)
        diagnostics = tuple(sorted(said, key=lambda item: (item.cell or 0, item.line, item.column, item.code.id)))
        if not result.changed:
            return FileResult(self.data, False, None, calls, diagnostics)
        if not self.options.prove:
            return FileResult(b"", True, None, calls, diagnostics)
        try:
            edits = self._cell_edits(result.edits)
            changes = tuple(
                CellChange(cell.number, cell.text, edited_text(cell.text, edits[cell.number]))
                for cell in self.notebook.cells
                if cell.number in edits
            )
            output = splice_cells(self.notebook, edits)
            _compare(self.data, output, changes)
            if translate_notebook(output, self.tables, self.options._replace(prove=False)).changed:
                raise _Unproved("a second run would change the notebook again")
        except _Unproved as error:
            return self._untouched(calls, diagnostics, str(error))
        return FileResult(output, output != self.data, None, calls, diagnostics, (), changes)

    def _untouched(self, calls: tuple[CallResult, ...], said: tuple[Diagnostic, ...], reason: str) -> FileResult:
        """Nothing is translated, as the whole could not be proved."""
        message = f"the translation of this notebook could not be proved correct ({reason}); it was left alone"
        first = next(call for call in calls if call.status is Status.TRANSLATED)
        item = Diagnostic(UNVERIFIED, message, first.line, first.column, None, first.cell)
        refused = tuple(
            call._replace(status=Status.REFUSED, target=None) if call.status is Status.TRANSLATED else call
            for call in calls
        )
        return FileResult(self.data, False, None, refused, (*said, item))

    def _placed(self, item: _Placed) -> _Placed | None:
        """Count lines from the start of the cell; what stands in no cell is no part of the result."""
        part = self.view.part_of_line(item.line)
        if part is None:
            return None
        before = part.line - 1
        placed = item._replace(line=item.line - before, cell=part.cell.number)
        if isinstance(placed, Diagnostic) and placed.end_line is not None:
            return placed._replace(end_line=placed.end_line - before)
        return placed

    def _cell_edits(self, edits: Sequence[Edit]) -> dict[int, list[CellEdit]]:
        """The edits of each cell, in characters of its text. Raises _Unproved for one that reaches out of a cell."""
        found: dict[int, list[CellEdit]] = {}
        for edit in edits:
            part = self.view.part_at(edit.start)
            body = self.view.source.body
            if part is None or edit.end > part.end + 2 or body[part.end : edit.end].strip():
                raise _Unproved("an edit reaches out of its cell")
            own = body[part.start : part.end]
            start = len(own[: edit.start - part.start].decode())
            end = len(own[: edit.end - part.start].decode())
            cell = found.setdefault(part.cell.number, [])
            cell.append(CellEdit(start, end, edit.text))
            if edit.end > part.end and not edit.text:
                _end_with(cell, own.decode())
        return found


def _end_with(edits: list[CellEdit], text: str) -> None:
    """The last line of a cell goes, which ends in no newline: take the newline of what now comes last along."""
    last = edits.pop()
    while edits and edits[-1].end == last.start and not edits[-1].text:
        last = CellEdit(edits.pop().start, last.end, "")
    if edits and edits[-1].end == last.start:
        edits[-1] = edits[-1]._replace(text=_NEWLINE.sub("", edits[-1].text))
        edits.append(last)
    else:
        edits.append(last._replace(start=len(_NEWLINE.sub("", text[: last.start]))))


def _left_alone(cell: Cell, code: CellCode, tables: MappingSet, options: Options) -> list[Diagnostic]:
    """What to say of a cell that is not Python."""
    names = "|".join(map(re.escape, sorted(tables.class_names)))
    constructs = re.search(rf"\b(?:(?:{names})\s*\(|optim(?:izers)?\s*\.|\w+Optimizer\s*\()", cell.text) is not None
    if code.kind is CellKind.BROKEN:
        kind = BROKEN_CELL if constructs else SKIPPED_CELL
        more = ", with the optimizers that it may construct" if constructs else ""
        message = f"the cell cannot be parsed: {code.message}; it was left alone{more}"
        return [Diagnostic(kind, message, code.line, code.column, None, cell.number)]
    python = code.kind is CellKind.UNKNOWN or code.magic in PYTHON_ELSEWHERE
    if python and constructs and may_mention(cell.text.encode("utf-8", "replace"), tables, options.sources):
        message = f"the body of %%{code.magic} mentions optimizers and was left alone"
        return [Diagnostic(FOREIGN_CELL, message, 1, 1, None, cell.number)]
    return []


def _compare(before: bytes, after: bytes, changes: Sequence[CellChange]) -> None:
    """Raise _Unproved unless the documents are the same but for the sources of the changed cells."""
    old, new = _document(before), _document(after)
    for change in changes:
        left, right = old["cells"][change.number - 1], new["cells"][change.number - 1]
        if type(left["source"]) is not type(right["source"]) or "".join(right["source"]) != change.after:
            raise _Unproved("a cell's source is not what was meant")
        right["source"] = left["source"]
    if old != new:
        raise _Unproved("the notebook changed outside of the sources of its cells")


def _document(data: bytes) -> Any:
    try:
        return json.loads(data, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise _Unproved(f"the result is not valid JSON: {error}") from None
