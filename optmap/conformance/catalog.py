"""The scenarios by name. Random numbers come from one seed and are rounded to float32, so that all runs start equal."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from optmap.conformance.scenario import Array, GroupChange, Loss, Model, Scenario

BATCHES: Final = 5
SAMPLES: Final = 4
SILENT: Final = "missing-gradients"

HALF_RATE: Final = (GroupChange(("weight",)), GroupChange(("bias",), rate_factor=0.5, weight_decay=0.05))

_SCENARIOS: Final[tuple[tuple[str, str, tuple[int, int], dict[str, Any]], ...]] = (
    ("dense-mae", "Dense(2, 3) with mean absolute error, as in the pages of MindSpore's mapping guide", (2, 3),
     {"loss": Loss.MAE}),
    ("softmax-2x2", "the 2x2 softmax cross-entropy example of the TensorFlow Adam page", (2, 2),
     {"loss": Loss.CROSS_ENTROPY}),
    ("dense-mse", "Dense(7, 5) with mean squared error; 35 weights are no multiple of a vector block", (7, 5), {}),
    ("small-gradients", "Dense(2, 3) with mean squared error times 1e-6, where epsilon has most effect", (2, 3),
     {"scale": 1e-6, "gradient_size": 1e-6}),
    ("norm-scale", "Dense(3, 4) with a scale named gamma and a shift named beta, which MindSpore treats by name", (3, 4),
     {"model": Model.SCALED}),
    ("groups", "Dense(3, 4) whose bias is a group with half the learning rate and its own weight decay", (3, 4),
     {"groups": HALF_RATE}),
    ("rate-drop", "Dense(3, 4) whose learning rate drops to a tenth halfway", (3, 4), {"rate_factors": (1.0, 0.1)}),
    ("sparse-embedding", "an embedding of 10 rows, of which some occur twice in a batch and some never", (10, 3),
     {"model": Model.EMBEDDING}),
    ("resumed", "Dense(3, 4) whose second half is trained by the target, from the source's state", (3, 4),
     {"resumed": True}),
    ("tiny-parameters", "Dense(2, 3) with a factor without dimensions and an offset of one element", (2, 3),
     {"model": Model.TINY}),
    (SILENT, "Dense(3, 4) whose bias has no gradient in every third step", (3, 4),
     {"silent": ("bias",), "rare": True}),
    ("float16", "Dense(3, 4) in half precision", (3, 4), {"dtype": "float16", "rare": True}),
    ("bfloat16", "Dense(3, 4) in bfloat16, between PyTorch and TensorFlow, which rounds beta2=0.999 to 1: its Nadam gives NaN, "
     "and the steps of TensorFlow 1's Adam explode", (3, 4), {"dtype": "bfloat16", "rare": True}),
)  # fmt: skip
"""Name, description, size (inputs and outputs, or rows and width), and what differs from a dense model with squared error."""


def catalog(seed: int = 0) -> dict[str, Scenario]:
    """All scenarios by name, in the order of reports. The seed must not be negative."""
    found = {}
    for number, (name, about, size, more) in enumerate(_SCENARIOS):
        options = {"model": Model.DENSE, "loss": Loss.MSE, **more}
        data = _data(np.random.default_rng([seed, number]), options["model"], options["loss"], *size)
        found[name] = Scenario(name, about, start=data[0], inputs=data[1], targets=data[2], **options)
    return found


def _data(
    random: np.random.Generator, model: Model, loss: Loss, inputs: int, outputs: int
) -> tuple[dict[str, Array], Array, Array]:
    """The initial parameters, the batches, and the targets."""

    def normal(*shape: int) -> Array:
        return random.standard_normal(shape).astype(np.float32)

    if model is Model.EMBEDDING:
        start = {"embedding": normal(inputs, outputs)}
        rows = random.integers(0, 6, (BATCHES, 6))  # rows 6 to 9 are never touched, others several times in one batch
        return start, rows, normal(BATCHES, 6, outputs)
    if loss is Loss.CROSS_ENTROPY:
        square, bias = np.array([[1, 2], [3, 4]], np.float32), np.array([0.5, 0.5], np.float32)
        return {"weight": square, "bias": bias}, square[None], np.array([[[0, 1], [1, 0]]], np.float32)
    start = {"weight": normal(outputs, inputs), "bias": normal(outputs)}
    data = normal(BATCHES, SAMPLES, inputs), normal(BATCHES, SAMPLES, outputs)
    if model is Model.TINY:
        start |= {"factor": np.array(1.5, np.float32), "offset": normal(1)}
    if model is Model.SCALED:
        start |= {"norm.gamma": normal(outputs) + np.float32(1), "norm.beta": normal(outputs)}
    return start, *data
