"""Which files are worth parsing? Whatever some pass may have to say something about."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from optmap.diagnostics import DYNAMIC, FOREIGN_OPTIMIZER, MISSING_IMPORT, OPTIMIZER_BY_NAME, Code
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.translate import pipeline
from optmap.translate.pipeline import translate_bytes
from tests.translate.test_passes import TO_MINDSPORE, statuses

ANY_SOURCE = TO_MINDSPORE._replace(sources=frozenset(Framework) - {TO_MINDSPORE.target})


@pytest.mark.parametrize(
    "text",
    [
        "import torch\noptimizer = torch.load('x')\noptimizer.step()\n",
        "import torch\nfrom run import optimize\n",
        "import tensorflow\nmodel.optimizer = None\n",
        "import apexes\nimport transformers_like\noptimizer = 1\n",
        "import mindspore.nn as nn\nnet, optimizer, torch = nn.Dense(2, 3), 1, 2\n",
        "from mytorch import optim\nopt = optim.Other(p, lr=0.1)\n",
        "import keras\nmodel.compile(optimizer=adam)\n",
    ],
)
def test_a_file_that_spells_no_module_of_optimizers_is_not_parsed(tables: MappingSet, text: str) -> None:
    with patch.object(pipeline, "read_source", side_effect=AssertionError):
        assert translate_bytes(text.encode(), tables, ANY_SOURCE).diagnostics == ()


@pytest.mark.parametrize(
    "text",
    [
        "import torch.optim\nopt = torch.optim.SGD(p, lr=0.1)\n",
        "import torch as t\nopt = t.optim.SGD(p, lr=0.1)\n",
        "# optimizers\nimport torch\nopt = torch.\uff4fptim.SGD(p, lr=0.1)\n",
        "import torch\nopt = torch\\\n    .optim.SGD(p, lr=0.1)\n",
    ],
)
def test_every_way_to_spell_a_module_is_found(tables: MappingSet, text: str) -> None:
    assert statuses(translate_bytes(text.encode(), tables, ANY_SOURCE)) == ["translated"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("from torch import *\nopt = optim.SGD(p, lr=0.1)\n", MISSING_IMPORT),
        ("# torch\nopt = optim.SGD(p, lr=0.1)\n", MISSING_IMPORT),
        ("# optimizers\nopt = tf.keras.optimizers.SGD(0.1)\nimport tensorflow as t\n", MISSING_IMPORT),
        ('import keras\nmodel.compile(optimizer="adam")\n', OPTIMIZER_BY_NAME),
        ("import keras\nmodel.compile('RMSProp')\n", OPTIMIZER_BY_NAME),
        ("import keras\nmodel.compile({'class_name': 'Adam', 'config': {}})\n", OPTIMIZER_BY_NAME),
        ("# optimizer\nfrom apex.optimizers import FusedAdam\nopt = FusedAdam(p)\n", FOREIGN_OPTIMIZER),
        ('# optimizer\nimport torch\nmake = getattr(torch, "optim")\n', DYNAMIC),
    ],
)
def test_what_names_an_optimizer_otherwise_is_parsed(tables: MappingSet, text: str, code: Code) -> None:
    found = translate_bytes(text.encode(), tables, ANY_SOURCE)
    assert [item.code for item in found.diagnostics] == [code]


def test_only_what_may_hold_optimizers_is_reported_as_unparsable(tables: MappingSet) -> None:
    assert translate_bytes(b"import torch\noptimizer = (\n", tables, ANY_SOURCE).error is None
    assert translate_bytes(b"import torch.optim\noptimizer = (\n", tables, ANY_SOURCE).error is not None
