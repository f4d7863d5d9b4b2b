"""The only place that writes files: in one step, and only over the very content that was translated."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from optmap import interruption
from optmap.reading import read_regular


class WriteError(Exception):
    """A file could not be written; it is as it was."""


class _Unlike(Exception):
    """No other file can be made that has the owner or the extended attributes of this one."""


def replace_file(path: Path, before: bytes, after: bytes) -> None:
    """Replace a file's content, keeping all else that it has. Raises WriteError; then the file is untouched.

    A link is followed. A read-only file, or one that has changed since it was read, is refused.
    """
    try:
        with interruption.held():
            _replace(Path(os.path.realpath(path)), before, after)
    except OSError as error:
        raise WriteError(error.strerror or str(error)) from None


def write_new(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file that need not exist yet, with the mode of another. Raises WriteError.

    What other names a file there has keep its old content.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise WriteError("is a directory, expected a file name")
        real = Path(os.path.realpath(path))
        with interruption.held():
            if real.exists():
                _require_writable(real)
                return _replace(real, read_regular(real, real.stat().st_size), content, linked=False)
            mode = stat.S_IMODE(like.stat().st_mode) if like is not None and like.exists() else 0o666 & ~_umask()
            made = _beside(real, content, lasting=False)  # there is nothing yet that a crash of the machine could lose
            try:
                os.chmod(made, mode)
                os.replace(made, real)
            except BaseException:
                _remove(made)
                raise
    except OSError as error:
        raise WriteError(error.strerror or str(error)) from None


def _replace(real: Path, before: bytes, after: bytes, *, linked: bool = True) -> None:
    status = _require_writable(real)
    _require(real, before)
    made = _beside(real, after)
    try:
        if linked and status.st_nlink > 1:
            raise _Unlike
        _make_like(made, real, status)
        _swap(made, real, before)
    except _Unlike:
        _overwrite(real, before, after)
    finally:
        _remove(made)


def _require_writable(real: Path) -> os.stat_result:
    status = os.stat(real)
    if not stat.S_ISREG(status.st_mode):
        raise WriteError("is a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file")
    if not status.st_mode & 0o222 or not os.access(real, os.W_OK):
        raise WriteError("the file is read-only")
    return status


def _require(path: Path, before: bytes) -> None:
    if read_regular(path, max(len(before), os.stat(path).st_size)) != before:
        raise WriteError("the file has changed since it was read")


def _beside(path: Path, content: bytes, *, lasting: bool = True) -> Path:
    """A new file in the same directory; a lasting one is on the disk itself when this returns."""
    import tempfile  # takes longer to import than most runs, which write nothing, can afford

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".optmap")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        _remove(Path(name))
        raise
    return Path(name)


def _remove(path: Path) -> None:
    with suppress(OSError):
        os.unlink(path)


def _make_like(made: Path, real: Path, status: os.stat_result) -> None:
    """Give a file owner, extended attributes and mode of another. Raises _Unlike."""
    own = os.stat(made)
    try:
        if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
            os.chown(made, status.st_uid, status.st_gid)
        if hasattr(os, "listxattr"):
            for name in os.listxattr(real):
                value = os.getxattr(real, name)
                if name not in os.listxattr(made) or os.getxattr(made, name) != value:
                    os.setxattr(made, name, value)
    except OSError:
        raise _Unlike from None
    os.chmod(made, stat.S_IMODE(status.st_mode))


def _swap(made: Path, real: Path, before: bytes) -> None:
    """Put one file in the other's place; a change of the other that lands meanwhile is found, and put back."""
    if not _exchange(made, real):
        _require(real, before)
        os.replace(made, real)
        return
    try:
        _require(made, before)
    except BaseException:
        _exchange(made, real)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two files in one step; False where the system cannot."""
    import ctypes
    import errno

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2
    if rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code))


def _overwrite(real: Path, before: bytes, after: bytes) -> None:
    """Write into the file itself, whose old content lies beside it meanwhile."""
    kept = _beside(real, before)
    try:
        with open(real, "r+b", buffering=0) as file:
            if file.read() != before:
                raise WriteError("the file has changed since it was read")
            try:
                _fill(file.fileno(), after)
            except BaseException:
                _fill(file.fileno(), before)
                raise
    finally:
        _remove(kept)


def _fill(handle: int, content: bytes) -> None:
    os.lseek(handle, 0, os.SEEK_SET)
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]
    os.ftruncate(handle, len(content))
    os.fsync(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
