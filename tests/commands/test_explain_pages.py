"""`optmap explain` as a page and as Markdown, and the time that progress tells."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from optmap.report.text import Progress
from tests.commandline import run


def test_a_page_and_its_markdown(tmp_path: Path) -> None:
    options = ("explain", "torch.optim.AdamW", "--to", "mindspore", "--format")
    page, text = (run(*options, form, cwd=tmp_path) for form in ("html", "markdown"))
    assert (page.code, text.code) == (0, 0)
    assert page.out.startswith(b"<!doctype html>")
    assert b'<h2 id="pair-1">torch.optim.AdamW -&gt; mindspore' in page.out
    assert b"## torch.optim.AdamW -> mindspore" in text.out


def test_progress_tells_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((0.0, 0.5, 10.0, 200.0))
    monkeypatch.setattr("optmap.report.text.time.monotonic", lambda: next(times))
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress()
    for done in (1, 2, 40):
        progress.step(done, 80, "comparisons done")
    assert "2 of 80 comparisons done, about 390 s left" not in terminal.getvalue()
    assert "2 of 80 comparisons done, about 7 min left" in terminal.getvalue()
    assert "40 of 80 comparisons done, about 4 min left" in terminal.getvalue()
