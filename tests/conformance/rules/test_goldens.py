"""The numpy rules against traces recorded from MindSpore, bit for bit; `scripts/record_goldens.py` says how."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from optmap.conformance.rules import RULES, SparseRows
from optmap.conformance.simulate import Group, simulate

FOLDER = Path(__file__).parents[1] / "goldens"
DENSE = sorted(path for path in FOLDER.glob("mindspore.*.npz"))
FLOAT64_DISTANCE = 2e-4
"""How far float32 may drift from float64, relative to the distance travelled or to the parameter: 25 steps of rounding."""
FLIPS = ("Rprop",)
"""Sign-driven rules jump by a whole step where float32 and float64 disagree on a sign; their paths are not compared."""


def split(flat: NDArray[Any], shapes: dict[str, list[int]]) -> dict[str, NDArray[Any]]:
    """Cut the last axis of an array into parameters, keeping the leading axes."""
    parts, position = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        parts[name] = flat[..., position : position + size].reshape(*flat.shape[:-1], *shape)
        position += size
    return parts


def load(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the arrays of a golden file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(str(arrays.pop("header"))), arrays


def replay(path: Path, number: int, dtype: str) -> tuple[dict[str, Any], list[dict[str, NDArray[Any]]]]:
    """Simulate one case of a golden file."""
    header, arrays = load(path)
    case, shapes = header["cases"][number], header["shapes"]
    scaled = split(arrays["gradients"] * np.float32(case["scale"]), shapes)
    gradients = [{name: values[step] for name, values in scaled.items()} for step in range(len(arrays["gradients"]))]
    groups = None if case["groups"] is None else [Group(names, overrides) for names, overrides in case["groups"]]
    options = {
        name: tuple(value) if name in ("etas", "step_sizes") else value
        for name, value in case["hyperparameters"].items()
    }
    start = split(arrays["start"], shapes)
    return case, simulate(case["api"], options, start, gradients, groups=groups, dtype=dtype)


CASES = [
    pytest.param(path, number, id=f"{path.stem}-{number}")
    for path in DENSE
    for number in range(len(load(path)[0]["cases"]))
]


def test_every_rule_has_a_golden() -> None:
    assert {path.stem for path in DENSE} == set(RULES)


@pytest.mark.parametrize(("path", "number"), CASES)
def test_float32_is_bit_equal_to_mindspore(path: Path, number: int) -> None:
    header, arrays = load(path)
    expected = split(arrays["parameters"][number], header["shapes"])
    case, history = replay(path, number, "float32")
    for row, step in enumerate(header["recorded"]):
        for name, values in expected.items():
            np.testing.assert_array_equal(
                history[step - 1][name].view(np.int32),
                np.ascontiguousarray(values[row]).view(np.int32),
                err_msg=f"{case} at step {step}, {name}; real MindSpore {header['mindspore']} is the second",
            )


@pytest.mark.parametrize(("path", "number"), [case for case in CASES if not str(case.id).split("-")[0].endswith(FLIPS)])
def test_float64_stays_near_float32(path: Path, number: int) -> None:
    case, single = replay(path, number, "float32")
    _, double = replay(path, number, "float64")
    start = split(load(path)[1]["start"], load(path)[0]["shapes"])
    for name, origin in start.items():
        narrow, wide = single[-1][name], double[-1][name]
        assert wide.dtype == np.float64
        travelled = np.maximum(np.abs(wide - origin).max(), np.abs(wide).max())
        assert np.abs(narrow - wide).max() <= FLOAT64_DISTANCE * travelled, f"{case}, {name}"


ROWS = FOLDER / "rows.npz"


@pytest.mark.parametrize("number", range(len(load(ROWS)[0]["cases"])))
def test_sparse_rows_are_bit_equal_to_mindspore(number: int) -> None:
    header, arrays = load(ROWS)
    case = header["cases"][number]
    gradients = [
        {"embedding": SparseRows(indices, values)}
        for indices, values in zip(arrays["indices"], arrays["values"], strict=True)
    ]
    history = simulate(case["api"], case["hyperparameters"], {"embedding": arrays["start"]}, gradients)
    for row, step in enumerate(header["recorded"]):
        expected = arrays["parameters"][number][row].reshape(arrays["start"].shape)
        np.testing.assert_array_equal(history[step - 1]["embedding"], expected, err_msg=f"{case} at step {step}")
