"""Jupyter notebooks (nbformat 4): the source texts of their cells, and where in the file each one is written.

Only the way to those strings is walked; everything else, outputs and images above all, is skipped by `json`'s own scanner.
"""

from __future__ import annotations

import json.decoder
import re
from collections.abc import Callable
from json import JSONDecodeError, JSONDecoder
from typing import Final

from optmap.source.text import SourceError
from optmap.values import NamedTuple

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_scan_string: Final[Callable[[str, int], tuple[str, int]]] = json.decoder.scanstring  # type: ignore[attr-defined]
_NEWEST: Final = 4
"""The only major version of the format that is written today; before it, cells were kept in worksheets."""


class NotebookError(SourceError):
    """The file is no notebook that can be used. `old` tells that its format is only too old."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1, old: bool = False) -> None:
        super().__init__(message, line=line, column=column)
        self.old = old


class JsonString(NamedTuple):
    """A string of the file: its offsets there, quotes included, and what it says."""

    start: int
    end: int
    value: str


class Cell(NamedTuple):
    """A code cell: its number among all cells from 1, and the strings of its source; `opening` is the offset of their list."""

    number: int
    literals: tuple[JsonString, ...]
    opening: int | None

    @property
    def text(self) -> str:
        return "".join(literal.value for literal in self.literals)


class Notebook(NamedTuple):
    """A notebook's text without byte order mark, and its code cells if they are Python."""

    text: str
    bom: bytes
    cells: tuple[Cell, ...]


def read_notebook(data: bytes) -> Notebook:
    """Find the code cells of a notebook. Raises NotebookError with the line and column of what is wrong."""
    bom = _BOM if data.startswith(_BOM) else b""
    try:
        text = data[len(bom) :].decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start + len(bom)
        line = data.count(b"\n", 0, start) + 1
        column = len(data[data.rfind(b"\n", 0, start) + 1 : start].decode("utf-8", "replace")) + 1
        found = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else f"byte 0x{data[start]:02x}"
        raise NotebookError(f"cannot be decoded: found {found}, expected UTF-8", line=line, column=column) from None
    return Notebook(text, bom, _Reader(text).notebook())


