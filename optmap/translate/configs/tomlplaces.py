"""Where the values of a TOML file stand: tomllib checks the file, but keeps no places."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

Path = tuple[str | int, ...]
_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED: Final = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER: Final = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]\]?")
_PAIR: Final = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=[ \t]*")
_INNER: Final = re.compile(rf"({_DOTTED})[ \t]*=[ \t]*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'|#[^\n]*", re.DOTALL
)


class Places:
    """Offsets into a text to lines and columns from 1: the lines are counted once, whatever the number of offsets."""

    def __init__(self, text: str) -> None:
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def __call__(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1


def places(text: str) -> dict[Path, tuple[int, int]]:
    """Map the path of each value of a valid TOML file to line and column from 1.

    Values of lists have the place of the list, but tables of [[lists]] have their own.
    """
    place = Places(text)
    found: dict[Path, tuple[int, int]] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    at = 0
    while at < len(text):
        header, pair = _HEADER.match(text, at), _PAIR.match(text, at)
        if header:
            table = _resolve(tuple(_keys(header[2])), counts, header[1] == "[[")
            found[table] = place(header.start(1))
            at = _skip_line(text, header.end())
        elif pair:
            path = (*table, *_keys(pair[1]))
            found[path] = place(pair.end())
            at = _value(text, pair.end(), path, found, place)
        else:
            at = _skip_line(text, at)
    return found


def _keys(text: str) -> Iterator[str]:
    for match in re.finditer(_KEY, text):
        key = match[0]
        yield key[1:-1] if key[0] in "\"'" else key


def _resolve(path: Path, counts: dict[Path, int], new: bool) -> Path:
    """Put the number of the current table behind each name of a [[list]]."""
    result: Path = ()
    for number, key in enumerate(path):
        result = (*result, key)
        if new and number == len(path) - 1:
            counts[result] = counts.get(result, -1) + 1
        if result in counts:
            result = (*result, counts[result])
    return result


def _value(text: str, at: int, path: Path, found: dict[Path, tuple[int, int]], place: Places) -> int:
    """Note the keys of inline tables, and return the offset of the line behind the value."""
    open_: list[Path] = []
    current = path
    while at < len(text):
        string = _STRING.match(text, at)
        key = _INNER.match(text, at) if open_ and open_[-1] == current else None
        if key:
            current = (*open_[-1], *_keys(key[1]))
            found[current] = place(key.end())
            at = key.end()
        elif string:
            at = string.end()
        elif text[at] == "{":
            open_.append(current)
            at += 1
        elif text[at] == "}" and open_:
            current = open_.pop()
            at += 1
        elif text[at] == "," and open_:
            current = open_[-1]
            at += 1
        elif text[at] == "[":
            at = _list_end(text, at)
        elif text[at] == "\n" and not open_:
            return at + 1
        else:
            at += 1
    return at


def _list_end(text: str, at: int) -> int:
    """The offset behind a list, which may span lines."""
    depth = 0
    while at < len(text):
        string = _STRING.match(text, at)
        if string:
            at = string.end()
            continue
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            break
    return at


def _skip_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
