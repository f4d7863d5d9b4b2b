"""Baselines: what was there before passes, what is worse does not, and both figures are named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from optmap.baselines import BaselineError
from optmap.conformance.baseline import compared, known, text
from optmap.conformance.results import Divergence, Level, Mode, Pair, Refused, Report, Result, Verdict
from optmap.report import CHECK_FORMATS
from tests.commandline import run as optmap

SOURCE = "import torch\nnet = torch.nn.Linear(2, 2)\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
REFUSED = "old = torch.optim.SGD(net.parameters(), **given)\n"
PAIR = Pair("torch.optim.X", "mindspore.nn.X", {"lr": 0.1}, {}, "a.py:3")


def result(
    level: Level | None, drift: float = 0.0, verdict: Verdict = Verdict.AS_EXPECTED, pair: Pair = PAIR
) -> Result:
    measured = None if level is None else Divergence(drift, None, drift, 1, "w", level)
    return Result(pair, "mindspore", "one", "float32", Mode.FORCED, 10, measured, Level.CLOSE, (), verdict)


def report(*results: Result, refused: tuple[Refused, ...] = ()) -> Report:
    return Report({}, {}, results, refused)


@pytest.mark.parametrize(
    ("before", "now", "passes"),
    [
        (result(Level.CLOSE, 1e-3), result(Level.CLOSE, 1.5e-3), True),
        (result(Level.CLOSE, 1e-3), result(Level.CLOSE, 3e-3), False),
        (result(Level.EQUIVALENT, 1e-9), result(Level.EQUIVALENT, 1e-7), True),
        (result(Level.EQUIVALENT, 1e-9), result(Level.CLOSE, 1e-3), False),
        (result(Level.DIVERGENT, 4.0), result(Level.CLOSE, 1e-3), True),
        (result(Level.DIVERGENT, 4.0, Verdict.WORSE), result(Level.DIVERGENT, 4.0, Verdict.WORSE), True),
        (result(Level.DIVERGENT, 4.0, Verdict.WORSE), result(Level.DIVERGENT, float("inf"), Verdict.WORSE), False),
        (result(Level.CLOSE, 1e-3), result(None, verdict=Verdict.NOT_RUN), False),
        (result(None, verdict=Verdict.NOT_RUN), result(Level.DIVERGENT, 4.0), True),
    ],
)
def test_only_what_got_worse_fails(before: Result, now: Result, passes: bool) -> None:
    moved = replace(now, pair=replace(PAIR, origin="a.py:30"))
    (found,) = compared(report(moved), known(text(report(before)))).results
    assert found.passes is passes
    if not passes and now.divergence:
        assert str(before.divergence and before.divergence.level) in str(found.reason)
        assert "there" in str(found.reason)
        for form in ("text", "markdown", "junit", "github", "html"):
            assert "baseline" in CHECK_FORMATS[form](report(found)), form


def test_what_is_new_is_judged_as_ever() -> None:
    new = result(Level.DIVERGENT, 4.0, Verdict.WORSE, replace(PAIR, hyperparameters={"lr": 0.2}))
    assert not compared(report(new), known(text(report(result(Level.CLOSE))))).passed


def test_refusals_are_known_as_often_as_they_were() -> None:
    refused = Refused("torch.optim.Y", "mindspore", {}, "a.py:3", ("why",))
    before = known(text(report(result(Level.CLOSE), refused=(refused,))))
    again = replace(refused, origin="a.py:9")
    assert compared(report(result(Level.CLOSE), refused=(again,)), before).passed
    assert not compared(report(result(Level.CLOSE), refused=(refused, again)), before).passed


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "results": [1], "refused": []}'])
def test_what_is_no_baseline(content: str) -> None:
    with pytest.raises(BaselineError):
        known(content)


def test_translate_reports_only_what_is_new(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(SOURCE + REFUSED)
    where = ("--baseline", "base.json", "train.py")
    done = optmap("translate", "--write-baseline", *where, cwd=tmp_path)
    assert (done.code, done.out) == (0, b"")
    assert file.read_text() == SOURCE + REFUSED
    done = optmap("translate", "--check", *where, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "OM203" not in done.err
    file.write_text(f"# moved\n{SOURCE}\n{REFUSED}{REFUSED.replace('old', 'new')}")
    done = optmap("translate", "--check", *where, cwd=tmp_path)
    assert done.code == 1
    assert done.err.count("OM203") == 1
    assert "new = " in done.err
    shown = optmap("translate", *where, cwd=tmp_path)
    assert b"mindspore.nn.SGD(" in shown.out


def test_a_new_call_that_would_be_translated_fails_the_check(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(SOURCE)
    optmap("translate", "--write-baseline", "train.py", cwd=tmp_path)
    assert "optmap-baseline.json" in {path.name for path in tmp_path.iterdir()}
    check = ("translate", "--check", "--baseline", "optmap-baseline.json", "train.py")
    assert optmap(*check, cwd=tmp_path).code == 0
    file.write_text(SOURCE + "other = torch.optim.SGD(net.parameters(), lr=0.2)\n")
    assert optmap(*check, cwd=tmp_path).code == 1


@pytest.mark.parametrize("command", ["translate", "check"])
@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), ("{}", "expected a baseline"), ("[" * 100_000, "expected a baseline")],
)
def test_a_baseline_that_cannot_be_used(tmp_path: Path, command: str, content: str | None, said: str) -> None:
    (tmp_path / "train.py").write_text("import torch\n" if command == "translate" else SOURCE)
    if content is not None:
        (tmp_path / "b.json").write_text(content)
    if command == "check":
        pytest.importorskip("torch", reason="torch is not installed")
    options = () if command == "translate" else ("--steps", "1", "--scenario", "dense-mse")
    done = optmap(command, "--baseline", "b.json", "train.py", *options, cwd=tmp_path)
    assert done.code == 2
    assert said in done.err


def test_check_writes_and_reads_a_baseline(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "train.py").write_text(SOURCE + REFUSED)
    options = ("train.py", "--baseline", "b.json", "--steps", "2", "--scenario", "dense-mse")
    assert optmap("check", *options[:1], *options[3:], cwd=tmp_path).code == 1
    assert optmap("check", *options, "--write-baseline", cwd=tmp_path).code == 0
    assert json.loads((tmp_path / "b.json").read_text())["refused"]
    assert optmap("check", *options, cwd=tmp_path).code == 0


def test_annotations_leave_out_notes_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import torch\nopt = torch.optim.Adam(net.parameters(), fused=True)\n")
    options = ("translate", "train.py", "--format", "github")
    assert b"::notice" not in optmap(*options, cwd=tmp_path).out
    assert b"::notice" in optmap(*options, "--verbose", cwd=tmp_path).out
