"""Ctrl-C, and other requests to end, end the process and its workers at once; what must not be cut short is finished before.

An exception would not do: where it is raised inside a callback of Python's own, such as those of imports, Python prints
a traceback and goes on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_REQUESTS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_FIRST: Final = 128
"""What shells add to the number of the signal that ended a process."""


_GLANCE: Final = 0.5
"""Seconds between two looks at whether the process that started this one is still there."""


class _State:
    """How many blocks hold an end back, and the signal that waits for them."""

    held = 0
    waiting: int | None = None


before_end: Final[set[Callable[[], None]]] = set()
"""What is called before the process ends: it kills others, which may be busy for long, or for ever."""


def ends_the_process() -> None:
    """Have requests to end, but those that whoever started the process has it ignore, end it at once."""
    for number in _REQUESTS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    _State.waiting = number
    if not _State.held:
        _exit(number)


def _exit(number: int) -> None:
    for call in tuple(before_end):
        with suppress(Exception):
            call()
    os._exit(_FIRST + number)


@contextmanager
def held() -> Iterator[None]:
    """Finish what is in this block before the process ends."""
    _State.held += 1
    try:
        yield
    finally:
        _State.held -= 1
        if _State.waiting is not None and not _State.held:
            _exit(_State.waiting)


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Have requests to end wait; processes that are started meanwhile never get them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process soon after the one that started it."""
    import threading
    import time

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_GLANCE)
        os._exit(1)

    parent = os.getppid()
    threading.Thread(target=watch, daemon=True).start()
