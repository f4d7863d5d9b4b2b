"""Find the tables and load them: optmap's own from their compiled form while it is fresh, all others from YAML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from optmap.mapping import compiled
from optmap.mapping.model import MappingSet


class MappingError(Exception):
    """The tables cannot be used; `lines` holds one message for each error, with its place."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def default_directory() -> Path:
    """Return the directory of the tables that come with optmap: beside the package in a checkout, inside it once built."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "mappings"
    return inside if inside.is_dir() else package.parent / "mappings"


SCHEDULES: Final = "schedules"
"""The folder of the tables of learning-rate schedules, in a directory of tables."""


def own_files(folder: str = "") -> list[tuple[str, bytes]]:
    """Read optmap's own tables, or those of a folder beside them, as (name, content), in order."""
    directory = default_directory() / folder
    shown = f"mappings/{folder}/" if folder else "mappings/"
    return [(f"{shown}{path.name}", path.read_bytes()) for path in sorted(directory.glob("*.yaml"))]


def load(extra: Iterable[Path] = ()) -> MappingSet:
    """Load optmap's own tables, then those of each extra directory; a later section replaces an earlier one of its name.

    Raises MappingError with every error of every file.
    """
    directories = tuple(extra)
    tables = _load(directories, "")
    return replace(tables, extra=directories) if directories else tables


@lru_cache(maxsize=2)
def load_schedules(extra: tuple[Path, ...] = ()) -> MappingSet:
    """Load the tables of learning-rate schedules, optmap's own and those in the folder `schedules` of each directory.

    Few files need them, so they are compiled apart from the optimizers' tables. Raises MappingError.
    """
    return _load(tuple(found for path in extra if (found := path / SCHEDULES).is_dir()), SCHEDULES)


def _load(directories: tuple[Path, ...], folder: str) -> MappingSet:
    contents = own_files(folder)
    if not directories:
        fresh = _compiled(contents, folder)
        if fresh is not None:
            return fresh
    from optmap.mapping.build import Builder

    builder = Builder()
    builder.add_contents(contents)
    for directory in directories:
        builder.add_directory(directory)
    return _finish(builder.build(), builder.problems.lines())


def load_files(files: Iterable[tuple[str, bytes]]) -> MappingSet:
    """Load tables from (name, content) pairs, without optmap's own. Raises MappingError."""
    from optmap.mapping.build import Builder

    builder = Builder()
    builder.add_contents(list(files))
    return _finish(builder.build(), builder.problems.lines())


def _finish(tables: MappingSet | None, errors: list[str]) -> MappingSet:
    if tables is None:
        raise MappingError(errors)
    return tables


@lru_cache(maxsize=2)
def _text(folder: str) -> bytes | None:
    try:
        return default_directory().joinpath(folder, compiled.NAME).read_bytes()
    except OSError:
        return None


def _compiled(contents: Sequence[tuple[str, bytes]], folder: str) -> MappingSet | None:
    text = _text(folder)
    return compiled.load(text, compiled.digest(contents)) if text is not None else None
