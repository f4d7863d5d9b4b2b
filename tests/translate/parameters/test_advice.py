"""Advice names the value and the model of the very call, where it shows them."""

from __future__ import annotations

import pytest

import optmap

CASES = [
    (
        "net.trainable_params(), 0.1, 0.9, loss_scale=config.loss_scale",
        "in net.parameters():\n    if p.grad is not None:\n        p.grad.div_(config.loss_scale)",
    ),
    (
        "self.net.get_parameters(), 0.1, 0.9, loss_scale=c['scale']",
        "in self.net.parameters():\n    if p.grad is not None:\n        p.grad.div_(c['scale'])",
    ),
    (
        "net.trainable_params(), 0.1, 0.9, 0.0, 1024.0",
        "in net.parameters():\n    if p.grad is not None:\n        p.grad.div_(1024.0)",
    ),
    (
        "params, 0.1, 0.9, loss_scale=scale()",
        "in model.parameters():\n    if p.grad is not None:\n        p.grad.div_(loss_scale)",
    ),
    (
        "x.trainable_params() + y.trainable_params(), 0.1, 0.9, loss_scale=s",
        "in model.parameters():\n    if p.grad is not None:\n        p.grad.div_(s)",
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), CASES)
def test_a_refused_loss_scale(arguments: str, expected: str) -> None:
    text = f"from mindspore import nn\ntrain(nn.Momentum({arguments}))\n"
    said = optmap.translate_source(text, to="torch", sources=["mindspore"]).diagnostics
    assert [item.code.id for item in said if expected in (item.replacement or "")] == ["OM201"]
