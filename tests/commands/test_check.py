"""`optmap check`: exit codes, messages, the JSON contract, and what it finds about the seed pages."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from xml.etree import ElementTree

import pytest

from optmap.cli.check import Request
from optmap.commands.check import run
from optmap.conformance.results import Divergence, Level, Mode, Pair, Refused, Report, Result, Verdict
from optmap.mapping.model import MappingSet
from optmap.report import CHECK_FORMATS
from tests.commandline import run as run_cli

Run = Callable[..., tuple[int, str, str]]

torch_only = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
tensorflow_too = pytest.mark.skipif(find_spec("tensorflow") is None, reason="tensorflow is not installed")


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], shared_workers: None) -> Run:
    """Runs the command; returns exit code, stdout and stderr."""

    def call(**options: Any) -> tuple[int, str, str]:
        code = run(Request(**options))
        out, err = capsys.readouterr()
        return code, out, err

    return call


USAGE: list[tuple[dict[str, Any], str]] = [
    ({}, "found nothing to check, expected files, --optimizer NAME, --schedule NAME or --all"),
    ({"optimizers": ["Adm"]}, "unknown optimizer 'Adm'; did you mean 'Adam'?"),
    ({"optimizers": ["mindspore.nn.Adam"]}, "'mindspore.nn.Adam' belongs to mindspore"),
    ({"optimizers": ["Adam"], "steps": -3}, "found -3 steps, expected 1 to"),
    ({"optimizers": ["Adam"], "steps": 0}, "found 0 steps, expected 1 to"),
    ({"optimizers": ["Adam"], "seed": -1}, "found seed -1"),
    ({"optimizers": ["Adam"], "dtype": "float16"}, "unknown dtype 'float16'"),
    ({"optimizers": ["Adam"], "scenarios": ["dense"]}, "unknown scenario 'dense'; did you mean"),
    ({"optimizers": ["Adam"], "set": ["eps=nan"]}, "--set eps: found nan, expected a finite number"),
    ({"optimizers": ["Adam"], "set": ["eps"]}, "found 'eps', expected NAME=VALUE"),
    ({"optimizers": ["Adam"], "set": ["lr=abc"]}, "--set lr: found 'abc'"),
    ({"optimizers": ["Adam"], "set": ["momentun=0.9"]}, "--set momentun: found a name that no checked class takes"),
    ({"optimizers": ["Adam"], "require": ["jax"]}, "unknown engine 'jax'"),
    ({"optimizers": ["Adam"], "python": ["torch"]}, "expected ENGINE=INTERPRETER"),
    ({"optimizers": ["Adam"], "python": ["torch=/no/such/python"]}, "/no/such/python cannot be run"),
    ({"optimizers": ["Adam"], "python": ["torch=/bin/echo"]}, "which is not a Python interpreter"),
    ({"optimizers": ["Adam"], "python": ["numpy=" + sys.executable]}, "unknown engine 'numpy'"),
    ({"optimizers": ["Adam"], "sources": ["mindspore"]}, "both as source and as target"),
    ({"optimizers": ["Adam"], "to": "jax"}, "--to: found 'jax'"),
    ({"optimizers": ["Adam"], "format": "xml"}, "--format: found 'xml'"),
    ({"optimizers": ["Adam"], "report": "page.pdf"}, "expected a name that ends in .html"),
    ({"optimizers": ["Adam"], "report": "/no/such/page.html"}, "there is no directory /no/such"),
    ({"paths": ["/no/such/train.py"]}, "/no/such/train.py cannot be read"),
]


@pytest.mark.parametrize(("options", "message"), USAGE, ids=[message for _, message in USAGE])
def test_wrong_usage_is_one_message_and_exit_code_2(check: Run, options: dict[str, Any], message: str) -> None:
    code, out, err = check(**options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.fixture(scope="module")
def adams() -> str:
    """The JSON of a check of torch's Adam and AdamW."""
    if find_spec("torch") is None:
        pytest.skip("torch is not installed")
    return _adams()


def _adams() -> str:
    from optmap.conformance.api import check

    return CHECK_FORMATS["json"](check(["torch.optim.Adam", "torch.optim.AdamW"]))


