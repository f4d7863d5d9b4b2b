"""What the vendors' pages get wrong about schedules, got right: each claim against the real framework; and the advice runs."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

import numpy as np
import pytest

from optmap.conformance.schedules import rates
from optmap.mapping.framework import Framework
from optmap.mapping.load import load_schedules
from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.conformance.test_schedules import K, N, T, real

SCHEDULES = load_schedules()


def translated(tables: MappingSet, call: str, target: str = "mindspore", total: int = 120) -> Any:
    """The schedule that the translator makes of one, as (name, arguments); or the message that refuses it."""
    text = f"import tensorflow as tf\nimport mindspore\nx = {OPTIMIZERS[call.partition('.')[0]].format(call)}\n"
    sources = frozenset(Framework) - {target}
    options = Options(Framework(target), sources, params="net.trainable_params()", quantities=(("total_steps", total),))
    result = translate_bytes(text.encode(), tables, options)
    for node in ast.walk(ast.parse(result.output)):
        if isinstance(node, ast.Call) and result.changed:
            name = ast.unparse(node.func)
            if name in SCHEDULES.apis:
                return name, {item.arg: ast.literal_eval(item.value) for item in node.keywords}
    return "\n".join(f"{item.message}\n{item.replacement}" for item in result.diagnostics)


OPTIMIZERS = {"tf": "tf.keras.optimizers.Adam({})", "mindspore": "mindspore.nn.Adam(net.trainable_params(), {})"}


@pytest.mark.parametrize(("row", "source", "arguments"), [
    ("TF-COS-1", K + "CosineDecay", {"initial_learning_rate": 0.2, "decay_steps": 50, "alpha": 0.3}),
    ("TF-COS-2", K + "CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 50}),
    ("LR-PW-2", K + "PiecewiseConstantDecay", {"boundaries": [10, 40], "values": [0.1, 0.05, 0.01]}),
    ("TF-EXP-1", K + "ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}),
    ("TF-EXP-3", K + "ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 1, "staircase": True}),
    ("LR-ALL-1", K + "PolynomialDecay", {"initial_learning_rate": 1.0, "decay_steps": 1e2, "end_learning_rate": 0, "power": 1}),
    ("TF-EXP-2", N + "exponential_decay_lr",
     {"learning_rate": 0.1, "decay_rate": 0.9, "total_step": 120, "step_per_epoch": 1, "decay_epoch": 10, "is_stair": True}),
    ("LR-EXP-1", N + "exponential_decay_lr",
     {"learning_rate": 0.1, "decay_rate": 0.9, "total_step": 120, "step_per_epoch": 8, "decay_epoch": 3, "is_stair": True}),
])  # fmt: skip
def test_the_translation_gives_the_rates_of_the_source(
    row: str, source: str, arguments: dict[str, Any], tables: MappingSet
) -> None:
    to = Framework("tensorflow") if source.startswith(N) else Framework("mindspore")
    call = f"{source}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
    name, given = translated(tables, call, to)
    left, right = real(source, arguments), real(name, given)
    assert np.abs(left - right).max() <= 2e-6 * left.max(), row


def test_the_horizon_is_not_the_length_of_the_list() -> None:
    """LR-COS-1, LR-COS-2: T_max is decay_epoch, and after it torch climbs where MindSpore holds."""
    section = SCHEDULES.apis[N + "cosine_decay_lr"]
    listed = rates(SCHEDULES, section, {
        "min_lr": 0.01, "max_lr": 0.1, "total_step": 6, "step_per_epoch": 1, "decay_epoch": 2,
    }, 6)  # fmt: skip
    stepped = real(T + "CosineAnnealingLR", {"T_max": 2, "eta_min": 0.01}, 6)
    assert listed[:3] == pytest.approx(stepped[:3])
    assert listed[3:] == pytest.approx([0.01] * 3)
    assert stepped[3:] == pytest.approx([0.055, 0.1, 0.055])


def test_another_formula_is_refused(tables: MappingSet) -> None:
    """TF-COS-4: linear_cosine_decay is not CosineDecayLR."""
    text = b"import tensorflow as tf\ntf.compat.v1.train.AdamOptimizer(tf.compat.v1.train.linear_cosine_decay(0.1, s, 9))\n"
    options = Options(Framework("mindspore"), frozenset({Framework("tensorflow")}), params="p")
    result = translate_bytes(text, tables, options)
    assert not result.changed
    assert any("no counterpart" in item.message for item in result.diagnostics)


@pytest.mark.parametrize(("source", "arguments"), [
    (K + "CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 9, "t_mul": 2.0, "m_mul": 0.8, "alpha": 0.1}),
    (K + "CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.0, "m_mul": 0.9}),
    (K + "CosineDecay", {"initial_learning_rate": 0.02, "decay_steps": 50, "alpha": 0.1, "warmup_target": 0.1, "warmup_steps": 20}),
    (K + "PolynomialDecay", {"initial_learning_rate": 0.0, "decay_steps": 30, "end_learning_rate": 0.1, "power": 2.0}),
    (K + "PolynomialDecay", {"initial_learning_rate": 0.0, "decay_steps": 30, "end_learning_rate": 0.1, "power": 2.0, "cycle": True}),
])  # fmt: skip
def test_the_list_that_is_advised_has_the_rates(source: str, arguments: dict[str, Any], tables: MappingSet) -> None:
    call = f"{source}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
    message = translated(tables, call)
    shown = re.search(r"pass a list with the rate of every step\nrates = (\[.*\])", message)
    assert shown is not None, message
    made = eval(shown[1], {"math": math, "total_steps": 120})
    expected = real(source, arguments)
    assert np.abs(np.array(made) - expected).max() <= 2e-5 * expected.max()


@pytest.mark.parametrize(("source", "arguments"), [
    (K + "ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}),
    (K + "InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True}),
    (K + "CosineDecay", {"initial_learning_rate": 0.2, "decay_steps": 50, "alpha": 0.3}),
    (K + "PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 50}),
    (K + "PiecewiseConstantDecay", {"boundaries": [10, 40], "values": [0.1, 0.05, 0.01]}),
])  # fmt: skip
def test_the_function_that_is_advised_has_the_rates(source: str, arguments: dict[str, Any], tables: MappingSet) -> None:
    call = f"{source}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
    text = f"import tensorflow as tf\nmodel.compile(tf.keras.optimizers.Adam({call}))\n"
    options = Options(Framework("torch"), frozenset({Framework("tensorflow")}), params="p")
    found = translate_bytes(text.encode(), tables, options).diagnostics
    message = "\n".join(f"{item.message}\n{item.replacement}" for item in found)
    shown = re.search(
        r"lr=(\S+) and .*\nscheduler = torch.optim.lr_scheduler.LambdaLR\(optimizer, (lambda step: .*)\)", message
    )
    assert shown is not None, message
    factor = eval(shown[2], {"math": math})
    made = np.array([float(shown[1]) * factor(step) for step in range(120)])
    expected = real(source, arguments)
    assert np.abs(made - expected).max() <= 2e-6 * expected.max()
