"""GitHub's workflow commands: one line per annotation."""

from __future__ import annotations

from optmap.diagnostics import Diagnostic


def annotation(level: str, title: str, text: str, path: str | None = None, line: str = "", column: str = "") -> str:
    """An annotation of level error, warning or notice, at a position in a file if a path is given."""
    place = f"file={_value(path)}," if path else ""
    place += "".join(f"{name}={value}," for name, value in (("line", line), ("col", column)) if path and value)
    return f"::{level} {place}title={_value(title)}::{_escape(text)}"


def _value(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def in_cell(item: Diagnostic) -> str:
    """The message; in a notebook with cell and line, for which an annotation has no field."""
    return item.message if item.cell is None else f"cell {item.cell}, line {item.line}: {item.message}"
