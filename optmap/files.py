"""Finds the source files below the given paths. Directories are walked in sorted order and honour .gitignore."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from optmap.reading import TEXT_BYTES, read_regular
from optmap.values import NamedTuple

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SUFFIXES: Final = (".py", ".pyi", ".ipynb")
_SKIPPED: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".venv", "node_modules", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints"}
)


class FoundFile(NamedTuple):
    """A file to process. `base` is the path given by the user that led to it; `error` says why it cannot be read."""

    path: Path
    base: Path
    error: str | None = None


class _Ignores(NamedTuple):
    """The .gitignore rules of one directory; patterns are relative to it."""

    directory: str
    spec: GitIgnoreSpec


def find_files(paths: Sequence[Path], exclude: Sequence[str] = (), output: Path | None = None) -> Iterator[FoundFile]:
    """Yield every source file below the paths once; a path that is a file is taken whatever its name.

    Symbolic links inside a directory are not followed, because they may lead out of it. Results that are written to the
    directory `output` are not read. A path that cannot be read is yielded with its `error`; so is a .gitignore, and what is
    below is left alone, as it may be ignored.
    """
    results = os.path.realpath(output) if output is not None else None
    if len(paths) == 1:  # a single walk cannot find a file twice
        yield from _find(paths[0], exclude, results)
        return
    seen: set[str] = set()
    for base in paths:
        for found in _find(base, exclude, results):
            key = os.path.realpath(found.path)
            if key not in seen:
                seen.add(key)
                yield found


def _find(base: Path, exclude: Sequence[str], results: str | None) -> Iterator[FoundFile]:
    try:
        is_directory = base.is_dir()
        if not is_directory and not base.exists():
            yield FoundFile(base, base, "no such file or directory")
            return
    except OSError as error:
        yield FoundFile(base, base, error.strerror or str(error))
        return
    if not is_directory:
        yield FoundFile(base, base)
        return
    try:
        ignores = list(_outer_ignores(base))
    except OSError as error:
        yield FoundFile(Path(error.filename or base), base, error.strerror or str(error))
        return
    if exclude:
        ignores.append(_Ignores(os.path.abspath(base), _spec(exclude)))
    yield from _walk(base, base, ignores, results)


def _walk(directory: Path, base: Path, ignores: list[_Ignores], results: str | None) -> Iterator[FoundFile]:
    place = directory
    try:
        with os.scandir(directory) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        if any(entry.name == ".gitignore" for entry in entries):
            place = directory / ".gitignore"
            ignores = [*ignores, *_read_ignores(directory)]
    except OSError as error:
        yield FoundFile(place, base, error.strerror or str(error))
        return
    where = os.path.abspath(directory)
    for entry in entries:
        is_directory = entry.is_dir(follow_symlinks=False)
        if is_directory:
            if entry.name in _SKIPPED or (ignores and _ignored(os.path.join(where, entry.name) + "/", ignores)):
                continue
            if results is None or os.path.realpath(entry.path) != results:
                yield from _walk(directory / entry.name, base, ignores, results)
            continue
        source = entry.name.endswith(SUFFIXES) and entry.is_file(follow_symlinks=False)
        if source and not (ignores and _ignored(os.path.join(where, entry.name), ignores)):
            yield FoundFile(directory / entry.name, base)


def _ignored(path: str, ignores: Sequence[_Ignores]) -> bool:
    """Apply the rules from the outermost directory inwards; the last one that matches decides."""
    ignored = False
    for rules in ignores:
        relative = os.path.relpath(path, rules.directory) + ("/" if path.endswith("/") else "")
        match = _last_match(rules.spec, relative)
        if match is not None:
            ignored = match
    return ignored


def _last_match(spec: GitIgnoreSpec, path: str) -> bool | None:
    """Whether the last pattern that matches the path itself ignores it; None where none matches.

    pathspec also matches paths below a matched directory, and marks the slash in a group named `ps_d`. Those matches do
    not count here, because ignored directories are never entered.
    """
    for pattern in reversed(list(spec.patterns)):
        if pattern.include is None or pattern.regex is None or (found := pattern.regex.match(path)) is None:
            continue
        slash = found.start("ps_d") if found.groupdict().get("ps_d") else None
        itself = slash is None or slash == len(path) - 1
        if slash is None and path.endswith("/"):  # `d/**` matches the contents of d, not d itself
            itself = pattern.regex.match(path[:-1]) is not None
        if itself:
            return bool(pattern.include)
    return None


def _read_ignores(directory: Path) -> Iterator[_Ignores]:
    """Raises OSError for a file that cannot be read."""
    path = directory / ".gitignore"
    if os.path.lexists(path) and not path.is_dir():
        text = read_regular(path, TEXT_BYTES).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        yield _Ignores(os.path.abspath(directory), _spec([line.removesuffix("\r") for line in text.split("\n")]))


def is_pattern(line: str) -> bool:
    """Tell whether a line may stand in a .gitignore."""
    from pathspec import GitIgnoreSpec

    try:
        with warnings.catch_warnings(action="ignore"):
            GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    """The rules on these lines; as in git, one that makes no sense is as good as none."""
    from pathspec import GitIgnoreSpec

    try:
        with warnings.catch_warnings(action="ignore"):
            return GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error):
        return GitIgnoreSpec.from_lines(filter(is_pattern, lines))


def _outer_ignores(base: Path) -> Iterator[_Ignores]:
    """The rules of the parent directories, up to the root of the git repository that contains the base."""
    outer: list[Path] = []
    absolute = Path(os.path.abspath(base))
    if (absolute / ".git").exists():
        return
    for parent in absolute.parents:
        outer.append(parent)
        if (parent / ".git").exists():
            break
    else:
        return
    for directory in reversed(outer):
        yield from _read_ignores(directory)
