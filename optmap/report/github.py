"""GitHub workflow commands, which appear as annotations beside the code; the diagnostics of `translate` as such.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from optmap.diagnostics import Diagnostic, Severity
from optmap.shown import shown
from optmap.translate.results import FileResult

_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def translation_github(files: Sequence[tuple[str, FileResult]]) -> str:
    """Format the diagnostics of all files in order, one per line."""
    lines = []
    for path, item in ((path, item) for path, result in files for item in result.diagnostics):
        place = (str(item.line), str(item.column)) if item.cell is None else ()
        lines.append(annotation(_COMMANDS[item.severity], item.code.id, in_cell(item), path, *place) + "\n")
    return "".join(lines)


def in_cell(item: Diagnostic) -> str:
    """The message; in a notebook with cell and line, for which an annotation has no field."""
    message = item.message if item.replacement is None else f"{item.message}\n\n{item.replacement}"
    return message if item.cell is None else f"cell {item.cell}, line {item.line}: {message}"


def annotation(level: str, title: str, text: str, path: str | None = None, line: str = "", column: str = "") -> str:
    """An annotation of level error, warning or notice, at a position in a file if a path is given."""
    place = f"file={_value(path)}," if path else ""
    place += "".join(f"{name}={value}," for name, value in (("line", line), ("col", column)) if path and value)
    return f"::{level} {place}title={_value(title)}::{_escape(text)}"


def _value(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _escape(text: str) -> str:
    lines = map(shown, text.replace("%", "%25").replace("\r\n", "\n").split("\n"))
    return "%0A".join(lines)
