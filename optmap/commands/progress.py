"""Progress on standard error, by Rich: what is done, what is being done, and about how long it still takes. Terminals only."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from optmap import interruption

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PATIENCE: Final = 1.0
"""Seconds after which work of unknown length is shown."""
START: Final = 5.0
"""Seconds that frameworks take to start."""


class Progress:
    """A line that tells how far the work is, until clear(); each step() shows it again.

    `seconds` is what one of the things usually takes: where it is known the line is shown at once, with the time
    that is left; Rich measures it as soon as there is something to measure.
    """

    def __init__(self, what: str, seconds: float | None = None) -> None:
        self.what = what
        self.seconds = seconds
        self.begun = time.monotonic()
        self.doing = ""
        self.bar: Bar | None = None
        self.task: Any = None

    def at(self, engine: str, what: str) -> None:
        """Say what is being done now."""
        self.doing = f"{engine}: {what}" if engine else what
        if self.bar is not None:
            self.bar.update(self.task, doing=self.doing)

    def step(self, done: int, total: int | None = None) -> None:
        """Update the line."""
        if not sys.stderr.isatty() or (self.seconds is None and time.monotonic() - self.begun < PATIENCE):
            return
        if self.bar is None:
            self.bar = _bar(self.seconds)
            self.task = self.bar.add_task(self.what, total=total, doing=self.doing)
        if not self.bar.live.is_started:
            interruption.before_end.add(_show_cursor)
            self.bar.start()
        self.bar.update(self.task, completed=done, total=total)
        if self.seconds is None:
            self.bar.refresh()

    def clear(self) -> None:
        """Remove the line; call this before anything else is printed, and at the end."""
        if self.bar is not None and self.bar.live.is_started:
            self.bar.stop()
            interruption.before_end.discard(_show_cursor)


def _bar(seconds: float | None) -> Bar:
    """Without a thread of its own where processes may be forked."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Left(ProgressColumn):
        """About how long it takes until everything is done."""

        def render(self, task: Task) -> Text:
            left = task.time_remaining
            if left is None and task.remaining is not None and seconds is not None:
                left = START + task.remaining * seconds - (task.elapsed or 0.0)
            return Text("" if left is None or left <= 0 else f"about {duration(left)} left")

    class Done(ProgressColumn):
        """How much is done."""

        def render(self, task: Task) -> Text:
            of = "" if task.total is None else f" of {task.total:.0f}"
            return Text(f"{task.completed:.0f}{of} {task.description}")

    fixed = Column(no_wrap=True)
    whole = (BarColumn(bar_width=12, table_column=fixed), Left(table_column=fixed)) if seconds is not None else ()
    rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    return Progress(
        Done(table_column=fixed), *whole, TextColumn("{task.fields[doing]}", markup=False, table_column=rest),
        console=Console(stderr=True), transient=True, auto_refresh=seconds is not None, refresh_per_second=4,
        speed_estimate_period=600, expand=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip


def duration(seconds: float) -> str:
    """A time for people: 5 s, 2 min."""
    return f"{math.ceil(seconds)} s" if seconds < 90 else f"{math.ceil(seconds / 60)} min"


def _show_cursor() -> None:
    sys.stderr.write("\r\x1b[K\x1b[?25h")
    sys.stderr.flush()
