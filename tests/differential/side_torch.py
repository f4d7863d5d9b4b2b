"""Programs of torch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from tests.differential.outcome import Array
from tests.differential.replay import Nothing, Replay

torch.set_num_threads(1)
torch.set_num_interop_threads(1)
torch.compile = lambda model=None, **_: model  # compiling takes seconds and changes nothing


class Scale(torch.nn.Module):  # type: ignore[misc]
    """Tells training from inference."""

    def forward(self, x: Any) -> Any:
        return x if self.training else x * 0.5


class Model(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 6)
        self.scale = Scale()
        self.last = torch.nn.Linear(6, 3)
        self.instead: Any = None

    def forward(self, x: Any, training: bool | None = None) -> Any:
        return self.instead or self.last(torch.tanh(self.scale(self.first(x))))

    # Loops that are still another framework's ask these of a replayed model.
    def set_train(self, mode: bool = True) -> Any:
        return self.train(mode)

    trainable_variables = trainable_weights = ()


class Side:
    """See `worker.Side`."""

    name = "torch"

    def reset(self, seed: int, replays: bool) -> None:
        torch.manual_seed(seed)
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)

    def tensor(self, value: Array) -> Any:
        return torch.tensor(value)

    def module(self) -> type:
        return torch.nn.Module  # type: ignore[no-any-return]

    def weights(self, model: Any) -> list[Array]:
        return [p.detach().cpu().numpy().copy() for _, p in torch.nn.Module.named_parameters(model)]

    def statistics(self, model: Any) -> list[Array]:
        return [b.detach().numpy().copy() for name, b in model.named_buffers() if "running_" in name]

    def set_weights(self, model: Any, weights: list[Array]) -> None:
        with torch.no_grad():
            for (_, p), value in zip(torch.nn.Module.named_parameters(model), weights, strict=True):
                p.copy_(torch.tensor(value))

    def number(self, value: Any) -> float:
        return float(value.detach() if isinstance(value, torch.Tensor) else np.asarray(value))

    def make_model(self) -> Any:
        return Model()

    def criterion(self, one: Any, two: Any) -> Any:
        return ((one - two) ** 2).mean()

    def replayed(self, model: Any, replay: Replay) -> Any:
        model.instead = Nothing()
        return model

    def nothing(self, replay: Replay, model: Any) -> Nothing:
        return Nothing(lambda: self._give(model, replay))

    def _give(self, model: Any, replay: Replay) -> None:
        parameters = list(model.parameters())
        for p, gradient in zip(parameters, replay.next([tuple(p.shape) for p in parameters]), strict=True):
            if p.requires_grad:
                p.grad = torch.tensor(gradient)

    def optimizer(self) -> tuple[type, ...]:
        return (torch.optim.Optimizer,)

    def schedules(self) -> tuple[type, ...]:
        return (torch.optim.lr_scheduler.LRScheduler,)

    def patched(self, model: Callable[[], Any], replay: Replay) -> AbstractContextManager[None]:
        return nullcontext()

    def apply(self, optimizer: Any, model: Any, replay: Replay) -> None:
        self._give(model, replay)
        optimizer.step()
