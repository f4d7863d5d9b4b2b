"""A source file as bytes, as text and as a syntax tree, with one coordinate system: offsets into its UTF-8 form.

`ast` counts columns in UTF-8 bytes whatever the file's encoding, so edits are made in UTF-8 and encoded back at the end.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Callable, Hashable
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any, Final, TypeVar

from optmap.values import NamedTuple

_Answer = TypeVar("_Answer")
_NEWLINE: Final = re.compile(rb"\r\n|\r|\n")
_SPACED: Final = bytes(byte if bytes([byte]).isalnum() or byte == ord("_") else ord(" ") for byte in range(256))
"""Puts a space in place of every byte that is no ASCII letter, digit or underscore."""
_HEAD: Final = re.compile(rb"(?:[^\r\n]*(?:\r\n|\r|\n|\Z)){2}")
"""The two lines that may declare an encoding."""
_BOM: Final = b"\xef\xbb\xbf"


class SourceError(Exception):
    """The source cannot be used. `line` and `column` count from 1 where known."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1, decoding: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.decoding = decoding


class Parts(NamedTuple):
    """What a source adds that was put together from several texts, the cells of a notebook.

    `lines` holds (first line, cell number) of each; `anchors` are the offsets of statements before which an import may be
    put, best first; imports within the offsets of `kept` are never removed.
    """

    lines: tuple[tuple[int, int], ...]
    anchors: tuple[int, ...]
    kept: tuple[tuple[int, int], ...]


class Source:
    """Python source: `body` is its UTF-8 form without byte order mark, `encoding` and `bom` say how to go back.

    `declares` tells whether a cookie in it counts, as in a file. `memo` holds what was found out about it, by whatever asks
    for that once.
    """

    def __init__(
        self,
        body: bytes,
        encoding: str,
        bom: bytes,
        tree: ast.Module,
        parts: Parts | None = None,
        *,
        declares: bool = True,
    ) -> None:
        self.body: Final = body
        self.declares: Final = declares
        self.encoding: Final = encoding
        self.bom: Final = bom
        self.tree: Final = tree
        self.parts: Final = parts
        self.memo: Final[dict[Any, Any]] = {}

    def once(self, question: Hashable, find: Callable[[], _Answer]) -> _Answer:
        """The answer to a question that is asked once for a file."""
        if question not in self.memo:
            self.memo[question] = find()
        answer: _Answer = self.memo[question]
        return answer

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of the first byte of each line, as Python counts lines."""
        return list(accumulate(map(len, self.body.splitlines(keepends=True)), initial=0)) if self.body else [0]

    @cached_property
    def newline(self) -> str:
        """The line ending that the file uses; the first one decides."""
        match = _NEWLINE.search(self.body)
        return match[0].decode() if match else "\n"

    @cached_property
    def words(self) -> frozenset[bytes]:
        """Every run of ASCII letters, digits and underscores in the body, also as Python reads other forms of letters."""
        return words_of(self.body)

    def mentions(self, word: str) -> bool:
        """Tell whether the body holds a word, whatever it means there."""
        return word.encode() in self.words

    def holds(self, text: bytes) -> bool:
        """Tell whether the body has a text anywhere; each is looked for once, however many calls ask."""
        key = (Source.holds, text)
        found = self.memo.get(key)
        if found is None:
            found = self.memo[key] = text in self.body
        return bool(found)

    def offset(self, line: int, column: int) -> int:
        """Offset of a position that `ast` gives: line from 1, column in bytes from 0."""
        return self.line_starts[line - 1] + column

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.end_lineno, node.end_col_offset)

    def text(self, start: int, end: int) -> str:
        return self.body[start:end].decode("utf-8")

    def text_of(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        return self.text(self.start(node), self.end(node))

    def column(self, line: int, byte_column: int) -> int:
        """Column from 1 in characters, for people."""
        start = self.line_starts[line - 1]
        return len(self.body[start : start + byte_column].decode("utf-8", "replace")) + 1

    def cell_line(self, line: int) -> tuple[int | None, int]:
        """The number of the cell that a line stands in, None for a file, and the line's number there."""
        if self.parts is None:
            return None, line
        first, cell = self.parts.lines[max(bisect_right(self.parts.lines, (line, sys.maxsize)) - 1, 0)]
        return cell, line - first + 1

    def line_name(self, line: int) -> str:
        """How messages name a line."""
        cell, number = self.cell_line(line)
        return f"line {number}" if cell is None else f"line {number} of cell {cell}"

    def line(self, number: int) -> str:
        """The text of a line, without its ending."""
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.body)
        return self.text(self.line_starts[number - 1], end).rstrip("\r\n")

    def encode(self, body: bytes) -> bytes:
        """Turn an edited body back into the file's own bytes. Raises SourceError where its encoding lacks a character."""
        if self.encoding == "utf-8":
            return self.bom + body
        try:
            return self.bom + body.decode("utf-8").encode(self.encoding)
        except UnicodeEncodeError as error:
            raise SourceError(f"the result cannot be written in the file's encoding: {error}", decoding=True) from None


@lru_cache(maxsize=1)
def words_of(data: bytes) -> frozenset[bytes]:
    """The words of a file that may have to be parsed; see `Source.words`."""
    found = frozenset(data.translate(_SPACED).split())
    if data.isascii():
        return found
    import unicodedata

    text = data.decode("utf-8", "replace")
    read = unicodedata.normalize("NFKC", text)
    return found if read == text else found.union(read.encode().translate(_SPACED).split())


def read_source(data: bytes, *, declares: bool = True) -> Source:
    """Decode and parse a file's bytes, or text as UTF-8, in which a cookie declares nothing. Raises SourceError."""
    bom = _BOM if data.startswith(_BOM) else b""
    encoding = encoding_of(data) if declares else "utf-8"
    if encoding == "utf-8":
        body = data[len(bom) :]
        _require_utf8(body)
    else:
        body = _to_utf8(data, encoding)
    return Source(body, encoding, bom, parse_body(body), declares=declares)


def encoding_of(data: bytes) -> str:
    """The encoding in which Python reads a file's bytes. Raises SourceError."""
    try:
        head = _HEAD.match(data)
        assert head is not None
        found, _ = tokenize.detect_encoding(io.BytesIO(_NEWLINE.sub(b"\n", head[0])).readline)
    except (SyntaxError, UnicodeDecodeError) as error:
        message = getattr(error, "msg", None) or str(error)
        raise SourceError(f"cannot be decoded: {message}", decoding=True) from None
    return "utf-8" if found == "utf-8-sig" else found


def _require_utf8(body: bytes) -> None:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"cannot be decoded: found byte 0x{body[error.start]:02x}, expected UTF-8 (no other encoding is declared)",
            line=line,
            decoding=True,
        ) from None


def _to_utf8(data: bytes, encoding: str) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = data.decode(encoding)
            back = text.encode(encoding)
    except (UnicodeError, LookupError) as error:
        raise SourceError(f"cannot be decoded as the declared {encoding}: {error}", decoding=True) from None
    if back != data:
        raise SourceError(f"does not survive decoding and encoding as the declared {encoding}", decoding=True)
    return text.encode("utf-8")


def parse_body(body: bytes) -> ast.Module:
    """Parse a UTF-8 body. Raises SourceError with the place where Python gave up."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(body.decode("utf-8"))
    except SyntaxError as error:
        raise SourceError(
            f"cannot be parsed: {error.msg}", line=max(error.lineno or 1, 1), column=max(error.offset or 1, 1)
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError | MemoryError) else str(error)
        raise SourceError(f"cannot be parsed: {reason}") from None
