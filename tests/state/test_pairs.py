"""Every pair of classes whose state the tables describe: some steps on one side, converted, and on with the other.

What goes on is held against the source, which goes on where it is. A target without the state must not agree with it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optmap.conformance.calls import Call, canonical_values, completed, plans
from optmap.conformance.compare import allowed
from optmap.conformance.engines import STATE_MODULES
from optmap.conformance.engines.saved import Reading
from optmap.conformance.results import Level
from optmap.mapping.load import load
from optmap.mapping.plan import Plan
from optmap.mapping.sections import Api
from optmap.mapping.state import StateError
from optmap.mapping.state_values import RATE, active, number, slots
from optmap.state import files
from optmap.state.convert import Converted, convert_state
from optmap.state.worker import answer
from tests.state.sides import ENDINGS, SIDES, Arrays, Keras

TABLES = load()
BEFORE, AFTER = 3, 3
APIS = [api for api in TABLES.apis.values() if api.state and not any(slot.unsaved for slot in api.state.values())]
OTHER_MOMENTS = {"bias_correction", "momentum_decay"}
"""What makes two rules differ whatever state they start from."""
AWAKE = ("momentum", "amsgrad", "centered")
"""Hyperparameters that wake quantities of the state."""


def arrays(seed: int) -> Arrays:
    random = np.random.default_rng(seed)
    return {
        name: random.standard_normal(shape).astype(np.float32) for name, shape in (("weight", (3, 2)), ("bias", (3,)))
    }


def in_this_process(framework: str, wanted: Any, _: Mapping[str, str]) -> dict[str, Any]:
    found = answer(importlib.import_module(STATE_MODULES[framework]), wanted)
    if "error" in found:
        raise StateError(found["error"])
    return found


def calls(api: Api) -> list[Call]:
    """The default call, and one that wakes each quantity."""
    wanted: dict[str, float] = {"momentum": 0.0} if "momentum_buffer" in api.state else {}
    wanted |= {"learning_rate": 1.0 if api.algorithm == "adadelta" else 0.1, "decay_term": 0.1, "averaging_start": 1.0}
    ties = {api.by_tie[tie].name: value for tie, value in wanted.items() if tie in api.by_tie}
    given = completed(TABLES, api, {**api.sample, **ties})
    found = [Call(api, given)]
    for name in AWAKE:
        if name in api.by_tie and any(slot.when == name for slot in api.state.values()):
            value = 0.9 if name == "momentum" else True
            found.append(Call(api, {**given, api.by_tie[name].name: value}))
    return found


def pairs(source: str, target: str) -> list[tuple[Call, Plan]]:
    found = []
    for api in APIS:
        for call in calls(api) if api.framework == source else ():
            listed = plans(TABLES, call, TABLES.framework(target))
            assert not isinstance(listed, str)
            found += [(call, plan) for plan in listed if plan.target in APIS]
    return found


def convert(call: Call, plan: Plan, source: Path, target: Path) -> Converted:
    text = f"{call.api.name}({', '.join(f'{name}={value!r}' for name, value in call.given.items())})"
    named = call.api.framework == "mindspore"
    axes = ":same" if "tensorflow" in (call.api.framework, plan.target.framework) else ""
    listed = [f"{name if named else index}={name}{axes}" for index, name in enumerate(arrays(0))]
    steps = None if "step" in {**call.api.module.state, **call.api.state} else BEFORE
    return convert_state(source, target, optimizer=text, to=plan.target.name, parameters=listed, steps=steps)


def test_every_class_that_can_be_gone_on_with_has_rows() -> None:
    """The others: line searches, states whose shapes depend on axes, wrappers, what no CPU runs, and TensorFlow 1."""
    without = {api.name for api in TABLES.apis.values() if not api.state and not api.name.startswith("tf.compat.v1.")}
    assert without == {
        "mindspore.experimental.optim.adamw.SpeedAdamW", "mindspore.mint.optim.Adam", "mindspore.mint.optim.AdamW",
        "mindspore.mint.optim.FusedAdamW", "mindspore.mint.optim.SGD", "mindspore.nn.AdaFactor", "mindspore.nn.Lamb",
        "mindspore.nn.AdaSumByDeltaWeightWrapCell", "mindspore.nn.AdaSumByGradWrapCell", "mindspore.nn.LARS",
        "mindspore.nn.OptTFTWrapper", "mindspore.nn.ProximalAdagrad", "mindspore.nn.thor", "torch.optim.Adafactor",
        "torch.optim.LBFGS", "torch.optim.Muon", "tf.keras.mixed_precision.LossScaleOptimizer",
        "tf.keras.optimizers.Adafactor", "tf.keras.optimizers.Lamb", "tf.keras.optimizers.Lion",
        "tf.keras.optimizers.LossScaleOptimizer", "tf.keras.optimizers.MultiOptimizer", "tf.keras.optimizers.Muon",
        "tf.keras.optimizers.ScheduleFreeAdamW",
    }  # fmt: skip


@pytest.mark.parametrize("framework", ["tensorflow", "mindspore"])
def test_the_rows_say_what_is_stored_before_the_first_step(framework: str) -> None:
    module: Any = pytest.importorskip(STATE_MODULES[framework])
    for call in [call for api in APIS if api.framework == framework for call in calls(api)]:
        side = SIDES[framework](call.api.name, call.given, arrays(0))
        if isinstance(side, Keras):
            side.optimizer.build(list(side.parameters.values()))
        rows = {name: slot for name, slot in slots(call.api).items() if name != RATE}
        found = module.get(side.optimizer, list(side.parameters), {name: slot.slot for name, slot in rows.items()})
        values = canonical_values(call)
        for name, items in found.items():
            for key, item in items.items():
                expected = number(rows[name].start, values, {})
                np.testing.assert_array_equal(item, np.full_like(item, expected), f"{call.api.name}: {name} of {key}")
        assert active(TABLES, call.api, values).keys() <= found.keys(), call.api.name


@pytest.mark.parametrize(("source", "target"), list(permutations(ENDINGS, 2)))
def test_training_goes_on(source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec(source) is None or find_spec(target) is None:
        pytest.skip("needs two frameworks")
    monkeypatch.setattr(files, "_ask", in_this_process)
    found = pairs(source, target)
    assert len(found) > 8
    run: Run | None = None
    for call, plan in found:
        if run is None or run.call is not call:
            run = Run(call, tmp_path)
        pair = call.api.name, dict(call.given), plan.target.name
        converted = tmp_path / f"to{ENDINGS[target]}"
        if reason := refused(call, plan):
            with pytest.raises(StateError, match=reason):
                convert(call, plan, run.path, converted)
            continue
        made = convert(call, plan, run.path, converted)
        worst = run.apart(plan, made, load=True)
        if {cause.trait for cause in plan.causes} & OTHER_MOMENTS:
            assert_comes_back(run, made, converted)
        else:
            assert worst <= 1, (pair, worst)
        if worst <= 1 and run.needed and (target == "torch" or call.api.algorithm == "ftrl"):
            assert run.apart(plan, made, load=False) > 1, (pair, "the test would pass without any state")


def refused(call: Call, plan: Plan) -> str:
    """Why the state of a pair cannot be converted; empty where it can."""
    if plan.target.rule.get("amsgrad_state") == "ignored" and canonical_values(call).get("amsgrad"):
        return "has no counterpart of the max second moment"
    if not active(TABLES, plan.target, canonical_values(call)):
        return "keeps no state: it goes on without"
    return ""


class Run:
    """A source that has made some steps, its file, and its further steps."""

    def __init__(self, call: Call, folder: Path) -> None:
        self.call = call
        self.path = folder / f"from{ENDINGS[call.api.framework]}"
        self.needed = any(
            slot.when is None or canonical_values(call).get(slot.when) for slot in call.api.state.values()
        )
        weights, gradients = arrays(0), [arrays(index + 1) for index in range(BEFORE + AFTER)]
        side = SIDES[call.api.framework](call.api.name, call.given, weights)
        for item in gradients[:BEFORE]:
            weights = side.step(item)
        side.save(self.path)
        self.weights, self.gradients = weights, gradients[BEFORE:]
        self.further = [side.step(item) for item in self.gradients]

    def apart(self, plan: Plan, made: Converted, *, load: bool) -> float:
        """How far a target that goes on is from the source, in units of what the level of the pair allows."""
        side = SIDES[plan.target.framework](plan.target.name, made.arguments, self.weights)
        if load:
            side.load(made.load)
        further = [side.step(item) for item in self.gradients]
        level, worst = Level.CLOSE if plan.causes else Level.EQUIVALENT, 0.0
        for name, start in self.weights.items():
            reach = max(float(np.abs(item[name] - start).max()) for item in self.further)
            limit = allowed("float32", level, float(np.abs(start).max()), reach)
            gaps = [
                float(np.abs(one[name] - other[name]).max()) for one, other in zip(self.further, further, strict=True)
            ]
            worst = max(worst, max(gaps) / limit)
        return worst


def assert_comes_back(run: Run, made: Converted, converted: Path) -> None:
    """The state is that of the source once it is converted back: the rules differ, the quantities do not."""
    api, target = run.call.api, TABLES.apis[made.target]
    call = Call(target, made.arguments)
    back = run.path.with_stem("back")
    listed = plans(TABLES, call, api.framework)
    assert not isinstance(listed, str)
    (plan,) = (item for item in listed if item.target is api)
    convert(call, plan, converted, back)
    names = {name: slot.slot for name, slot in slots(api).items()}
    first, second = (
        in_this_process(api.framework, Reading(str(path), api.name, dict(run.call.given), names, (), 2, ""), {})[
            "saved"
        ]
        for path in (run.path, back)
    )
    assert first.state.keys() == second.state.keys()
    for name, items in first.state.items():
        for key, item in items.items():
            np.testing.assert_allclose(second.state[name][key], item, rtol=1e-6, err_msg=f"{name} of {key}")