def forced(document: dict[str, Any], source: str, target: str) -> list[dict[str, Any]]:
    return [
        row for row in document["results"]
        if row["mode"] == "forced" and row["source"].endswith(source) and row["target"] == f"mindspore.{target}"
    ]  # fmt: skip


CONTRACT = (
    "source", "target", "scenario", "dtype", "hyperparameters", "mode", "steps", "max_abs", "max_ulp", "drift",
    "first_step_over", "level", "expected", "causes", "verdict", "reason",
)  # fmt: skip


def test_the_json_is_the_contract(adams: str) -> None:
    document = json.loads(adams)
    assert list(document)[:2] == ["version", "engines"]
    assert document["version"] == 1
    assert set(document["engines"]) == {"torch", "mindspore"}
    for row in document["results"]:
        assert set(CONTRACT) <= set(row)
        assert row["level"] in list(Level)
        assert row["verdict"] in list(Verdict)
    assert document["summary"]["passed"]
    assert {(row["mode"], row["dtype"]) for row in document["results"]} == {
        (mode, dtype) for mode in ("forced", "free") for dtype in ("float32", "float64")
    }


@pytest.mark.usefixtures("shared_workers")
def test_the_same_seed_gives_the_same_json(adams: str) -> None:
    """In a worker that has done other jobs as in one of its own."""
    assert _adams() == adams


def test_adamw_to_adamweightdecay_diverges_for_want_of_bias_correction(adams: str) -> None:
    rows = forced(json.loads(adams), "AdamW", "nn.AdamWeightDecay")
    assert {(row["level"], row["expected"], row["verdict"]) for row in rows} == {
        ("DIVERGENT", "DIVERGENT", "AS_EXPECTED")
    }
    assert all(any("bias correction" in cause for cause in row["causes"]) for row in rows)


def test_adamw_to_experimental_adamw_is_equivalent(adams: str) -> None:
    rows = forced(json.loads(adams), "AdamW", "experimental.optim.AdamW")
    assert {row["level"] for row in rows} <= {"IDENTICAL", "EQUIVALENT"}
    assert {row["expected"] for row in rows} == {"EQUIVALENT"}


def test_adam_is_close_because_of_epsilon(adams: str) -> None:
    rows = forced(json.loads(adams), "optim.Adam", "nn.Adam")
    ordinary = [row for row in rows if row["scenario"] != "small-gradients"]
    assert {row["level"] for row in ordinary if row["dtype"] == "float64"} == {"CLOSE"}
    assert {row["expected"] for row in ordinary} == {"CLOSE"}
    assert all("epsilon placement" in row["causes"][0] for row in rows)
    assert {row["level"] for row in rows if row["scenario"] == "small-gradients"} == {"DIVERGENT"}


@torch_only
def test_adam_diverges_with_a_large_epsilon(check: Run) -> None:
    code, out, _ = check(optimizers=["torch.optim.Adam"], set=["eps=1e-2"], scenarios=["dense-mse"], format="json")
    document = json.loads(out)
    rows = forced(document, "optim.Adam", "nn.Adam")
    assert code == 0
    assert {(row["level"], row["verdict"]) for row in rows} == {("DIVERGENT", "AS_EXPECTED")}
    assert rows[0]["hyperparameters"] == {"eps": 0.01}


