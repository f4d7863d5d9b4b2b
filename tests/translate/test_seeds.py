"""The vendor pages that the project began from: their torch and TensorFlow calls become what MindSpore should construct.

The expected arguments are those of the pages' MindSpore side, completed by the defaults that the pages leave out: where the two
frameworks' defaults differ, the source's must be written. Arguments are compared, not text.
"""

from __future__ import annotations

import ast

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes

TORCH_PAGE = """
import torch

model = torch.nn.Linear(2, 3)
criterion = torch.nn.L1Loss(reduction='mean')
optimizer = torch.optim.{name}(model.parameters())
def train_step(data, label):
    optimizer.zero_grad()
    output = model(data)
    loss = criterion(output, label)
    loss.backward()
    optimizer.step()
"""
TENSORFLOW_PAGE = """
import tensorflow as tf
lr = 0.001
opt = tf.compat.v1.train.AdamOptimizer(learning_rate=lr, epsilon=1e-8).minimize(criterion)
"""


def constructed(text: str, tables: MappingSet, params: str | None = None) -> tuple[str, list[str], dict[str, str]]:
    options = Options(Framework("mindspore"), frozenset({Framework("torch"), Framework("tensorflow")}), params=params)
    result = translate_bytes(text.encode(), tables, options)
    calls = [node for node in ast.walk(ast.parse(result.output)) if isinstance(node, ast.Call)]
    names = [(ast.unparse(node.func), node) for node in calls]
    call = next(node for name, node in names if name.startswith("mindspore.") and "(" not in name)
    positional = [ast.unparse(argument) for argument in call.args]
    return ast.unparse(call.func), positional, {str(item.arg): ast.unparse(item.value) for item in call.keywords}


@pytest.mark.parametrize(
    ("name", "target", "written"),
    [
        ("Adam", "mindspore.nn.Adam", {}),
        ("AdamW", "mindspore.experimental.optim.AdamW", {}),
        ("Adamax", "mindspore.nn.AdaMax", {"learning_rate": "0.002"}),
        ("SparseAdam", "mindspore.nn.LazyAdam", {}),
    ],
)
def test_torch_pages(name: str, target: str, written: dict[str, str], tables: MappingSet) -> None:
    assert constructed(TORCH_PAGE.format(name=name), tables) == (target, ["model.trainable_params()"], written)


def test_tensorflow_page(tables: MappingSet) -> None:
    found = constructed(TENSORFLOW_PAGE, tables, "net.trainable_params()")
    assert found == ("mindspore.nn.Adam", ["net.trainable_params()"], {"learning_rate": "lr", "eps": "1e-08"})


def test_the_pages_misspelling_is_reported(tables: MappingSet) -> None:
    """torch has no AdaMax; the page's own code raises AttributeError."""
    options = Options(Framework("mindspore"), frozenset({Framework("torch")}))
    result = translate_bytes(TORCH_PAGE.format(name="AdaMax").encode(), tables, options)
    assert not result.changed
    assert [(item.code.id, item.line) for item in result.diagnostics] == [("OM209", 6)]
    assert result.diagnostics[0].message.endswith("did you mean torch.optim.Adamax?")
