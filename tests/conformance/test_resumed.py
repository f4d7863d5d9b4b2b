"""Runs that start in the middle: the numpy rules go on from a canonical state as if they had never stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optmap.conformance.api import check
from optmap.conformance.calls import Call, canonical_values, completed
from optmap.conformance.catalog import catalog
from optmap.conformance.held import KEYS, get
from optmap.conformance.results import Level
from optmap.conformance.rules import RULES
from optmap.conformance.scenario import Job, Trace
from optmap.conformance.simulate import simulate
from optmap.conformance.simulated import simulated_parameters
from optmap.mapping.load import load, load_files
from optmap.mapping.sections import Api
from optmap.mapping.state_values import RATE, active, canonical, slots
from optmap.mapping.stored import own_files

from .frameworks import session

TABLES = load()
BEFORE, AFTER = 4, 3
STATES = [TABLES.apis[name] for name in RULES if TABLES.apis[name].state]
ADAM = "mindspore.nn.Adam"


def gradients() -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    shapes = {"w": (3, 2), "b": (3,)}
    return [{name: random.standard_normal(shape) for name, shape in shapes.items()} for _ in range(BEFORE + AFTER)]


def halfway(api: str, arguments: dict[str, Any], dtype: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the canonical state after the first steps, as a user gives it."""
    start = {"w": np.ones((3, 2)), "b": np.zeros(3)}
    section = TABLES.apis[api]
    held = simulated_parameters(api, arguments, start, None, BEFORE, np.dtype(dtype))
    for index, given in enumerate(gradients()[:BEFORE]):
        for slot in held:
            slot.advance(index, given)
    names = {name: row.slot for name, row in slots(section).items() if name != RATE}
    found = canonical(TABLES, section, canonical_values(Call(section, arguments)), get(held, names, BEFORE))
    state = {name: items["w"] if TABLES.states[name].scalar else items for name, items in found.items()}
    return {slot.name: slot.weight for slot in held}, state


def calls(api: Api) -> list[dict[str, Any]]:
    given = completed(TABLES, api, api.sample)
    awake = {"momentum": 0.9, "amsgrad": True, "centered": True}
    return [given, *({**given, api.by_tie[name].name: value} for name, value in awake.items() if name in api.by_tie)]


@pytest.mark.parametrize("api", STATES, ids=[api.name for api in STATES])
def test_a_rule_goes_on_where_it_stopped(api: Api) -> None:
    for arguments in calls(api):
        start, later = {"w": np.ones((3, 2)), "b": np.zeros(3)}, gradients()[BEFORE:]
        whole = simulate(api.name, arguments, start, gradients(), dtype="float64")[-1]
        weights, state = halfway(api.name, arguments, "float64")
        resumed = simulate(api.name, arguments, weights, later, dtype="float64", state=state)
        assert len(resumed) == AFTER
        for name, value in whole.items():
            np.testing.assert_allclose(resumed[-1][name], value, rtol=1e-12, atol=1e-15, err_msg=str(arguments))
        afresh = simulate(api.name, arguments, weights, later, dtype="float64")[-1]
        assert not state.keys() - {"step"} or any(
            not np.allclose(afresh[name], whole[name], rtol=1e-12, atol=1e-15) for name in whole
        )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"first_moment": None}, "needs the first moment"),
        ({"step": None}, "needs the step"),
        ({"step": 2.5}, "the step must be a number of steps, got 2.5"),
        ({"step": {"w": 1}}, "step must be one number for all parameters"),
        ({"momentum_buffer": {}}, "has no momentum_buffer in its state"),
        (
            {"first_moment": {"w": np.zeros((3, 2))}},
            "first_moment must have an array for every parameter; 'b' is missing",
        ),
        (
            {"first_moment": {"w": np.zeros((2, 3)), "b": np.zeros(3)}},
            "first_moment of 'w' must be floats of shape (3, 2)",
        ),
        ({"first_moment": {"w": np.zeros((3, 2), int), "b": np.zeros(3)}}, "got int64"),
    ],
)
def test_a_state_that_cannot_be_gone_on_with_is_refused(change: dict[str, Any], reason: str) -> None:
    weights, state = halfway(ADAM, {}, "float32")
    changed = {name: value for name, value in {**state, **change}.items() if value is not None}
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is looked at below)
        simulate(ADAM, {}, weights, gradients()[BEFORE:], state=changed)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "api", [api for api in STATES if api.name != "mindspore.nn.LazyAdam"], ids=lambda api: api.name
)
def test_the_rules_hold_what_mindspore_stores(api: Api) -> None:
    rules, real = session("mindspore"), session("mindspore-real")
    names = {name: row.slot for name, row in slots(api).items() if name in KEYS}
    for arguments in calls(api)[-1:]:
        job = Job(api.name, arguments, catalog()["resumed"], 6, "float32", slots=names, kept=3)
        (held,), (stored,) = rules.run([job]), real.run([job])
        assert isinstance(held, Trace), held
        assert isinstance(stored, Trace), stored
        assert held.state is not None
        for name, items in (stored.state or {}).items():
            for key, value in items.items():
                np.testing.assert_array_equal(held.state[name][key], value, err_msg=f"{name} of {key}, {arguments}")
        assert {
            name for name, row in active(TABLES, api, canonical_values(Call(api, arguments))).items()
        } & KEYS.keys() <= (stored.state or {}).keys()


def test_a_state_that_is_carried_over_wrongly_is_not_excused_by_other_differences() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    slot = b'first_moment: {slot: "adam_m.{parameter}"'
    files = [(name, text.replace(slot, slot + b', times: "3"')) for name, text in own_files()]
    for tables, passes in ((TABLES, True), (load_files(files, own_modules=True), False)):
        report = check(
            "torch.optim.AdamW", everything=True, to="mindspore", scenarios="resumed", tables=tables, steps=20
        )
        found = [
            item for item in report.forced if item.pair.target == "mindspore.nn.AdamWeightDecay" and not item.pair.row
        ]
        assert {item.expected for item in found} == {Level.DIVERGENT}
        assert report.passed is passes
        assert passes or any("does not do what follows from" in (item.reason or "") for item in found)
