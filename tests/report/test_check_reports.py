"""The reports of `check` tell the same truth in every format."""

from __future__ import annotations

import io
import json
import math
import re
import shlex
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from optmap.conformance.results import Assumed, Course, Divergence, Level, Mode, Pair, Refused, Report, Result, Verdict
from optmap.report import CHECK_FORMATS
from optmap.report.check_failures import rerun
from optmap.report.check_summary import amounts, answer, headline, share, summaries
from optmap.report.check_text import render, show

ASSUMED = Assumed("momentum", 0.9, "args.m", "an example")
PAIR = Pair(
    "torch.optim.SGD", "mindspore.nn.SGD", {"lr": 0.1, "momentum": 0.9}, {"learning_rate": 0.1}, "a.py:3", assumed=(ASSUMED,),
    groups=({}, {"lr": 0.2}),
)  # fmt: skip


def result(
    drift: float = 4.4,
    level: Level = Level.DIVERGENT,
    verdict: Verdict = Verdict.WORSE,
    pair: Pair = PAIR,
    scenario: str = "one",
) -> Result:
    measured = Divergence(0.5, None, drift, 2, "weight", level, (3, 4), ((1.0, 2.0), (1.5, float("nan"))))
    if level.rank <= Level.EQUIVALENT.rank:
        measured = Divergence(1e-7, 1, drift, None, None, level)
    reason = None if verdict is Verdict.AS_EXPECTED else "because"
    return Result(
        pair, "mindspore", scenario, "float32", Mode.FORCED, 20, measured, Level.EQUIVALENT, (), verdict, reason
    )


REFUSED = (
    Refused("torch.optim.Y", "mindspore", {}, "a.py:9", ("it has no counterpart",)),
    Refused("torch.optim.Y", "mindspore", {}, "", ("it has no counterpart",)),
)
REPORT = Report({"torch": "2.0"}, results=(result(), result()), refused=REFUSED, seed=7)


@pytest.mark.parametrize("form", CHECK_FORMATS)
def test_what_is_assumed_and_what_is_refused_stands_in_every_format(form: str) -> None:
    text = " ".join(CHECK_FORMATS[form](REPORT).split())
    assert "momentum=0.9 assumed for args.m" in text.replace("%2C", ",")
    assert text.count("it has no counterpart") == 2
    if form == "json":
        assert json.loads(CHECK_FORMATS[form](REPORT))["results"][0]["assumed_values"] == {"momentum": 0.9}
    else:
        assert "torch.optim.SGD([{}, {lr=0.2}], lr=0.1, momentum=0.9 [assumed])" in text


