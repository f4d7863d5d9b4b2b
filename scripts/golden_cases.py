"""The runs that `record_goldens.py` records and the live test repeats: hyperparameters, shapes, inputs.

This module does not import MindSpore.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

STEPS = 25
RECORDED = (1, 2, 3, 6, 12, 25)
SHAPES = {"layer.weight": (7, 5), "layer.bias": (3,), "norm.gamma": (1,), "alphabeta": (2, 2)}
LARGE_SHAPES = {"layer.weight": (33, 17), "layer.bias": (1025,), "norm.gamma": (2, 3, 4), "alphabeta": (1, 9)}
RATES = tuple(round(0.08 / (1 + 0.3 * step), 6) for step in range(STEPS))
ROWS_SHAPE, ROWS_NAMED = (9, 3), 6
NN, EXPERIMENTAL = "mindspore.nn.", "mindspore.experimental.optim."


@dataclass(frozen=True)
class Case:
    """One run: hyperparameters, groups as (parameter names, overrides), and a factor on the gradients."""

    api: str
    hyperparameters: Mapping[str, Any]
    groups: Sequence[tuple[Sequence[str], Mapping[str, Any]]] | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class Spec:
    """The cases of one API: values off the defaults, one by one and together, added to the required arguments."""

    variants: tuple[dict[str, Any], ...]
    base: dict[str, Any] = field(default_factory=dict)
    group: dict[str, Any] = field(default_factory=dict)
    decays: bool = True
    scales_loss: bool = True
    changing_rate: bool = True


_NESTEROV = ({"use_nesterov": True}, {"use_nesterov": True, "beta1": 0.6})
_BETAS = ({"beta1": 0.5}, {"beta2": 0.9}, {"eps": 1e-2})
_PAIRS = ({"betas": (0.5, 0.999)}, {"betas": (0.0, 0.9)}, {"eps": 1e-2}, {"lr": 0.05})
_SGD = ({"momentum": 0.9}, {"momentum": 0.8, "dampening": 0.3}, {"momentum": 0.9, "nesterov": True})
_LR, _MAX = {"learning_rate": 0.05}, {"maximize": True}
_GROUP = {"lr": 0.02, "weight_decay": 0.1}

SPECS: dict[str, Spec] = {
    NN + "Adam": Spec(
        (
            _LR,
            *_BETAS,
            *_NESTEROV,
            {"use_amsgrad": True, "beta2": 0.5},
            {"use_amsgrad": True, "use_nesterov": True},
            {"use_offload": True},
            {"use_offload": True, "use_nesterov": True},
            {"use_lazy": True, "use_nesterov": True},
        )
    ),
    NN + "AdamOffload": Spec((_LR, *_BETAS, *_NESTEROV)),
    NN + "LazyAdam": Spec((_LR, *_BETAS, *_NESTEROV)),
    NN + "AdamWeightDecay": Spec((_LR, *_BETAS), scales_loss=False),
    NN + "AdaMax": Spec((_LR, *_BETAS)),
    NN + "Adagrad": Spec((_LR, {"accum": 0.0}, {"accum": 0.7}, {"update_slots": False})),
    NN + "Adadelta": Spec(({"learning_rate": 0.5}, {"rho": 0.5}, {"epsilon": 1e-2})),
    NN + "ASGD": Spec((_LR, {"lambd": 0.05}, {"lambd": 0.05, "alpha": 0.3}, {"t0": 3.0}), scales_loss=False),
    NN + "FTRL": Spec(
        (_LR, {"initial_accum": 0.5}, {"lr_power": -0.8}, {"l1": 0.02}, {"l2": 0.3}, {"l1": 0.01, "l2": 0.1}),
        base={"learning_rate": 0.1},
        group={"weight_decay": 0.1},
        changing_rate=False,
    ),
    NN + "Momentum": Spec(
        ({"momentum": 0.0}, {"momentum": 0.5}, {"use_nesterov": True}), base={"learning_rate": 0.05, "momentum": 0.9}
    ),
    NN + "SGD": Spec((_LR, *_SGD)),
    NN + "ProximalAdagrad": Spec(
        (_LR, {"accum": 0.7}, {"l1": 0.05}, {"l2": 0.3}, {"l1": 0.05, "l2": 0.3}), base={"learning_rate": 0.1}
    ),
    NN + "RMSProp": Spec(
        (
            _LR,
            {"decay": 0.5},
            {"momentum": 0.7},
            {"epsilon": 1e-2},
            {"centered": True},
            {"centered": True, "momentum": 0.7, "decay": 0.95, "epsilon": 1e-3},
        ),
        base={"learning_rate": 0.02},
    ),
    NN + "Rprop": Spec((_LR, {"etas": (0.3, 1.5)}, {"step_sizes": (1e-3, 0.12)}), scales_loss=False),
    NN + "AdaFactor": Spec(
        (
            {"relative_step": False, "learning_rate": 0.05},
            {"eps": (1e-6, 0.05)},
            {"clip_threshold": 0.4},
            {"decay_rate": 0.3},
            {"beta1": 0.0},
            {"weight_decay": 0.1},
            {"scale_parameter": False},
            {"warmup_init": True},
            {"relative_step": False, "learning_rate": RATES},
            {"loss_scale": 8.0},
            {"compression": True},
        ),
        decays=False,
        scales_loss=False,
        changing_rate=False,
        group={"weight_decay": 0.1},
    ),
    EXPERIMENTAL + "ASGD": Spec(
        (
            {"lr": 0.05},
            {"lambd": 0.05},
            {"lambd": 0.05, "alpha": 0.3},
            {"t0": 3.0},
            _MAX,
        ),
        group={"lambd": 0.1},
    ),
    EXPERIMENTAL + "Adadelta": Spec(({"lr": 0.5}, {"rho": 0.5}, {"eps": 1e-2}, _MAX), group={"rho": 0.3}),
    EXPERIMENTAL + "Adagrad": Spec(
        (
            {"lr": 0.1},
            {"lr_decay": 0.1},
            {"initial_accumulator_value": 0.3},
            {"eps": 1e-2},
            _MAX,
        ),
        group={"lr_decay": 0.2},
    ),
    EXPERIMENTAL + "Adam": Spec((*_PAIRS, {"amsgrad": True, "betas": (0.9, 0.5)}, _MAX), group={"betas": (0.8, 0.9)}),
    EXPERIMENTAL + "AdamW": Spec((*_PAIRS, {"amsgrad": True, "betas": (0.9, 0.5)}, _MAX), group={"amsgrad": True}),
    EXPERIMENTAL + "Adamax": Spec((*_PAIRS, _MAX), group={"eps": 0.1}),
    EXPERIMENTAL + "NAdam": Spec((*_PAIRS, {"momentum_decay": 0.3}), group={"momentum_decay": 1.0}),
    EXPERIMENTAL + "RAdam": Spec((*_PAIRS, {"betas": (0.9, 0.6)}), group={"betas": (0.8, 0.9)}),
    EXPERIMENTAL + "RMSprop": Spec(
        (
            {"lr": 0.05},
            {"alpha": 0.5},
            {"eps": 1e-2},
            {"momentum": 0.7},
            {"centered": True},
            {"centered": True, "momentum": 0.5, "alpha": 0.9},
            _MAX,
        ),
        group={"alpha": 0.7},
    ),
    EXPERIMENTAL + "Rprop": Spec(
        ({"lr": 0.05}, {"etas": (0.3, 1.5)}, {"step_sizes": (1e-3, 0.02)}, _MAX), decays=False, group={"lr": 0.02}
    ),
    EXPERIMENTAL + "SGD": Spec((*_SGD, _MAX), base={"lr": 0.05}, group={"momentum": 0.5}),
}


def cases(api: str) -> Iterator[Case]:
    """All cases of an API: each variant, then weight decay, loss scale, a changing rate, groups, and other gradient scales."""
    spec, is_nn = SPECS[api], api.startswith(NN)
    decay: dict[str, Any] = {"weight_decay": 0.05} if spec.decays else {}
    rate: dict[str, Any] = {"learning_rate" if is_nn else "lr": RATES} if spec.changing_rate else {}
    scaled = {"loss_scale": 1024.0} if is_nn and spec.scales_loss else {}
    yield Case(api, spec.base)
    for variant in spec.variants:
        yield Case(api, {**spec.base, **variant})
    yield Case(api, {**spec.base, **decay, **scaled, **rate})
    override = spec.group or _GROUP
    yield Case(
        api, {**spec.base, **decay}, (((("layer.weight", "norm.gamma"), override)), (("layer.bias", "alphabeta"), {}))
    )
    if is_nn and spec.changing_rate:
        mixed = ((("norm.gamma",), {"lr": 0.013}), (("layer.weight", "layer.bias", "alphabeta"), {"lr": RATES}))
        yield Case(api, {**spec.base, **scaled}, mixed)
    for scale in (1e-6, 1e-3, 10.0):
        yield Case(api, {**spec.base, **decay}, None, scale)


def inputs(shapes: Mapping[str, tuple[int, ...]], seed: int = 20) -> tuple[dict[str, Array], dict[str, Array]]:
    """Initial parameters by name, and the gradients of all steps, (steps, *shape), at unit scale with a tenth of zeros."""
    random = np.random.default_rng(seed)
    start = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    gradients = {}
    for name, shape in shapes.items():
        dense = random.normal(size=(STEPS, *shape)).astype(np.float32)
        gradients[name] = np.where(random.random(dense.shape) < 0.1, np.float32(0), dense)
    return start, gradients


def rows_cases() -> Iterator[Case]:
    """The cases with sparse rows; `target` is not an argument but a property of the optimizer."""
    for target in (None, "CPU"):
        for more in ({}, {"use_nesterov": True}, {"beta1": 0.5, "eps": 1e-3, "weight_decay": 0.05, "loss_scale": 8.0}):
            yield Case(NN + "LazyAdam", {"learning_rate": 0.05, **more, "target": target})
        yield Case(NN + "Adam", {"learning_rate": 0.05, "use_lazy": True, "target": target})


def rows_inputs(seed: int = 21) -> tuple[Array, NDArray[np.int32], Array]:
    """An embedding table, the row indices of each step (some of them repeated), and the gradients of these rows."""
    random = np.random.default_rng(seed)
    indices = random.integers(0, ROWS_SHAPE[0], size=(STEPS, ROWS_NAMED)).astype(np.int32)
    values = random.normal(size=(STEPS, ROWS_NAMED, *ROWS_SHAPE[1:])).astype(np.float32)
    return random.normal(size=ROWS_SHAPE).astype(np.float32), indices, values
