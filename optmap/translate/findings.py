"""What the translator has to say about a place of a file, whichever pass found it."""

from __future__ import annotations

import ast
from bisect import bisect_right
from typing import NamedTuple

from optmap.diagnostics import Code, Diagnostic
from optmap.source.calls import Span
from optmap.source.text import Source

Place = ast.expr | ast.stmt | Span
"""A node of the file, or the span of an argument, whose brackets and name its node leaves out."""


class Finding(NamedTuple):
    """A message about one place. `replacement` is the code to put there.

    `covers` are the ids of nodes whose own, less precise findings this one replaces.
    """

    code: Code
    message: str
    node: Place
    table: str | None = None
    replacement: str | None = None
    covers: frozenset[int] = frozenset()


def offset_of(source: Source, place: Place) -> int:
    """The offset at which a place begins."""
    return place.start if isinstance(place, Span) else source.start(place)


def position(source: Source, offset: int) -> tuple[int, int]:
    """Line and column from 1 of an offset, the column in characters."""
    line = bisect_right(source.line_starts, offset)
    return line, source.column(line, offset - source.line_starts[line - 1])


def diagnostic(source: Source, finding: Finding) -> Diagnostic:
    """The finding as reports show it."""
    line, column = position(source, offset_of(source, finding.node))
    return Diagnostic(finding.code, finding.message, line, column, finding.table)
