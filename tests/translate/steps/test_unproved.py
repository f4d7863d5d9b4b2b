"""What --rewrite-step must prove of parameters and modes: each gets gradients in every step, and models compute as they did."""

from __future__ import annotations

import numpy as np
import pytest

import optmap
from tests.translate.programs import trained

NET = """\
import torch
from torch import nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self, wide=True):
        super().__init__()
        self.wide = wide
        self.first = nn.Linear(2, 4)
        self.spare = nn.Linear(4, 4)
        self.drop = nn.Dropout(0.0)
        self.last = nn.Linear(4, 3)

    def forward(self, x, deep=False):
{body}

model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
for x, y in loader:
    optimizer.zero_grad()
    loss = {loss}
    loss.backward()
    optimizer.step()
"""
REACHED = {
    "plain": ("return self.last(self.spare(self.first(x)))", "F.mse_loss(model(x), y)"),
    "a constant condition": (
        "x = self.first(x)\nif self.wide:\n    x = self.spare(x)\nreturn self.last(x)", "F.mse_loss(model(x), y)",
    ),
    "layers without parameters": (
        "x = self.spare(self.first(x))\nif deep:\n    x = self.drop(x)\nreturn self.last(x)", "F.mse_loss(model(x), y)",
    ),
    "both ways": ("x = self.spare(self.first(x))\nif deep:\n    return self.last(x)\nreturn self.last(x * 2)", "F.mse_loss(model(x), y)"),
    "a method": ("return self.last(self.encode(x))\n\ndef encode(self, x):\n    return self.spare(self.first(x))", "F.mse_loss(model(x), y)"),
}  # fmt: skip
UNREACHED = {
    "a condition on an argument": (
        "x = self.first(x)\nif deep:\n    x = self.spare(x)\nreturn self.last(x)", "F.mse_loss(model(x, x.sum() > 0), y)",
    ),
    "another head": (
        "x = self.first(x)\nreturn self.last(x), self.spare(x)", "F.mse_loss(model(x)[0], y)",
    ),
    "a result that nothing uses": ("x = self.first(x)\naux = self.spare(x)\nreturn self.last(x)", "F.mse_loss(model(x), y)"),
    "a detached result": ("x = self.spare(self.first(x)).detach()\nreturn self.last(x)", "F.mse_loss(model(x), y)"),
    "an early return": (
        "x = self.first(x)\nif deep:\n    return self.last(x)\nreturn self.last(self.spare(x))", "F.mse_loss(model(x), y)",
    ),
    "a part alone": ("return self.last(self.spare(self.first(x)))", "F.mse_loss(model.first(x), y)"),
}  # fmt: skip


def program(body: str, loss: str) -> str:
    lines = body.replace("\ndef ", "\n<def ").split("\n")
    method = any(line.startswith("<") for line in lines)
    text, deep = [], False
    for line in lines:
        deep = deep or line.startswith("<")
        text.append(("    " if deep else "        ") + line.removeprefix("<") if line else "")
    assert method or not deep
    return NET.format(body="\n".join(text), loss=loss)


def codes(text: str, target: str = "mindspore") -> list[tuple[str, str]]:
    found = optmap.translate_source(text, to=target, rewrite_step=True).diagnostics
    return [(item.code.id, item.message) for item in found]


@pytest.mark.parametrize("name", REACHED)
def test_a_step_that_gives_gradients_to_all_is_rewritten(name: str) -> None:
    found = codes(program(*REACHED[name]))
    assert "OM403" in [code for code, _ in found], found


@pytest.mark.parametrize("name", UNREACHED)
def test_a_step_that_may_leave_a_parameter_without_gradients_is_not(name: str) -> None:
    found = codes(program(*UNREACHED[name]))
    assert any(code == "OM402" and "may get no gradient in some steps" in message for code, message in found), found


FREEZING = {
    "behind the optimizer": ("", "for p in model.first.parameters():\n    p.requires_grad = False\n"),
    "in the loop": ("", "model.first.requires_grad_(False)\n"),
    "by a function": ("def freeze(net, on):\n    for p in net.parameters():\n        p.requires_grad = on\n", "freeze(model, False)\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", FREEZING)
def test_what_freezes_parameters_later_is_told_and_refuses_the_step(name: str) -> None:
    before, after = FREEZING[name]
    text = program(*REACHED["plain"]).replace("model = Net", before + "model = Net") + after
    found = codes(text)
    assert "OM227" in [code for code, _ in found]
    assert any(code == "OM402" and "changes which parameters are trained" in message for code, message in found), found
    assert "OM226" in [code for code, _ in codes(text.replace("optimizer =", after + "optimizer ="))]


def test_what_is_frozen_before_alone_changes_nothing() -> None:
    text = program(*REACHED["plain"]).replace("optimizer =", "model.first.requires_grad_(False)\noptimizer =")
    assert {"OM226", "OM227"}.isdisjoint(code for code, _ in codes(text))
    sliced = text.replace("model.parameters()", "list(model.parameters())[:2]")
    assert "OM226" in [code for code, _ in codes(sliced)]
    images = program(*REACHED["plain"]).replace(
        "    optimizer.zero", "    x = x.clone()\n    x.requires_grad = True\n    optimizer.zero"
    )
    assert {"OM226", "OM227"}.isdisjoint(code for code, _ in codes(images))


def test_all_parameters_are_counted_and_those_that_train_are_given() -> None:
    text = (
        program(*REACHED["plain"])
        + "print(sum(p.numel() for p in model.parameters()), next(model.parameters()).dtype)\n"
    )
    output = optmap.translate_source(text, to="mindspore", rewrite_step=True).output.decode()
    assert "SGD(model.trainable_params()," in output
    assert "for p in model.get_parameters()), next(model.get_parameters()).dtype" in output


MODES = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(self.layer(x))

model = Net()
teacher = nn.Sequential(nn.BatchNorm1d(2))
seen = model(torch.ones(4, 2)).sum()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
criterion = nn.MSELoss()

def train_step(data, label):
    optimizer.zero_grad()
    loss = criterion(model(teacher(data)), label)
    loss.backward()
    optimizer.step()
"""


def test_models_compute_in_the_mode_that_they_had() -> None:
    text = MODES.replace("seen = model(torch.ones(4, 2)).sum()\n", "")
    result = optmap.translate_source(text, to="mindspore", rewrite_step=True)
    assert "teacher.set_train()\n" in result.output.decode()
    before, after = trained("torch", text, 4), trained("mindspore", result.output.decode(), 4)
    assert not isinstance(before, str), before
    assert not isinstance(after, str), after
    np.testing.assert_allclose(before, after, rtol=2e-4)


def test_a_model_that_computes_before_the_steps_is_put_into_training_mode_where_it_is_made() -> None:
    output = optmap.translate_source(MODES, to="mindspore", rewrite_step=True).output.decode()
    assert "model = Net()\nmodel.set_train()\n" in output
