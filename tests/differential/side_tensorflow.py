"""Programs of TensorFlow. Kernels of its models are transposed: weights are compared in torch's layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import numpy as np
import tensorflow as tf

from tests.differential.outcome import Array
from tests.differential.replay import Nothing, Replay

with suppress(RuntimeError):  # a process that has used TensorFlow keeps the threads with which it began
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)


class Model(tf.keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first = tf.keras.layers.Dense(6)
        self.last = tf.keras.layers.Dense(3)
        self.first.build((None, 4))
        self.last.build((None, 6))
        self.built = True
        self.mode = False

    def set_train(self, mode: bool = True) -> Any:
        """What remains of MindSpore's loops: a model that is carried over knows it by itself."""
        self.mode = mode
        return self

    def call(self, x: Any, training: bool | None = None) -> Any:
        h = self.first(x)
        return self.last(tf.tanh(h if (self.mode if training is None else training) else h * 0.5))


class Replayed(Model):
    """A model that computes nothing. Loops that are still another framework's ask more of it than a Keras model has."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        return Nothing()

    def train(self, mode: bool = True) -> Any:
        return self

    eval = set_train = zero_grad = train

    def parameters(self) -> list[Any]:
        return []

    named_parameters = trainable_params = get_parameters = parameters


class Side:
    """See `worker.Side`."""

    name = "tensorflow"

    def reset(self, seed: int, replays: bool) -> None:
        tf.random.set_seed(seed)
        tf.keras.backend.clear_session()
        self.replays = replays

    def tensor(self, value: Array) -> Any:
        return tf.constant(value)

    def module(self) -> type:
        return tf.keras.Model  # type: ignore[no-any-return]

    def weights(self, model: Any) -> list[Array]:
        return [_turned(value) for value in model.get_weights()]

    def statistics(self, model: Any) -> list[Array]:
        return []

    def set_weights(self, model: Any, weights: list[Array]) -> None:
        model.set_weights([_turned(value) for value in weights])

    def number(self, value: Any) -> float:
        return float(np.asarray(value))

    def make_model(self) -> Any:
        return Replayed() if self.replays else Model()

    def criterion(self, one: Any, two: Any) -> Any:
        return tf.reduce_mean((one - two) ** 2)

    def replayed(self, model: Any, replay: Replay) -> Any:
        return model

    def nothing(self, replay: Replay, model: Any) -> Nothing:
        return Nothing()

    def _gradients(self, model: Any, replay: Replay, wanted: Any) -> list[Any]:
        shapes = [tuple(reversed(variable.shape)) for variable in model.weights]
        given = zip(model.weights, replay.next(shapes), strict=True)
        places = {id(variable): tf.constant(_turned(gradient)) for variable, gradient in given}
        return [places[id(variable)] for variable in wanted]

    def optimizer(self) -> tuple[type, ...]:
        return (tf.keras.optimizers.Optimizer, tf.compat.v1.train.Optimizer)

    def schedules(self) -> tuple[type, ...]:
        return ()

    @contextmanager
    def patched(self, model: Callable[[], Any], replay: Replay) -> Iterator[None]:
        side = self

        class Tape:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                """Nothing was recorded."""

            def gradient(self, target: Any, sources: Any) -> Any:
                return side._gradients(model(), replay, sources)

        with patch.object(tf, "GradientTape", Tape):
            yield

    def apply(self, optimizer: Any, model: Any, replay: Replay) -> None:
        variables = model.trainable_variables
        optimizer.apply_gradients(list(zip(self._gradients(model, replay, variables), variables, strict=True)))


def _turned(value: Array) -> Array:
    return np.ascontiguousarray(value.T) if value.ndim == 2 else value
