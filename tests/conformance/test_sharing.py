"""Runs that share one: they give to the bit what each gives alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from optmap.conformance.calls import default_call, rows
from optmap.conformance.catalog import catalog
from optmap.conformance.scenario import Failure, Gradients, Job, Trace
from optmap.mapping.load import load

TABLES, STEPS = load(), 6
SCENARIOS = [catalog()[name] for name in ("dense-mse", "small-gradients", "norm-scale")]


@pytest.fixture(autouse=True)
def other_tests_keep_their_dtype() -> Iterator[None]:
    """The engine sets torch's default, as it has a process of its own."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    kept = torch.get_default_dtype()
    yield
    torch.set_default_dtype(kept)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classes_that_work_element_by_element(dtype: str) -> None:
    from optmap.conformance.engines import each
    from optmap.conformance.engines import torch as engine

    random = np.random.default_rng(0)
    gradients: list[Gradients] = [
        {name: (random.standard_normal((STEPS, *value.shape)) * item.gradient_size).astype(dtype)
         for name, value in item.start.items()}
        for item in SCENARIOS
    ]  # fmt: skip
    for api in map(TABLES.apis.__getitem__, engine.ELEMENTWISE):
        for call in (default_call(TABLES, api), *rows(TABLES, api)):
            jobs = [Job(api.name, dict(call.given), scenario, STEPS, dtype, given)
                    for scenario, given in zip(SCENARIOS, gradients, strict=True)]  # fmt: skip
            for one, other in zip(engine.run(jobs), each(jobs, engine._run), strict=True):
                assert isinstance(one, Trace), call
                assert isinstance(other, Trace), call
                for name, values in other.parameters.items():
                    np.testing.assert_array_equal(one.parameters[name], values, f"{call}, {name}")


def test_a_run_that_fails_alone_fails_together() -> None:
    from optmap.conformance.engines import torch as engine

    ones: Gradients = {name: np.ones((STEPS, *value.shape)) for name, value in SCENARIOS[0].start.items()}
    jobs = [Job("torch.optim.SGD", {"lr": -1.0}, SCENARIOS[0], STEPS, "float64", ones)] * 2
    assert all(isinstance(item, Failure) and "Invalid learning rate" in item.reason for item in engine.run(jobs))
