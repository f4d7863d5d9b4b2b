"""What became of a file and of its calls: what the translator hands to reports, to commands and to the API."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from optmap.diagnostics import Code, Diagnostic, Group, Severity
from optmap.source.edits import Edit
from optmap.values import NamedTuple

MARK: Final = b"# TODO(optmap "
"""What the comments of --todo begin with."""


class Status(StrEnum):
    """What became of a call."""

    TRANSLATED = "translated"
    REFUSED = "refused"
    UNCHANGED = "unchanged"


class CallResult(NamedTuple):
    """One constructor call: line and column from 1, columns in characters; `source` and `target` are API names.

    In a notebook `cell` counts its cells from 1, and the line is the one within the cell.
    """

    line: int
    column: int
    source: str
    target: str | None
    status: Status
    cell: int | None = None


class CellChange(NamedTuple):
    """The source of one cell of a notebook, before and after."""

    number: int
    before: str
    after: str


class Said(NamedTuple):
    """What is said once of a file, at the first of its places."""

    first: Diagnostic
    others: tuple[Diagnostic, ...]


def once(diagnostics: Iterable[Diagnostic], *, details: bool = False) -> list[Said]:
    """Each thing that is said once, in the order of first places, with all of its places; `details` are shown as well."""
    found: dict[tuple[object, ...], list[Diagnostic]] = {}
    for item in diagnostics:
        found.setdefault((item.code, item.message, item.replacement, details and item.detail), []).append(item)
    return [Said(items[0], tuple(items[1:])) for items in found.values()]


class FileResult(NamedTuple):
    """What became of one file. `output` equals the input unless `changed`; `error` says why a file could not be used.

    `edits` are those of the source's UTF-8 form; a notebook has `cells`, those that changed, in their place.
    """

    output: bytes
    changed: bool = False
    error: str | None = None
    calls: tuple[CallResult, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    edits: tuple[Edit, ...] = ()
    cells: tuple[CellChange, ...] = ()

    @property
    def text(self) -> str:
        """The output as text."""
        try:
            return self.output.decode()
        except UnicodeDecodeError:
            from optmap.source.text import encoding_of

            return self.output.decode(encoding_of(self.output), "surrogateescape")

    @property
    def left(self) -> list[Said]:
        """What a person still has to do, in order."""
        return once(item for item in self.diagnostics if item.code.group is Group.TODO)

    @property
    def refused(self) -> bool:
        return any(item.severity is Severity.ERROR for item in self.diagnostics)


def failed(data: bytes, code: Code, message: str, line: int, column: int) -> FileResult:
    """The result for content that cannot be used."""
    return FileResult(data, error=message, diagnostics=(Diagnostic(code, message, line, column),))
