"""Ways to hold an optimizer: where a step is not followed, the file is told so, with the line."""

from __future__ import annotations

import pytest

import optmap

FOLLOWED = ("walrus", "global")
SILENT = ("lightning", "elsewhere")
"""No step stands in these files."""
TEXTS = {
    "tuple": "def make(net):\n    return net, torch.optim.SGD(net.parameters(), 0.1)\nn, o = make(net)\nn(x).backward()\no.step()\n",
    "tuple2": "def make(net):\n    o = torch.optim.SGD(net.parameters(), 0.1)\n    return [o, net]\nr = make(net)\nn(x).backward()\nr[0].step()\n",
    "dict": "d = {'o': torch.optim.SGD(net.parameters(), 0.1)}\nn(x).backward()\nd['o'].step()\n",
    "list": "os = [torch.optim.SGD(net.parameters(), 0.1)]\nn(x).backward()\nfor o in os:\n    o.step()\n",
    "dataclass": "@dataclass\nclass S:\n    o: object\ns = S(torch.optim.SGD(net.parameters(), 0.1))\nn(x).backward()\ns.o.step()\n",
    "chain": "o = p = torch.optim.SGD(net.parameters(), 0.1)\nn(x).backward()\np.step()\n",
    "alias": "o = torch.optim.SGD(net.parameters(), 0.1)\np = o\nn(x).backward()\np.step()\n",
    "ternary": "o = torch.optim.SGD(net.parameters(), 0.1) if a else None\nn(x).backward()\no.step()\n",
    "walrus": "if (o := torch.optim.SGD(net.parameters(), 0.1)):\n    n(x).backward()\n    o.step()\n",
    "selfmake": "class T:\n    def __init__(self, net):\n        self.o = self.make(net)\n    def make(self, net):\n        return torch.optim.SGD(net.parameters(), 0.1)\n    def fit(self, x):\n        n(x).backward()\n        self.o.step()\n",
    "base": "class B:\n    def __init__(self, net):\n        self.o = torch.optim.SGD(net.parameters(), 0.1)\nclass T(B):\n    def fit(self, x):\n        n(x).backward()\n        self.o.step()\n",
    "method": "class T:\n    def fit(self, opt, x):\n        n(x).backward()\n        opt.step()\nT().fit(torch.optim.SGD(net.parameters(), 0.1), x)\n",
    "wrapper": "o = Wrap(torch.optim.SGD(net.parameters(), 0.1))\nn(x).backward()\no.step()\n",
    "lightning": "class L:\n    def configure_optimizers(self):\n        return torch.optim.SGD(self.parameters(), 0.1)\n    def training_step(self, b):\n        return self(b)\n",
    "attr": "t = T()\nt.o = torch.optim.SGD(net.parameters(), 0.1)\nn(x).backward()\nt.o.step()\n",
    "noopt": "o = torch.optim.SGD(net.parameters(), 0.1)\ndef f(net):\n    n(x).backward()\n    for p in net.parameters():\n        p.data -= 0.1 * p.grad\n",
    "global": "def init():\n    global o\n    o = torch.optim.SGD(net.parameters(), 0.1)\ndef f():\n    n(x).backward()\n    o.step()\n",
    "getattr": "o = torch.optim.SGD(net.parameters(), 0.1)\nn(x).backward()\ngetattr(o, 'step')()\n",
    "bound": "o = torch.optim.SGD(net.parameters(), 0.1)\nstep = o.step\nn(x).backward()\nstep()\n",
    "partial": "mk = lambda: torch.optim.SGD(net.parameters(), 0.1)\no = mk()\nn(x).backward()\no.step()\n",
    "comp": "os = [torch.optim.SGD(m.parameters(), 0.1) for m in nets]\nn(x).backward()\nfor o in os: o.step()\n",
    "comp2": "os = [torch.optim.SGD(m.parameters(), 0.1) for m in nets]\nn(x).backward()\n[o.step() for o in os]\n",
    "append": "os = []\nos.append(torch.optim.SGD(net.parameters(), 0.1))\nn(x).backward()\nos[0].step()\n",
    "yield": "def g():\n    yield torch.optim.SGD(net.parameters(), 0.1)\nfor o in g():\n    n(x).backward()\n    o.step()\n",
    "elsewhere": "import trainer\no = torch.optim.SGD(net.parameters(), 0.1)\ntrainer.fit(net, o, loader)\n",
}


def said(text: str, target: str, code: str) -> list[str]:
    found = optmap.translate_source(text, to=target).diagnostics
    return [item.message for item in found if item.code.id == code]


@pytest.mark.parametrize("target", ["mindspore", "tensorflow"])
@pytest.mark.parametrize("name", TEXTS)
def test_no_step_goes_without_a_word(name: str, target: str) -> None:
    text = "import torch\n" + TEXTS[name]
    assert len(said(text, target, "OM401")) == (name in FOLLOWED)
    assert len(said(text, target, "OM408")) == (name not in (*FOLLOWED, *SILENT))


def test_the_message_has_the_lines() -> None:
    (message,) = said("import torch\n" + TEXTS["alias"], "mindspore", "OM408")
    assert message == "an optimizer that optmap did not follow may step here (lines 4 and 5)"


OTHERS = """\
import torch
from torch.optim.lr_scheduler import StepLR

class Env:
    def step(self):
        pass

def train(optimizer, scheduler, env, gym):
    Env().step()
    env = Env()
    env.step()
    observation = gym.step(action)
    scheduler.step()

optimizer = torch.optim.SGD(net.parameters(), 0.1)
decay = StepLR(optimizer, 3)
train(optimizer, decay, None, None)
with torch.profiler.profile() as prof:
    prof.step()
"""


def test_what_else_has_a_method_of_that_name_is_left_alone() -> None:
    assert said(OTHERS, "tensorflow", "OM408") == []


GRADIENTS = """\
import mindspore as ms
from mindspore import nn, ops

class TrainStep(nn.Cell):
    def __init__(self, net, optimizer):
        super().__init__()
        self.optimizer = optimizer
        self.grad = ops.GradOperation(get_by_list=True)

    def construct(self, *inputs):
        loss = self.net(*inputs)
        grads = self.grad(self.net, self.weights)(*inputs)
        self.optimizer(grads)
        return loss

step = TrainStep(net, nn.Adam(net.trainable_params()))
"""


@pytest.mark.parametrize("target", ["torch", "tensorflow"])
def test_a_cell_that_takes_gradients_itself_is_reported(target: str) -> None:
    assert len(said(GRADIENTS, target, "OM408")) == 1
