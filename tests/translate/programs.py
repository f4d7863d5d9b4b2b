"""Programs to translate with --rewrite-step, and a runner that trains them in a process of their own.

A program defines `model`, `optimizer` and `train_step(data, label)`. The runner sets the weights, trains on the same batches and
gives back the loss before each step, computed by the program's own `criterion`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

STEPS = 25

_DATA = """
import json, sys
import numpy as np
rng = np.random.default_rng(7)
def values(parameters):
    own = np.random.default_rng(11)
    return [(parameter, own.normal(size=tuple(parameter.shape)).astype("float32")) for parameter in parameters]
data = rng.normal(size=(8, 2)).astype("float32")
label = rng.normal(size=(8, 3)).astype("float32")
"""
_TORCH = """
import torch
def run(text, steps):
    space = {"__name__": "program"}
    exec(compile(text, "program", "exec"), space)
    with torch.no_grad():
        for parameter, value in values(space["model"].parameters()):
            parameter.copy_(torch.tensor(value))
    x, y = torch.tensor(data), torch.tensor(label)
    losses = []
    for _ in range(steps):
        losses.append(float(space["criterion"](space["model"](x), y).detach()))
        space["train_step"](x, y)
    return losses
"""
_MINDSPORE = """
import mindspore
mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
def run(text, steps):
    space = {"__name__": "program"}
    exec(compile(text, "program", "exec"), space)
    for parameter, value in values(space["model"].trainable_params()):
        parameter.set_data(mindspore.Tensor(value))
    x, y = mindspore.Tensor(data), mindspore.Tensor(label)
    losses = []
    for _ in range(steps):
        losses.append(float(space["criterion"](space["model"](x), y)))
        space["train_step"](x, y)
    return losses
"""
_END = """
out = {}
for name, text in json.load(sys.stdin).items():
    try:
        out[name] = run(text, STEPS)
    except Exception as error:
        out[name] = f"{type(error).__name__}: {error}"
print("RESULT " + json.dumps(out))
"""


def losses(framework: str, programs: dict[str, str]) -> dict[str, list[float] | str]:
    """Train each program; the losses by step, or the exception that it ended with. Skips where the framework is absent."""
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    script = _DATA + {"torch": _TORCH, "mindspore": _MINDSPORE}[framework] + _END.replace("STEPS", str(STEPS))
    return execute(script, json.dumps(programs))


def execute(script: str, given: str) -> dict[str, list[float] | str]:
    """Run a script in a process of its own and read the line of results that it prints."""
    done = subprocess.run([sys.executable, "-c", script], input=given, capture_output=True, text=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-2000:]
    found: dict[str, list[float] | str] = json.loads(lines[-1].removeprefix("RESULT "))
    return found
