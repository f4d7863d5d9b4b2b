"""Programs of MindSpore."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

os.environ.setdefault("GLOG_v", "4")
os.environ.setdefault("MS_DEV_LAUNCH_BLOCKING", "1")

import mindspore
import numpy as np

from tests.differential.outcome import Array
from tests.differential.replay import Nothing, Replay

STATISTICS = ("moving_mean", "moving_variance")


class Scale(mindspore.nn.Cell):  # type: ignore[misc]
    """Tells training from inference."""

    def construct(self, x: Any) -> Any:
        return x if self.training else x * 0.5


class Model(mindspore.nn.Cell):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first = mindspore.nn.Dense(4, 6)
        self.scale = Scale()
        self.last = mindspore.nn.Dense(6, 3)
        self.instead: Any = None

    def construct(self, x: Any) -> Any:
        return self.last(mindspore.ops.tanh(self.scale(self.first(x))))


class Replayed(Model):
    """A model that computes nothing. Loops that are still another framework's ask more of it than a Cell has."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        return Nothing()

    def train(self, mode: bool = True) -> Any:
        return self.set_train(mode)

    def eval(self) -> Any:
        return self.set_train(False)

    def zero_grad(self) -> None:
        """Gradients are given."""

    trainable_variables = trainable_weights = ()


class Side:
    """See `worker.Side`."""

    name = "mindspore"

    def reset(self, seed: int, replays: bool) -> None:
        mindspore.set_seed(seed)
        self.seen: dict[int, list[Any]] = {}
        self.replays = replays

    def tensor(self, value: Array) -> Any:
        return mindspore.Tensor(value)

    def module(self) -> type:
        return mindspore.nn.Cell  # type: ignore[no-any-return]

    def _parameters(self, model: Any) -> list[Any]:
        """Those that are the program's; a BatchNorm without them has some that do nothing."""
        if id(model) not in self.seen:
            cells = [cell for cell in model.cells_and_names() if hasattr(cell[1], "gamma") and hasattr(cell[1], "beta")]
            idle = {id(p) for _, cell in cells for p in (cell.gamma, cell.beta) if not p.requires_grad}
            named = mindspore.nn.Cell.parameters_and_names(model)
            self.seen[id(model)] = [p for name, p in named if not name.endswith(STATISTICS) and id(p) not in idle]
        return self.seen[id(model)]

    def weights(self, model: Any) -> list[Array]:
        return [p.asnumpy().copy() for p in self._parameters(model)]

    def statistics(self, model: Any) -> list[Array]:
        return [p.asnumpy().copy() for name, p in model.parameters_and_names() if name.endswith(STATISTICS)]

    def set_weights(self, model: Any, weights: list[Array]) -> None:
        for p, value in zip(self._parameters(model), weights, strict=True):
            p.set_data(mindspore.Tensor(value, p.dtype))

    def number(self, value: Any) -> float:
        return float(value.asnumpy() if isinstance(value, mindspore.Tensor) else np.asarray(value))

    def make_model(self) -> Any:
        return Replayed() if self.replays else Model()

    def criterion(self, one: Any, two: Any) -> Any:
        return ((one - two) ** 2).mean()

    def replayed(self, model: Any, replay: Replay) -> Any:
        return model

    def nothing(self, replay: Replay, model: Any) -> Nothing:
        return Nothing()

    def _gradients(self, model: Any, replay: Replay, wanted: Any) -> tuple[Any, ...]:
        parameters = self._parameters(model)
        given = replay.next([p.shape for p in parameters])
        places = {id(p): mindspore.Tensor(gradient) for p, gradient in zip(parameters, given, strict=True)}
        return tuple(places[id(p)] for p in wanted)

    def optimizer(self) -> tuple[type, ...]:
        return (mindspore.nn.Optimizer, mindspore.experimental.optim.Optimizer)

    def schedules(self) -> tuple[type, ...]:
        return (mindspore.experimental.optim.lr_scheduler.LRScheduler,)

    @contextmanager
    def patched(self, model: Callable[[], Any], replay: Replay) -> Iterator[None]:
        def value_and_grad(_: Any, __: Any = None, weights: Any = None, has_aux: bool = False, **___: Any) -> Any:
            wanted = list(weights)
            return lambda *_: (Nothing(), self._gradients(model(), replay, wanted))

        with (
            patch.object(mindspore, "value_and_grad", value_and_grad),
            patch.object(mindspore.ops, "value_and_grad", value_and_grad),
        ):
            yield

    def apply(self, optimizer: Any, model: Any, replay: Replay) -> None:
        optimizer(self._gradients(model, replay, optimizer.parameters))
