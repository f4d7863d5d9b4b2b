"""optmap's own tables as JSON, so that a run need not import and run a YAML parser, which takes longer than most files do.

A stored form lies in `mappings/stored/` and holds a digest of the tables and of the code that read them; it is used only
while both are the same byte for byte. It is built with the wheel, and never written by what is installed. In a checkout it is
not committed, and a run that finds it stale writes it anew; where that fails the tables are read from YAML each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar
from zlib import crc32

from optmap.reading import TEXT_BYTES, read_regular

T = TypeVar("T")
Contents = list[tuple[str, bytes]]
_PACKAGE: Final = Path(__file__).resolve().parent.parent
_INSIDE: Final = _PACKAGE / "mappings"


class MappingError(Exception):
    """The tables cannot be used; `lines` holds one message for each error, with its place."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class Directory(type(Path())):  # type: ignore[misc]
    """A directory of tables as it is at present: what was read from it under the same path before is another value."""

    stamp: tuple[tuple[str, int, int], ...]

    @classmethod
    def now(cls, path: Path | str) -> Directory:
        found = cls(path)
        status = ((str(each), each.stat()) for each in sorted(Path(path).rglob("*.yaml")))
        found.stamp = tuple((name, item.st_mtime_ns, item.st_size) for name, item in status)
        return found

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and getattr(self, "stamp", None) == getattr(other, "stamp", None)

    def __hash__(self) -> int:
        return hash((super().__hash__(), getattr(self, "stamp", None)))


@lru_cache(maxsize=1)
def default_directory() -> Path:
    """Return the directory of the tables that come with optmap: beside the package in a checkout, inside it once built."""
    return _INSIDE if _INSIDE.is_dir() else _PACKAGE.parent / "mappings"


def own_files(folder: str = "") -> Contents:
    """Read optmap's own tables, or those of a folder beside them, as (name, content), in order. Raises MappingError."""
    shown = f"mappings/{folder}/" if folder else "mappings/"
    try:
        found = _files(os.path.join(default_directory(), folder), ".yaml")
    except OSError as error:
        raise MappingError([f"{shown}: cannot be read: {error.strerror}"]) from None
    return [(shown + name, content) for name, content in found]


def stored(
    name: str,
    folder: str,
    build: Callable[[Contents], T],
    plain: Callable[[Any], Any],
    back: Callable[[Any], T],
    also: str | None = None,
) -> T:
    """Return what `build` makes of a folder's tables, from its stored form where that is fresh.

    `plain` returns what JSON can hold of it, and `back` makes it of that again. What is built depends on the tables of the
    folder `also`, too.
    """
    contents = own_files(folder)
    fresh = digest([*contents, *(own_files(also) if also is not None else ()), ("code", _code().encode())])
    path = default_directory() / "stored" / f"{name}.json"
    with suppress(Exception):  # whatever is wrong with it, the tables themselves are there
        first, _, rest = path.read_bytes().partition(b"\n")
        if first.decode() == fresh:
            return back(json.loads(rest))
    built = build(contents)
    if default_directory() != _INSIDE:
        write(path, f"{fresh}\n{json.dumps(plain(built), separators=(',', ':'))}\n")
    return built


def write(path: Path, text: str) -> None:
    """Write a stored form at once, so that another process finds all of it or none; a failure leaves things as they are."""
    beside = path.with_name(f".{path.name}.{os.getpid()}-{id(text)}")
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def digest(contents: Iterable[tuple[str, bytes]]) -> str:
    """Return a digest of files given as (name, content), in order: it tells edits, not forgeries, and costs no import."""
    size = state = 0
    for name, data in contents:
        state = crc32(data, crc32(f"{name}\0{len(data)}\0".encode(), state))
        size += len(data)
    return f"{size}-{state:08x}"


def read_tables(directory: Path) -> Contents:
    """The tables of a folder of the user's. Raises MappingError."""
    try:
        return [(str(path), read_regular(path, TEXT_BYTES)) for path in sorted(directory.glob("*.yaml"))]
    except OSError as error:
        raise MappingError([f"{error.filename or directory}:1:1: cannot be read: {error.strerror}"]) from None


@lru_cache(maxsize=1)
def _code() -> str:
    """The digest of the code that reads tables."""
    return digest(_files(os.path.dirname(__file__), ".py"))


def _files(directory: str, ending: str) -> Contents:
    found = []
    for name in sorted(os.listdir(directory)):
        if name.endswith(ending):
            with open(os.path.join(directory, name), "rb") as file:
                found.append((name, file.read()))
    return found
