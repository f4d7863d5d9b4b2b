"""What the tables lead to expect, and how measurements are judged by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optmap.conformance.calls import Call, canonical_values, plans
from optmap.conformance.catalog import catalog
from optmap.conformance.expect import Circumstances, Expectation, expectation, find_better, judge
from optmap.conformance.results import Divergence, Level, Mode, Pair, Report, Result, Verdict
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan
from optmap.mapping.records import Literal

SCENARIOS = catalog()


def plan_of(tables: MappingSet, source: str, target: str, given: dict[str, Literal]) -> tuple[Call, Plan]:
    call = Call(tables.apis[source], given)
    found = plans(tables, call, Framework("mindspore"))
    assert not isinstance(found, str)
    return call, next(plan for plan in found if plan.target.name == target)


CASES: list[tuple[str, str, dict[str, Literal], str, Level, str]] = [
    ("torch.optim.Adam", "mindspore.nn.Adam", {}, "dense-mae", Level.CLOSE, "epsilon placement"),
    ("torch.optim.Adam", "mindspore.nn.Adam", {}, "small-gradients", Level.DIVERGENT, "epsilon placement"),
    ("torch.optim.Adam", "mindspore.nn.Adam", {"eps": 1e-2}, "dense-mae", Level.DIVERGENT, "epsilon placement"),
    ("torch.optim.Adam", "mindspore.nn.Adam", {"weight_decay": 0.1}, "norm-scale", Level.DIVERGENT, "decay filter"),
    ("torch.optim.Adam", "mindspore.nn.Adam", {"weight_decay": 0.1}, "dense-mse", Level.CLOSE, "epsilon placement"),
    ("torch.optim.AdamW", "mindspore.nn.AdamWeightDecay", {}, "dense-mse", Level.DIVERGENT, "bias correction"),
    ("torch.optim.AdamW", "mindspore.experimental.optim.AdamW", {}, "small-gradients", Level.EQUIVALENT, ""),
    ("tf.keras.optimizers.SGD", "mindspore.nn.SGD", {"momentum": 0.9}, "dense-mse", Level.EQUIVALENT, ""),
]


@pytest.mark.parametrize(("source", "target", "given", "scenario", "level", "cause"), CASES)
def test_expected_level_and_cause(
    tables: MappingSet, source: str, target: str, given: dict[str, Literal], scenario: str, level: Level, cause: str
) -> None:
    call, plan = plan_of(tables, source, target, given)
    found = expectation(plan, SCENARIOS[scenario], canonical_values(call))
    assert found.level is level
    assert any(text.startswith(cause) for text in found.causes) if cause else found.causes == ()


@pytest.mark.parametrize(
    ("rate", "run", "level"),
    [
        (0.5, Circumstances("float64", 4), Level.EQUIVALENT),
        (0.5, Circumstances("float64", 5), Level.DIVERGENT),
        (0.01, Circumstances("float64", 5), Level.EQUIVALENT),
        (0.01, Circumstances("float32", 5), Level.DIVERGENT),
    ],
)
def test_some_differences_need_a_long_run_or_single_precision(
    tables: MappingSet, rate: float, run: Circumstances, level: Level
) -> None:
    given: dict[str, Literal] = {"lr": rate}
    call, plan = plan_of(tables, "torch.optim.Adafactor", "mindspore.nn.AdaFactor", given)
    assert expectation(plan, SCENARIOS["dense-mse"], canonical_values(call), run).level is level


def measured(level: Level) -> Divergence:
    return Divergence(0.1, 5, 0.1, 3, "weight", level)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("expected", list(Level)[1:])
def test_worse_than_expected(level: Level, expected: Level) -> None:
    verdict, reason = judge(measured(level), Expectation(expected, ("because",)))
    assert verdict is (Verdict.WORSE if level.rank > expected.rank else Verdict.AS_EXPECTED)
    assert (reason is None) == (verdict is Verdict.AS_EXPECTED)
    if reason:
        assert all(part in reason for part in (level, expected, "because", "weight", "step 3"))


def result(pair: Pair, scenario: str, level: Level | None, dtype: str = "float64", steps: int = 20) -> Result:
    return Result(pair, "mindspore", scenario, dtype, Mode.FORCED, steps, measured(level) if level else None, Level.CLOSE,
                  ("epsilon placement: ...",), Verdict.AS_EXPECTED if level else Verdict.NOT_RUN)  # fmt: skip


def pair() -> Pair:
    return Pair("a", "b", {}, {})


def verdicts(*results: Result) -> list[Verdict]:
    return [item.verdict for item in find_better(results)]


def test_a_difference_that_shows_nowhere_is_better() -> None:
    one = pair()
    assert verdicts(result(one, "x", Level.EQUIVALENT), result(one, "y", Level.IDENTICAL)) == [Verdict.BETTER] * 2


def test_a_difference_that_shows_in_one_scenario_is_as_expected() -> None:
    one = pair()
    assert verdicts(result(one, "x", Level.EQUIVALENT), result(one, "y", Level.CLOSE)) == [Verdict.AS_EXPECTED] * 2


def test_float32_does_not_tell_whether_it_is_better() -> None:
    assert verdicts(result(pair(), "x", Level.EQUIVALENT, "float32")) == [Verdict.AS_EXPECTED]


def test_pairs_are_judged_apart() -> None:
    one, other = pair(), pair()
    assert verdicts(result(one, "x", Level.CLOSE), result(other, "x", Level.IDENTICAL)) == [
        Verdict.AS_EXPECTED, Verdict.BETTER,
    ]  # fmt: skip


def test_only_what_ran_as_expected_passes() -> None:
    good = result(pair(), "x", Level.CLOSE)
    assert Report({}, results=(good,)).passed
    assert not Report({}).passed
    assert not Report({}, results=(result(pair(), "x", None),)).passed
    for verdict in (Verdict.WORSE, Verdict.BETTER, Verdict.NOT_RUN):
        assert not Report({}, results=(good, replace(good, verdict=verdict))).passed


def test_few_steps_prove_no_agreement() -> None:
    pair = Pair("torch.optim.X", "mindspore.nn.X", {}, {})
    assert [item.verdict for item in find_better([result(pair, "one", Level.IDENTICAL, steps=19)])] == [
        Verdict.AS_EXPECTED
    ]
    assert [item.verdict for item in find_better([result(pair, "one", Level.IDENTICAL)])] == [Verdict.BETTER]
