"""A schedule that is passed, attached in torch: the written optimizer and scheduler, run step by step, have the source's rates."""

from __future__ import annotations

import ast
from typing import Any, Final

import numpy as np
import pytest

from optmap.mapping.load import load_schedules
from optmap.mapping.model import Framework, MappingSet
from optmap.translate.apply import translate_bytes
from optmap.translate.call import Options
from tests.conformance.test_schedules import real

SCHEDULES = load_schedules()
STEPS: Final = 300
ROUNDING: Final = 2e-6
"""Of the largest rate: a handful of float32 roundings of the source."""

OPTIMIZERS: Final = {
    "tf.keras": "tf.keras.optimizers.SGD({})",
    "tf.compat": "tf.compat.v1.train.GradientDescentOptimizer({})",
    "mindspore": "mindspore.nn.SGD(net.trainable_params(), {})",
}

CALLS: Final = [
    "tf.keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9)",
    "tf.keras.optimizers.schedules.ExponentialDecay(0.1, 50, 0.9, staircase=True)",
    "tf.keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.99, staircase=True)",
    "tf.keras.optimizers.schedules.InverseTimeDecay(0.1, 30, 0.5)",
    "tf.keras.optimizers.schedules.InverseTimeDecay(0.1, 30, 0.5, True)",
    "tf.keras.optimizers.schedules.PolynomialDecay(0.1, 200)",
    "tf.keras.optimizers.schedules.PolynomialDecay(0.1, 70, 0.0, 2.0, cycle=True)",
    "tf.keras.optimizers.schedules.PolynomialDecay(0.0, 70, 0.1)",
    "tf.keras.optimizers.schedules.PolynomialDecay(0.1, 200, end_learning_rate=0.0, power=0.5)",
    "tf.keras.optimizers.schedules.CosineDecay(0.1, 200)",
    "tf.keras.optimizers.schedules.CosineDecay(0.1, 200, alpha=0.2)",
    "tf.keras.optimizers.schedules.CosineDecay(0.01, 200, 0.1, warmup_target=0.1, warmup_steps=50)",
    "tf.keras.optimizers.schedules.CosineDecayRestarts(0.1, 40)",
    "tf.keras.optimizers.schedules.CosineDecayRestarts(0.1, 40, 1.0)",
    "tf.keras.optimizers.schedules.CosineDecayRestarts(0.1, 40, 2.0, 0.9, 0.1)",
    "tf.keras.optimizers.schedules.CosineDecayRestarts(0.1, 40, 1.5)",
    "tf.keras.optimizers.schedules.PiecewiseConstantDecay([100, 200], [0.1, 0.05, 0.01])",
    "tf.compat.v1.train.exponential_decay(0.1, step, 50, 0.9, staircase=True)",
    "tf.compat.v1.train.natural_exp_decay(0.1, step, 50, 0.9)",
    "tf.compat.v1.train.inverse_time_decay(0.1, step, 50, 0.9)",
    "tf.compat.v1.train.polynomial_decay(0.1, step, 50)",
    "tf.compat.v1.train.cosine_decay(0.1, step, 50)",
    "tf.compat.v1.train.cosine_decay_restarts(0.1, step, 50)",
    "tf.compat.v1.train.linear_cosine_decay(0.1, step, 50)",
    "tf.compat.v1.train.piecewise_constant(step, [50, 90], [0.1, 0.05, 0.01])",
    "mindspore.nn.ExponentialDecayLR(0.1, 0.9, 40)",
    "mindspore.nn.ExponentialDecayLR(0.1, 0.9, 40, True)",
    "mindspore.nn.CosineDecayLR(0.01, 0.1, 200)",
    "mindspore.nn.InverseDecayLR(0.1, 0.5, 40, True)",
    "mindspore.nn.NaturalExpDecayLR(0.1, 0.01, 40)",
    "mindspore.nn.NaturalExpDecayLR(0.1, 0.01, 40, True)",
    "mindspore.nn.PolynomialDecayLR(0.1, 0.01, 70, 0.5, True)",
    "mindspore.nn.WarmUpLR(0.1, 90)",
    "mindspore.nn.exponential_decay_lr(0.1, 0.9, 300, 10, 3)",
    "mindspore.nn.exponential_decay_lr(0.1, 0.9, 300, 10, 3, True)",
    "mindspore.nn.cosine_decay_lr(0.01, 0.1, 300, 10, 20)",
    "mindspore.nn.inverse_decay_lr(0.1, 0.5, 300, 10, 3)",
    "mindspore.nn.natural_exp_decay_lr(0.1, 0.1, 300, 10, 3)",
    "mindspore.nn.natural_exp_decay_lr(0.1, 0.1, 300, 10, 3, True)",
    "mindspore.nn.piecewise_constant_lr([100, 200, 300], [0.1, 0.05, 0.01])",
    "mindspore.nn.polynomial_decay_lr(0.1, 0.01, 300, 10, 12, 0.5)",
    "mindspore.nn.polynomial_decay_lr(0.1, 0.01, 300, 10, 12, 0.5, True)",
    "mindspore.nn.warmup_lr(0.1, 300, 10, 5)",
]


def read(text: str) -> tuple[str, dict[str, Any]]:
    """The schedule that a call constructs, and its arguments by name without the step."""
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    api = SCHEDULES.apis[ast.unparse(call.func)]
    named = [*zip([item.name for item in api.current], call.args, strict=False)]
    named += [(str(item.arg), item.value) for item in call.keywords]
    return api.name, {name: ast.literal_eval(node) for name, node in named if not isinstance(node, ast.Name)}


@pytest.mark.parametrize("call", CALLS)
def test_the_attached_schedule_has_the_rates_of_the_passed_one(call: str, tables: MappingSet) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    expected = real(*read(call), STEPS)
    optimizer = next(text for lead, text in OPTIMIZERS.items() if call.startswith(lead)).format(call)
    source = f"import tensorflow as tf\nimport mindspore\nopt = {optimizer}\nopt.minimize(loss, global_step=step)\n"
    options = Options(Framework.TORCH, frozenset(Framework) - {Framework.TORCH}, params="net.parameters()")
    result = translate_bytes(source.encode(), tables, options)
    written = [line for line in result.output.decode().splitlines() if "torch" in line or line == "import math"]
    space: dict[str, Any] = {"net": torch.nn.Linear(2, 2)}
    exec("\n".join(written), space)
    found = []
    for _ in range(STEPS):
        found.append(space["opt"].param_groups[0]["lr"])
        space["opt"].step()
        space["scheduler"].step()
    assert np.abs(np.array(found) - expected).max() <= ROUNDING * expected.max()
