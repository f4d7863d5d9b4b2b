"""The only place that writes files: atomically, and only over the very content that was translated."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from optmap import interruption


class WriteError(Exception):
    """A file could not be written; it is as it was."""


def replace_file(path: Path, before: bytes, after: bytes) -> None:
    """Replace a file's content in one step, keeping its mode. Raises WriteError; then the file is untouched.

    A link is followed. A read-only file, or one that has changed since it was read, is refused.
    """
    real = Path(os.path.realpath(path))
    try:
        mode = real.stat().st_mode
        if not mode & 0o222:
            raise WriteError("the file is read-only")
        if real.read_bytes() != before:
            raise WriteError("the file has changed since it was read")
        _write_beside(real, after, stat.S_IMODE(mode))
    except OSError as error:
        raise WriteError(error.strerror or str(error)) from None


def write_new(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file that need not exist yet, in one step. Raises WriteError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise WriteError("is a directory, expected a file name")
        source = path if path.exists() else like
        mode = stat.S_IMODE(source.stat().st_mode) if source is not None and source.exists() else None
        _write_beside(Path(os.path.realpath(path)), content, mode)
    except OSError as error:
        raise WriteError(error.strerror or str(error)) from None


def _write_beside(path: Path, content: bytes, mode: int | None) -> None:
    """Write to a temporary file in the same directory, then rename it over the path; an interruption leaves none behind."""
    with interruption.raises():
        _write_through(path, content, mode)


def _write_through(path: Path, content: bytes, mode: int | None) -> None:
    import tempfile  # takes longer to import than most runs, which write nothing, can afford

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".optmap")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode if mode is not None else 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
