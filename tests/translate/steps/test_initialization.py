"""Initialization that is written by hand gives parameters the same values, or values of the same distribution, in MindSpore."""

from __future__ import annotations

import numpy as np
import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.translate.programs import execute, framework_module

WAYS = (
    "nn.init.constant_(WEIGHT, 0.5)", "nn.init.zeros_(WEIGHT)", "nn.init.ones_(WEIGHT.data)", "nn.init.normal_(WEIGHT, 0.5, 0.02)",
    "nn.init.normal_(WEIGHT.data)", "nn.init.normal_(WEIGHT, std=0.1)", "nn.init.uniform_(WEIGHT, -0.1, 0.3)", "nn.init.uniform_(WEIGHT, b=2)",
    "torch.nn.init.xavier_uniform_(WEIGHT)", "nn.init.xavier_uniform_(WEIGHT, gain=2.0)", "nn.init.xavier_normal_(WEIGHT)",
    "nn.init.kaiming_uniform_(WEIGHT, a=2.0)", "nn.init.kaiming_uniform_(WEIGHT, nonlinearity='relu')",
    "nn.init.kaiming_normal_(WEIGHT, mode='fan_out', nonlinearity='relu')", "nn.init.orthogonal_(WEIGHT)",
    "nn.init.trunc_normal_(WEIGHT, std=0.02)", "nn.init.trunc_normal_(WEIGHT, 0.0, 1.0, -1.0, 1.5)",
    "WEIGHT.data.normal_(0.1, 0.2)", "WEIGHT.data.normal_()", "WEIGHT.data.uniform_(-1, 1)", "WEIGHT.data.fill_(0.3)",
    "WEIGHT.data.zero_()", "WEIGHT.data.fill_(2.0).mul_(0.5).add_(1.0, alpha=3)", "WEIGHT.data.copy_(torch.ones(200, 300) * 2)",
    "WEIGHT.data.zero_()\nnet.fc.weight.data.sub_(0.5).div_(4)", "WEIGHT.data.normal_(0, 1)\nnet.fc.weight.data.clamp_(min=-0.5)",
    "WEIGHT.data.zero_()\nnet.fc.weight.data.sub_(net.fc.weight.data + 1, alpha=0.5)",
)  # fmt: skip
PROGRAM = """import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(300, 200)

    def forward(self, x):
        return self.fc(x)


net = Net()
WAY
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
def train(x):
    optimizer.zero_grad()
    loss = net(x).mean()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.parametrize("way", WAYS)
def test_parameters_have_the_same_distribution(way: str, tables: MappingSet) -> None:
    text = PROGRAM.replace("WAY", way.replace("WEIGHT", "net.fc.weight"))
    options = Options(Framework("mindspore"), frozenset({Framework("torch")}), rewrite_step=True)
    result = translate_bytes(text.encode(), tables, options)
    assert not {"OM402", "OM404"} & {item.code.id for item in result.diagnostics}, result.diagnostics
    torch, mindspore = framework_module("torch"), framework_module("mindspore")
    torch.manual_seed(1)
    before = execute(text)["net"].fc.weight.detach().numpy()
    mindspore.set_seed(1)
    after = execute(result.output.decode())["net"].fc.weight.asnumpy()
    assert before.shape == after.shape
    spread = before.std() + 1e-6
    for what, near in (
        (np.mean, 0.02),
        (np.std, 0.02),
        (lambda x: np.quantile(x, 0.01), 0.05),
        (np.min, 1.5),
        (np.max, 1.5),
    ):
        assert abs(what(before) - what(after)) <= near * spread, what
