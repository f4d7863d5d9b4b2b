"""The contract that every engine keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from optmap.conformance.catalog import catalog
from optmap.conformance.engines import ENGINES
from optmap.conformance.engines.forward import loss_and_gradients
from optmap.conformance.scenario import Array, Failure, Job, JobGroup, Rows, Scenario, Trace

from .frameworks import session

STEPS: Final = 6
CLASSES: Final = {
    "torch": ("torch.optim.Adam", "lr"),
    "tensorflow": ("tf.keras.optimizers.Adam", "learning_rate"),
    "mindspore": ("mindspore.nn.Adam", "learning_rate"),
    "mindspore-real": ("mindspore.nn.Adam", "learning_rate"),
}
SCENARIOS: Final = catalog(3)
DENSE: Final = [name for name, scenario in SCENARIOS.items() if not scenario.sparse and not scenario.rare]


def job(engine: str, scenario: Scenario, dtype: str = "float32", api: str | None = None) -> Job:
    name, rate = CLASSES[engine]
    return Job(api or name, {rate: 0.01}, scenario, STEPS, dtype, rate_argument=rate, rates=scenario.rates(0.01, STEPS))


def run(engine: str, *jobs: Job) -> list[Trace]:
    outcomes = session(engine).run(jobs)
    assert [item for item in outcomes if isinstance(item, Failure)] == []
    return [item for item in outcomes if isinstance(item, Trace)]


def dtypes(engine: str) -> tuple[str, ...]:
    return ("float32",) if engine == "mindspore-real" else ("float32", "float64")


@pytest.mark.parametrize("engine", ENGINES)
def test_free_and_forced_runs(engine: str) -> None:
    jobs = [job(engine, SCENARIOS[name], dtype) for name in DENSE for dtype in dtypes(engine)]
    free = run(engine, *jobs)
    for asked, trace in zip(jobs, free, strict=True):
        assert trace.loss.shape == (STEPS,)
        assert np.isfinite(trace.loss).all()
        for name, start in asked.scenario.start.items():
            values, gradients = trace.parameters[name], trace.gradients[name]
            assert isinstance(gradients, np.ndarray)
            assert values.shape == gradients.shape == (STEPS, *start.shape)
            assert values.dtype == gradients.dtype == np.dtype(asked.dtype)
            assert (values[0] != start).any()
    forced = run(engine, *(replace(asked, gradients=trace.gradients) for asked, trace in zip(jobs, free, strict=True)))
    for asked, one, other in zip(jobs, free, forced, strict=True):
        assert np.isnan(other.loss).all()
        for name in asked.scenario.start:
            np.testing.assert_array_equal(
                one.parameters[name], other.parameters[name], f"{asked.scenario.name}, {name}"
            )


@pytest.mark.parametrize("engine", ENGINES)
def test_losses_and_gradients_are_those_of_the_scenario(engine: str) -> None:
    for name in DENSE:
        scenario = SCENARIOS[name]
        [trace] = run(engine, job(engine, scenario))
        start: dict[str, Array] = {key: value.astype(np.float64) for key, value in scenario.start.items()}
        loss, gradients = loss_and_gradients(scenario, start, 0)
        assert trace.loss[0] == pytest.approx(loss, rel=1e-5)
        for key, expected in gradients.items():
            found = trace.gradients[key]
            assert isinstance(found, np.ndarray)
            np.testing.assert_allclose(
                found[0], expected, rtol=1e-5, atol=1e-6 * scenario.gradient_size, err_msg=f"{name}, {key}"
            )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_that_fails_stops_no_other(engine: str) -> None:
    module = CLASSES[engine][0].rpartition(".")[0]
    good = job(engine, SCENARIOS["dense-mae"])
    bad = replace(good, api=f"{module}.NoSuchOptimizer")
    worse = replace(good, arguments={"no_such_argument": 1})
    outcomes = session(engine).run([good, bad, good, worse])
    assert [isinstance(item, Failure) for item in outcomes] == [False, True, False, True]


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_jobs_have_equal_traces(engine: str) -> None:
    asked = job(engine, SCENARIOS["norm-scale"])
    one, other = run(engine, asked, asked)
    for name in asked.scenario.start:
        np.testing.assert_array_equal(one.parameters[name], other.parameters[name])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_learning_rate_drops(engine: str) -> None:
    scenario = SCENARIOS["rate-drop"]
    rate = CLASSES[engine][1]
    asked = Job(CLASSES[engine][0].replace("Adam", "SGD"), {rate: 0.01}, scenario, STEPS, "float32",
                rate_argument=rate, rates=(0.1,) * 5 + (0.0,))  # fmt: skip
    [trace] = run(engine, asked)
    assert (trace.parameters["weight"][4] != trace.parameters["weight"][3]).any()
    np.testing.assert_array_equal(trace.parameters["weight"][5], trace.parameters["weight"][4])


@pytest.mark.parametrize("engine", ["torch", "mindspore", "mindspore-real"])
def test_groups_are_given_their_own_hyperparameters(engine: str) -> None:
    key = "lr"
    groups = (JobGroup(("weight",), {}), JobGroup(("bias",), {key: 0.02}))
    plain = job(engine, SCENARIOS["dense-mae"])
    single, grouped = run(engine, plain, replace(plain, groups=groups))
    np.testing.assert_array_equal(single.parameters["weight"][0], grouped.parameters["weight"][0])
    start = plain.scenario.start["bias"]
    np.testing.assert_allclose(
        grouped.parameters["bias"][0] - start, 2 * (single.parameters["bias"][0] - start), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("engine", "api"), [("torch", "torch.optim.SparseAdam"), ("mindspore", "mindspore.nn.LazyAdam")]
)
def test_sparse_gradients(engine: str, api: str) -> None:
    asked = job(engine, SCENARIOS["sparse-embedding"], api=api)
    [free] = run(engine, asked)
    gradients = free.gradients["embedding"]
    assert isinstance(gradients, Rows)
    assert gradients.values.shape == (STEPS, 6, 3)
    untouched = sorted(set(range(10)) - set(gradients.indices.reshape(-1).tolist()))
    np.testing.assert_array_equal(
        free.parameters["embedding"][-1][untouched], asked.scenario.start["embedding"][untouched]
    )
    [forced] = run(engine, replace(asked, gradients=free.gradients))
    np.testing.assert_array_equal(forced.parameters["embedding"], free.parameters["embedding"])


def test_numpy_engine_trains_bit_equal_to_mindspore() -> None:
    """Forward, backward and update; the updates alone are certified in tests/conformance/rules."""
    jobs = [job("mindspore", SCENARIOS[name]) for name in DENSE]
    for asked, ours, theirs in zip(jobs, run("mindspore", *jobs), run("mindspore-real", *jobs), strict=True):
        for name in asked.scenario.start:
            np.testing.assert_array_equal(
                ours.parameters[name], theirs.parameters[name], f"{asked.scenario.name}, {name}"
            )
