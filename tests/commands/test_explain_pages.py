"""`optmap explain` as a page and as Markdown."""

from __future__ import annotations

from pathlib import Path

from tests.commandline import run


def test_a_page_and_its_markdown(tmp_path: Path) -> None:
    options = ("explain", "torch.optim.AdamW", "--to", "mindspore", "--format")
    page, text = (run(*options, form, cwd=tmp_path) for form in ("html", "markdown"))
    assert (page.code, text.code) == (0, 0)
    assert page.out.startswith(b"<!doctype html>")
    assert b'<h2 id="pair-1">torch.optim.AdamW -&gt; mindspore' in page.out
    assert b"## torch.optim.AdamW -> mindspore" in text.out
