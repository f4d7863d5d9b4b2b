"""`check` on schedules: what passes, and that it can fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optmap.conformance.api import check
from optmap.conformance.engines import all_rates, mindspore
from optmap.conformance.results import Level, Verdict
from optmap.conformance.scenario import ScheduleJob
from optmap.conformance.schedule_check import compare_rates
from optmap.conformance.select import CheckError
from optmap.mapping import load
from optmap.mapping.stored import own_files
from optmap.report import CHECK_FORMATS
from optmap.report.check_json import render

pytestmark = pytest.mark.usefixtures("shared_workers")


def test_the_rates_are_compared_and_reported() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    report = check(schedules=["StepLR"], steps=60)
    assert report.passed
    first = json.loads(render(report))["results"][0]
    assert first["mode"] == "schedule"
    assert first["source"] == "torch.optim.lr_scheduler.StepLR"
    assert first["target"] == "mindspore.experimental.optim.lr_scheduler.StepLR"
    assert first["steps"] == 60
    assert first["first_step_over"] is None


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, right: bytes, wrong: bytes) -> None:
    """Let the translator read something else in the table of a schedule."""
    files = dict(own_files(load.SCHEDULES))
    name = f"mappings/schedules/{name}.yaml"
    assert right in files[name]
    files[name] = files[name].replace(right, wrong)
    tables = load.load_files(files.items())
    monkeypatch.setattr("optmap.translate.schedules.translations.load_schedules", lambda extra: tables)


def test_a_wrong_table_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A boundary that is one step off must show, at the very step."""
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    spoil(monkeypatch, "piecewise_constant", b", plus: 1", b"")
    report = check(schedules=["PiecewiseConstantDecay"], steps=60)
    assert not report.passed
    result = report.results[0]
    assert result.verdict is Verdict.WORSE
    assert result.divergence is not None
    assert result.divergence.first_step_over == 11


