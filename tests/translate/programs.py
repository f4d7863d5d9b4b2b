"""Programs that train under a real framework: before translation, and with --rewrite-step after it.

They run in the tests' process, each with names of its own: importing a framework takes longer than most of them. A program that
changes the framework for good (TensorFlow without eager execution) needs `printed_apart`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import Any

import numpy as np
import pytest

Names = dict[str, Any]


def framework_module(name: str) -> Any:
    """The framework; the test is skipped where it is not installed."""
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return import_module(name)


def execute(text: str) -> Names:
    """Run a program; the names that it leaves behind."""
    names: Names = {"__name__": "program"}
    exec(compile(text, "program", "exec"), names)
    return names


def printed(framework: str, text: str) -> list[list[str]]:
    """Run a program that needs the framework; the words of each line that it prints."""
    framework_module(framework)
    with redirect_stdout(StringIO()) as out:
        execute(text)
    return [line.split() for line in out.getvalue().splitlines()]


def printed_apart(framework: str, text: str) -> list[list[str]]:
    """The same in a process of its own."""
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return [line.split() for line in done.stdout.splitlines()]


def numbers(lines: list[list[str]], what: str = "LOSS") -> list[float]:
    """The first number of each line that begins with the word."""
    return [float(line[1]) for line in lines if line[:1] == [what]]


def trained(framework: str, text: str, steps: int) -> list[float] | str:
    """Train a program that defines `model`, `criterion` and `train_step(data, label)`, from the same weights on the same batch.

    Gives the loss before each step, computed by the program's own criterion, or the exception that it ended with.
    """
    module = framework_module(framework)
    set_weight, tensor, weights = _ways(framework, module)
    random = np.random.default_rng(7)
    data, label = (tensor(random.normal(size=(8, width)).astype("float32")) for width in (2, 3))
    losses = []
    try:
        names = execute(text)
        model, criterion, train_step = names["model"], names["criterion"], names["train_step"]
        own = np.random.default_rng(11)
        for parameter in weights(model):
            set_weight(parameter, tensor(own.normal(size=tuple(parameter.shape)).astype("float32")))
        for _ in range(steps):
            loss = criterion(model(data), label)
            losses.append(float(loss.detach() if framework == "torch" else loss))
            train_step(data, label)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return losses


def _ways(
    framework: str, module: Any
) -> tuple[Callable[[Any, Any], object], Callable[[Any], Any], Callable[[Any], Any]]:
    """How to set a weight, to make a tensor, and to get at a model's weights."""
    if framework == "torch":

        def set_weight(parameter: Any, value: Any) -> None:
            parameter.data.copy_(value)

        return set_weight, module.tensor, lambda model: model.parameters()
    return lambda parameter, value: parameter.set_data(value), module.Tensor, lambda model: model.trainable_params()
