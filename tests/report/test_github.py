"""The GitHub report: one workflow command for each diagnostic, with nothing in it that the runner would read otherwise."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.diagnostics import CODES, Diagnostic
from optmap.report import REPORTS
from optmap.translate.results import FileResult

COMMAND = re.compile(r"::(error|warning|notice) file=([^:,\n\r]*),line=(\d+),col=(\d+),title=(OM\d+)::([^\n\r]*)\n")


def report(path: str, *items: Diagnostic) -> str:
    return REPORTS["github"]([(path, FileResult(b"", diagnostics=items))])


@pytest.mark.parametrize(("code", "command"), [("OM203", "error"), ("OM111", "warning"), ("OM101", "notice")])
def test_severities(code: str, command: str) -> None:
    text = report("src/a.py", Diagnostic(CODES[code], "a message", 3, 7))
    assert text == f"::{command} file=src/a.py,line=3,col=7,title={code}::a message\n"


def decode(text: str) -> str:
    """As the runner does."""
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


PRINTED = st.text(st.one_of(st.characters(codec="utf-8").filter(str.isprintable), st.sampled_from("%:,\n")))


@given(PRINTED.filter(bool), PRINTED)
def test_any_text_survives(path: str, message: str) -> None:
    text = report(path, Diagnostic(CODES["OM203"], message, 1, 2), Diagnostic(CODES["OM111"], "next", 1, 2))
    first, second = re.findall(r"[^\n]*\n", text)
    found = COMMAND.fullmatch(first)
    assert found is not None
    assert (decode(found[2]), decode(found[6])) == (path, message)
    assert COMMAND.fullmatch(second)


@given(st.text(min_size=1), st.text())
def test_nothing_steers_a_terminal(path: str, message: str) -> None:
    text = report(path, Diagnostic(CODES["OM203"], message, 1, 2))
    assert text.endswith("\n")
    assert text[:-1].isprintable()


def test_a_notebook_has_cells_and_no_lines_of_its_own() -> None:
    text = report("a.ipynb", Diagnostic(CODES["OM203"], "a message", 3, 7, cell=2))
    assert text == "::error file=a.ipynb,title=OM203::cell 2, line 3: a message\n"


def test_nothing_to_say_is_nothing() -> None:
    assert report("a.py") == ""