@torch_only
def test_the_text_for_one_optimizer_fits_a_screen(check: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    code, out, err = check(optimizers=["torch.optim.AdamW"], steps=20, report=str(page))
    assert (code, err) == (0, "")
    assert len(out.splitlines()) <= 30
    assert out.startswith("optim.AdamW -> nn.AdamWeightDecay  DIVERGENT (known)  drift ")
    for part in ("answer", "forced", "cause", "free", "verdict", "--prefer", "mindspore.experimental.optim.AdamW"):
        assert part in out
    assert max(map(len, out.splitlines())) <= 80
    assert "<table>" in page.read_text(encoding="utf-8")


TRAIN = """
import torch
raise SystemExit("this file must not be executed")

RATE = 3e-4
def main(args, model):
    decay = 0.05
    first = torch.optim.AdamW(model.parameters(), lr=RATE * 2, weight_decay=decay)
    second = torch.optim.SGD(model.parameters(), lr=0.1, momentum=args.momentum)
"""


@torch_only
def test_calls_of_a_file(check: Run, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN, encoding="utf-8")
    options: dict[str, Any] = {"paths": [str(script)], "steps": 5, "scenarios": ["dense-mse"], "format": "json"}
    code, out, _ = check(**options)
    results = json.loads(out)["results"]
    assert code == 0
    assert results[0]["origin"] == f"{script}:8"
    assert results[0]["hyperparameters"] == {"lr": 0.0006, "weight_decay": 0.05}
    assert results[-1]["hyperparameters"] == {"lr": 0.1}
    assert results[-1]["assumed"] == ["momentum=0 assumed for args.momentum: the class's default"]
    assert results[-1]["assumed_values"] == {"momentum": 0}
    code, out, _ = check(**options, set=["args.momentum=0.8"])
    last = json.loads(out)["results"][-1]
    assert (code, last["hyperparameters"], last["assumed"]) == (0, {"lr": 0.1, "momentum": 0.8}, [])


WORDS = {
    "text": "DIVERGENT, rejected", "markdown": "DIVERGENT, rejected", "html": "DIVERGENT, rejected",
    "github": "::error title=DIVERGENT%2C rejected::", "junit": 'type="DIVERGENT, rejected"', "json": '"accepted": false',
}  # fmt: skip


@torch_only
def test_those_who_want_equality_can_have_divergence_fail(shared_workers: None) -> None:
    from optmap.conformance.api import check

    options: dict[str, Any] = {"steps": 5, "scenarios": ["dense-mse"]}
    lenient, strict = (check(["torch.optim.AdamW"], fail_on=fail_on, **options) for fail_on in ("worse", "divergent"))
    assert (lenient.passed, strict.passed) == (True, False)
    assert {result.verdict for result in strict.results} == {Verdict.AS_EXPECTED}
    for form, words in WORDS.items():
        assert words in CHECK_FORMATS[form](strict), form
        assert words not in CHECK_FORMATS[form](lenient), form
    faithful = check(["torch.optim.AdamW"], fail_on="divergent", to="tensorflow", **options)
    assert faithful.passed


@torch_only
@pytest.mark.usefixtures("shared_workers")
def test_fail_on_of_the_command_line(tmp_path: Path) -> None:
    options = ("check", "--optimizer", "torch.optim.AdamW", "--scenario", "dense-mse", "--steps", "5")
    assert run_cli(*options, cwd=tmp_path).code == 0
    done = run_cli(*options, "--fail-on", "divergent", "--format", "json", cwd=tmp_path)
    assert done.code == 1
    summary = done.json()["summary"]
    assert (summary["passed"], summary["fail_on"], summary["divergent"], summary["WORSE"]) == (False, "divergent", 2, 0)
    done = run_cli(*options, "--fail-on", "nothing", cwd=tmp_path)
    assert (done.code, done.out) == (2, b"")
    assert "--fail-on: found 'nothing', expected one of worse, divergent" in done.err


@torch_only
def test_what_trains_differently_does_not_look_like_what_trains_alike(check: Run) -> None:
    options: dict[str, Any] = {"optimizers": ["torch.optim.AdamW"], "steps": 5, "scenarios": ["dense-mse"]}
    _, out, _ = check(**options)
    differs, alike = out.split("\n\n")[1:3]
    assert "verdict DIVERGENT, explained by the bias correction: with this the remaining difference is " in " ".join(
        differs.split()
    )
    assert "AS_EXPECTED" not in differs
    assert " ulp" not in differs
    assert "verdict  AS_EXPECTED" in alike
    assert out.count("\ndrift    how far apart both end, as a share of ") == 1
    page = CHECK_FORMATS["html"](report_of(Level.DIVERGENT))
    assert page.count('<tr data-level="DIVERGENT"') == 1
    assert CHECK_FORMATS["html"](report_of(Level.EQUIVALENT)).count('<tr data-level="EQUIVALENT"') == 1


def report_of(level: Level) -> Report:
    pair = Pair("torch.optim.X", "mindspore.nn.X", {}, {}, "a.py:3")
    measured = Divergence(0.5, 12345, 0.5, 2, "weight", level)
    return Report(
        {},
        {},
        (Result(pair, "mindspore", "one", "float64", Mode.FORCED, 10, measured, level, (), Verdict.AS_EXPECTED),),
    )


def test_units_in_the_last_place_are_shown_for_rounding_only() -> None:
    for form in ("text", "html"):
        assert "12345" in CHECK_FORMATS[form](report_of(Level.EQUIVALENT))
        for level in (Level.CLOSE, Level.DIVERGENT):
            assert "12345" not in CHECK_FORMATS[form](report_of(level))


def test_a_divergent_translation_of_a_file_is_a_notice_on_github() -> None:
    assert CHECK_FORMATS["github"](report_of(Level.DIVERGENT)).startswith(
        "::notice file=a.py,line=3,title=DIVERGENT%2C as expected::"
    )
    assert CHECK_FORMATS["github"](report_of(Level.CLOSE)) == ""


TWO = """
import torch
first = torch.optim.AdamW(model.parameters(), lr=0.01)
second = torch.optim.SGD(model.parameters(), lr=0.1)
rate = torch.optim.lr_scheduler.StepLR(second, 2)
"""
FAULTS = {
    "reading a call": "optmap.conformance.filecalls.bind_call",
    "a plan": "optmap.conformance.trials.plans",
    "a job": "optmap.conformance.trials.Trial.job",
    "an expected level": "optmap.conformance.run.expectation",
    "a schedule": "optmap.conformance.schedule_check.translated",
}


@torch_only
@pytest.mark.parametrize("place", FAULTS)
@pytest.mark.usefixtures("shared_workers")
def test_an_internal_error_costs_one_call(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault strikes whatever has to do with the first class; what has to do with others is compared."""
    owner, _, name = FAULTS[place].rpartition(".")
    holder = resolve_name(owner)
    working = getattr(holder, name)
    struck = "StepLR" if place == "a schedule" else "torch.optim.AdamW"

    def faulty(*arguments: Any, **options: Any) -> Any:
        if any(struck in repr(argument) for argument in arguments if not isinstance(argument, MappingSet)):
            raise KeyError("lost")
        return working(*arguments, **options)

    monkeypatch.setattr(holder, name, faulty)
    (tmp_path / "train.py").write_text(TWO, encoding="utf-8")
    done = run_cli("check", "train.py", "--scenario", "dense-mse", "--steps", "5", "--format", "json", cwd=tmp_path)
    document = done.json()
    assert done.code == 1
    reasons = [row["reason"] for row in document["results"] if row["verdict"] == "NOT_RUN"]
    reasons += [reason for item in document["refused"] if item["internal"] for reason in item["reasons"]]
    assert reasons
    assert {reason.partition(")")[0] for reason in reasons} == {"internal error (KeyError: 'lost'"}
    compared = {row["source"] for row in document["results"] if row["verdict"] == "AS_EXPECTED"}
    everything = {"torch.optim.AdamW", "torch.optim.SGD", "torch.optim.lr_scheduler.StepLR"}
    assert compared == everything - {name for name in everything if struck in name}
    for form in ("text", "markdown", "github", "junit"):
        done = run_cli("check", "train.py", "--scenario", "dense-mse", "--steps", "5", "--format", form, cwd=tmp_path)
        assert "internal error" in " ".join(done.out.decode().split())


@pytest.fixture
def no_torch(tmp_path: Path) -> str:
    """An interpreter in which torch is not installed."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no', name='torch')", encoding="utf-8")
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return f"torch={program}"


def test_nothing_ran(check: Run, no_torch: str) -> None:
    code, out, err = check(optimizers=["torch.optim.Adam"], python=[no_torch], format="json")
    document = json.loads(out)
    assert code == 2
    assert document["engines"]["torch"] is None
    assert {(row["verdict"], row["level"]) for row in document["results"]} == {("NOT_RUN", None)}
    assert "pip install torch" in document["results"][0]["reason"]
    assert "nothing ran" in err


def test_what_is_not_run_within_the_time_limit_is_said(check: Run, no_torch: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    began = time.monotonic()
    code, out, err = check(
        optimizers=["torch.optim.SGD"], to="mindspore", python=[no_torch], time_limit=1.0, format="json"
    )
    assert time.monotonic() - began < 30
    assert code == 2
    results = json.loads(out)["results"]
    assert {row["verdict"] for row in results} == {"NOT_RUN"}
    assert all(
        re.search("within [01][.0-9]* seconds|time limit of 1 seconds was over", row["reason"]) for row in results
    )
    assert "nothing ran" in err


def test_nothing_can_run_by_the_tables_own_word(check: Run) -> None:
    code, out, err = check(optimizers=["mindspore.mint.optim.SGD"], to="tensorflow", format="json")
    assert code == 2
    assert [row["stated"] for row in json.loads(out)["results"]] == [True]
    assert err.endswith("nothing ran: the tables say that it cannot run\n")


def test_a_required_engine_is_missing(check: Run, no_torch: str) -> None:
    code, out, err = check(optimizers=["torch.optim.Adam"], python=[no_torch], require=["torch"])
    assert (code, out) == (2, "")
    assert "the required engine torch cannot be used: torch is not installed; pip install torch" in err


@tensorflow_too
def test_the_others_results_stand(check: Run, no_torch: str) -> None:
    code, out, _ = check(optimizers=["Adam"], python=[no_torch], scenarios=["dense-mse"], steps=5, format="json")
    verdicts = {row["source"]: row["verdict"] for row in json.loads(out)["results"]}
    assert code == 1
    assert verdicts == {"torch.optim.Adam": "NOT_RUN", "tf.keras.optimizers.Adam": "AS_EXPECTED"}


def report() -> Report:
    """One result of every kind."""
    pair = Pair("torch.optim.X", "mindspore.nn.X", {"lr": 0.1, "betas": (0.9, 0.99)}, {"learning_rate": 0.1}, "a,b.py:3",
                causes=("epsilon placement: a < b; c | d",), advice=("translate with --faithful: y agrees",))  # fmt: skip
    worst = Divergence(float("inf"), 7, float("inf"), 2, "weight", Level.DIVERGENT)
    good = Divergence(0.0, 0, 0.0, None, None, Level.IDENTICAL)
    common = ("float64", Mode.FORCED, 10)
    return Report(
        {"torch": "2.0", "tensorflow": None}, {"tensorflow": "tensorflow is not installed; pip install tensorflow-cpu"},
        (
            Result(pair, "mindspore", "one", *common, worst, Level.CLOSE, pair.causes, Verdict.WORSE, "50% <worse>\nsecond line"),
            Result(pair, "mindspore", "two", *common, good, Level.CLOSE, pair.causes, Verdict.BETTER, "shows nowhere"),
            Result(pair, "mindspore", "three", *common, None, Level.CLOSE, (), Verdict.NOT_RUN, "crashed"),
            Result(pair, "mindspore", "four", *common, good, Level.EQUIVALENT, (), Verdict.AS_EXPECTED),
        ),
        (Refused("torch.optim.Y", "mindspore", {}, "b.py:9", ("it has no counterpart",)),),
    )  # fmt: skip


@pytest.mark.parametrize("form", CHECK_FORMATS)
def test_every_format_names_what_matters(form: str) -> None:
    text = CHECK_FORMATS[form](report())
    assert text.endswith("\n")
    for part in ("torch.optim.X", "mindspore.nn.X", "WORSE", "shows nowhere", "crashed"):
        assert part in text


@pytest.mark.parametrize("form", CHECK_FORMATS)
def test_every_format_can_say_that_nothing_ran(form: str) -> None:
    assert CHECK_FORMATS[form](Report({})).endswith("\n")


def test_junit_counts() -> None:
    root = ElementTree.fromstring(CHECK_FORMATS["junit"](report()))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "2", "2")
    assert len(list(root.iter("testcase"))) == 5


def test_github_commands_stay_on_one_line() -> None:
    lines = CHECK_FORMATS["github"](report()).splitlines()
    assert lines[0].startswith("::error file=a%2Cb.py,line=3,title=WORSE::")
    assert "50%25 <worse>%0Asecond line" in lines[0]
    assert len(lines) == 4


def test_html_is_escaped() -> None:
    text = CHECK_FORMATS["html"](report())
    assert "&lt;worse&gt;" in text
    assert "<worse>" not in text


def test_infinity_has_a_name_in_json() -> None:
    first = json.loads(CHECK_FORMATS["json"](report()))["results"][0]
    assert (first["max_abs"], first["drift"], first["level"]) == ("Infinity", "Infinity", "DIVERGENT")
