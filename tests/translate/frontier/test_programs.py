"""Programs in which frameworks would meet: what the frontier lets through runs, and what would mix them is not written."""

from __future__ import annotations

import ast
import re

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.translate.programs import trained

HEAD = """
import functools
import torch
import torch.nn.functional as F
from torch import nn
"""
MODEL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 4)
        self.last = {last}

    {decorator}
    def forward(self, x):
        {forward}
        return self.last(torch.tanh(self.first(x)))

{before}
model = {model}
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

def train_step(data, label):
    {context}
    model.train()
    optimizer.zero_grad()
    loss = {loss}
    loss.backward()
    optimizer.step()
"""
PLAIN = {
    "last": "nn.Linear(4, 3)", "decorator": "", "forward": "pass", "before": "", "model": "Net()", "context": "",
    "loss": "criterion(model(data), label)",
}  # fmt: skip


def program(**given: str) -> str:
    return HEAD + MODEL.format(**{**PLAIN, **given})


MIXED = {
    "a layer that no row knows": (program(last="nn.Bilinear(4, 4, 3)"), "nn.Bilinear", 11),
    "a layer of another package": (
        program(last="SGConv(4, 3)").replace("import functools\n", "from torch_geometric.nn import SGConv\n"),
        "SGConv", 11,
    ),
    "a layer of another file": (
        program(last="nn.Sequential(nn.ReLU(), Block(4, 3))").replace("import functools\n", "from .blocks import Block\n"),
        "Block", 11,
    ),
    "a function that no row knows": (program(forward="x = torch.special.erf(x)"), "torch.special.erf", 15),
    "a function of the file": (
        program(before="def scaled(x):\n    return torch.special.erf(x)", forward="x = scaled(x)"),
        "torch.special.erf", 19,
    ),
    "a context in the model": (
        program(forward="with torch.autocast('cpu'):\n            x = x + 1"), "torch.autocast", 15,
    ),
    "a decorator of the model": (program(decorator="@torch.no_grad()"), "torch.no_grad", 13),
    "a decorator with arguments": (
        program(decorator="@functools.partial(torch.compile, dynamic=True)"), "torch.compile", 13,
    ),
    "a model that is compiled": (program(model="torch.compile(Net())"), "torch.compile", 19),
    "a model on several devices": (program(model="nn.DataParallel(Net())"), "nn.DataParallel", 19),
    "a loss that no row knows": (program(loss="F.poisson_nll_loss(model(data), label)"), "F.poisson_nll_loss", 27),
    "a tensor beside the loss": (
        program(loss="criterion(model(data), label) + torch.special.erf(torch.ones(1))"), "torch.special.erf", 27,
    ),
    "a decorator of the step": (
        program(context="pass").replace("def train_step", "@torch.enable_grad()\ndef train_step"), "torch.enable_grad", 23,
    ),
    "a layer that is passed in": (
        program(before="body = nn.Bilinear(4, 4, 3)").replace("def __init__(self)", "def __init__(self, last)")
        .replace("self.last = nn.Linear(4, 3)", "self.last = last").replace("Net()", "Net(body)"),
        "nn.Bilinear", 18,
    ),
    "a layer that is set later": (program(context="model.last = nn.Bilinear(4, 4, 3)"), "nn.Bilinear", 24),
    "a layer that is added": (program(context="model.add_module('more', nn.Bilinear(4, 4, 3))"), "nn.Bilinear", 24),
    "a layer that a function of another file makes": (
        program(last="make_block(4, 3)").replace("import functools\n", "from .blocks import make_block\n"), "make_block", 11,
    ),
    "a container with a layer of another file": (
        program(model="nn.Sequential(nn.Linear(2, 4), Block(4, 3))").replace("import functools\n", "from blocks import Block\n"),
        "Block", 19,
    ),
    "a loss object that no row knows": (
        program().replace("nn.CrossEntropyLoss()", "nn.PoissonNLLLoss()"), "nn.PoissonNLLLoss", 20,
    ),
    "a tensor that stays torch's": (
        program(before="weight = torch.special.erf(torch.ones(3))", loss="(criterion(model(data), label) * weight).sum()"),
        "torch.special.erf", 18,
    ),
    "a tensor that a function gives": (
        program(
            before="def noise(x):\n    return torch.special.erf(x)", context="extra = noise(data)",
            loss="criterion(model(data + extra), label)",
        ),
        "torch.special.erf", 19,
    ),
    "layers that are appended": (
        program(last="nn.Sequential(*layers)", decorator="").replace("import functools\n", "from blocks import Block\n")
        .replace("        self.first", "        layers = []\n        layers.append(Block(4, 3))\n        self.first"),
        "Block", 11,
    ),
    "a base class of another file": (
        program().replace("import functools\n", "from base import Base\n").replace("class Net(nn.Module)", "class Net(Base)"),
        "Base", 7,
    ),
    "a layer by its name": (program(last="getattr(nn, 'Bilinear')(4, 4, 3)"), "nn", 11),
    "a layer of a table": (
        program(before="layers = {'first': nn.Bilinear}").replace("nn.Linear(4, 3)", "layers['first'](4, 4, 3)"),
        "nn.Bilinear", 18,
    ),
    "a layer as a default": (
        program().replace("__init__(self)", "__init__(self, last=nn.Bilinear)").replace("nn.Linear(4, 3)", "last(4, 4, 3)"),
        "nn.Bilinear", 8,
    ),
    "a layer of functools.partial": (
        program(before="last = functools.partial(nn.Bilinear, 4)").replace("nn.Linear(4, 3)", "last(4, 3)"), "nn.Bilinear", 18,
    ),
    "a step that is compiled": (program() + "\ntrain_step = torch.compile(train_step)\n", "torch.compile", 31),
    "a step that runs under a context": (
        program() + "\nwith torch.autocast('cpu'):\n    train_step(1, 2)\n", "torch.autocast", 31,
    ),
    "a context by its name": (
        program(before="precise = torch.autocast('cpu')") + "\nwith precise:\n    train_step(1, 2)\n", "precise", 31,
    ),
    "a setting for the whole file": (program(before="torch.set_default_dtype(torch.float64)"), "torch.set_default_dtype", 18),
}  # fmt: skip
TAPE = """
import tensorflow as tf

