"""Find the tables and load them: optmap's own from their compiled form while it is fresh, all others from YAML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

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


def own_files() -> list[tuple[str, bytes]]:
    """Read optmap's own tables as (name, content), in order."""
    return [(f"mappings/{path.name}", path.read_bytes()) for path in sorted(default_directory().glob("*.yaml"))]


def load(extra: Iterable[Path] = ()) -> MappingSet:
    """Load optmap's own tables, then those of each extra directory; a later section replaces an earlier one of its name.

    Raises MappingError with every error of every file.
    """
    directories = tuple(extra)
    contents = own_files()
    if not directories:
        fresh = _compiled(contents)
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


@lru_cache(maxsize=1)
def _text() -> bytes | None:
    try:
        return default_directory().joinpath(compiled.NAME).read_bytes()
    except OSError:
        return None


def _compiled(contents: Sequence[tuple[str, bytes]]) -> MappingSet | None:
    text = _text()
    return compiled.load(text, compiled.digest(contents)) if text is not None else None
