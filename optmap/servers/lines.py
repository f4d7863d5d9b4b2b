"""The lines of a document that an editor has open, and positions in its units."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from lsprotocol import types as lsp
from pygls.workspace import TextDocument

_NEWLINE: Final = re.compile(r"\r\n?|\n")


class Lines:
    """Lines as editors and Python count them: a form feed or a Unicode line separator ends none."""

    def __init__(self, document: TextDocument) -> None:
        self._text = document.source
        self._bytes = self._text.encode()
        self._codec = document.position_codec
        self._starts = [0, *(found.end() for found in _NEWLINE.finditer(self._text))]

    def at(self, offset: int) -> lsp.Position:
        """The position of an offset in characters."""
        line = bisect_right(self._starts, offset) - 1
        return lsp.Position(line, self._codec.client_num_units(self._text[self._starts[line] : offset]))

    def in_bytes(self, offset: int) -> lsp.Position:
        """The position of an offset in bytes of the text's UTF-8 form."""
        return self.at(len(self._bytes[:offset].decode()))

    def of(self, line: int, column: int) -> lsp.Position:
        """The position of a line and a column that count from 1, the column in characters."""
        return self.at(min(self._starts[line - 1] + column - 1, len(self._text)))

    def text(self, line: int) -> str:
        """The text of a line that counts from 1, without its newline."""
        end = self._starts[line] if line < len(self._starts) else len(self._text)
        return self._text[self._starts[line - 1] : end].rstrip("\r\n")