def test_a_file_brings_its_schedules(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "train.py"
    path.write_text(
        "import torch\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=20)\n"
    )
    report = check(paths=[path], steps=10)
    rated = [item for item in report.results if item.scenario == "schedule"]
    assert [item.pair.origin for item in rated] == [f"{path}:3"]
    assert report.passed
    path.write_text(path.read_text() + "two = torch.optim.lr_scheduler.OneCycleLR(opt, 0.1, 100)\n")
    report = check(paths=[path], steps=10)
    assert not report.passed
    assert f"{path}:4" in [item.origin for item in report.refused]


def test_unknown_names_are_said() -> None:
    with pytest.raises(CheckError, match="did you mean 'StepLR'"):
        check(schedules=["SteppLR"])
    with pytest.raises(
        CheckError, match="'ExponentialDecayLR' belongs to mindspore, expected a schedule of tensorflow or torch"
    ):
        check(schedules=["ExponentialDecayLR"])


def test_levels_of_rates() -> None:
    assert compare_rates([0.1, 0.1], [0.1, 0.1]).level is Level.IDENTICAL
    assert compare_rates([0.1, 0.05], [0.1, 0.05 + 1e-8]).level is Level.EQUIVALENT
    assert compare_rates([0.1, 0.05], [0.1, 0.05 + 1e-5]).first_step_over == 2
    short = compare_rates([0.1, 0.05], [0.1])
    assert (short.level, short.first_step_over) == (Level.DIVERGENT, 2)


@pytest.mark.parametrize(("name", "sources", "target"), [
    ("CosineDecay", "tensorflow", "torch"), ("PiecewiseConstantDecay", "tensorflow", "torch"),
    ("MultiStepLR", "torch", "tensorflow"), ("PolynomialLR", "torch", "tensorflow"),
])  # fmt: skip
def test_schedules_that_change_their_place_are_compared(name: str, sources: str, target: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    report = check(schedules=[name], sources=[sources], to=target, steps=100)
    assert report.passed
    assert all(item.verdict is Verdict.AS_EXPECTED for item in report.results)


LONG = """
import torch
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
sch = torch.optim.lr_scheduler.MultiStepLR(opt, [100, 150])
for epoch in epochs:
    for x in loader:
        opt.step()
    sch.step()
"""


def test_a_run_reaches_every_milestone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the optimizer is run with these rates, under which momentum differs between frameworks."""
    pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "train.py"
    path.write_text(LONG, encoding="utf-8")
    report = check(paths=[path], to="mindspore")
    (rated,) = (item for item in report.results if item.scenario == "schedule")
    assert (rated.verdict, rated.steps) == (Verdict.AS_EXPECTED, 1502)
    assert rated.pair.notes[0].startswith("1502 steps, step() called after every 3; rates compared at ")
    trained = {item.scenario: item for item in report.forced}
    assert trained["with-MultiStepLR-4"].verdict is Verdict.AS_EXPECTED
    (rated,) = (item for item in check(paths=[path], to="mindspore", steps=20).results if item.scenario == "schedule")
    assert "the run stops before its end: 1502 steps" in rated.pair.notes[1]


def test_the_end_of_a_long_schedule_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    given = {"boundaries": (100000, 110000), "values": (1.0, 0.5, 0.1)}
    report = check(schedules=["PiecewiseConstantDecay"], sources=["tensorflow"], hyperparameters=given)
    assert report.passed
    assert {item.pair.arguments["milestone"] for item in report.results} == {(100001, 110001, 420002)}
    spoil(monkeypatch, "piecewise_constant", b", plus: 1", b"")
    report = check(schedules=["PiecewiseConstantDecay"], sources=["tensorflow"], hyperparameters=given)
    assert {item.divergence and item.divergence.first_step_over for item in report.results} == {100001}


def test_what_mindspore_rejects_is_not_run_by_formula() -> None:
    """The total is too small for the documentation's example."""
    job = ScheduleJob("mindspore.nn.piecewise_constant_lr", {"milestone": [11, 5], "learning_rates": [1.0, 0.5]}, 5)
    (found,) = all_rates(mindspore, [job])
    assert found.failure is not None
    assert "accepts milestone only in rising order, found 5 after 11" in found.failure
    real = pytest.importorskip("mindspore", reason="mindspore is not installed")
    with pytest.raises(ValueError, match="must be greater than"):
        real.nn.piecewise_constant_lr([11, 5], [1.0, 0.5])


def test_a_wrong_formula_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    spoil(monkeypatch, "inverse_time_decay", b"{step} / {decay_steps}", b"({step} + 1) / {decay_steps}")
    report = check(schedules=["InverseTimeDecay"], sources=["tensorflow"], to="torch", steps=30)
    assert not report.passed


def test_text_of_a_file_is_not_run(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    flag = tmp_path / "ran"
    path = tmp_path / "train.py"
    text = f"open({str(flag)!r}, 'w')"
    path.write_text(
        "import torch\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        f"sch = torch.optim.lr_scheduler.LambdaLR(opt, {text!r})\n"
    )
    check(paths=[path], steps=10)
    assert not flag.exists()


def test_a_schedule_that_cannot_be_compared_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "train.py"
    path.write_text(
        "import torch\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "sch = torch.optim.lr_scheduler.LambdaLR(opt, decay)\n"
    )
    report = check(paths=[path], steps=5, scenarios=["dense-mse"])
    assert report.passed
    (item,) = report.refused
    assert (item.origin, item.untested) == (f"{path}:3", True)
    said = "LambdaLR() is not compared with its translation to mindspore: its rates follow from a function"
    assert said in " ".join(CHECK_FORMATS["text"](report).split())


def test_settings_are_of_schedules_too(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    report = check(schedules=["StepLR"], steps=20, hyperparameters={"step_size": 7})
    assert {result.pair.hyperparameters["step_size"] for result in report.results} == {7}
    path = tmp_path / "train.py"
    path.write_text(
        "import torch\n"
        "optimizer = torch.optim.Adadelta(net.parameters(), lr=args.lr)\n"
        "scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=args.gamma)\n"
    )
    report = check(paths=[path], steps=20, hyperparameters={"lr": 0.1, "args.gamma": 0.25})
    given = {result.pair.target: result.pair.hyperparameters for result in report.results}
    assert given["mindspore.experimental.optim.lr_scheduler.StepLR"] == {"step_size": 2, "gamma": 0.25}
    assert given["mindspore.experimental.optim.Adadelta"] == {"lr": 0.1}
    for schedules, optimizers, paths in ((["StepLR"], [], []), ([], [], [path]), (["StepLR"], ["SGD"], [])):
        with pytest.raises(CheckError, match="--set nonsense: found a name"):
            check(optimizers, paths=paths, schedules=schedules, hyperparameters={"nonsense": 1})


def test_a_file_is_checked_with_the_class_that_the_translator_chose(tmp_path: Path) -> None:
    """A schedule that is attached to an optimizer leaves only the classes that take one."""
    pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "train.py"
    text = "import torch\noptimizer = torch.optim.Adam(net.parameters())\n"
    path.write_text(text)
    assert {"mindspore.nn.Adam"} < {result.pair.target for result in check(paths=[path], steps=3).results}
    path.write_text(text + "scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)\n")
    targets = {result.pair.target for result in check(paths=[path], steps=3).results}
    assert targets == {"mindspore.experimental.optim.Adam", "mindspore.experimental.optim.lr_scheduler.StepLR"}


def test_a_setting_of_a_schedule_is_one_of_the_optimizers_too() -> None:
    """ExponentialDecayLR has a learning_rate of its own."""
    pytest.importorskip("torch", reason="torch is not installed")
    settings = {"learning_rate": 0.03}
    report = check(
        ["Rprop"],
        schedules=["ExponentialDecayLR"],
        sources=["mindspore"],
        to="torch",
        steps=3,
        hyperparameters=settings,
    )
    given = {result.pair.source: result.pair.hyperparameters for result in report.results}
    assert given["mindspore.experimental.optim.Rprop"] == {"lr": 0.03}
    assert given["mindspore.nn.Rprop"] == settings
    assert given["mindspore.nn.ExponentialDecayLR"]["learning_rate"] == 0.03