model = build()
loss_fn = {loss}
opt = tf.keras.optimizers.SGD(0.1)

{decorator}
def step(x, y):
    with tf.GradientTape() as tape:
        loss = loss_fn(y, model(x, training=True))
    grads = tape.gradient(loss, model.trainable_variables)
    opt.apply_gradients(zip(grads, model.trainable_variables))
{after}
"""
FUNCTION = """
import mindspore as ms
from mindspore import nn, ops

net = build()
opt = nn.SGD(net.trainable_params(), 0.1)

{decorator}
def forward(x, y):
    return {value}

grad_fn = ms.value_and_grad(forward, None, opt.parameters)

def step(x, y):
    loss, grads = grad_fn(x, y)
    opt(grads)
    return loss
{after}
"""
USUAL = {"decorator": "", "after": "", "loss": "make_loss()", "value": "loss_fn(net(x), y)"}
OTHERS = {
    "tf.function by a call": (TAPE, {"after": "fast = tf.function(step)"}, "tf.function", 14),
    "a device": (TAPE, {"after": "with tf.device('/gpu:0'):\n    step(1, 2)"}, "tf.device", 14),
    "a strategy": (
        TAPE, {"after": "strategy = tf.distribute.MirroredStrategy()\nstrategy.run(step, args=(1, 2))"}, "MirroredStrategy", 14,
    ),
    "a policy": (TAPE, {"after": "tf.keras.mixed_precision.set_global_policy('mixed_float16')"}, "set_global", 14),
    "ms.jit by a call": (FUNCTION, {"after": "step = ms.jit(step)"}, "ms.jit", 18),
    "an operation of MindSpore": (FUNCTION, {"value": "ops.reduce_mean(loss_fn(net(x), y))"}, "ops.reduce_mean", 10),
}  # fmt: skip
THROUGH = {
    "as it is": program(),
    "what evaluates": program(before="@torch.no_grad()\ndef evaluate(x):\n    return model(x)"),
    "seeds and devices": program(
        before="torch.manual_seed(0)\ndevice = torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        model="Net().to(device)",
        context="data, label = data.to(device), label.to(device)",
    ),
    "values of torch alone": program(before="grid = torch.cat([torch.linspace(0, 1, 3), torch.arange(3.0)])"),
}


def rewritten(text: str, tables: MappingSet) -> FileResult:
    options = Options(Framework("mindspore"), frozenset({Framework("torch")}), rewrite_step=True)
    return translate_bytes(text.encode(), tables, options)


@pytest.mark.parametrize("name", MIXED)
def test_a_mixture_is_refused_with_its_line(name: str, tables: MappingSet) -> None:
    text, cause, line = MIXED[name]
    ast.parse(text)
    result = rewritten(text, tables)
    (refusal,) = [item for item in result.diagnostics if item.code.id == "OM402"]
    said = refusal.message.partition("; the step")[0]
    first = "cannot carry over" in said and re.search(r"\bline \d+\b", said)  # where it is read, not where it is made
    assert first or (cause in said and re.search(rf"\bline {line}\b", said)), said
    before, after = (ast.unparse(ast.parse(code)).splitlines() for code in (text, result.output.decode()))
    new = [line for line in after if line not in before]
    assert all("SGD" in line or line.startswith("import") for line in new), new
    assert {item.code.id for item in result.diagnostics} & {"OM410", "OM411"}


@pytest.mark.parametrize("name", OTHERS)
def test_so_it_is_between_the_others(name: str, tables: MappingSet) -> None:
    text, given, cause, line = OTHERS[name]
    text = text.format(**{**USUAL, **given})
    ast.parse(text)
    source = Framework("tensorflow" if "tensorflow" in text else "mindspore")
    plain = TAPE if "tensorflow" in text else FUNCTION
    for target in sorted(set(Framework) - {source}):
        options = Options(target, frozenset({source}), rewrite_step=True)
        usual = translate_bytes(plain.format(**USUAL).encode(), tables, options)
        assert [item.code.id for item in usual.diagnostics if item.code.id in ("OM402", "OM403")] == ["OM403"]
        result = translate_bytes(text.encode(), tables, options)
        (refusal,) = [item.message for item in result.diagnostics if item.code.id in ("OM402", "OM403")]
        said = refusal.partition("; the step")[0]
        assert cause in said
        assert re.search(rf"\bline {line}\b", said), said


@pytest.mark.parametrize("name", THROUGH)
def test_what_passes_trains_as_before(name: str, tables: MappingSet) -> None:
    result = rewritten(THROUGH[name], tables)
    assert [item.code.id for item in result.diagnostics if item.code.id in ("OM402", "OM403")] == ["OM403"]
    assert "label = data, label" not in result.output.decode()
    there = trained("torch", THROUGH[name], 4)
    here = trained("mindspore", result.output.decode(), 4)
    assert isinstance(there, list), there
    assert here == pytest.approx(there, rel=2e-4)
