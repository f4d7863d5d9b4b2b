"""A program that saves its model and optimizer, and goes on from the files, trains under MindSpore as it did under torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.translate.programs import numbers, printed

PROGRAM = """
import torch
from torch import nn

net = nn.Linear(2, 3)
# weights
opt = torch.optim.Adam(net.parameters(), lr=0.1, eps=0.0)
target = nn.Linear(2, 3)
target.load_state_dict(net.state_dict())

def fit(x, steps):
    for _ in range(steps):
        opt.zero_grad()
        loss = (net(x) ** 2).mean()
        loss.backward()
        opt.step()
        print("LOSS", loss.item())

{part}
"""
FIRST = """
fit(batch(), 3)
torch.save(net.state_dict(), "net.pt")
torch.save(opt.state_dict(), "opt.pt")
fit(batch(), 2)
print("LOSS", (target(batch()) ** 2).mean().item())
"""
SECOND = """
net.load_state_dict(torch.load("net.pt", weights_only=True))
opt.load_state_dict(torch.load("opt.pt"))
fit(batch(), 2)
"""
WEIGHTS = "[[0.5, -1.0], [1.5, 2.0], [-0.5, 0.25]]"


def translated(text: str, tables: MappingSet) -> str:
    options = Options(Framework("mindspore"), frozenset({Framework("torch")}), rewrite_step=True)
    result = translate_bytes(text.encode(), tables, options).output.decode()
    assert "torch" not in result
    return result


@pytest.mark.parametrize("framework", ["torch", "mindspore"])
def test_training_goes_on_from_files(
    framework: str, tables: MappingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start = f"net.weight.data = torch.tensor({WEIGHTS}); net.bias.data.zero_()\nbatch = lambda: torch.tensor([[1.0, 2.0], [3.0, -1.0]])"
    if framework == "mindspore":
        start = (
            f"net.weight.set_data(mindspore.Tensor({WEIGHTS})); net.bias.set_data(mindspore.ops.zeros(3))\n"
            "batch = lambda: mindspore.Tensor([[1.0, 2.0], [3.0, -1.0]])"
        )
    runs = []
    for part in (FIRST, SECOND):
        text = PROGRAM.format(part=part)
        text = translated(text, tables) if framework == "mindspore" else text
        runs.append(numbers(printed(framework, text.replace("# weights", start))))
    first, second = runs
    assert second == pytest.approx(first[3:5], rel=1e-6), "training goes on where it was"
    assert first[5] == pytest.approx(first[0], rel=1e-6), "the copy stays what it was"
    assert first[4] < first[0]
