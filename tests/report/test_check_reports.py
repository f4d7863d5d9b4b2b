"""The reports of `check` tell the same truth in every format."""

from __future__ import annotations

import json
import shlex
from xml.etree import ElementTree

import pytest

from optmap.conformance.results import Assumed, Divergence, Level, Mode, Pair, Refused, Report, Result, Verdict
from optmap.report import CHECK_FORMATS
from optmap.report.check_failures import rerun
from optmap.report.check_summary import amounts, answer, headline, share, summaries

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
def test_the_first_line_is_the_answer(text: str) -> None:
    report = Report({}, results=(ANSWERS[text],))
    assert answer(summaries(report)[0]) == text
    first = CHECK_FORMATS["text"](report).splitlines()[0]
    assert first == f"{text[:1].upper()}{text[1:]}."


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
