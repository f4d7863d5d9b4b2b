"""Messages arrive as they were sent, and what is no message is told from one."""

from __future__ import annotations

import io
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pytest

from optmap.conformance.catalog import catalog
from optmap.conformance.scenario import WIRED, Job, Rows
from optmap.wire import MARK, WireError, framed, read_frame


class Colour(StrEnum):
    RED = "red"


class Pair(NamedTuple):
    first: Any
    second: Any


def sent(value: Any, *classes: type) -> Any:
    return read_frame(io.BytesIO(framed(value, classes)), classes)


@pytest.mark.parametrize(
    "value", [None, True, 1.5, "text", [], [1, (2, [3])], {"a": (1,), "b": {}}, (None, ("x",)), Colour.RED]
)
def test_plain_values_keep_their_types(value: Any) -> None:
    found = sent(value, Colour)
    assert found == value
    assert type(found) is type(value)


def test_values_of_known_classes_keep_what_they_share() -> None:
    inner = Pair(1, (2, 3))
    first, second = sent([Pair(inner, "x"), Pair("y", inner)], Pair)
    assert (first.first, second.second) == (inner, inner)
    assert first.first is second.second
    assert isinstance(first, Pair)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_arrays_arrive_bit_by_bit(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, dtype) * 3
    one, again, part = sent([array.astype(dtype), array.astype(dtype), np.arange(12).reshape(3, 4)[:, ::2]])
    for found in (one, again):
        assert (found.dtype, found.shape) == (np.dtype(dtype), shape)
        np.testing.assert_array_equal(found, array.astype(dtype))
        assert found.flags.writeable
    np.testing.assert_array_equal(part, [[0, 2], [4, 6], [8, 10]])


def test_an_array_that_occurs_twice_is_sent_once() -> None:
    array = np.zeros(1000)
    assert len(framed([array, array], ())) < 1.2 * len(framed([array], ()))
    one, other = sent([array, array])
    assert not np.shares_memory(one, other)


@pytest.mark.parametrize("name", catalog())
def test_jobs_arrive_as_they_were_sent(name: str) -> None:
    scenario = catalog()[name]
    rows = Rows(np.zeros((2, 6), np.int64), np.ones((2, 6, 3), np.float32))
    job = Job(
        "torch.optim.Adam", {"betas": (0.9, 0.99), "lr": 0.1}, scenario, 2, "float32", {"w": rows}, "lr", (0.1, 0.2)
    )
    found, again = sent([job, job], *WIRED)
    assert found is again
    assert (found.api, found.arguments, found.rates, found.groups) == (job.api, job.arguments, job.rates, None)
    assert (found.scenario.model, found.scenario.loss, found.scenario.groups) == (
        scenario.model,
        scenario.loss,
        scenario.groups,
    )
    assert type(found.scenario.model) is type(scenario.model)
    np.testing.assert_array_equal(found.gradients["w"].values, rows.values)
    for key, value in scenario.start.items():
        np.testing.assert_array_equal(found.scenario.start[key], value)


@pytest.mark.parametrize("data", [b"Welcome", b"Welcome to this machine", MARK, MARK + b"\1", b"\0"])
def test_what_is_no_frame_is_told_from_one(data: bytes) -> None:
    with pytest.raises(WireError):
        read_frame(io.BytesIO(data), ())


def test_the_end_of_the_stream_is_no_error() -> None:
    assert read_frame(io.BytesIO(b""), ()) is None
