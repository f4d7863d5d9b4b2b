"""What a terminal shows while there is work, and that nothing else shows it."""

from __future__ import annotations

import io
import sys

import pytest

from optmap import interruption
from optmap.commands import progress
from optmap.commands.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in place of standard error; a fixture would come before pytest's own."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return found


def test_long_work_tells_at_once_what_it_does_and_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    line = Progress("comparisons", seconds=1.0)
    line.at("torch", "starts")
    line.step(0, 300)
    assert "0 of 300 comparisons" in terminal.getvalue()
    assert "about 6 min left torch: starts" in terminal.getvalue()
    line.at("mindspore", "torch.optim.Adam -> mindspore.nn.Adam")
    line.step(299, 300)
    assert line.bar is not None
    line.bar.refresh()
    assert "299 of 300 comparisons" in terminal.getvalue()
    assert "mindspore: torch.optim.Adam -> mindspore.nn.Adam" in terminal.getvalue()
    line.clear()
    assert progress._show_cursor not in interruption.before_end


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    line = Progress("files read")
    line.step(1)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    line.step(2)
    assert "2 files read" in terminal.getvalue()
    line.clear()
    shown = len(terminal.getvalue())
    line.step(3)
    assert "3 files read" in terminal.getvalue()[shown:]
    line.clear()


def test_what_is_no_terminal_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = io.StringIO()
    monkeypatch.setattr(sys, "stderr", found)
    line = Progress("comparisons", seconds=1.0)
    line.step(0, 300)
    line.clear()
    assert found.getvalue() == ""


def test_times_for_people() -> None:
    assert [duration(value) for value in (0.1, 89.0, 91.0, 600.0)] == ["1 s", "89 s", "2 min", "10 min"]
