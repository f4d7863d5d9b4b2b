"""An internal error costs the call that it comes from, not the file; and never the run."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optmap.api import translate_source
from optmap.diagnostics import INTERNAL_ERROR
from optmap.files import find_files
from optmap.mapping.model import MappingSet
from optmap.translate import pipeline
from optmap.translate.constructors.translate import CallTranslation
from optmap.translate.discover.holders import Search
from optmap.translate.files import translate_content, translate_files
from optmap.translate.parameters.sharing import Sharing
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from optmap.translate.schedules import run as schedules
from optmap.translate.schedules import translations
from optmap.translate.schedules.owners import Ownership
from optmap.translate.steps.run import _Steps
from optmap.translate.surroundings import run as surroundings
from optmap.translate.surroundings.patterns import Matcher
from tests.translate.test_passes import TO_MINDSPORE

PROGRAM = """\
import torch

def train(nets, loader):
    opt1 = torch.optim.SGD(nets[0].parameters(), lr=0.1)
    opt2 = torch.optim.Adam(nets[1].parameters(), lr=0.2)
    s1 = torch.optim.lr_scheduler.StepLR(opt1, 10)
    s2 = torch.optim.lr_scheduler.OneCycleLR(opt2, 0.1, 100)
    opt3 = torch.optim.RMSprop(nets[2].parameters(), lr=0.3)
    for x, y in loader:
        opt1.zero_grad()
        loss = nets[0](x).mean()
        loss.backward()
        opt1.step()
        opt1.param_groups[0]["lr"] = 0.5
        opt2.zero_grad()
        other = nets[1](x).mean()
        other.backward()
        opt2.step()
        opt2.param_groups[0]["lr"] = 0.4
"""
_CELL: dict[str, Any] = {
    "cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": PROGRAM,
}  # fmt: skip
NOTEBOOK = json.dumps({"cells": [_CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def lines(item: Any) -> set[int]:
    """The lines of the calls that a value is about: a node, a site, a change, a finding, or what holds one of them."""
    if isinstance(item, list | tuple) and not hasattr(item, "_fields"):
        return set[int]().union(*map(lines, item))
    held = [item, *(getattr(item, name, None) for name in ("node", "site", "call"))]
    nodes = [getattr(each, "node", each) for each in held]
    return {node.lineno for node in nodes if isinstance(node, ast.expr | ast.stmt)}


def break_on(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, line: int) -> None:
    """Make a function raise where one of its arguments is about a line, unless it is to report just that."""
    function: Callable[..., Any] = getattr(owner, name)

    def fails(*given: Any, **named: Any) -> Any:
        failed = any(getattr(item, "code", None) is INTERNAL_ERROR for item in given)
        if not failed and line in set[int]().union(*map(lines, given)):
            raise AssertionError("a test says so")
        return function(*given, **named)

    monkeypatch.setattr(owner, name, fails)


def statuses(result: FileResult) -> dict[int, str]:
    return {call.line: call.status.value for call in result.calls}


def failures(result: FileResult) -> list[int]:
    return [item.line for item in result.diagnostics if item.code is INTERNAL_ERROR]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(CallTranslation, "run", id="a constructor"),
        pytest.param(Sharing, "parameters", id="parameters"),
        pytest.param(Search, "_hold", id="holders"),
        pytest.param(Ownership, "passed_to", id="what owns a schedule"),
        pytest.param(pipeline, "diagnostic", id="a report"),
        pytest.param(pipeline, "to_edits", id="edits"),
    ],
)
def test_a_failure_on_an_optimizer_costs_its_call(
    tables: MappingSet, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    break_on(monkeypatch, owner, name, 5)
    result = translate_bytes(PROGRAM.encode(), tables, TO_MINDSPORE)
    assert result.error is None
    assert failures(result) == [5]
    assert statuses(result)[5] == "refused"
    assert {statuses(result)[line] for line in (4, 6, 8)} == {"translated"}
    assert b"opt2 = torch.optim.Adam(nets[1].parameters(), lr=0.2)\n" in result.output


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(translations, "translate_schedule", id="the translation"),
        pytest.param(Ownership, "find", id="the owners"),
        pytest.param(schedules, "advice", id="the advice"),
    ],
)
def test_a_failure_on_a_schedule_costs_that_schedule(
    tables: MappingSet, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    break_on(monkeypatch, owner, name, 7)
    result = translate_bytes(PROGRAM.encode(), tables, TO_MINDSPORE)
    assert failures(result) == [7]
    assert {statuses(result)[line] for line in (4, 5, 6, 8)} == {"translated"}
    assert b"s1 = mindspore.experimental.optim.lr_scheduler.StepLR(opt1, step_size=10)" in result.output
    assert b"s2 = torch.optim.lr_scheduler.OneCycleLR(opt2, 0.1, 100)" in result.output


@pytest.mark.parametrize("rewrite", [False, True])
def test_a_failure_on_a_step_costs_the_steps(
    tables: MappingSet, monkeypatch: pytest.MonkeyPatch, rewrite: bool
) -> None:
    break_on(monkeypatch, _Steps, "_step", 18)
    result = translate_bytes(PROGRAM.encode(), tables, TO_MINDSPORE._replace(rewrite_step=rewrite))
    assert result.error is None
    assert len(failures(result)) == 1
    assert b"opt1.step()" in result.output
    assert statuses(result)[4] == "translated", result


def test_a_failure_on_what_stands_around_costs_one_call(tables: MappingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    break_on(monkeypatch, Matcher, "_say", 19)
    result = translate_bytes(PROGRAM.encode(), tables, TO_MINDSPORE)
    assert failures(result) == [5]
    assert {statuses(result)[line] for line in (4, 6, 8)} == {"translated"}


def test_a_failure_that_no_call_is_to_blame_for_costs_what_reports(
    tables: MappingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any) -> bool:
        raise KeyError("a test says so")

    monkeypatch.setattr(surroundings, "looks_up_optimizers", fails)
    result = translate_bytes(PROGRAM.encode(), tables, TO_MINDSPORE)
    assert result.error is None
    assert {statuses(result)[line] for line in (4, 5, 6, 8)} == {"translated"}
    assert [item.severity.value for item in result.diagnostics if item.code is INTERNAL_ERROR] == ["error"]


def broken(*given: Any) -> Any:
    raise RuntimeError("a test says so")


MESSAGE = "internal error (RuntimeError: a test says so); the file was left alone"


def test_any_other_failure_costs_the_file(tables: MappingSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pipeline, "find_sites", broken)
    assert translate_source(PROGRAM).error == MESSAGE
    assert translate_content(".ipynb", NOTEBOOK, tables, TO_MINDSPORE).error == MESSAGE
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "other.py").write_text("import os\n")
    done = {item.path.name: item.result.error for item in translate_files(find_files([tmp_path]), tables, TO_MINDSPORE)}
    assert done == {"other.py": None, "train.py": MESSAGE}


def test_a_failure_in_a_cell_costs_its_call(tables: MappingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CallTranslation.run
    monkeypatch.setattr(CallTranslation, "run", lambda own: broken() if own.site.api.class_name == "Adam" else run(own))
    result = translate_content(".ipynb", NOTEBOOK, tables, TO_MINDSPORE)
    assert failures(result) == [5]
    assert statuses(result)[4] == "translated"