def test_every_result_has_a_name_of_its_own() -> None:
    names = [item["id"] for item in json.loads(CHECK_FORMATS["json"](REPORT))["results"]]
    assert len(set(names)) == 2
    root = ElementTree.fromstring(CHECK_FORMATS["junit"](REPORT))
    cases = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(cases)) == len(cases) == 4
    assert [root.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["4", "2", "1", "1"]


ANSWERS = {
    "after 20 steps the weights differ by 4.4 times the distance trained in one": result(),
    "after 20 steps the weights differ by 0.01% of the distance trained in one": result(1e-4, Level.CLOSE),
    "after 20 steps the weights agree up to rounding": result(1e-8, Level.EQUIVALENT),
    "after 20 steps every bit of the weights is equal": result(0.0, Level.IDENTICAL),
    "training leaves the numbers, so that nothing can be said of its end": result(verdict=Verdict.DIVERGED),
}


@pytest.mark.parametrize("text", ANSWERS)
def test_the_answer_is_a_sentence(text: str) -> None:
    report = Report({}, results=(ANSWERS[text],))
    assert answer(summaries(report)[0]) == text
    assert headline(report) == f"{text[:1].upper()}{text[1:]}."
    assert f"answer   {text}" in CHECK_FORMATS["text"](report).replace("\n         ", " ")


OWN = Pair("torch.optim.AdamW", "mindspore.nn.AdamWeightDecay", {}, {})
LINES = {
    "optim.AdamW -> nn.AdamWeightDecay  DIVERGENT (known)  drift 4.4 after 20 steps": result(
        pair=OWN, verdict=Verdict.AS_EXPECTED
    ),
    "a.py:3: optim.SGD -> nn.SGD  DIVERGENT (WORSE)  drift inf after 20 steps": result(math.inf),
    "a.py:3: optim.SGD -> nn.SGD  CLOSE (BETTER)  drift 0.0001 after 20 steps": result(
        1e-4, Level.CLOSE, Verdict.BETTER
    ),
    "a.py:3: optim.SGD -> nn.SGD  EQUIVALENT  drift 1e-08 after 20 steps": result(
        1e-8, Level.EQUIVALENT, Verdict.AS_EXPECTED
    ),
    "a.py:3: optim.SGD -> nn.SGD  DIVERGENT (rejected)  drift 4.4 after 20 steps": replace(
        result(verdict=Verdict.AS_EXPECTED), accepted=False
    ),
    "a.py:3: optim.SGD -> nn.SGD  DIVERGENT (in the baseline)  drift 4.4 after 20 steps": replace(result(), known=True),
    "a.py:3: optim.SGD -> nn.SGD  NOT_RUN  not run": replace(result(verdict=Verdict.NOT_RUN), divergence=None),
    "a.py:3: optim.SGD -> nn.SGD  IDENTICAL  equal rates for 20 steps": replace(
        result(0.0, Level.IDENTICAL, Verdict.AS_EXPECTED), mode=Mode.SCHEDULE
    ),
    "a.py:3: optim.SGD -> nn.SGD  DIVERGENT (WORSE)  rates differ from step 2 on": replace(
        result(), mode=Mode.SCHEDULE
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_for_each_pair_comes_first(line: str) -> None:
    text = CHECK_FORMATS["text"](Report({}, results=(LINES[line],)))
    assert text.partition("\n\n")[0].split() == line.split()


def test_where_a_terminal_can_the_drift_is_drawn() -> None:
    course = Course((0.0, 1e-9, 3e-7, 0.02, 1.0, 50.0, math.nan), (), (), (0.0, 0.0))
    report = Report({}, results=(replace(result(), course=course), result(pair=OWN)))
    first, second, legend = render(report, drawn=True).splitlines()[:3]
    assert first.endswith("drift 4.4 after 20 steps  ▁▁▂▇███")
    assert second.endswith("after 20 steps")
    assert legend == "▁..█  drift over the steps: each bar is ten times the one below, from 1e-7 to 1"
    assert "▁" not in render(report)


def test_many_calls_of_a_pair_share_a_line() -> None:
    calls = [replace(PAIR, hyperparameters={"lr": 0.1 * number}) for number in range(14)]
    pairs = [result(1e-3 * number, Level.CLOSE, Verdict.AS_EXPECTED, pair) for number, pair in enumerate(calls)]
    keras = replace(PAIR, source="tf.keras.optimizers.SGD")
    text = CHECK_FORMATS["text"](Report({}, results=(*pairs, result(pair=keras))))
    lines = " ".join(text.partition("\n\n")[0].split())
    assert "torch.optim.SGD -> mindspore.nn.SGD CLOSE (known) drift 0.013 after 20 steps, 14 calls" in lines
    assert "tf.keras.optimizers.SGD -> mindspore.nn.SGD DIVERGENT (WORSE) drift 4.4 after 20 steps, 1 call" in lines


@pytest.mark.parametrize("colours", [True, False])
def test_no_colour_stands_for_levels_and_verdicts_both(monkeypatch: pytest.MonkeyPatch, colours: bool) -> None:
    words = " ".join([*Level, *Verdict, "known", "rejected", "passed"])
    monkeypatch.setattr("optmap.report.check_text.render", lambda report, drawn: words)
    monkeypatch.setenv("FORCE_COLOR" if colours else "NO_COLOR", "1")
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    show(REPORT)
    found = {word: code for code, word in re.findall("\x1b\\[([0-9;]+)m(\\w+)", terminal.getvalue())}
    assert colours == bool(found)
    levels, verdicts = ({found.get(word) for word in kind} for kind in (Level, Verdict))
    assert not colours or (not levels & verdicts and None not in levels | verdicts)


def test_the_times_of_runs_stand_in_junit() -> None:
    report = Report({}, results=(replace(result(), seconds=1.25), replace(result(), seconds=0.5)), refused=REFUSED)
    root = ElementTree.fromstring(CHECK_FORMATS["junit"](report))
    assert [case.get("time") for case in root.iter("testcase")] == ["1.250", "0.500", "0", "0"]
    assert [suite.get("time") for suite in root.iter("testsuite")] == ["1.750", "0"]
    assert root.get("time") == "1.750"


def test_shares() -> None:
    assert [share(value) for value in (0.0, 1e-9, 1e-4, 0.2, 4.4, 250.0, float("inf"))] == [
        "0", "<0.0001%", "0.01%", "20%", "4.4 times", "250 times", "without bound",
    ]  # fmt: skip


def test_a_failure_shows_both_sides_and_how_to_repeat_it() -> None:
    text = CHECK_FORMATS["text"](REPORT)
    for line in ("  Mismatched elements there: 3 / 4 (75%)", "   source: [1, 2]", "   target: [1.5, nan]"):
        assert f"{line}\n" in text
    assert max(map(len, text.splitlines())) <= 80
    again = text[text.index("Again: ") + 7 :].replace(" \\\n", " ").splitlines()[0]
    assert shlex.split(again) == shlex.split(rerun(result(), REPORT)) == [
        "optmap", "check", "a.py", "--to", "mindspore", "--scenario", "one", "--dtype", "float32", "--steps", "20", "--seed", "7",
    ]  # fmt: skip
    own = Pair("torch.optim.SGD", "mindspore.nn.SGD", {"lr": 0.1, "betas": (0.9, 0.99)}, {})
    assert "--optimizer torch.optim.SGD --set lr=0.1 --set 'betas=(0.9, 0.99)' --to" in rerun(
        result(pair=own), Report({})
    )


def test_calls_and_translations_are_counted_apart() -> None:
    other = Pair("torch.optim.SGD", "mindspore.experimental.optim.SGD", PAIR.hyperparameters, {}, "a.py:3")
    report = Report({}, results=(result(), result(pair=other, level=Level.EQUIVALENT, verdict=Verdict.AS_EXPECTED)))
    assert amounts(report) == "1 call, 2 translations of it, 2 forced runs"
    assert headline(report).startswith(
        "1 of 2 translations train as the source does; torch.optim.SGD -> mindspore.nn.SGD differs"
    )
