"""A schedule that is passed, attached in torch: the written optimizer and scheduler, run step by step, have the source's rates."""

from __future__ import annotations

import ast
import math
import re
from typing import Any, Final

import numpy as np
import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.load import load_schedules
from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
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
NAMED: Final = [
    ("mindspore.nn.CosineDecayLR({}, {}, 200)", ["0.01", "0.1"], "(left := n0 / n1) + (1 - left)"),
    ("mindspore.nn.PolynomialDecayLR({}, {}, 70, 2.0)", ["0.1", "0.01"], "n1 + (n0 - n1) * ("),
    ("mindspore.nn.piecewise_constant_lr({}, [0.1, 0.05, 0.01])", ["[100, 200, 300]"], "milestone in n0[:-1])"),
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
    step = "step = tf.compat.v1.train.get_or_create_global_step()"
    source = (
        f"import tensorflow as tf\nimport mindspore\n{step}\nopt = {optimizer}\nopt.minimize(loss, global_step=step)\n"
    )
    options = Options(Framework("torch"), frozenset(Framework) - {Framework("torch")}, params="net.parameters()")
    result = translate_bytes(source.encode(), tables, options)
    statements = map(ast.unparse, ast.parse(result.output).body)
    written = [text for text in statements if "torch" in text or "optim." in text or text == "import math"]
    space: dict[str, Any] = {"net": torch.nn.Linear(2, 2)}
    exec("\n".join(written), space)
    found = []
    for _ in range(STEPS):
        found.append(space["opt"].param_groups[0]["lr"])
        space["opt"].step()
        space["scheduler"].step()
    assert np.abs(np.array(found) - expected).max() <= ROUNDING * expected.max()


@pytest.mark.parametrize(("call", "numbers", "shown"), NAMED)
def test_a_formula_of_names_has_the_rates(call: str, numbers: list[str], shown: str, tables: MappingSet) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    expected = real(*read(call.format(*numbers)), STEPS)
    names = [f"n{place}" for place in range(len(numbers))]
    program = f"import mindspore\nopt = mindspore.nn.SGD(net.trainable_params(), {call.format(*names)})\n"
    options = Options(Framework("torch"), frozenset({Framework("mindspore")}))
    result = translate_bytes(program.encode(), tables, options)
    text = result.output.decode()
    assert shown in text
    space: dict[str, Any] = {"net": torch.nn.Linear(2, 2)}
    space |= {name: ast.literal_eval(number) for name, number in zip(names, numbers, strict=True)}
    exec(text, space)
    found = []
    for _ in range(STEPS):
        found.append(space["opt"].param_groups[0]["lr"])
        space["opt"].step()
        space["scheduler"].step()
    assert np.abs(np.array(found) - expected).max() <= ROUNDING * expected.max()


PROGRAM: Final = """
import torch
from torch.optim import lr_scheduler

def train(net, loader, seen):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    scheduler = lr_scheduler.{}
    for epoch in range({}):
        for x in loader:
            seen.append(opt.param_groups[0]["lr"])
            opt.step()
{}scheduler.step()
    return opt
"""


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("call", [
    "StepLR(opt, 3)", "StepLR(opt, step_size=4, gamma=0.5)", "MultiStepLR(opt, [2, 3, 9], gamma=0.3)", "ExponentialLR(opt, 0.9)",
    "PolynomialLR(opt, 30, 2.0)", "CosineAnnealingWarmRestarts(opt, 10, 2)", "CosineAnnealingWarmRestarts(opt, 10, eta_min=0.01)",
])  # fmt: skip
def test_the_passed_schedule_has_the_rates_of_the_attached_one(call: str, every: int, tables: MappingSet) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensorflow = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    indent = "            " if every == 1 else "        "
    program = PROGRAM.format(call, STEPS // 7, indent)
    seen: list[float] = []
    space: dict[str, Any] = {}
    exec(program, space)
    space["train"](torch.nn.Linear(2, 2), range(7), seen)
    result = translate_bytes(
        program.encode(), tables, Options(Framework("tensorflow"), frozenset({Framework("torch")}))
    )
    smooth = call.startswith(("Polynomial", "CosineAnnealingWarm"))
    if smooth and every > 1:
        assert any(item.code.id == "OM312" for item in result.diagnostics)
        return
    statements = (node for node in ast.walk(ast.parse(result.output)) if isinstance(node, ast.Assign))
    line = next(text for text in map(ast.unparse, statements) if text.startswith("opt = "))
    made: dict[str, Any] = {"tf": tensorflow, "loader": range(7)}
    exec(line, made)
    found = [float(made["opt"]._learning_rate(step)) for step in range(len(seen))]
    assert np.abs(np.array(found) - np.array(seen)).max() <= ROUNDING * max(seen)


@pytest.mark.parametrize("call", [
    "StepLR(opt, 30)", "MultiStepLR(opt, [30, 80], 0.5)", "ConstantLR(opt, 0.2, 7)", "LinearLR(opt, 0.1, 0.8, 40)",
    "ExponentialLR(opt, 0.97)", "PolynomialLR(opt, 40, 2.0)", "CosineAnnealingLR(opt, 40)", "CosineAnnealingLR(opt, 40, 0.01)",
    "CosineAnnealingWarmRestarts(opt, 20, 2)", "CosineAnnealingWarmRestarts(opt, 20, 1, 0.02)", "CyclicLR(opt, 0.01, 0.2, 20)",
    "CyclicLR(opt, 0.01, 0.2, 20, 5, mode='triangular2')", "CyclicLR(opt, 0.01, 0.2, 20, 30, mode='exp_range', gamma=0.99)",
    "LambdaLR(opt, lambda epoch: 0.95 ** epoch)", "OneCycleLR(opt, 0.2, total_steps=200)",
    "OneCycleLR(opt, 0.2, epochs=10, steps_per_epoch=20, pct_start=0.2, anneal_strategy='linear', div_factor=10)",
    "OneCycleLR(opt, 0.2, total_steps=200, three_phase=True)",
    "SequentialLR(opt, [lr_scheduler.ConstantLR(opt, 0.5, 30), lr_scheduler.StepLR(opt, 10)], [9])",
    "SequentialLR(opt, [lr_scheduler.LinearLR(opt, 0.1, total_iters=5), lr_scheduler.CosineAnnealingLR(opt, 60)], [5])",
    "SequentialLR(opt, [lr_scheduler.ConstantLR(opt), lr_scheduler.StepLR(opt, 10), lr_scheduler.ExponentialLR(opt, 0.9)], [9, 60])",
])  # fmt: skip
def test_the_formula_that_is_advised_has_the_rates(call: str, tables: MappingSet) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    start = "import torch\nfrom torch.optim import lr_scheduler\nopt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)\n"
    program = f"{start}scheduler = lr_scheduler.{call}\n"
    space: dict[str, Any] = {"net": torch.nn.Linear(2, 2)}
    exec(program, space)
    seen = [space["opt"].param_groups[0]["lr"]]
    for _ in range(199):
        space["opt"].step()
        space["scheduler"].step()
        seen.append(space["opt"].param_groups[0]["lr"])
    result = translate_bytes(
        program.encode(), tables, Options(Framework("tensorflow"), frozenset({Framework("torch")}))
    )
    message = next(item.replacement for item in result.diagnostics if item.code.id == "OM312")
    assert message is not None
    passed = re.search(r"learning_rate = (tf.*)", message)
    if passed is not None:
        tensorflow = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
        schedule = eval(passed[1], {"tf": tensorflow, "steps_per_epoch": 1})
        found = [float(schedule(step)) for step in range(200)]
    else:
        shown = re.search(r"opt.learning_rate = (.*)", message)
        assert shown is not None, message
        found = [eval(shown[1], {"math": math, "calls": calls}) for calls in range(200)]
    assert np.abs(np.array(found) - np.array(seen)).max() <= ROUNDING * max(seen), message
