"""The scenarios by name. Random numbers come from one seed and are rounded to float32, so that all runs start equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from optmap.conformance.scenario import Array, GroupChange, Loss, Model, Scenario

BATCHES: Final = 5
SAMPLES: Final = 4


def catalog(seed: int = 0) -> dict[str, Scenario]:
    """All scenarios by name, in the order of reports. The seed must not be negative."""
    made = (make(np.random.default_rng([seed, number])) for number, make in enumerate(_MAKERS))
    return {scenario.name: scenario for scenario in made}


def _normal(random: np.random.Generator, *shape: int) -> Array:
    return random.standard_normal(shape).astype(np.float32)


def _dense(random: np.random.Generator, inputs: int, outputs: int) -> tuple[dict[str, Array], Array, Array]:
    """Weights and bias, batches, and targets."""
    start = {"weight": _normal(random, outputs, inputs), "bias": _normal(random, outputs)}
    return start, _normal(random, BATCHES, SAMPLES, inputs), _normal(random, BATCHES, SAMPLES, outputs)


def _dense_mae(random: np.random.Generator) -> Scenario:
    return Scenario("dense-mae", "Dense(2, 3) with mean absolute error, as in the pages of MindSpore's mapping guide",
                    Model.DENSE, Loss.MAE, *_dense(random, 2, 3))  # fmt: skip


def _softmax(random: np.random.Generator) -> Scenario:
    square = np.array([[1, 2], [3, 4]], np.float32)
    start = {"weight": square, "bias": np.array([0.5, 0.5], np.float32)}
    labels = np.array([[[0, 1], [1, 0]]], np.float32)
    return Scenario("softmax-2x2", "the 2x2 softmax cross-entropy example of the TensorFlow Adam page",
                    Model.DENSE, Loss.CROSS_ENTROPY, start, square[None], labels)  # fmt: skip


def _dense_mse(random: np.random.Generator) -> Scenario:
    return Scenario("dense-mse", "Dense(7, 5) with mean squared error; 35 weights are no multiple of a vector block",
                    Model.DENSE, Loss.MSE, *_dense(random, 7, 5))  # fmt: skip


def _small_gradients(random: np.random.Generator) -> Scenario:
    return Scenario("small-gradients", "Dense(2, 3) with mean squared error times 1e-6, where epsilon has most effect",
                    Model.DENSE, Loss.MSE, *_dense(random, 2, 3), scale=1e-6, gradient_size=1e-6)  # fmt: skip


def _norm_scale(random: np.random.Generator) -> Scenario:
    start, inputs, targets = _dense(random, 3, 4)
    start |= {"norm.gamma": _normal(random, 4) + np.float32(1), "norm.beta": _normal(random, 4)}
    return Scenario("norm-scale", "Dense(3, 4) with a scale named gamma and a shift named beta, which MindSpore treats by name",
                    Model.SCALED, Loss.MSE, start, inputs, targets)  # fmt: skip


def _groups(random: np.random.Generator) -> Scenario:
    groups = (GroupChange(("weight",)), GroupChange(("bias",), rate_factor=0.5, weight_decay=0.05))
    return Scenario("groups", "Dense(3, 4) whose bias is a group with half the learning rate and its own weight decay",
                    Model.DENSE, Loss.MSE, *_dense(random, 3, 4), groups=groups)  # fmt: skip


def _rate_drop(random: np.random.Generator) -> Scenario:
    return Scenario("rate-drop", "Dense(3, 4) whose learning rate drops to a tenth halfway",
                    Model.DENSE, Loss.MSE, *_dense(random, 3, 4), rate_factors=(1.0, 0.1))  # fmt: skip


def _sparse_embedding(random: np.random.Generator) -> Scenario:
    start = {"embedding": _normal(random, 10, 3)}
    rows = random.integers(0, 6, (BATCHES, 6))  # rows 6 to 9 are never touched, others several times in one batch
    return Scenario("sparse-embedding", "an embedding of 10 rows, of which some occur twice in a batch and some never",
                    Model.EMBEDDING, Loss.MSE, start, rows, _normal(random, BATCHES, 6, 3))  # fmt: skip


_MAKERS: Final[tuple[Callable[[np.random.Generator], Scenario], ...]] = (
    _dense_mae, _softmax, _dense_mse, _small_gradients, _norm_scale, _groups, _rate_drop, _sparse_embedding,
)  # fmt: skip
