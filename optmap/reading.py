"""Reads files that exist by somebody else's doing: regular files of bounded size, so that reading them ends."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

MAXIMUM_BYTES: Final = 32 * 1024 * 1024
"""Larger files are reported and left alone: Python needs some 50 times a file's size to parse it."""
TEXT_BYTES: Final = 4 * 1024 * 1024
"""The limit of tables, settings and ignore files, which are parsed more slowly."""

_LONG_KEY: Final = re.compile(r"""(?<![\w'"-])(?:[\w'"-]+[ \t]*\.[ \t]*){200}""")


def read_source_file(path: Path) -> bytes:
    """The content of a script or notebook. Raises OSError."""
    return read_regular(path, MAXIMUM_BYTES * (8 if path.suffix == ".ipynb" else 1))  # most of a notebook is its output


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file. Raises OSError for any other, and for more bytes than the limit.

    A device or a FIFO is not opened, because even that may wait or do something.
    """
    _require_regular(path, os.stat(path))
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        _require_regular(path, status)
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"found {status.st_size} bytes, expected at most {limit}", str(path))
        data = file.read(status.st_size + 1)
        if len(data) > status.st_size:
            raise OSError(errno.EBUSY, "it grew while it was read", str(path))
        return data


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML document. Raises ValueError, and RecursionError where it is nested too deeply.

    The time that tomllib takes for a key grows with the square of its parts.
    """
    import tomllib

    if _LONG_KEY.search(text):
        raise RecursionError
    return tomllib.loads(text)


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "is a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise OSError(errno.EINVAL, what, str(path))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
