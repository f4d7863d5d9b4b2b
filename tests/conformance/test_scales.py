"""`check` is fair at every scale: large and small learning rates, dtypes, tiny parameters, and gradients that are missing."""

from __future__ import annotations

import math

import pytest

from optmap.conformance.api import check
from optmap.conformance.results import Level, Verdict
from tests.later import needs

pytestmark = pytest.mark.usefixtures("shared_workers")
pytestmark = needs("torch")

SGD = ["torch.optim.SGD"]


@pytest.mark.parametrize("settings", [{"lr": 30.0}, {"lr": 30.0, "momentum": 0.9}])
def test_a_large_rate_is_no_difference(settings: dict[str, float]) -> None:
    """Where the problem would explode, the loss is made smaller, for both sides."""
    report = check(SGD, hyperparameters=settings, dtypes=["float32"], scenarios=["dense-mse", "dense-mae"], steps=30)
    assert report.passed
    assert {item.scenario: item.scale for item in report.forced} == {"dense-mse": 1e-2, "dense-mae": 1.0}
    assert all(math.isfinite(item.divergence.max_abs) for item in report.results if item.divergence)


def test_a_rate_of_zero_is_run_in_every_scenario() -> None:
    report = check(SGD, hyperparameters={"lr": 0.0}, scenarios=["dense-mse", "rate-drop"], steps=10)
    assert report.passed
    assert {item.scenario for item in report.forced} == {"dense-mse", "rate-drop"}


def test_weights_that_leave_the_numbers_are_never_equal() -> None:
    report = check(SGD, hyperparameters={"lr": 1e30}, scenarios=["dense-mse"], dtypes=["float32"], steps=20)
    assert not report.passed
    (forced,) = report.forced
    assert (forced.verdict, forced.divergence and forced.divergence.level) == (Verdict.DIVERGED, Level.DIVERGENT)
    assert "not finite in the source from step 2 on and in the target from step 2 on" in (forced.reason or "")


def test_tiny_parameters() -> None:
    report = check(["torch.optim.Adam", *SGD], scenarios=["tiny-parameters"], steps=20)
    assert report.passed
    assert "tiny-parameters" in {item.scenario for item in report.forced}


def test_a_parameter_without_gradient_is_left_alone_by_torch_alone() -> None:
    report = check(SGD, hyperparameters={"lr": 0.1, "momentum": 0.9}, scenarios=["missing-gradients"], steps=20)
    assert report.passed
    assert {item.divergence and item.divergence.level for item in report.forced} == {Level.DIVERGENT}
    assert all(any("missing gradients: torch leaves" in cause for cause in item.causes) for item in report.forced)
    explained = [item.remainder for item in report.forced if item.dtype == "float64"]
    assert explained
    assert all(rest is not None and rest.max_abs < 1e-14 for rest in explained)
    plain = check(SGD, hyperparameters={"lr": 0.1}, scenarios=["missing-gradients"], steps=20)
    assert {item.divergence and item.divergence.level for item in plain.forced} <= {Level.IDENTICAL, Level.EQUIVALENT}


def test_half_precisions() -> None:
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    report = check(SGD, to="tensorflow", scenarios=["float16", "bfloat16"], steps=20)
    assert report.passed
    assert {item.dtype for item in report.results} == {"float16", "bfloat16"}
