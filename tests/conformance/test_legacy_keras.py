"""What the tables say of Keras before 2.11 against what its classes compute (scripts/record_legacy_keras.py).

The recorded runs are replayed in MindSpore's counterparts: where the tables know of no difference there must be none, and
where they state one for an epsilon that is large, it must show.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optmap.conformance.calls import Call, arguments_of, plans, target_arguments
from optmap.conformance.simulate import simulate
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet

RECORDED = np.load(Path(__file__).parent / "goldens" / "keras_legacy.npz")
CALLS = [name for name in RECORDED.files if "{" in name]
FLOAT32_HYPERPARAMETERS = 2e-4
"""The old classes keep their hyperparameters in float32, whatever the variables are: some 1e-6 a step over 30 steps."""


def replayed(tables: MappingSet, name: str) -> list[tuple[str, set[str], float]]:
    """For every MindSpore class that expresses the call and can be run: its name, the stated causes of a difference, and the distance."""
    kind, _, given = name.partition(" ")
    api = tables.api_at(f"tensorflow.keras.optimizers.legacy.{kind}")
    assert api is not None
    call = Call(api, {"learning_rate": 0.1, **json.loads(given)})
    possible = plans(tables, call, Framework("mindspore"))
    assert not isinstance(possible, str), possible
    gradients = [{"weight": gradient} for gradient in RECORDED["gradients"]]
    found = []
    for item in possible:
        if item.target.not_run:
            continue
        arguments: dict[str, Any] = target_arguments(item, arguments_of(call))
        steps = simulate(item.target.name, arguments, {"weight": RECORDED["start"]}, gradients, dtype="float64")
        distance = max(np.abs(step["weight"] - old).max() for step, old in zip(steps, RECORDED[name], strict=True))
        found.append((item.target.name, {cause.trait for cause in item.causes if cause.needs is None}, float(distance)))
    return found


@pytest.mark.parametrize("name", CALLS)
def test_the_stated_causes_are_the_differences(name: str, tables: MappingSet) -> None:
    found = replayed(tables, name)
    assert found
    for target, causes, distance in found:
        if not causes:
            assert distance < FLOAT32_HYPERPARAMETERS, target
        elif "mean_square_start" in causes or '"epsilon"' in name:
            assert distance > FLOAT32_HYPERPARAMETERS, target


def test_some_calls_have_a_class_with_the_same_arithmetic(tables: MappingSet) -> None:
    exact = {name.partition(" ")[0] for name in CALLS for _, causes, _ in replayed(tables, name) if not causes}
    assert exact >= {"SGD", "Adam", "Nadam", "RMSprop", "Adagrad", "Adadelta", "Ftrl"}
