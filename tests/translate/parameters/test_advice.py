"""Advice names the value and the model of the very call, where it shows them."""

from __future__ import annotations

import pytest

import optmap

CASES = [
    (
        "net.trainable_params(), 0.1, 0.9, loss_scale=config.loss_scale",
        "div_(config.loss_scale) for p in net.parameters()",
    ),
    ("self.net.get_parameters(), 0.1, 0.9, loss_scale=c['scale']", "div_(c['scale']) for p in self.net.parameters()"),
    ("net.trainable_params(), 0.1, 0.9, 0.0, 1024.0", "div_(1024.0) for p in net.parameters()"),
    ("params, 0.1, 0.9, loss_scale=scale()", "div_(loss_scale) for p in model.parameters()"),
    ("x.trainable_params() + y.trainable_params(), 0.1, 0.9, loss_scale=s", "div_(s) for p in model.parameters()"),
]


@pytest.mark.parametrize(("arguments", "expected"), CASES)
def test_a_refused_loss_scale(arguments: str, expected: str) -> None:
    text = f"from mindspore import nn\noptimizer = nn.Momentum({arguments})\n"
    said = optmap.translate_source(text, to="torch", sources=["mindspore"]).diagnostics
    assert [item.code.id for item in said if expected in item.message] == ["OM201"]
