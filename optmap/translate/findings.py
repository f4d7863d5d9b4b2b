"""What the translator has to say about a place of a file, whichever pass found it, and what the file asks not to be told."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

from optmap.diagnostics import CODES, UNKNOWN_IGNORE, UNUSED_IGNORE, Code, Diagnostic, codes_named
from optmap.nearest import nearest
from optmap.source.calls import Span
from optmap.source.text import Source
from optmap.values import NamedTuple

_NEWLINE: Final = re.compile(rb"\r\n?")
_IGNORE: Final = re.compile(r"#\s*optmap:\s*ignore(?:\[([^\]]*)\])?\s*(?:#.*)?$")

Place = ast.expr | ast.stmt | Span
"""A node of the file, or the span of an argument, whose brackets and name its node leaves out."""


class Finding(NamedTuple):
    """A message about one place. `replacement` is the code to put there, `detail` what is told to those who ask for it.

    `covers` are the ids of nodes whose own, less precise findings this one replaces.
    """

    code: Code
    message: str
    node: Place
    table: str | None = None
    replacement: str | None = None
    covers: frozenset[int] = frozenset()
    detail: str | None = None


def offset_of(source: Source, place: Place) -> int:
    """The offset at which a place begins."""
    return place.start if isinstance(place, Span) else source.start(place)


def position(source: Source, offset: int) -> tuple[int, int]:
    """Line and column from 1 of an offset, the column in characters."""
    line = bisect_right(source.line_starts, offset)
    return line, source.column(line, offset - source.line_starts[line - 1])


def diagnostic(source: Source, finding: Finding) -> Diagnostic:
    """The finding as reports show it."""
    place = finding.node
    line, column = position(source, offset_of(source, place))
    start, end = offset_of(source, place), place.end if isinstance(place, Span) else source.end(place)
    last, _ = position(source, max(end - 1, start))  # the end of a file is on no line
    return Diagnostic(
        finding.code, finding.message, line, column, finding.table, None, finding.replacement, finding.detail,
        last, source.column(last, end - source.line_starts[last - 1]), source.line(line),
    )  # fmt: skip


def ignored_lines(source: Source) -> dict[int, frozenset[str]]:
    """Lines with an ignore comment and the codes that it names, none for all."""
    if b"optmap:" not in source.body:
        return {}
    found: dict[int, frozenset[str]] = {}
    try:
        lines = io.StringIO(
            _NEWLINE.sub(b"\n", source.body).decode()
        )  # a coding cookie means nothing to the UTF-8 form
        for token in tokenize.generate_tokens(lines.readline):
            match = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
            if match:
                found[token.start[0]] = _codes(match)
    except (tokenize.TokenError, SyntaxError):
        return found
    return found


def ignored_in(text: str) -> dict[int, frozenset[str]]:
    """The same for the lines of a text that is not Python, in which `#` begins a comment."""
    if "optmap:" not in text:
        return {}
    found = {number: _IGNORE.search(line) for number, line in enumerate(text.splitlines(), 1)}
    return {number: _codes(match) for number, match in found.items() if match}


def _codes(match: re.Match[str]) -> frozenset[str]:
    return frozenset(code.strip() for code in (match[1] or "").split(",") if code.strip())


def silenced(ignored: Mapping[int, frozenset[str]], diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Drop the diagnostics whose codes are to be ignored on their line."""
    if not ignored:
        return tuple(diagnostics)
    silent = {line: frozenset().union(*map(codes_named, names)) for line, names in ignored.items()}
    return tuple(item for item in diagnostics if item.code.id not in silent.get(item.line, ()))


def needless(
    source: Source, ignored: Mapping[int, frozenset[str]], diagnostics: Sequence[Diagnostic]
) -> list[Diagnostic]:
    """What is wrong with ignore comments, where these are all diagnostics of a file: names of no code, and codes for nothing."""
    found = []
    for line, names in ignored.items():
        reported = {item.code.id for item in diagnostics if item.line == line}
        for name in sorted(names):
            codes = codes_named(name)
            if codes and not codes.isdisjoint(reported):
                continue
            code = UNUSED_IGNORE if codes else UNKNOWN_IGNORE
            message = (
                f"ignore[{name}] silences nothing on this line"
                if codes
                else f"ignore[{name}]: there is no such code{nearest(name, (code.name for code in CODES.values()))}"
            )
            text = source.line(line)
            column = text.rfind(name) + 1
            found.append(
                Diagnostic(code, message, line, column, end_line=line, end_column=column + len(name), source=text)
            )
    return found
