"""Real optimizers of each framework in this process: steps with given gradients, their files, and what loads these."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
ENDINGS = {"torch": ".pt", "tensorflow": ".npz", "mindspore": ".ckpt"}


class Torch:
    """torch on CPU."""

    def __init__(self, api: str, arguments: Mapping[str, Any], weights: Arrays) -> None:
        import torch

        self.torch = torch
        self.sparse = api.endswith("SparseAdam")
        self.parameters = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in weights.items()}
        self.optimizer = getattr(torch.optim, api.rpartition(".")[2])(list(self.parameters.values()), **arguments)

    def step(self, gradients: Arrays) -> Arrays:
        for name, value in self.parameters.items():
            gradient = self.torch.tensor(gradients[name])
            value.grad = gradient.to_sparse(1) if self.sparse else gradient
        self.optimizer.step()
        return {name: value.detach().numpy().copy() for name, value in self.parameters.items()}

    def save(self, path: Path) -> None:
        self.torch.save(self.optimizer.state_dict(), path)

    def load(self, lines: tuple[str, ...]) -> None:
        exec("\n".join(lines), {"torch": self.torch, "optimizer": self.optimizer})


class Keras:
    """Keras 3 on TensorFlow."""

    def __init__(self, api: str, arguments: Mapping[str, Any], weights: Arrays) -> None:
        import keras

        self.parameters = {
            name: keras.Variable(value.copy(), dtype="float32", name=name) for name, value in weights.items()
        }
        self.optimizer = getattr(keras.optimizers, api.rpartition(".")[2])(**arguments)

    def step(self, gradients: Arrays) -> Arrays:
        listed = list(self.parameters.values())
        self.optimizer.apply([gradients[name] for name in self.parameters], listed)
        return {name: np.array(value) for name, value in self.parameters.items()}

    def save(self, path: Path) -> None:
        content: dict[str, Any] = {}
        self.optimizer.save_own_variables(content)
        np.savez(path, **content)

    def load(self, lines: tuple[str, ...]) -> None:
        model = SimpleNamespace(trainable_variables=list(self.parameters.values()))
        exec("\n".join(lines), {"numpy": np, "optimizer": self.optimizer, "model": model})


class MindSpore:
    """MindSpore on CPU in PyNative mode."""

    def __init__(self, api: str, arguments: Mapping[str, Any], weights: Arrays) -> None:
        import mindspore

        self.mindspore = mindspore
        made = {name: mindspore.Parameter(mindspore.Tensor(value.copy()), name=name) for name, value in weights.items()}
        self.parameters = made
        module, _, name = api.rpartition(".")
        self.optimizer = getattr(importlib.import_module(module), name)(list(made.values()), **arguments)

    def step(self, gradients: Arrays) -> Arrays:
        self.optimizer(tuple(self.mindspore.Tensor(gradients[name].copy()) for name in self.parameters))
        return {name: value.asnumpy().copy() for name, value in self.parameters.items()}

    def save(self, path: Path) -> None:
        self.mindspore.save_checkpoint(self.optimizer, str(path))

    def load(self, lines: tuple[str, ...]) -> None:
        exec("\n".join(lines), {"mindspore": self.mindspore, "optimizer": self.optimizer})


SIDES: dict[str, type[Torch] | type[Keras] | type[MindSpore]] = {
    "torch": Torch,
    "tensorflow": Keras,
    "mindspore": MindSpore,
}
