"""Numbers that the pages of the mapping guide print, reproduced: with the numpy engine, and with the frameworks they name.

Left out are the pages whose inputs are random and unseeded (Adagrad for PyTorch, Ftrl and RMSProp for Keras) or drawn by a
MindSpore operator (ApplyAdadelta), the operator SparseApplyAdagradV2, and the pages about learning rates.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pytest

from optmap.conformance.catalog import catalog
from optmap.conformance.engines.forward import outputs
from optmap.conformance.scenario import Array, Failure, Job, Loss, Model, Scenario, Trace

from .frameworks import session


class Scalar(NamedTuple):
    """A page that minimizes var**2 / 2 from 1.0 and prints the variable after two steps; `ulp` may differ in print."""

    api: str
    arguments: dict[str, Any]
    printed: tuple[float, float]
    ulp: int = 0


ADAGRAD = (0.9046537, 0.8393387)
SGD = (0.9, 0.71999997)
FTRL_FAST = (0.6031424, 0.5532904)
FTRL_SLOW = (0.688954, 0.6834637)
SCALARS: Final = (
    Scalar("tf.keras.optimizers.Adagrad", {"learning_rate": 0.1}, ADAGRAD),
    Scalar("mindspore.nn.Adagrad", {"learning_rate": 0.1}, ADAGRAD),
    Scalar("tf.keras.optimizers.SGD", {"learning_rate": 0.1, "momentum": 0.9}, SGD),
    Scalar("mindspore.nn.SGD", {"learning_rate": 0.1, "momentum": 0.9}, SGD),
    Scalar("tf.keras.optimizers.Ftrl", {"learning_rate": 0.1}, FTRL_FAST),
    Scalar("mindspore.nn.FTRL", {"learning_rate": 0.1}, FTRL_FAST),
    Scalar("tf.keras.optimizers.Ftrl", {"learning_rate": 0.01}, FTRL_SLOW, ulp=1),
    Scalar("mindspore.nn.FTRL", {"learning_rate": 0.01}, FTRL_SLOW, ulp=1),
)


def engine_of(api: str) -> str:
    return {"tf": "tensorflow"}.get(api.partition(".")[0], api.partition(".")[0])


def run(
    api: str, arguments: dict[str, Any], scenario: Scenario, steps: int, gradients: dict[str, Any] | None = None
) -> Trace:
    [outcome] = session(engine_of(api)).run([Job(api, arguments, scenario, steps, "float32", gradients)])
    assert not isinstance(outcome, Failure), outcome.reason
    return outcome


def parameters_alone(start: Array) -> Scenario:
    """A scenario for runs whose gradients are given."""
    return Scenario(
        "given",
        "",
        Model.DENSE,
        Loss.MSE,
        {"weight": start},
        np.zeros((1, 1, 1), np.float32),
        np.zeros((1, 1, 1), np.float32),
    )


@pytest.mark.parametrize("page", SCALARS, ids=lambda page: f"{page.api}-{page.printed[0]}")
def test_two_steps_down_a_parabola(page: Scalar) -> None:
    start = parameters_alone(np.ones(1, np.float32))
    gradients = np.ones((1, 1), np.float32)
    for step, printed in enumerate(page.printed, start=1):
        trace = run(page.api, page.arguments, start, step, {"weight": gradients})
        last = trace.parameters["weight"][-1]
        assert abs(last.view(np.int32) - np.float32(printed).view(np.int32)) <= page.ulp, (
            f"step {step}: {last}, printed {printed}"
        )
        gradients = np.concatenate([gradients, last[None]])


@pytest.mark.parametrize(
    ("api", "arguments", "printed"),
    [
        ("tf.compat.v1.train.RMSPropOptimizer", {"learning_rate": 0.1}, 0.94458014),
        ("mindspore.nn.RMSProp", {"learning_rate": 0.1}, 0.94458014),
        ("tf.compat.v1.train.ProximalAdagradOptimizer", {"learning_rate": 0.001}, 0.9987219),
        ("mindspore.nn.ProximalAdagrad", {"learning_rate": 0.001}, 0.9987219),
    ],
)
def test_equal_logits_without_labels(api: str, arguments: dict[str, Any], printed: float) -> None:
    """Six equal logits, two samples and no label: every gradient is softmax / samples, a sixth, in all three steps."""
    scenario = parameters_alone(np.ones(6, np.float32))
    trace = run(api, arguments, scenario, 3, {"weight": np.full((3, 6), np.float32(1 / 3) / np.float32(2))})
    np.testing.assert_array_equal(trace.parameters["weight"][-1], np.full(6, np.float32(printed)))


ADAM_PAGE = [[5.8998876, 11.100113], [12.299808, 24.700195]]
PRINTED_FOR_TENSORFLOW: Final = [[5.898781, 11.101219], [12.297218, 24.702782]]
"""What the Adam page prints beside it, and no framework computes on CPU."""


@pytest.mark.parametrize(
    ("api", "arguments"),
    [
        ("mindspore.nn.Adam", {"learning_rate": 0.001, "eps": 1e-8}),
        ("tf.compat.v1.train.AdamOptimizer", {"learning_rate": 0.001, "epsilon": 1e-8}),
        ("torch.optim.Adam", {"lr": 0.001, "eps": 1e-8}),
    ],
)
def test_the_adam_page(api: str, arguments: dict[str, Any]) -> None:
    scenario = catalog()["softmax-2x2"]
    trace = run(api, arguments, scenario, 100)
    found = outputs(scenario, {name: values[-1] for name, values in trace.parameters.items()}, 0)
    np.testing.assert_array_equal(found, np.array(ADAM_PAGE, np.float32))
    assert (np.abs(found - np.array(PRINTED_FOR_TENSORFLOW)) > 1e-3).all()


def momentum_page() -> Scenario:
    square = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]], np.float32)
    labels = np.array([[[1, 0, 0], [0, 0, 1], [0, 1, 0]]], np.float32)
    start = {"weight": square, "bias": np.array([0.1, 0.2, 0.3], np.float32)}
    return Scenario("momentum-page", "", Model.DENSE, Loss.CROSS_ENTROPY, start, square[None], labels)


@pytest.mark.parametrize(
    ("api", "last_digit"), [("tf.compat.v1.train.MomentumOptimizer", 1.4191785), ("mindspore.nn.Momentum", 1.4191784)]
)
def test_the_momentum_page(api: str, last_digit: float) -> None:
    """A momentum of 0 says nothing about momentum, and a use_nesterov of False nothing about Nesterov."""
    scenario = momentum_page()
    trace = run(api, {"learning_rate": 0.1, "momentum": 0.0, "use_nesterov": False}, scenario, 3)
    found = outputs(scenario, {name: values[-1] for name, values in trace.parameters.items()}, 0)
    expected = [
        [0.28361297, 0.5488669, 0.72752017],
        [0.4602843, 1.0305372, last_digit],
        [0.6369556, 1.5122076, 2.1108367],
    ]
    np.testing.assert_array_max_ulp(found, np.array(expected, np.float32), maxulp=2, dtype=np.float32)