class _Reader:
    """Walks one document; every method takes the offset of a value and returns the offset behind it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.scan: Callable[[str, int], tuple[object, int]] = JSONDecoder().scan_once  # type: ignore[attr-defined]
        self.cells: list[Cell] | None = None
        self.cells_at = 0
        self.count = 0
        self.format: object = None
        self.format_at = 0
        self.worksheets = False
        self.language: object = None

    def notebook(self) -> tuple[Cell, ...]:
        try:
            start = self._space(0)
            if self.text[start : start + 1] != "{":
                raise self._error(start, f"found {self._shown(start)}, expected a JSON object")
            end = self._space(self._object(start, self._member))
        except JSONDecodeError as error:
            message = f"is not valid JSON: {error.msg}"
            raise NotebookError(message, line=error.lineno, column=error.colno) from None
        except RecursionError:
            raise NotebookError("is not a notebook: nested too deeply") from None
        if end != len(self.text):
            raise self._error(end, "found more text behind the JSON document, expected the end")
        return self._checked()

    def _checked(self) -> tuple[Cell, ...]:
        if self.format is not None and (isinstance(self.format, bool) or not isinstance(self.format, int)):
            raise self._error(self.format_at, f"nbformat: found {self._shown(self.format_at)}, expected 4")
        if (isinstance(self.format, int) and self.format < _NEWEST) or (self.cells is None and self.worksheets):
            message = f"found nbformat {self.format or 3}, expected 4: `jupyter nbconvert --to notebook` converts it"
            line, column = _position(self.text, self.format_at)
            raise NotebookError(message, line=line, column=column, old=True)
        if isinstance(self.format, int) and self.format > _NEWEST:
            raise self._error(self.format_at, f"nbformat: found {self.format}, expected 4")
        if self.cells is None:
            raise self._error(0, "found no key 'cells', expected one")
        named = isinstance(self.language, str)
        return tuple(self.cells) if not named or "py" in str(self.language).lower() else ()

    def _member(self, key: str, at: int) -> int:
        if key == "cells":
            self.cells, self.cells_at, self.count = [], at, 0
            return self._array(at, self._cell, "cells")
        if key == "metadata" and self.text[at : at + 1] == "{":
            return self._object(at, self._metadata)
        value, end = self._value(at)
        if key == "nbformat":
            self.format, self.format_at = value, at
        elif key == "worksheets":
            self.worksheets = True
        return end

    def _metadata(self, key: str, at: int) -> int:
        value, end = self._value(at)
        if key == "kernelspec" and isinstance(value, dict) and self.language is None:
            self.language = value.get("language")
        elif key == "language_info" and isinstance(value, dict):
            self.language = value.get("name")
        return end

    def _cell(self, at: int) -> int:
        self.count += 1
        number = self.count
        if self.text[at : at + 1] != "{":
            raise self._error(at, f"cell {number}: found {self._shown(at)}, expected an object")
        kind: list[object] = [None]
        source: list[int] = []

        def member(key: str, start: int) -> int:
            value, end = self._value(start)
            if key == "cell_type":
                kind[0] = value
                if not isinstance(value, str):
                    raise self._error(start, f"cell {number}: cell_type: found {self._shown(start)}, expected a string")
            elif key == "source":
                source[:] = [start]
            return end

        end = self._object(at, member)
        if not isinstance(kind[0], str):
            raise self._error(at, f"cell {number}: found no key 'cell_type', expected one")
        if kind[0] == "code":
            if not source:
                raise self._error(at, f"cell {number}: found no key 'source', expected one")
            assert self.cells is not None
            self.cells.append(self._source(number, source[0]))
        return end

    def _source(self, number: int, at: int) -> Cell:
        literals: list[JsonString] = []

        def literal(start: int) -> int:
            if self.text[start : start + 1] != '"':
                expected = "a string" if start != at else "a string or a list of strings"
                raise self._error(start, f"cell {number}: source: found {self._shown(start)}, expected {expected}")
            value, end = _scan_string(self.text, start + 1)
            literals.append(JsonString(start, end, value))
            return end

        if self.text[at : at + 1] == "[":
            self._array(at, literal, "source")
            return Cell(number, tuple(literals), at)
        literal(at)
        return Cell(number, tuple(literals), None)

    def _object(self, at: int, member: Callable[[str, int], int]) -> int:
        at = self._space(at + 1)
        if self.text[at : at + 1] == "}":
            return at + 1
        while True:
            if self.text[at : at + 1] != '"':
                raise JSONDecodeError("expected a key in double quotes", self.text, at)
            key, at = _scan_string(self.text, at + 1)
            at = self._space(at)
            if self.text[at : at + 1] != ":":
                raise JSONDecodeError("expected ':'", self.text, at)
            at = self._space(member(key, self._space(at + 1)))
            if self.text[at : at + 1] == "}":
                return at + 1
            if self.text[at : at + 1] != ",":
                raise JSONDecodeError("expected ',' or '}'", self.text, at)
            at = self._space(at + 1)

    def _array(self, at: int, item: Callable[[int], int], name: str) -> int:
        if self.text[at : at + 1] != "[":
            raise self._error(at, f"{name}: found {self._shown(at)}, expected a list")
        at = self._space(at + 1)
        if self.text[at : at + 1] == "]":
            return at + 1
        while True:
            at = self._space(item(at))
            if self.text[at : at + 1] == "]":
                return at + 1
            if self.text[at : at + 1] != ",":
                raise JSONDecodeError("expected ',' or ']'", self.text, at)
            at = self._space(at + 1)

    def _value(self, at: int) -> tuple[object, int]:
        try:
            return self.scan(self.text, at)
        except StopIteration as stop:
            raise JSONDecodeError("expected a value", self.text, stop.value) from None
        except JSONDecodeError:
            raise
        except ValueError as error:  # Python refuses to read integers of thousands of digits
            raise self._error(at, f"cannot be read: {error}") from None

    def _space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        assert match is not None
        return match.end()

    def _shown(self, at: int) -> str:
        found = re.compile(r"[^\s,\[\]{}]{1,20}|.").match(self.text, at)
        kinds = {"{": "an object", "[": "a list"}
        return kinds.get(found[0], found[0]) if found else "the end of the file"

    def _error(self, at: int, message: str) -> NotebookError:
        line, column = _position(self.text, at)
        return NotebookError(f"is not a notebook: {message}", line=line, column=column)


def _position(text: str, at: int) -> tuple[int, int]:
    """Line and column from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
