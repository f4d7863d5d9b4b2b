"""Gradients that are given to optimizers, so that constructors can be compared while the loops are still the source's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from typing import Any, Final
from unittest.mock import MagicMock

import numpy as np

from tests.differential.outcome import Array

MODULES: Final = {
    "torch": ("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.optim.lr_scheduler"),
    "tensorflow": ("tensorflow", "tensorflow.keras", "tensorflow.keras.optimizers", "keras", "keras.optimizers"),
    "mindspore": ("mindspore", "mindspore.nn", "mindspore.ops"),
}


class Replay:
    """The gradients of each step, by a parameter's place in the model, in torch's layout."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.step = 0

    def next(self, shapes: list[tuple[int, ...]]) -> list[Array]:
        self.step += 1
        random = np.random.default_rng((self.seed, self.step, 99))
        scale = 10.0 ** random.uniform(-2, 0)
        return [(random.normal(size=shape) * scale).astype("float32") for shape in shapes]


class Nothing:
    """What models and losses give in a replay: every operation gives the same, as a number it is 0.5."""

    def __init__(self, backward: Callable[[], None] | None = None) -> None:
        self.do = backward

    def backward(self, *_: Any, **__: Any) -> None:
        if self.do:
            self.do()

    def item(self) -> float:
        return 0.5

    def __float__(self) -> float:
        return 0.5

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: self

    def _same(self, *_: Any) -> Nothing:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __pow__ = __neg__ = __getitem__ = _same


class Shim:
    """The target's optimizer under the words of any framework's loop. Each step is followed by one of the schedules given."""

    def __init__(self, optimizer: Any, apply: Callable[[Replay], None], replay: Replay, schedules: list[Any]) -> None:
        object.__setattr__(self, "inner", (optimizer, apply, replay, schedules))

    def step(self, *_: Any, **__: Any) -> None:
        self.inner[1](self.inner[2])
        for schedule in self.inner[3]:
            schedule.step()

    __call__ = apply_gradients = apply = minimize = step

    def zero_grad(self, *_: Any, **__: Any) -> None:
        """Gradients are given."""

    def __getattr__(self, name: str) -> Any:
        return () if name == "parameters" else getattr(self.inner[0], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.inner[0], name, value)


class StandIn(MagicMock):
    """A module of the source framework, of which loops that are not rewritten still ask something."""


@contextmanager
def stand_ins(framework: str) -> Iterator[None]:
    """Put stand-ins in place of a framework's modules."""
    kept = {name: sys.modules.get(name) for name in MODULES[framework]}
    root = StandIn()
    root.value_and_grad.return_value.return_value = root.ops.value_and_grad.return_value.return_value = (
        Nothing(),
        None,
    )
    for name in MODULES[framework]:
        module = root
        for part in name.split(".")[1:]:
            module = getattr(module, part)
        module.__spec__ = ModuleSpec(name, None)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, old in kept.items():
            if old is None:
                del sys.modules[name]
            else:
                sys.modules[name] = old
