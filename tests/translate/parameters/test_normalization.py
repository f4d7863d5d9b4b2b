"""Weight decay that normalization layers lose or gain is only spoken of where the model may have such layers."""

from __future__ import annotations

import pytest

import optmap

START = "import torch\nfrom torch import nn\n"
CALL = "opt = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=1e-4)\n"
NET = """\
class Net(nn.Module):
    def __init__(self, n: int):
        super().__init__()
        self.first = nn.Linear(n, 3)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(3, 2))

    def forward(self, x):
        return self.rest(self.first(x))

net = Net(3)
"""
WITHOUT = {
    "a class": NET,
    "a container": "net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())\n",
    "a layer": "net = nn.Linear(2, 3)\n",
    "words that only look like them": NET
    + "nn.utils.clip_grad_norm_(net.parameters(), torch.distributions.Normal(1, 2))\n",
    "a class in a class": NET.replace("nn.Linear(n, 3)", "Part()") + "class Part(nn.Module):\n    pass\n",
}
PERHAPS = {
    "a normalization layer": "net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))\n",
    "layers that normalize inside": "net = nn.TransformerEncoderLayer(8, 2)\n",
    "a function elsewhere": "net = make()\n",
    "a class elsewhere": "from models import Net\nnet = Net()\n",
    "a base elsewhere": "from models import Base\n" + NET.replace("nn.Module", "Base"),
    "a part elsewhere": NET.replace("nn.Linear(n, 3)", "make()"),
    "a part set from outside": NET + "net.more = make()\n",
    "a part set by name": NET + "setattr(net, name, part)\n",
    "a part that is added": NET + "net.rest.append(make())\n",
    "a part that is registered": NET + "net.add_module('more', part)\n",
    "a part that is one of two": NET + "if c:\n    net = make()\n",
    "a list that grows": "parts = [nn.Linear(2, 3)]\nparts.append(make())\nnet = nn.Sequential(*parts)\n",
    "a list that is added to": "parts = [nn.Linear(2, 3)]\nparts += make()\nnet = nn.Sequential(*parts)\n",
    "a list that others get": "parts = [nn.Linear(2, 3)]\nfill(parts)\nnet = nn.Sequential(*parts)\n",
    "a model of the hub": "net = torch.hub.load('pytorch/vision', 'resnet18')\n",
    "a model that is loaded": "net = torch.load('net.pt')\n",
    "a model that is compiled": "net = torch.compile(make())\n",
    "a layer that a function changes": "net = nn.utils.spectral_norm(make())\n",
    "a list of parts": NET.replace("nn.Linear(n, 3)", "nn.ModuleList([make() for _ in range(n)])"),
    "a name like theirs": NET.replace("self.first", "self.gamma_part"),
    "another name like theirs": NET.replace("self.first", "self.beta"),
}


def said(text: str, to: str = "mindspore") -> list[str]:
    found = optmap.translate_source(text, to=to).diagnostics
    return [item.message for item in found if item.code.id == "OM111" and "weight decay" in item.message]


@pytest.mark.parametrize("name", WITHOUT)
def test_nothing_is_said_where_no_layer_normalizes(name: str) -> None:
    assert said(START + WITHOUT[name] + CALL) == []


@pytest.mark.parametrize("name", PERHAPS)
def test_it_is_said_where_a_layer_may_normalize(name: str) -> None:
    (message,) = said(START + PERHAPS[name] + CALL)
    assert message.startswith("BatchNorm and LayerNorm weights lose weight decay")


def test_all_models_count() -> None:
    both = CALL.replace("net.parameters()", "[*net.parameters(), *other.parameters()]")
    assert len(said(START + NET + both)) == 1
    assert said(START + NET + "other = nn.Linear(2, 3)\n" + both) == []


def test_from_mindspore() -> None:
    start, call = (
        "from mindspore import nn\n",
        "opt = nn.Momentum(net.trainable_params(), 0.1, 0.9, weight_decay=1e-4)\n",
    )
    assert said(f"{start}net = nn.Dense(2, 3)\n{call}", "torch") == []
    assert len(said(f"{start}net = nn.SequentialCell(nn.Dense(2, 3), nn.BatchNorm1d(3))\n{call}", "torch")) == 1
