"""GitHub's workflow commands: one line that becomes an annotation."""

from __future__ import annotations


def annotation(level: str, title: str, text: str, path: str | None = None, line: str = "", column: str = "") -> str:
    """An annotation of level error, warning or notice, at a place in a file where there is one."""
    place = f"file={_value(path)},line={line}," + (f"col={column}," if column else "") if path else ""
    return f"::{level} {place}title={_value(title)}::{_escape(text)}"


def _value(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
