"""The contract of `simulate`: what it takes, returns, refuses and leaves alone."""

import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from optmap.conformance.rules import RULES
from optmap.conformance.simulate import Group, SparseRows, simulate

SGD, ADAM, MOMENTUM, FTRL = (f"mindspore.nn.{name}" for name in ("SGD", "Adam", "Momentum", "FTRL"))
ADAMW = "mindspore.experimental.optim.AdamW"


def vector(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def one_step(api: str, options: Mapping[str, object], weight: float, gradient: float, **more: Any) -> float:
    """A single float64 step of a single element called `w`."""
    start, gradients = {"w": np.array([weight])}, [{"w": np.array([gradient])}]
    return float(simulate(api, options, start, gradients, dtype="float64", **more)[-1]["w"][0])


# Expected values are worked out by hand, in eighths and the like, exact in binary.
@pytest.mark.parametrize(
    ("api", "options", "expected"),
    [
        (SGD, {"learning_rate": 0.5}, 2.0 - 0.5 * 0.25),
        (SGD, {"learning_rate": 0.5, "weight_decay": 0.5}, 2.0 - 0.5 * 1.25),
        (SGD, {"learning_rate": 0.5, "loss_scale": 4.0, "weight_decay": 0.5}, 2.0 - 0.5 * (1.0 + 0.25 / 4)),
        (SGD, {"learning_rate": 0.5, "momentum": 0.5, "nesterov": True}, 2.0 - 0.5 * (0.25 + 0.5 * 0.25)),
        (MOMENTUM, {"learning_rate": 0.5, "momentum": 0.5, "use_nesterov": True}, 2.0 - 0.5 * 0.25),
        ("mindspore.nn.Rprop", {"learning_rate": 0.5}, 2.0 - 0.5),
        (
            FTRL,
            {"learning_rate": 1.0, "initial_accum": 0.1875, "lr_power": -1.0, "l1": 0.0625, "l2": 0.125},
            (0.0625 - 0.125) / (0.25 + 2 * 0.125),
        ),  # z = 0.25 - (0.25 - 0.1875) * 2
        ("mindspore.experimental.optim.SGD", {"lr": 0.5, "maximize": True}, 2.0 + 0.5 * 0.25),
    ],
)
def test_one_step_by_hand(api: str, options: dict[str, object], expected: float) -> None:
    assert one_step(api, options, 2.0, 0.25) == pytest.approx(expected, rel=1e-15)


def test_ftrl_lacks_the_sign_of_the_paper() -> None:
    options = {"learning_rate": 0.5, "initial_accum": 0.0, "lr_power": -1.0, "l1": 0.25}
    z, n = -1.0, 1.0
    assert one_step(FTRL, options, 0.0, z) == (0.25 - z) / (n / 0.5)  # the paper: (-0.25 - z) / (n / 0.5)


def test_the_formula_of_rmsprop_depends_on_the_index() -> None:
    gradients = [{"w": np.ones(9)}]
    moved = simulate("mindspore.nn.RMSProp", {"epsilon": 0.5}, {"w": np.zeros(9)}, gradients, dtype="float64")[0]["w"]
    assert moved[:8] == pytest.approx(-0.1 / 1.5)
    assert moved[8] == pytest.approx(-0.1 / np.sqrt(1.5))


@pytest.mark.parametrize("api", [api for api in RULES if api not in (MOMENTUM, "mindspore.experimental.optim.SGD")])
def test_defaults_run_and_types_hold(api: str) -> None:
    start: dict[str, NDArray[Any]] = {"w": np.ones((3, 4), np.float32), "b": np.ones(5, np.float64)}
    gradients = [{"w": np.full((3, 4), 0.5, np.float16), "b": np.full(5, -0.5)}] * 3
    kept = {name: value.copy() for name, value in start.items()}
    for dtype in ("float32", "float64"):
        history = simulate(api, {}, start, gradients, dtype=dtype)
        assert [sorted(step) for step in history] == [["b", "w"]] * 3
        assert all(
            step[name].dtype == dtype and step[name].shape == start[name].shape for step in history for name in step
        )
        assert not np.shares_memory(history[0]["w"], history[1]["w"])
        assert (history[-1]["w"] < 1).all()
        assert api == FTRL or (history[-1]["b"] > 1).all()  # FTRL starts over from zero, whatever the parameter was
    assert all(np.array_equal(start[name], kept[name]) for name in start)
    assert (gradients[0]["b"] == -0.5).all()


def test_no_gradients_give_no_history() -> None:
    assert simulate(ADAM, {}, {"w": vector(1)}, []) == []


def test_names_decide_on_decay_unless_grouped() -> None:
    options = {"learning_rate": 0.5, "weight_decay": 0.5}
    start = {name: vector(1) for name in ("weight", "bias", "ln.gamma", "alphabeta")}
    still = [{name: vector(0) for name in start}]
    moved = simulate(SGD, options, start, still)[0]
    assert {name: float(value[0]) for name, value in moved.items()} == {
        "weight": 0.75,
        "bias": 0.75,
        "ln.gamma": 1.0,
        "alphabeta": 1.0,
    }
    grouped = simulate(SGD, options, start, still, groups=[Group(list(start))])[0]
    assert all(value[0] == 0.75 for value in grouped.values())


def test_groups_override_rate_and_decay() -> None:
    start, gradients = {"a": vector(1), "b": vector(1)}, [{"a": vector(1), "b": vector(1)}]
    groups = [Group(["a"], {"lr": 0.5}), Group(["b"], {"weight_decay": 1.0})]
    moved = simulate(SGD, {"learning_rate": 0.25}, start, gradients, groups=groups)[0]
    assert (float(moved["a"][0]), float(moved["b"][0])) == (0.5, 0.5)


@pytest.mark.parametrize("rates", [[0.5, 0.25, 0.125], (0.5, 0.25), np.array([0.5, 0.25], np.float32)])
def test_the_rate_may_change(rates: Any) -> None:
    history = simulate(SGD, {"learning_rate": rates}, {"w": vector(1)}, [{"w": vector(1)}] * 2)
    assert [float(step["w"][0]) for step in history] == [0.5, 0.25]


def test_rows_touch_only_the_rows_named() -> None:
    rows = SparseRows(np.array([2, 0]), np.ones((2, 2), np.float32))
    moved = simulate("mindspore.nn.LazyAdam", {}, {"w": np.ones((4, 2), np.float32)}, [{"w": rows}])[0]["w"]
    assert (moved[[0, 2]] < 1).all()
    assert (moved[[1, 3]] == 1).all()


def test_repeated_rows_are_summed_for_target_cpu_only() -> None:
    rows = SparseRows(np.array([0, 0]), np.array([[1.0], [-1.0]]))
    start, options = {"w": np.ones((1, 1))}, {"learning_rate": 0.5, "use_lazy": True}
    fused = simulate(ADAM, {**options, "target": "CPU"}, start, [{"w": rows}], dtype="float64")[0]["w"]
    assert fused.item() == 1.0
    rows = SparseRows(np.array([0, 0]), np.array([[1.0], [1.0]]))
    apart = simulate(ADAM, options, start, [{"w": rows}], dtype="float64")[0]["w"]
    assert apart.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("api", "options", "message"),
    [
        ("mindspore.nn.Adamm", {}, "no rule for 'mindspore.nn.Adamm'; did you mean 'mindspore.nn.Adam'"),
        (ADAM, {"betal": 0.9}, "no hyperparameter 'betal'; did you mean 'beta"),
        (ADAM, {"beta1": float("nan")}, "beta1 must be a number, got NaN"),
        (ADAM, {"beta1": 0.0}, "beta1 must be > 0.0 and < 1.0, got 0.0"),
        (ADAM, {"beta1": 1.0}, "beta1 must be"),
        (ADAM, {"eps": 0.0}, "eps must be > 0.0"),
        (ADAM, {"eps": 1}, "eps must be a float, got the int 1"),
        (ADAM, {"learning_rate": -0.1}, "learning_rate must be >= 0.0"),
        (ADAM, {"learning_rate": "fast"}, "learning_rate must be a number"),
        (ADAM, {"learning_rate": True}, "learning_rate must be a number"),
        (ADAM, {"learning_rate": []}, "empty sequence"),
        (ADAM, {"learning_rate": [0.1]}, "1 learning rates for 2 steps"),
        (ADAM, {"learning_rate": [0.1, float("nan")]}, "learning_rate of step 2"),
        (ADAM, {"use_lazy": True, "use_offload": True}, "cannot both"),
        (ADAM, {"use_amsgrad": True, "use_lazy": True}, "use_amsgrad works neither"),
        (ADAM, {"use_nesterov": 1}, "use_nesterov must be True or False"),
        (ADAM, {"target": "GPU"}, "target must be one of ['CPU']"),
        (ADAM, {"loss_scale": 0.0}, "loss_scale must be > 0.0"),
        (MOMENTUM, {"momentum": 0.9}, "needs the hyperparameter 'learning_rate'"),
        (MOMENTUM, {"learning_rate": 0.1, "momentum": -0.5}, "momentum must be >= 0.0"),
        (SGD, {"nesterov": True}, "nesterov needs momentum"),
        (FTRL, {"learning_rate": [0.1, 0.1]}, "rejects a changing learning rate"),
        ("mindspore.nn.Rprop", {"etas": [0.5, 1.2]}, "etas must be a tuple"),
        ("mindspore.nn.Rprop", {"etas": (0.5, 1.0)}, "etas[1] must be > 1.0"),
        ("mindspore.nn.Rprop", {"step_sizes": (1.0, 0.5)}, "step_sizes must be (smallest, largest)"),
        ("mindspore.nn.AdaFactor", {"learning_rate": 0.1}, "if and only if relative_step=False"),
        ("mindspore.nn.AdaFactor", {"relative_step": False}, "if and only if relative_step=False"),
        ("mindspore.nn.AdamWeightDecay", {"loss_scale": 2.0}, "no hyperparameter 'loss_scale'"),
        (ADAMW, {"betas": (0.9,)}, "betas must be a pair"),
        (ADAMW, {"betas": (0.9, 1.0)}, "betas[1] must be >= 0.0 and < 1.0"),
    ],
)
def test_bad_hyperparameters(api: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate(api, options, {"w": vector(1)}, [{"w": vector(1)}] * 2)


GROUPS: list[tuple[str, list[Group], str]] = [
    (SGD, [Group(["a"])], "no group names 'b'"),
    (SGD, [Group(["a", "b"]), Group(["a"])], "named twice"),
    (SGD, [Group(["a", "b", "c"])], "'c', which is not a parameter"),
    (SGD, [Group(["a", "b"], {"momentum": 0.5})], "a group may set lr and weight_decay, not 'momentum'"),
    (FTRL, [Group(["a", "b"], {"lr": 0.5})], "rejects a learning rate of a group"),
    (ADAMW, [Group(["a", "b"], {"beta": 0.5})], "did you mean 'betas'"),
    (ADAMW, [Group(["a", "b"], {"eps": -1.0})], "eps must be >= 0.0"),
]


@pytest.mark.parametrize(("api", "groups", "message"), GROUPS)
def test_bad_groups(api: str, groups: list[Group], message: str) -> None:
    start = {"a": vector(1), "b": vector(1)}
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate(api, {}, start, [start], groups=groups)


BAD_GRADIENTS: list[tuple[object, str]] = [
    ({}, "step 1: gradient for 'w' is missing"),
    ({"w": vector(1, 2), "v": vector(1)}, "gradient for 'v', which is not a parameter"),
    ({"w": vector(1)}, "has shape (1,), but the parameter has shape (2,)"),
    ({"w": np.ones(2, np.int64)}, "must be an array of floats, got int64"),
    ({"w": np.ones(2, np.bool_)}, "must be an array of floats, got bool"),
    ({"w": SparseRows(np.array([0]), np.ones(1))}, "is sparse, which only nn.LazyAdam"),
]


@pytest.mark.parametrize(("gradient", "message"), BAD_GRADIENTS)
def test_bad_gradients(gradient: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate(SGD, {}, {"w": vector(1, 2)}, [gradient])


@pytest.mark.parametrize(
    ("indices", "values", "message"),
    [
        ([0, 4], np.ones((2, 2)), "a row is out of range 0..3"),
        ([-1], np.ones((1, 2)), "a row is out of range 0..3"),
        ([0], np.ones((1, 3)), "do not fit 1 rows"),
        ([0.0], np.ones((1, 2)), "vector of integers"),
        ([0], np.ones((1, 2), np.int32), "array of floats"),
    ],
)
def test_bad_rows(indices: list[float], values: Any, message: str) -> None:
    rows = SparseRows(np.array(indices), values)
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate("mindspore.nn.LazyAdam", {}, {"w": np.ones((4, 2))}, [{"w": rows}])


BAD_PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({}, "at least one parameter"),
    ({"w": np.ones(2, np.int32)}, "parameter 'w' must be an array of floats"),
    ({"w": np.ones((0, 3))}, "parameter 'w' is empty"),
]


@pytest.mark.parametrize(("parameters", "message"), BAD_PARAMETERS)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate(SGD, {}, parameters, [])


def test_scalars_are_refused_where_mindspore_refuses_them() -> None:
    scalar = {"w": np.float32(1) * np.ones(())}
    assert simulate(ADAM, {}, scalar, [scalar])[0]["w"].shape == ()
    with pytest.raises(ValueError, match="is 0-dimensional"):
        simulate("mindspore.nn.AdaMax", {}, scalar, [scalar])


def test_bad_dtype() -> None:
    with pytest.raises(ValueError, match="dtype must be one of float32, float64"):
        simulate(SGD, {}, {"w": vector(1)}, [], dtype="float16")


def test_a_hundred_steps_of_a_tiny_model_are_quick() -> None:
    start = {"weight": np.ones((8, 4), np.float32), "bias": np.ones(4, np.float32)}
    began = time.process_time()
    simulate(ADAM, {}, start, [start] * 100)
    assert time.process_time() - began < 1.0


def test_amsgrads_maximum_is_never_nan() -> None:
    """MindSpore 2.10.0 keeps the weight where the second moment overflows; measured."""
    start, gradients = {"w": np.array([1.0], np.float32)}, [{"w": np.array([1e25], np.float32)}] * 3
    history = simulate("mindspore.nn.Adam", {"use_amsgrad": True}, start, gradients)
    assert [float(step["w"][0]) for step in history] == [1.0, 1.0, 1.0]


def test_rprop_takes_denormal_products_for_zero() -> None:
    """So that its steps do not grow; measured with MindSpore 2.10.0."""
    start, gradients = {"w": np.array([1.0], np.float32)}, [{"w": np.array([1e-20], np.float32)}] * 20
    for api, rate in (("nn", "learning_rate"), ("experimental.optim", "lr")):
        history = simulate(f"mindspore.{api}.Rprop", {rate: 0.01}, start, gradients)
        assert float(history[-1]["w"][0]) == pytest.approx(0.8, rel=1e-6)


def test_adamax_keeps_its_norm_where_a_gradient_is_nan() -> None:
    """The larger of 0 and NaN is the first of the two, and MindSpore's NaN / 0 is minus infinity."""
    api, nan = "mindspore.experimental.optim.Adamax", np.array([np.nan], np.float32)
    after = simulate(api, {"lr": 0.05}, {"w": np.ones(1, np.float32)}, [{"w": nan}])[0]["w"]
    assert after == np.inf
