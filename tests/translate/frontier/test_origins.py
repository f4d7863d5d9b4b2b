"""Of which framework values are, in programs as people write them."""

from __future__ import annotations

import ast

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.model import Module
from optmap.source.text import read_source
from optmap.translate.frontier.origins import Origin, Origins
from optmap.translate.frontier.sorts import Sort, sort_of

TEXT = """
import math
import numpy as np
import torch
import torch.nn.functional as F
import torchvision
import mindspore
import tensorflow as tf
from torch import nn
from torch.utils.data import DataLoader
from . import layers
from tqdm import tqdm
from lib import load, Net as Other

def build(model: nn.Module, other: torch.Tensor, third: "nn.Module"):
    seen(model, "annotated as a model")
    seen(other, "annotated otherwise")
    seen(third, "annotated in a string")

class Net(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body
        self.width = 3
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        seen(self, "itself")
        seen(self.width, "plain attribute")
        seen(self.body, "passed by a caller")
        seen(x, "passed by nobody")
        return seen(self.head(x), "layer's output")

class Sub(Net):
    pass

class Agent:
    def __init__(self):
        self.net = Net(None)

    def act(self):
        seen(self.net, "attribute of an object")

def make(kind):
    if kind:
        return nn.Linear(2, 3)
    return mindspore.nn.Dense(2, 3)

def loss(logits, target=None):
    seen(logits, "argument")
    seen(target, "default")
    return F.cross_entropy(logits, target)

net = Net(layers.Block())
tensor = torch.zeros(3)
array = np.zeros(3)
first, second = tensor, 2
both = [tensor, 1]
again = None
again = again or tensor
seen(2 * tensor[0] + 1, "sum")
seen(tensor.sum().item(), "item")
seen(tensor.detach().cpu().numpy(), "numpy")
seen(tensor.shape[0] * 2, "shape")
seen(array, "array")
seen(math.sqrt(4), "number")
seen(f"{tensor}", "text")
seen(net, "model")
seen(make(1), "either")
seen(Sub(None), "subclass")
seen(net(array), "model's output")
seen(mindspore.ops.ones(3), "target's tensor")
seen(Other(3), "another package's")
seen(layers.Block(), "another file's")
seen(loss(net(array)), "function's result")
seen(Agent(), "object")
seen(torchvision.models.resnet18(), "kin")
seen(first, "first")
seen(second, "second")
seen(tensor if array else mindspore.ops.ones(3), "condition")
seen(torch.device("cpu"), "device")
seen(tf.keras.Sequential(), "third framework's")
seen(float(tensor), "converted")
seen([torch.zeros(1) for _ in range(3)], "comprehension")
seen(torch.nn.functional.relu, "function")
seen(again, "itself again")
for batch in DataLoader(array):
    seen(batch, "batch")
for step, each in enumerate(tqdm(both)):
    seen(each, "item of a list")
with open("x") as file:
    seen(file, "file")
"""
S, T, P, U = Origin.SOURCE, Origin.TARGET, Origin.PLAIN, Origin.UNKNOWN
EXPECTED = {
    "itself": {S}, "plain attribute": {P}, "passed by a caller": {U}, "passed by nobody": {U}, "layer's output": {S},
    "attribute of an object": {S}, "argument": {S}, "default": {P}, "sum": {S, P}, "item": {P}, "numpy": {P}, "shape": {P},
    "array": {P}, "number": {P}, "text": {P}, "model": {S}, "either": {S, T}, "subclass": {S}, "model's output": {S},
    "target's tensor": {T}, "another package's": {U}, "another file's": {U}, "function's result": {S}, "object": {P},
    "kin": {S}, "first": {S}, "second": {P}, "condition": {S, T}, "device": {P}, "third framework's": {U}, "converted": {P},
    "comprehension": {S}, "function": {S}, "itself again": {S}, "batch": {Origin.DATA}, "item of a list": {S, P}, "file": {P},
    "annotated as a model": {S}, "annotated otherwise": {U}, "annotated in a string": {U},
}  # fmt: skip


@pytest.fixture(scope="module")
def known(tables: MappingSet) -> dict[str, frozenset[Origin]]:
    source = read_source(TEXT.encode())
    module = Module.of(source)
    origins = Origins(module, tables, [Framework("torch")], Framework("mindspore"), set(), set())
    probes = [node for node in module.nodes(ast.Call) if isinstance(node.func, ast.Name) and node.func.id == "seen"]
    return {ast.literal_eval(node.args[1]): origins.of(node.args[0]).origins for node in probes}


def test_every_place_is_looked_at(known: dict[str, frozenset[Origin]]) -> None:
    assert known.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_where_a_value_belongs(name: str, known: dict[str, frozenset[Origin]]) -> None:
    assert known[name] == EXPECTED[name]


@pytest.mark.parametrize(("framework", "path", "sort"), [
    ("torch", "torch", Sort.PLAIN), ("torch", "torch.nn.Linear", Sort.MODEL), ("torch", "torch.nn.NLLLoss", Sort.LOSS),
    ("torch", "torch.nn.functional.nll_loss", Sort.LOSS), ("torch", "torch.nn.functional.relu", Sort.TENSOR),
    ("torch", "torch.cuda.is_available", Sort.PLAIN), ("torch", "torch.cuda.FloatTensor", Sort.TENSOR),
    ("torch", "torch.cuda.amp.autocast", Sort.CONTEXT), ("torch", "torch.utils.data.DataLoader", Sort.DATA),
    ("torch", "torch.optim.lr_scheduler.StepLR", Sort.SCHEDULE), ("torch", "torch.nn.DataParallel", Sort.MODEL),
    ("tensorflow", "keras.layers.Dense", Sort.MODEL), ("tensorflow", "tensorflow.function", Sort.CONTEXT),
    ("tensorflow", "tensorflow.reduce_mean", Sort.TENSOR), ("tensorflow", "tensorflow.data.Dataset.range", Sort.DATA),
    ("tensorflow", "tensorflow.keras.utils.to_categorical", Sort.PLAIN), ("tensorflow", "keras.losses.MSE", Sort.LOSS),
    ("mindspore", "mindspore.nn.Dense", Sort.MODEL), ("mindspore", "mindspore.nn.MSELoss", Sort.LOSS),
    ("mindspore", "mindspore.nn.cosine_decay_lr", Sort.SCHEDULE), ("mindspore", "mindspore.jit", Sort.CONTEXT),
    ("mindspore", "mindspore.ops.ones", Sort.TENSOR), ("mindspore", "mindspore.dataset.MnistDataset", Sort.DATA),
])  # fmt: skip
def test_what_a_path_gives(framework: str, path: str, sort: Sort) -> None:
    assert sort_of(Framework(framework).facts.frontier, path) is sort
