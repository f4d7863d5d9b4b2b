"""Learning rates that MindSpore code computes with a function: which may pass as numbers, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

import optmap

HEAD = """\
import numpy as np
import mindspore.nn as nn
from mindspore.common.tensor import Tensor
from src.rates import get_lr, TransformerLR, scale

def own(n):
    rates = []
    for i in range(n):
        rates.append(0.1)
    return np.array(rates).astype(np.float32)

def scalar(epoch):
    return 0.1 * 0.9 ** epoch

lr = get_lr(cfg)
"""


def said(rate: str, to: str = "torch", faithful: bool = False) -> list[str]:
    text = f"{HEAD}train(nn.Momentum(net.trainable_params(), {rate}, 0.9))\n"
    found = optmap.translate_source(text, to=to, sources=["mindspore"], faithful=faithful).diagnostics
    return [f"{item.message}\n{item.replacement or ''}" for item in found if item.code.id == "OM205"]


@pytest.mark.parametrize(
    "rate", ["float(get_lr(cfg))", "scalar(3)", "args.lr * scale(2)", "float(lr)", "args.lr", "0.1"]
)
def test_a_number_passes(rate: str) -> None:
    assert said(rate) == []


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ("lr", "what get_lr(...) returns, perhaps a rate for each step"),
        ("get_lr(cfg, 3)", "\nrates = get_lr(cfg, 3)\n"),
        ("own(3)", "a numpy array with a value for each step"),
        ("own(3)", "\nrates = own(3)\n"),
        ("np.array(lr)", "float(lr[min(step, len(lr) - 1)])"),
        (
            "np.array(nn.cosine_decay_lr(0.0, 1.0, 10, 5, 2)).astype(np.float32)",
            "a numpy array with a value for each step",
        ),
        ("Tensor(lr)", "a MindSpore tensor"),
        ("TransformerLR(3)", "an object of TransformerLR"),
        ("TransformerLR(3)", "float(TransformerLR(3).construct(step))"),
    ],
)
def test_what_may_be_more_than_a_number_is_refused(rate: str, expected: str) -> None:
    (message,) = said(rate)
    assert expected in message


def test_the_advice_for_tensorflow_1_gives_each_step_its_rate() -> None:
    tf = pytest.importorskip("tensorflow")
    (message,) = said("lr", "tensorflow", faithful=True)
    assert "global_step=step" in message
    made: dict[str, Any] = {"tf": tf, "lr": [0.5, 0.25, 0.125]}
    exec(message.partition("\n")[2], made)
    made["step"].assign(0)
    optimizer = tf.compat.v1.train.MomentumOptimizer(made["learning_rate"], 0.0)
    variable = tf.Variable(0.0)
    values = []
    for _ in range(4):
        optimizer.apply_gradients([(tf.constant(-1.0), variable)], global_step=made["step"])
        values.append(float(variable.numpy()))
    assert values == [0.5, 0.75, 0.875, 1.0]


@pytest.mark.parametrize("rate", ["nn.cosine_decay_lr(0.0, 0.1, 100, 10, 10)", "nn.CosineDecayLR(0.0, 0.1, 100)"])
def test_a_schedule_of_mindspore_that_is_not_followed_is_no_class_of_the_file(rate: str) -> None:
    text = (
        "from mindspore import nn\nclass Trainer:\n    def __init__(self, net):\n"
        f"        self.lr = {rate}\n        self.opt = nn.SGD(net.trainable_params(), self.lr)\n"
    )
    found = optmap.translate_source(text, to="torch", sources=["mindspore"])
    (message,) = (item.message for item in found.diagnostics if item.code.id == "OM205")
    assert "bind it to a name" in message
    assert "construct" not in message


def test_a_decay_that_groups_set_is_named_rather_than_given() -> None:
    text = "from mindspore import nn\nopt = nn.Adam([{'params': net.trainable_params(), 'weight_decay': 1e-4}], 1e-3)\n"
    found = optmap.translate_source(text, to="tensorflow", sources=["mindspore"]).diagnostics
    assert any("L2(weight_decay / 2)" in item.message for item in found)
    assert not any("0.0 / 2" in item.message for item in found)
