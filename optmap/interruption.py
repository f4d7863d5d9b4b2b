"""Ctrl-C ends the process at once, and where something must first be put in order it raises KeyboardInterrupt.

An exception alone is not enough: where it is raised inside a callback of Python's own, such as those of imports, Python prints
a traceback and goes on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CODE = 130


def ends_the_process() -> None:
    """Have Ctrl-C end the process, in all that runs outside `raises`."""
    signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(CODE)


@contextmanager
def raises() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt, where it would end the process."""
    if signal.getsignal(signal.SIGINT) is not _end:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        ends_the_process()


@contextmanager
def waits() -> Iterator[None]:
    """Have Ctrl-C wait; processes that are started meanwhile never get it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
