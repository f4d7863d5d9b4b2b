"""Write a tree of Python files for the benchmarks: few construct an optimizer, some import a framework, most do neither."""

from __future__ import annotations

import sys
from pathlib import Path

PLAIN = '''"""Module {number}."""

import os
import sys


def work(items, limit={number}):
    """Do some work."""
    total = 0
    for index, item in enumerate(items):
        if index > limit:
            break
        total += len(str(item)) * index
    return {{"total": total, "path": os.path.join("a", str(total)), "platform": sys.platform}}


class Worker{number}:
    def __init__(self, name):
        self.name = name
        self.cache = {{}}

    def run(self, *args, **kwargs):
        key = (args, tuple(sorted(kwargs.items())))
        if key not in self.cache:
            self.cache[key] = work(args, **kwargs)
        return self.cache[key]
'''
MODEL = """import torch
import torch.nn as nn


class Model{number}(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(10, {number} % 17 + 1)

    def forward(self, x):
        return torch.relu(self.first(x))
"""
TRAIN = """import torch
import torch.nn as nn
import torch.optim as optim


def train(model, loader, epochs={number} % 10):
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=1e-4)
    for epoch in range(epochs):
        for batch, (x, y) in enumerate(loader):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            if batch % 100 == 0:
                print(f"epoch {{epoch}} batch {{batch}} loss {{loss.item():.4f}}")
    return model
"""


def make_tree(root: Path, files: int) -> None:
    """Write `files` files below the root: 5% construct an optimizer, 15% only define models, the rest do neither."""
    for number in range(files):
        directory = root / f"package{number // 200:03}"
        directory.mkdir(parents=True, exist_ok=True)
        text = script(number) if number % 20 == 0 else (MODEL if number % 20 < 4 else PLAIN) * 4
        (directory / f"module{number:05}.py").write_text(text.format(number=number), encoding="utf-8")


def script(number: int) -> str:
    """A training script of about 200 lines that constructs one optimizer."""
    return f"{MODEL * 4}\n\n{TRAIN}\n\n{PLAIN * 4}".replace("{number}", str(number))


if __name__ == "__main__":
    make_tree(Path(sys.argv[1]), int(sys.argv[2]))
