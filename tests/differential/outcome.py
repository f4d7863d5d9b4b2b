"""What passes between the harness and the workers that run programs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Job(NamedTuple):
    """A program to run: its text, what its batches are, and by how much its first weights are disturbed.

    With `replay`, the framework that the loops of the program are written for, models compute nothing, and the optimizers are
    given gradients in place of those.
    """

    text: str
    task: str
    seed: int = 0
    jitter: float = 0.0
    replay: str | None = None


class Outcome(NamedTuple):
    """What a program left behind: the numbers that it recorded, and its models' weights; or the error that ended it.

    `lines` are the lines of the program that were being executed, the outermost first.
    """

    history: list[float]
    weights: dict[str, list[Array]]
    start: dict[str, list[Array]]
    error: str | None = None
    lines: tuple[int, ...] = ()


BATCHES = 3


def arrays(task: str, seed: int) -> list[tuple[Array, Array]]:
    """The batches of a task. The last is smaller, as it is in most loaders."""
    random = np.random.default_rng(seed + 1)
    found = []
    for size in (8, 8, 5):
        x: Array = random.normal(size=(size, 4)).astype("float32")
        if task == "tokens":
            x = random.integers(0, 10, size=(size, 5))
        if task == "image":
            x = random.normal(size=(size, 2, 6, 6)).astype("float32")
        y: Array = random.normal(size=(size, 3)).astype("float32")
        if task == "binary":
            y = (random.random(size=(size, 3)) > 0.5).astype("float32")
        if task in ("classes", "tokens", "image"):
            y = random.integers(0, 3, size=size)
        found.append((x, y))
    return found


def first_weights(shapes: list[tuple[int, ...]], seed: int, jitter: float) -> list[Array]:
    """The weights that a model starts with, in the order of its parameters."""
    found = []
    for index, shape in enumerate(shapes):
        random = np.random.default_rng((seed, index))
        value = random.normal(size=shape) * 0.5
        found.append((value * (1 + jitter * random.normal(size=shape))).astype("float32"))
    return found
