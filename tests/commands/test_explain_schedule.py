"""`optmap explain` for schedules."""

from __future__ import annotations

import json

import pytest

from optmap.cli.explain import Request
from optmap.commands.explain import run
from optmap.commands.explain_schedule import compare
from optmap.mapping.framework import Framework
from optmap.mapping.load import load_schedules

SCHEDULES = load_schedules()


def test_the_units_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Request("torch.optim.lr_scheduler.StepLR", to="tensorflow")) == 0
    shown = capsys.readouterr().out
    assert "decay_steps is step_size * steps_per_epoch in the source, decay_steps in the target" in shown
    assert "| staircase=False " in shown


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Request("CosineDecay", to="mindspore", format="json")) == 0
    pair = json.loads(capsys.readouterr().out)["pairs"][0]
    assert pair["target"] == "mindspore.nn.CosineDecayLR"
    alpha = next(row for row in pair["rows"] if row["source"] == "alpha=0.0")
    assert "end_learning_rate is alpha * learning_rate in the source, min_lr in the target" in alpha["difference"]


def test_its_own_framework_is_no_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Request("torch.optim.lr_scheduler.StepLR", to="torch")) == 2
    assert "expected another framework with --to" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(SCHEDULES.apis))
def test_every_schedule_is_explained(name: str) -> None:
    api = SCHEDULES.apis[name]
    for target in Framework:
        if target is not api.framework:
            found = list(compare(SCHEDULES, api, target))
            assert found
            assert all(item.details["notes"] for item in found if item.target is None)
