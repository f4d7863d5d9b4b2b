"""Which files do the given paths stand for? Directories are walked in order and honour .gitignore."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SUFFIXES: Final = (".py", ".pyi", ".ipynb")
_SKIPPED: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".venv", "node_modules", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints"}
)


class Found(NamedTuple):
    """A file to treat; `base` is the path given by the user that led to it, `error` says why it cannot be used."""

    path: Path
    base: Path
    error: str | None = None


class _Ignores(NamedTuple):
    """The .gitignore rules of one directory; patterns are relative to it."""

    directory: str
    spec: GitIgnoreSpec


def find_files(paths: Sequence[Path], exclude: Sequence[str] = ()) -> Iterator[Found]:
    """Yield every source file of the paths, each once; files named outright are taken whatever their name.

    Links inside a directory are not followed: they may lead out of the paths given.
    """
    if len(paths) == 1:  # one walk meets no file twice
        yield from _find(paths[0], exclude)
        return
    seen: set[str] = set()
    for base in paths:
        for found in _find(base, exclude):
            key = os.path.realpath(found.path)
            if key not in seen:
                seen.add(key)
                yield found


def _find(base: Path, exclude: Sequence[str]) -> Iterator[Found]:
    try:
        is_directory = base.is_dir()
        if not is_directory and not base.exists():
            yield Found(base, base, "no such file or directory")
            return
    except OSError as error:
        yield Found(base, base, error.strerror or str(error))
        return
    if not is_directory:
        yield Found(base, base)
        return
    ignores = list(_outer_ignores(base))
    if exclude:
        from pathspec import GitIgnoreSpec

        ignores.append(_Ignores(os.path.abspath(base), GitIgnoreSpec.from_lines(exclude)))
    yield from _walk(base, base, ignores)


def _walk(directory: Path, base: Path, ignores: list[_Ignores]) -> Iterator[Found]:
    try:
        with os.scandir(directory) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        yield Found(directory, base, error.strerror or str(error))
        return
    if any(entry.name == ".gitignore" for entry in entries):
        ignores = [*ignores, *_read_ignores(directory)]
    where = os.path.abspath(directory)
    for entry in entries:
        is_directory = entry.is_dir(follow_symlinks=False)
        if is_directory:
            if entry.name in _SKIPPED or (ignores and _ignored(os.path.join(where, entry.name) + "/", ignores)):
                continue
            yield from _walk(directory / entry.name, base, ignores)
            continue
        source = entry.name.endswith(SUFFIXES) and entry.is_file(follow_symlinks=False)
        if source and not (ignores and _ignored(os.path.join(where, entry.name), ignores)):
            yield Found(directory / entry.name, base)


def _ignored(path: str, ignores: Sequence[_Ignores]) -> bool:
    """Apply the rules from the outermost directory inwards; the last one that says anything decides."""
    ignored = False
    for rules in ignores:
        relative = os.path.relpath(path, rules.directory) + ("/" if path.endswith("/") else "")
        verdict = _verdict(rules.spec, relative)
        if verdict is not None:
            ignored = verdict
    return ignored


def _verdict(spec: GitIgnoreSpec, path: str) -> bool | None:
    """What the last pattern that matches the path itself says; ignored directories are never entered.

    pathspec also matches what lies below a matched directory, and marks the slash where it does by a group of that name.
    """
    for pattern in reversed(list(spec.patterns)):
        if pattern.include is None or pattern.regex is None or (found := pattern.regex.match(path)) is None:
            continue
        slash = found.start("ps_d") if found.groupdict().get("ps_d") else None
        itself = slash is None or slash == len(path) - 1
        if slash is None and path.endswith("/"):  # `d/**` means what is in d, not d
            itself = pattern.regex.match(path[:-1]) is not None
        if itself:
            return bool(pattern.include)
    return None


def _read_ignores(directory: Path) -> Iterator[_Ignores]:
    from pathspec import GitIgnoreSpec

    try:
        text = (directory / ".gitignore").read_text(encoding="utf-8", errors="surrogateescape")
        yield _Ignores(os.path.abspath(directory), GitIgnoreSpec.from_lines(text.splitlines()))
    except (OSError, ValueError):
        return


def _outer_ignores(base: Path) -> Iterator[_Ignores]:
    """Rules of the directories above, up to the root of the repository that holds the base."""
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
