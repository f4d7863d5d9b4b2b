"""Divergences of made-up traces, and tolerances that let what matters be seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optmap.conformance.catalog import catalog
from optmap.conformance.compare import TOLERANCES, compare, exploded, left_finite
from optmap.conformance.engines import load_engine
from optmap.conformance.results import Divergence, Level
from optmap.conformance.scenario import Array, Job, Trace

START = {"w": np.array([1.0, -2.0], np.float32)}


def trace(values: Array, dtype: str = "float32") -> Trace:
    return Trace(np.zeros(len(values)), {}, {"w": np.asarray(values, dtype)})


PATH = np.array([[1.1, -2.1], [1.2, -2.2], [1.3, -2.3]])


def test_equal_traces_are_identical() -> None:
    found = compare(trace(PATH), trace(PATH), START, "float32")
    assert found == Divergence(0.0, 0, 0.0, None, None, Level.IDENTICAL)


def test_one_rounding_step_is_equivalent() -> None:
    other = PATH.astype(np.float32)
    other[1, 0] = np.nextafter(other[1, 0], np.float32(2))
    found = compare(trace(PATH), trace(other), START, "float32")
    assert (found.level, found.max_ulp, found.first_step_over, found.drift) == (Level.EQUIVALENT, 1, None, 0.0)


@pytest.mark.parametrize(("gap", "level"), [(1e-3, Level.CLOSE), (1e-1, Level.DIVERGENT)])
def test_levels_are_measured_against_the_way_travelled(gap: float, level: Level) -> None:
    other = PATH.copy()
    other[2, 1] += gap
    found = compare(trace(PATH), trace(other), START, "float32")
    assert (found.level, found.first_step_over, found.parameter) == (level, 3, "w")
    assert found.max_abs == pytest.approx(gap, rel=1e-3)
    assert found.drift == pytest.approx(gap / math.hypot(0.3, 0.3), rel=1e-3)


def test_units_in_the_last_place_mean_something_near_zero() -> None:
    """1e-9 beside weights of size 1 is far below their rounding, however many numbers lie between it and zero."""
    found = compare(trace(np.array([[1e-9, 1.0]])), trace(np.array([[-1e-9, 1.0]])), START, "float32")
    assert (found.max_ulp, found.level) == (9, Level.EQUIVALENT)  # in units of a thousandth of 2: 2**-32
    one, other = np.array([[0.0, 1.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    other[0, 1] = np.nextafter(other[0, 1], np.float32(2))
    assert compare(trace(one), trace(other), START, "float32").max_ulp == 1


def test_what_is_not_a_number_on_one_side_diverges() -> None:
    other = PATH.copy()
    other[1, 0] = np.nan
    found = compare(trace(PATH), trace(other), START, "float32")
    assert (found.level, found.max_abs, found.first_step_over) == (Level.DIVERGENT, math.inf, 2)
    assert found.mismatched == (1, 2)
    assert found.values is not None
    assert found.values[0] == pytest.approx((1.2,))


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_runs_that_leave_the_numbers_alike_are_not_equal(lost: float) -> None:
    other = PATH.copy()
    other[1:, 0] = lost
    found = compare(trace(other), trace(other), START, "float32")
    assert (found.level, found.max_abs, found.max_ulp, found.first_step_over) == (Level.DIVERGENT, math.inf, None, 2)
    assert left_finite(trace(other)) == 2
    assert exploded(trace(other), START)
    assert left_finite(trace(PATH)) is None
    assert not exploded(trace(PATH), START)
    assert exploded(trace(PATH * 1e6), START)


def test_every_tolerance_has_a_reason() -> None:
    assert {dtype for dtype, _ in TOLERANCES} == {"float16", "bfloat16", "float32", "float64"}
    assert all(len(tolerance.reason) > 40 for tolerance in TOLERANCES.values())


@pytest.mark.parametrize(
    ("scenario", "dtype"), [("small-gradients", "float32"), ("small-gradients", "float64"), ("dense-mae", "float64")]
)
def test_an_epsilon_of_1e_7_is_told_from_1e_8(scenario: str, dtype: str) -> None:
    chosen = catalog()[scenario]
    jobs = [Job("mindspore.nn.Adam", {"eps": eps}, chosen, 100, dtype) for eps in (1e-8, 1e-7)]
    one, other = load_engine("mindspore").run(jobs)
    assert isinstance(one, Trace)
    assert isinstance(other, Trace)
    assert compare(one, other, chosen.start, dtype).level.rank > Level.EQUIVALENT.rank
