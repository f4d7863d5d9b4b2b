"""`# optmap: ignore` and `# optmap: ignore[CODE]`: what a file asks to be left alone or not told."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping, Sequence

from optmap.diagnostics import Diagnostic
from optmap.source.text import Source

_NEWLINE = re.compile(rb"\r\n?")
_IGNORE = re.compile(r"#\s*optmap:\s*ignore(?:\[([^\]]*)\])?\s*(?:#.*)?$")


def ignored_lines(source: Source) -> dict[int, frozenset[str]]:
    """Lines with an ignore comment and the codes that it names, none for all."""
    if b"optmap:" not in source.body:
        return {}
    found: dict[int, frozenset[str]] = {}
    try:
        for token in tokenize.tokenize(io.BytesIO(_NEWLINE.sub(b"\n", source.body)).readline):
            match = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
            if match:
                codes = match[1] or ""
                found[token.start[0]] = frozenset(code.strip() for code in codes.split(",") if code.strip())
    except (tokenize.TokenError, SyntaxError):
        return found
    return found


def ignored_in(text: str) -> dict[int, frozenset[str]]:
    """The same for the lines of a text that is not Python, in which `#` begins a comment."""
    if "optmap:" not in text:
        return {}
    found = {number: _IGNORE.search(line) for number, line in enumerate(text.splitlines(), 1)}
    return {
        number: frozenset(code.strip() for code in (match[1] or "").split(",") if code.strip())
        for number, match in found.items()
        if match
    }


def silenced(
    ignored: Mapping[int, frozenset[str]], diagnostics: Sequence[Diagnostic]
) -> tuple[Diagnostic, ...]:  # fmt: skip
    """Drop the diagnostics whose codes are to be ignored on their line."""
    return tuple(item for item in diagnostics if item.code.id not in ignored.get(item.line, ()))
