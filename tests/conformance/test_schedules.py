"""The formulas of schedules against the real frameworks over whole trainings, and what follows for translated calls.

torch computes rates in float64, the others in float32: EXACT is a handful of float64 roundings, SINGLE of float32 ones,
relative to the largest rate. mindspore.experimental chains float32 products, so that its errors grow with the steps.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

from optmap.conformance.scenario import Code, ScheduleJob
from optmap.conformance.schedules import ScheduleError, rates
from optmap.mapping.canonical import attached
from optmap.mapping.load import load_schedules

TABLES = load_schedules()
STEPS: Final = 120
EXACT: Final = 1e-12
SINGLE: Final = 2e-6
CHAINED: Final = 2e-5

ENGINES: Final = {
    "torch": ("torch", "torch"),
    "tf": ("tensorflow", "tensorflow"),
    "mindspore": ("mindspore", "mindspore_real"),
}
T, K, V, N, M = (
    "torch.optim.lr_scheduler.",
    "tf.keras.optimizers.schedules.",
    "tf.compat.v1.train.",
    "mindspore.nn.",
    "mindspore.experimental.optim.lr_scheduler.",
)


def real(api: str, arguments: dict[str, Any], steps: int = STEPS, lr: float = 0.1, pace: int = 1) -> Any:
    """The rates of the real framework, followed once for all the tests that ask for them."""
    package, module = ENGINES[api.partition(".")[0]]
    pytest.importorskip(package, reason=f"{package} is not installed")
    key = f"{api} {arguments} {steps} {lr} {pace}"  # a function is written with its address, and lives as long as the tests
    if key not in _FOLLOWED:
        engine = importlib.import_module(f"optmap.conformance.engines.{module}")
        _FOLLOWED[key] = np.array(
            engine.rates(ScheduleJob.of(api, arguments, steps, learning_rate=lr, steps_per_epoch=pace))
        )
        _FOLLOWED[key].setflags(write=False)
    return _FOLLOWED[key]


_FOLLOWED: dict[str, Any] = {}


def ours(api: str, arguments: dict[str, Any], steps: int = STEPS, lr: float = 0.1, pace: int = 1) -> Any:
    section = TABLES.apis[api]
    own = lr if attached(section) else None
    return rates(TABLES, section, arguments, steps, learning_rate=own, steps_per_epoch=pace)


def tolerance(api: str) -> float:
    return EXACT if api.startswith(T) else CHAINED if api.startswith(M) else SINGLE


BOTH: Final[list[tuple[str, dict[str, Any]]]] = [
    ("StepLR", {"step_size": 7, "gamma": 0.5}),
    ("StepLR", {"step_size": 1}),
    ("MultiStepLR", {"milestones": [3, 7, 7, 40], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [0, 3]}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 30}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 30}),
    ("ExponentialLR", {"gamma": 0.97}),
    ("PolynomialLR", {"total_iters": 30, "power": 2.0}),
    ("PolynomialLR", {}),
    ("CosineAnnealingLR", {"T_max": 50, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 7}),
    ("CosineAnnealingLR", {"T_max": 1, "eta_min": 0.002}),
    ("CosineAnnealingWarmRestarts", {"T_0": 10}),
    ("CosineAnnealingWarmRestarts", {"T_0": 7, "T_mult": 2, "eta_min": 0.01}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 1.0 if epoch < 5 else 0.1}),
    ("LambdaLR", {"lr_lambda": lambda epoch: min(1.0, (epoch + 1) / 5)}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.1 ** (epoch // 30)}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.5 * (1 + math.cos(math.pi * epoch / 120))}),
    ("LambdaLR", {"lr_lambda": lambda epoch: max(0.1, 1 - int(epoch) / 100)}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.97}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 8}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 8, "step_size_down": 5, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 8, "mode": "exp_range", "gamma": 0.98}),
]
"""Schedules that torch and mindspore.experimental share."""


def _cyclic(name: str) -> dict[str, Any]:
    return {"cycle_momentum": False} if name == "CyclicLR" else {}


ATTACHED = [(T + name, arguments | _cyclic(name)) for name, arguments in BOTH]
ATTACHED += [(M + name, arguments) for name, arguments in BOTH]
CYCLES: Final[list[dict[str, Any]]] = [
    {"total_steps": 120}, {"epochs": 12, "steps_per_epoch": 10, "pct_start": 0.2, "anneal_strategy": "linear", "div_factor": 10},
    {"total_steps": 120, "three_phase": True}, {"total_steps": 120, "three_phase": True, "anneal_strategy": "linear"},
]  # fmt: skip
_SCALED: Final[dict[str, Any]] = {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 8, "step_size_down": 5}
SCALED = [_SCALED | {"scale_fn": lambda x: 0.9**x, "scale_mode": mode} for mode in ("cycle", "iterations")]
PASSED: Final[list[tuple[str, dict[str, Any]]]] = [
    (K + "ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}),
    (K + "ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9, "staircase": True}),
    (K + "InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
    (K + "InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True}),
    (K + "PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 50}),
    (K + "PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "power": 2.0, "cycle": True}),
    (K + "PolynomialDecay", {"initial_learning_rate": 0.0, "decay_steps": 30, "end_learning_rate": 0.1}),
    (K + "CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 50}),
    (K + "CosineDecay", {"initial_learning_rate": 0.2, "decay_steps": 50, "alpha": 0.3}),
    (K + "CosineDecay", {"initial_learning_rate": 0.02, "decay_steps": 50, "alpha": 0.1, "warmup_target": 0.1, "warmup_steps": 20}),
    (K + "CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 50, "warmup_steps": 20}),
    (K + "CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 9, "t_mul": 2.0, "m_mul": 0.8, "alpha": 0.1}),
    (K + "CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.0, "m_mul": 0.9}),
    (K + "PiecewiseConstantDecay", {"boundaries": [10, 40], "values": [0.1, 0.05, 0.01]}),
    (V + "exponential_decay", {"learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9, "staircase": True}),
    (V + "natural_exp_decay", {"learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
    (V + "natural_exp_decay", {"learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True}),
    (V + "inverse_time_decay", {"learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
    (V + "polynomial_decay", {"learning_rate": 0.1, "decay_steps": 30, "cycle": True, "end_learning_rate": 0.01}),
    (V + "cosine_decay", {"learning_rate": 0.1, "decay_steps": 50, "alpha": 0.1}),
    (V + "cosine_decay_restarts", {"learning_rate": 0.1, "first_decay_steps": 9, "t_mul": 1.0}),
    (V + "linear_cosine_decay", {"learning_rate": 0.1, "decay_steps": 50, "num_periods": 1.5, "alpha": 0.1}),
    (V + "piecewise_constant", {"boundaries": [10, 40], "values": [0.1, 0.05, 0.01]}),
    (V + "piecewise_constant_decay", {"boundaries": [10, 40], "values": [0.1, 0.05, 0.01]}),
    (N + "ExponentialDecayLR", {"learning_rate": 0.1, "decay_rate": 0.9, "decay_steps": 10}),
    (N + "ExponentialDecayLR", {"learning_rate": 0.1, "decay_rate": 0.9, "decay_steps": 10, "is_stair": True}),
    (N + "NaturalExpDecayLR", {"learning_rate": 0.1, "decay_rate": 0.05, "decay_steps": 10}),
    (N + "NaturalExpDecayLR", {"learning_rate": 0.1, "decay_rate": 0.05, "decay_steps": 10, "is_stair": True}),
    (N + "InverseDecayLR", {"learning_rate": 0.1, "decay_rate": 0.5, "decay_steps": 10, "is_stair": True}),
    (N + "CosineDecayLR", {"min_lr": 0.01, "max_lr": 0.1, "decay_steps": 50}),
    (N + "PolynomialDecayLR", {"learning_rate": 0.1, "end_learning_rate": 0.01, "decay_steps": 50, "power": 0.5}),
    (N + "PolynomialDecayLR", {"learning_rate": 0.1, "end_learning_rate": 0.01, "decay_steps": 30, "power": 2.0, "update_decay_steps": True}),
    (N + "WarmUpLR", {"learning_rate": 0.1, "warmup_steps": 30}),
    (N + "exponential_decay_lr", {"learning_rate": 0.1, "decay_rate": 0.9, "total_step": 120, "step_per_epoch": 8, "decay_epoch": 3}),
    (N + "exponential_decay_lr", {"learning_rate": 0.1, "decay_rate": 0.9, "total_step": 120, "step_per_epoch": 8, "decay_epoch": 3, "is_stair": True}),
    (N + "natural_exp_decay_lr", {"learning_rate": 0.1, "decay_rate": 0.1, "total_step": 120, "step_per_epoch": 1, "decay_epoch": 3, "is_stair": True}),
    (N + "natural_exp_decay_lr", {"learning_rate": 0.1, "decay_rate": 0.1, "total_step": 120, "step_per_epoch": 8, "decay_epoch": 3, "is_stair": True}),
    (N + "natural_exp_decay_lr", {"learning_rate": 0.1, "decay_rate": 0.1, "total_step": 120, "step_per_epoch": 8, "decay_epoch": 3}),
    (N + "inverse_decay_lr", {"learning_rate": 0.1, "decay_rate": 0.5, "total_step": 120, "step_per_epoch": 8, "decay_epoch": 3}),
    (N + "cosine_decay_lr", {"min_lr": 0.01, "max_lr": 0.1, "total_step": 120, "step_per_epoch": 6, "decay_epoch": 9}),
    (N + "polynomial_decay_lr", {"learning_rate": 0.1, "end_learning_rate": 0.01, "total_step": 120, "step_per_epoch": 6, "decay_epoch": 9, "power": 2.0, "update_decay_epoch": True}),
    (N + "warmup_lr", {"learning_rate": 0.1, "total_step": 120, "step_per_epoch": 6, "warmup_epoch": 9}),
    (N + "piecewise_constant_lr", {"milestone": [10, 40, 120], "learning_rates": [0.1, 0.05, 0.01]}),
]  # fmt: skip


@pytest.mark.parametrize(("api", "arguments"), [*ATTACHED, *PASSED])
def test_the_formula_is_the_frameworks(api: str, arguments: dict[str, Any]) -> None:
    found, expected = ours(api, arguments), real(api, arguments)
    assert found.shape == expected.shape
    peak = np.abs(expected).max()
    assert np.abs(found - expected).max() <= tolerance(api) * peak, (found[:20], expected[:20])


@pytest.mark.parametrize("arguments", CYCLES)
def test_the_formula_of_one_cycle_is_torchs(arguments: dict[str, Any]) -> None:
    arguments = {"max_lr": 0.3, "cycle_momentum": False, **arguments}
    expected = real(T + "OneCycleLR", arguments)
    assert np.abs(ours(T + "OneCycleLR", arguments) - expected).max() <= EXACT * expected.max()


@pytest.mark.parametrize("arguments", SCALED, ids=["cycle", "iterations"])
def test_a_cycle_is_scaled_by_a_function(arguments: dict[str, Any]) -> None:
    expected = real(T + "CyclicLR", arguments | {"cycle_momentum": False})
    assert np.abs(ours(T + "CyclicLR", arguments) - expected).max() <= EXACT * expected.max()


@pytest.mark.parametrize(("api", "arguments"), [pair for pair in ATTACHED if pair[0].startswith(T)])
def test_an_attached_schedule_counts_epochs(api: str, arguments: dict[str, Any]) -> None:
    found, expected = ours(api, arguments, pace=5), real(api, arguments, pace=5)
    assert np.abs(found - expected).max() <= EXACT * np.abs(expected).max()


@pytest.mark.parametrize(("name", "arguments"), BOTH)
def test_torch_and_mindspore_agree(name: str, arguments: dict[str, Any]) -> None:
    theirs = real(T + name, arguments | _cyclic(name))
    assert np.abs(real(M + name, arguments) - theirs).max() <= CHAINED * theirs.max()


def test_a_formula_that_is_not_there_is_said() -> None:
    with pytest.raises(ScheduleError, match="ChainedScheduler"):
        ours(T + "ChainedScheduler", {})
    with pytest.raises(ScheduleError, match="noise"):
        ours(V + "noisy_linear_cosine_decay", {"learning_rate": 0.1, "decay_steps": 10})


PLATEAUS: Final[list[dict[str, Any]]] = [
    {}, {"factor": 0.5, "patience": 2}, {"mode": "max", "patience": 1, "cooldown": 2}, {"threshold": 0.2, "cooldown": 1},
    {"threshold_mode": "abs", "threshold": 9.5, "patience": 1}, {"patience": 0, "min_lr": 0.01, "eps": 1e-3},
    {"mode": "max", "threshold_mode": "abs", "patience": 4},
]  # fmt: skip


@pytest.mark.parametrize("options", PLATEAUS)
@pytest.mark.parametrize("module", [T, M])
def test_the_rates_after_a_metric_are_the_frameworks(module: str, options: dict[str, Any]) -> None:
    name = f"{module}ReduceLROnPlateau"
    theirs = real(name, options, pace=3)
    assert np.abs(ours(name, options, pace=3) - theirs).max() <= tolerance(name) * theirs.max()


@pytest.mark.parametrize("module", [T, M])
def test_the_rates_of_a_sequence_are_the_frameworks(module: str) -> None:
    parts = (f"{module}ConstantLR(opt, factor=0.5, total_iters=3), {module}ExponentialLR(opt, gamma=0.9), "
             f"{module}StepLR(opt, step_size=4)")  # fmt: skip
    arguments = {"schedulers": Code(f"[{parts}]"), "milestones": [5, 12]}
    name = f"{module}SequentialLR"
    theirs = real(name, arguments, pace=2)
    assert len(set(theirs.tolist())) > 10
    assert np.abs(ours(name, arguments, pace=2) - theirs).max() <= tolerance(name) * theirs.max()


def _sequence(module: Any, optimizer: Any, kind: str) -> Any:
    parts: dict[str, Callable[[], Any]] = {
        "cosine": lambda: module.CosineAnnealingLR(optimizer, 20),
        "step": lambda: module.StepLR(optimizer, 4, 0.5),
        "exponential": lambda: module.ExponentialLR(optimizer, 0.9),
        "polynomial": lambda: module.PolynomialLR(optimizer, 10),
        "lambda": lambda: module.LambdaLR(optimizer, lambda epoch: 0.9**epoch),
        "restarts": lambda: module.CosineAnnealingWarmRestarts(optimizer, 5),
        "constant": lambda: module.ConstantLR(optimizer, 0.5, 4),
        "multi": lambda: module.MultiStepLR(optimizer, [4]),
    }
    return module.SequentialLR(optimizer, [module.LinearLR(optimizer, 0.1, 1.0, 5), parts[kind]()], [5])


@pytest.mark.parametrize("kind", ["cosine", "step", "exponential", "polynomial", "lambda", "restarts", "constant"])
def test_torch_and_mindspore_agree_on_a_sequence(kind: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("mindspore", reason="mindspore is not installed")
    import mindspore
    import mindspore.experimental.optim as experimental

    left = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    right = experimental.SGD([mindspore.Parameter(mindspore.Tensor(np.zeros(1, np.float32)), name="w")], lr=0.1)
    first = _sequence(torch.optim.lr_scheduler, left, kind)
    second = _sequence(experimental.lr_scheduler, right, kind)
    for _ in range(24):
        left.step()
        first.step()
        second.step()
        rate = float(right.param_groups[0]["lr"].value().asnumpy())
        assert rate == pytest.approx(left.param_groups[0]["lr"], rel=1e-4, abs=1e-6)


def test_mindspore_cannot_switch_to_a_multi_step_schedule() -> None:
    pytest.importorskip("mindspore", reason="mindspore is not installed")
    import mindspore
    import mindspore.experimental.optim as experimental

    optimizer = experimental.SGD([mindspore.Parameter(mindspore.Tensor(np.zeros(1, np.float32)), name="w")], lr=0.1)
    schedule = _sequence(experimental.lr_scheduler, optimizer, "multi")
    for _ in range(4):
        schedule.step()
    with pytest.raises(AttributeError, match="step_size"):
        schedule.step()
