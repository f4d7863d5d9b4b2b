"""Groups built away from the call train the same: each source is run by torch, its translation by MindSpore.

A step of plain SGD from weights of one moves a parameter by lr * (gradient + weight_decay), so two steps from the same place
with gradients of zero and of one show both hyperparameters of every parameter's group.
"""

from __future__ import annotations

from typing import Any

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.later import later

torch = later("torch")
mindspore = later("mindspore")

OPTIONS = Options(Framework("mindspore"), frozenset({Framework("torch")}))
END = "optimizer = torch.optim.SGD(groups, lr=0.25, weight_decay=0.5)\n"
SOURCES = {
    "variable": 'groups = [{"params": net.body.parameters(), "lr": 0.125}, dict(params=net.head.parameters(), weight_decay=0.0)]\n',
    "appended": (
        'groups = []\ngroups.append({"params": net.body.parameters()})\n'
        'groups += [{"params": net.head.parameters(), "lr": 0.125, "weight_decay": 1.0}]\n'
    ),
    "no decay": (
        'no_decay = ["bias"]\n'
        "named = list(net.named_parameters())\n"
        'groups = [{"params": [p for n, p in named if not any(nd in n for nd in no_decay)], "weight_decay": 0.75},\n'
        '          {"params": [p for n, p in named if any(nd in n for nd in no_decay)], "weight_decay": 0.0}]\n'
    ),
    "loop": (
        "groups = []\nfor index, (name, p) in enumerate(net.named_parameters()):\n"
        '    groups.append({"params": p, "lr": 0.5 if "bias" in name else 0.25 / (index + 1)})\n'
    ),
    "helper": (
        "def make(net):\n    decay, rest = [], []\n    for p in net.parameters():\n        if p.ndim > 1:\n"
        "            decay.append(p)\n        else:\n            rest.append(p)\n    return decay, rest\n"
        'decay, rest = make(net)\ngroups = [{"params": decay}, {"params": rest, "weight_decay": 0.0}]\n'
    ),
    "generators": (
        "def rest(net):\n    for p in net.head.parameters():\n        yield p\n"
        'base = filter(lambda p: p.requires_grad, net.body.parameters())\ngroups = [{"params": base, "lr": 0.5}, '
        '{"params": rest(net), "weight_decay": 0.25}]\n'
    ),
    "set later": (
        'groups = [{"params": net.body.parameters()}, {"params": net.head.parameters()}]\ngroups[0]["lr"] = 0.5\n'
        'for group in groups:\n    group["weight_decay"] = 0.25\n'
    ),
    "dict": (
        "named = {}\nfor name, p in net.named_parameters():\n"
        "    key = name.split('.')[0]\n    if key not in named:\n"
        '        named[key] = {"params": [], "lr": 0.5 if key == "body" else 1.0}\n'
        '    named[key]["params"].append(p)\ngroups = list(named.values())\n'
    ),
    "frozen": "net.body.weight.requires_grad = False\ngroups = [p for p in net.parameters() if p.requires_grad]\n",
}


def torch_moves(source: str, gradient: float) -> dict[str, float]:
    """How far each parameter that the optimizer has is moved by one step."""

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)

    net = Net()
    for parameter in net.parameters():
        torch.nn.init.ones_(parameter)
    space: dict[str, Any] = {"net": net}
    exec(source, space)
    held = {id(p) for group in space["optimizer"].param_groups for p in group["params"]}
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    space["optimizer"].step()
    return {name: float(1 - p.detach().flatten()[0]) for name, p in net.named_parameters() if id(p) in held}


def mindspore_moves(source: str, gradient: float) -> dict[str, float]:
    """The same of a translated source."""

    class Net(mindspore.nn.Cell):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = mindspore.nn.Dense(2, 3), mindspore.nn.Dense(3, 1)

    net = Net()
    for parameter in net.get_parameters():
        parameter.set_data(mindspore.ops.ones_like(parameter))
    space: dict[str, Any] = {"net": net}
    exec(source, space)
    held = list(space["optimizer"].parameters)
    space["optimizer"](tuple(mindspore.ops.full_like(p, gradient) for p in held))
    return {p.name: float(1 - p.asnumpy().flatten()[0]) for p in held}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("prefer", Prefer)
def test_translated_groups_move_parameters_as_torch_does(name: str, prefer: Prefer, tables: MappingSet) -> None:
    source = f"import torch\n{SOURCES[name]}{END}"
    result = translate_bytes(source.encode(), tables, OPTIONS._replace(prefer=prefer))
    translated = result.output.decode()
    assert [call.status.value for call in result.calls] == ["translated"]
    assert "torch" not in translated
    for gradient in (0.0, 1.0):
        assert mindspore_moves(translated, gradient) == pytest.approx(torch_moves(source, gradient), abs=1e-6)


def test_a_group_of_a_generator_trains_nothing_under_mindspore() -> None:
    """The reason for the lists that are made of generators."""
    source = 'import mindspore\noptimizer = mindspore.nn.SGD([{"params": (p for p in net.trainable_params())}], learning_rate=0.1)'
    assert mindspore_moves(source, 1.0) == {}
    assert len(mindspore_moves(source.replace("(p", "[*(p").replace("())}", "())]}"), 1.0)) == 4
