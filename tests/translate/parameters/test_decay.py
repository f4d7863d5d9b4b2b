"""The code that the messages on MindSpore's decay filter give reproduces the source's weight decay, in both directions.

With gradients of zero only weight decay moves parameters, so those that a step moves are those that are decayed.
"""

from __future__ import annotations

import re
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

LAYERS = {"dense.weight": "weight", "dense.bias": "bias", "layer.weight": "gamma", "layer.bias": "beta",
          "batch.weight": "gamma", "batch.bias": "beta", "group.weight": "gamma", "group.bias": "beta",
          "table.weight": "embedding_table"}  # fmt: skip
"""Parameters by their torch names, and the last part of MindSpore's."""
TO_MINDSPORE = ["Adam", "AdamW", "Adamax", "SGD", "Adadelta", "ASGD"]
TO_TORCH = ["Adam", "AdamWeightDecay", "AdaMax", "SGD", "Momentum", "Adadelta", "ASGD"]
MORE = {"ASGD": ", lambd=0.0", "Momentum": ", momentum=0.9"}


def torch_network() -> Any:
    net = torch.nn.Module()
    net.dense, net.layer, net.batch = torch.nn.Linear(2, 3), torch.nn.LayerNorm(3), torch.nn.BatchNorm1d(3)
    net.group, net.table = torch.nn.GroupNorm(1, 3), torch.nn.Embedding(4, 2)
    for parameter in net.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    return net


def torch_decays(statements: str) -> set[str]:
    net = torch_network()
    space: dict[str, Any] = {"net": net, "torch": torch}
    exec(statements, space)
    space["optimizer"].step()
    return {name for name, p in net.named_parameters() if float(p.detach().flatten()[0]) != 1}


def mindspore_decays(statements: str) -> set[str]:
    """Names as torch's."""

    class Net(mindspore.nn.Cell):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.layer = mindspore.nn.Dense(2, 3), mindspore.nn.LayerNorm((3,))
            self.batch, self.group = mindspore.nn.BatchNorm1d(3), mindspore.nn.GroupNorm(1, 3)
            self.table = mindspore.nn.Embedding(4, 2)

    net = Net()
    for parameter in net.get_parameters():
        parameter.set_data(mindspore.ops.ones_like(parameter))
    space: dict[str, Any] = {"net": net, "mindspore": mindspore}
    exec(statements, space)
    held = list(space["optimizer"].parameters)
    space["optimizer"](tuple(mindspore.ops.zeros_like(p) for p in held))
    moved = {p.name for p in held if float(p.asnumpy().flatten()[0]) != 1}
    return {name for name, last in LAYERS.items() if f"{name.partition('.')[0]}.{last}" in moved}


def translate(source: str, target: Framework, tables: MappingSet) -> tuple[str, str, str]:
    """The translated source, the message on the decay filter, and the code below it."""
    options = Options(target, frozenset(Framework) - {target}, Prefer.DOCUMENTED)
    result = translate_bytes(source.encode(), tables, options)
    (found,) = [item for item in result.diagnostics if "weight decay" in item.message]
    return result.output.decode(), found.message, found.replacement or ""


@pytest.mark.parametrize(("name", "parameters"), [
    *((name, "net.parameters()") for name in TO_MINDSPORE),
    ("SGD", "filter(lambda p: p.requires_grad, net.parameters())"), ("SGD", "(p for p in net.parameters())"),
])  # fmt: skip
def test_the_group_to_write_decays_what_torch_decays(name: str, parameters: str, tables: MappingSet) -> None:
    source = (
        f"import torch\noptimizer = torch.optim.{name}({parameters}, lr=0.1, weight_decay=0.5{MORE.get(name, '')})\n"
    )
    output, message, code = translate(source, Framework("mindspore"), tables)
    advice = re.search(r"write in place of (.+)$", message)
    assert advice is not None
    assert output.count(advice[1]) == 1
    expected = torch_decays(source)
    assert mindspore_decays(output.replace(advice[1], code)) == expected == set(LAYERS)
    assert mindspore_decays(output) < expected


@pytest.mark.parametrize("name", TO_TORCH)
def test_the_groups_to_write_spare_what_mindspore_spares(name: str, tables: MappingSet) -> None:
    more = f"learning_rate=0.1, weight_decay=0.5{MORE.get(name, '')}"
    source = f"import mindspore\noptimizer = mindspore.nn.{name}(net.trainable_params(), {more})\n"
    output, message, code = translate(source, Framework("torch"), tables)
    advice = re.search(r"give groups in place of (.+)$", message)
    assert advice is not None
    assert output.count(advice[1]) == 1
    expected = mindspore_decays(source)
    assert expected == {"dense.weight", "dense.bias", "table.weight"}
    assert torch_decays(f"{code}\n{output.replace(advice[1], 'groups')}") == expected
    assert torch_decays(output) > expected
    assert '"weight_decay": 0.5' in code


def test_what_keras_has_is_named(tables: MappingSet) -> None:
    source = "import mindspore\noptimizer = mindspore.nn.AdamWeightDecay(net.trainable_params(), weight_decay=0.5)\n"
    _, message, _ = translate(source, Framework("tensorflow"), tables)
    assert 'exclude_from_weight_decay(var_names=["beta", "gamma"])' in message


@pytest.mark.parametrize("source", [
    "torch.optim.SGD(net.parameters(), lr=0.1)",
    "torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.0)",
    'torch.optim.SGD([{"params": net.parameters()}], lr=0.1, weight_decay=0.5)',
])  # fmt: skip
def test_no_advice_without_decay_or_with_groups(source: str, tables: MappingSet) -> None:
    options = Options(Framework("mindspore"), frozenset({Framework("torch")}))
    result = translate_bytes(f"import torch\noptimizer = {source}\n".encode(), tables, options)
    assert result.changed
    assert not any("decay" in item.message for item in result.diagnostics)
