"""The numpy rules against the MindSpore that is installed here: the golden cases again, on larger arrays, and sparse rows."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optmap.conformance.rules import RULES, SparseRows
from optmap.conformance.simulate import Group, simulate
from tests.later import needs

SCRIPTS = str(Path(__file__).parents[3] / "scripts")

pytestmark = needs("mindspore")


@dataclass(frozen=True)
class Scripts:
    """The modules of the scripts folder."""

    recorder: Any
    cases: Any
    certify: Any


@pytest.fixture(scope="module")
def scripts() -> Scripts:
    """The recorder and its cases, imported from the scripts folder."""
    sys.path.insert(0, SCRIPTS)
    try:
        return Scripts(*map(importlib.import_module, ("record_goldens", "golden_cases", "certify_engine")))
    finally:
        sys.path.remove(SCRIPTS)


def test_every_rule_is_compared(scripts: Scripts) -> None:
    assert set(scripts.cases.SPECS) == set(RULES)


@pytest.mark.parametrize("api", sorted(RULES))
def test_bit_equal_on_larger_arrays(scripts: Scripts, api: str) -> None:
    start, gradients = scripts.cases.inputs(scripts.cases.LARGE_SHAPES, seed=77)
    for case in scripts.cases.cases(api):
        real = scripts.recorder.run_mindspore(case, start, gradients)
        steps = [
            {name: values[step] * np.float32(case.scale) for name, values in gradients.items()}
            for step in range(len(real))
        ]
        groups = None if case.groups is None else [Group(names, overrides) for names, overrides in case.groups]
        history = simulate(api, case.hyperparameters, start, steps, groups=groups)
        for step, (ours, theirs) in enumerate(zip(history, real, strict=True), start=1):
            for name in start:
                np.testing.assert_array_equal(ours[name], theirs[name], err_msg=f"{case} at step {step}, {name}")


def test_bit_equal_on_random_configurations(scripts: Scripts) -> None:
    """Two of each class, with sizes up to overflow, infinities and NaN."""
    found = list(scripts.certify.outcomes(2 * len(RULES), 5, list(RULES), scripts.certify.NORMAL))
    assert not [item.details for item in found if item.details]
    assert sum(item.result == "equal" for item in found) > len(RULES)


def test_bit_equal_on_sparse_rows(scripts: Scripts) -> None:
    table, indices, values = scripts.cases.rows_inputs(seed=78)
    gradients = [{"embedding": SparseRows(*rows)} for rows in zip(indices, values, strict=True)]
    for case in scripts.cases.rows_cases():
        real = scripts.recorder.run_mindspore_rows(case, table, indices, values)
        history = simulate(case.api, case.hyperparameters, {"embedding": table}, gradients)
        for step, (ours, theirs) in enumerate(zip(history, real, strict=True), start=1):
            np.testing.assert_array_equal(ours["embedding"], theirs, err_msg=f"{case} at step {step}")
