"""One compiled program that runs an optimizer on the parameters of several jobs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from itertools import pairwise
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf
from keras.src import ops as keras_ops

from optmap.conformance.engines.saved import State
from optmap.conformance.engines.tensorflow_state import held
from optmap.conformance.scenario import Array, Job, Loss, Middle, Model, Scenario, Trace, held_in

SAME: Final = 1e-5
"""How far two values of a number may be apart that all jobs of a program share, the step for one: products are rounded."""
V1: Final = "tf.compat.v1.train."
EAGER: Final = 3
"""Up to so many steps, tracing takes longer than it saves."""


class _View(NamedTuple):
    """The position of a parameter: the index of its variable, and the slice of it unless it is the whole variable."""

    variable: int
    span: slice | None
    shape: tuple[int, ...]

    def tensor(self, values: Sequence[Any]) -> Any:
        value = values[self.variable]
        return value if self.span is None else tf.reshape(value[self.span], self.shape)

    def cut(self, recorded: Sequence[Array]) -> Array:
        values = recorded[self.variable]
        return values if self.span is None else values[:, self.span].reshape(len(values), *self.shape)

    def part(self, value: Array) -> Array:
        """The parameter's part of what a variable holds; a single number is for all parameters."""
        return value.copy() if self.span is None or not value.ndim else value[self.span].reshape(self.shape)

    def with_part(self, value: Array, part: Array) -> Array:
        """What a variable holds with another value of the parameter's part."""
        if self.span is None or not value.ndim:
            return part.reshape(value.shape)
        value = value.copy()
        value[self.span] = part.reshape(-1)
        return value


class Program:
    """A program for jobs that agree in constructor call, dtype, steps and mode; it runs once per series of learning rates.

    Args:
        jobs: at least one; ungrouped, with dense gradients.
        separate: give every parameter its own variable instead of concatenating all in one.
    """

    def __init__(self, jobs: Sequence[Job], *, separate: bool) -> None:
        self.jobs = jobs
        self.steps = jobs[0].steps
        self.dtype = tf.dtypes.as_dtype(jobs[0].dtype)
        keras.backend.set_floatx(jobs[0].dtype)
        self.views, starts = _layout(jobs, separate)
        self.variables = [tf.Variable(start, dtype=self.dtype) for start in starts]
        with _exact(self.dtype):
            self.optimizer, self.rate, state = _optimizer(jobs[0], self.variables, self.dtype)
        self.kept: dict[int, State] = {}
        self.alone: set[int] = set()
        self.state = [(variable, variable.numpy()) for variable in (*self.variables, *state)]

    def run(self) -> list[Trace | None]:
        """Run all steps and split the record into one Trace per job; None for a job that has to be run alone."""
        with _exact(self.dtype):
            return self._run()

    def _run(self) -> list[Trace | None]:
        forced = self.jobs[0].gradients is not None
        step = self._forced() if forced else self._free()
        program: Callable[..., list[Any]] = lambda *given: self._loop(step, *given)  # noqa: E731
        if self.steps > EAGER:
            program = tf.function(program, autograph=False)
        constant = (float(self.rate.numpy()),) * self.steps
        traces: list[Trace | None] = [None] * len(self.jobs)
        for rates in dict.fromkeys(job.rates for job in self.jobs):
            for variable, value in self.state:
                variable.assign(value)
            recorded = self._recorded(program, tf.constant(rates or constant, self.dtype))
            for index, job in enumerate(self.jobs):
                if job.rates == rates:
                    traces[index] = self._trace(index, recorded)
        return [None if index in self.alone else trace for index, trace in enumerate(traces)]

    def _recorded(self, program: Callable[..., list[Any]], rates: Any) -> list[Array]:
        """Run all steps; in between, states are kept, and the jobs that start there are given theirs."""
        pauses = sorted({job.kept or job.first for job in self.jobs} - {0, self.steps})
        parts: list[list[Array]] = []
        for begin, end in pairwise((0, *pauses, self.steps)):
            given = (tf.constant(begin), tf.constant(end))
            made = program(rates, *given)
            parts.append([item.numpy().astype(held_in(self.dtype.name), copy=False) for item in made])
            for index, job in enumerate(self.jobs):
                if job.kept == end:
                    self.kept[index] = self._kept(index)
                if job.middle is not None and job.first == end:
                    self._place(index, job.middle)
        return [np.concatenate(found) for found in zip(*parts, strict=True)]

    def _held(self, slots: dict[str, str]) -> Iterator[tuple[str, list[Any]]]:
        """The variables of each quantity that the optimizer stores."""
        for name, slot in slots.items():
            if variables := held(self.optimizer, slot, len(self.variables)):
                yield name, variables

    def _kept(self, index: int) -> State:
        return {
            name: {key: view.part(variables[view.variable].numpy()) for key, view in self.views[index].items()}
            for name, variables in self._held(self.jobs[index].slots)
        }

    def _place(self, index: int, middle: Middle) -> None:
        """Give the parameters of one job their values, and the optimizer what it stores for them."""
        views, count = self.views[index], len(self.jobs)
        found = [(self.variables, middle.parameters)]
        found += [
            (held, middle.state[name]) for name, held in self._held(self.jobs[index].slots) if name in middle.state
        ]
        for variables, values in found:
            for key, view in views.items():
                variable, value = variables[view.variable], np.asarray(values[key])
                if count == 1 or variable.shape.rank:
                    variable.assign(view.with_part(variable.numpy(), value))
                elif not np.isclose(variable.numpy(), value, rtol=SAME):
                    self.alone.add(index)

    def _trace(self, index: int, recorded: Sequence[Array]) -> Trace:
        job, views, count = self.jobs[index], self.views[index], len(self.variables)
        losses, gradients, parameters = recorded[0], recorded[1 : 1 + count], recorded[1 + count :]
        found = {name: view.cut(parameters)[job.first :] for name, view in views.items()}
        given = job.gradients or {name: view.cut(gradients) for name, view in views.items()}
        return Trace(losses[job.first :, index].astype(np.float64), given, found, self.kept.get(index))

    def _loop(self, step: Callable[[Any], tuple[Any, list[Any]]], rates: Any, begin: Any, end: Any) -> list[Any]:
        """Stack losses, gradients and parameters of the steps from `begin` up to `end`."""

        def body(index: Any, *arrays: Any) -> tuple[Any, ...]:
            self.rate.assign(rates[index])
            losses, gradients = step(index)
            self.optimizer.apply_gradients(list(zip(gradients, self.variables, strict=True)))
            values = [losses, *gradients, *(variable.read_value() for variable in self.variables)]
            return index + 1, *(array.write(index - begin, value) for array, value in zip(arrays, values, strict=True))

        arrays = [tf.TensorArray(self.dtype, end - begin) for _ in range(1 + 2 * len(self.variables))]
        _, *filled = tf.while_loop(lambda index, *_: index < end, body, (begin, *arrays), parallel_iterations=1)
        return [array.stack() for array in filled]

    def _forced(self) -> Callable[[Any], tuple[Any, list[Any]]]:
        """A step that replays the jobs' gradients."""
        pieces: list[list[Array]] = [[] for _ in self.variables]
        for job, views in zip(self.jobs, self.views, strict=True):
            for name, view in views.items():
                value: Any = job.gradients[name]  # type: ignore[index]
                pieces[view.variable].append(value if view.span is None else value.reshape(self.steps, -1))
        given = [tf.constant(np.concatenate(found, axis=-1), self.dtype) for found in pieces]
        unknown = tf.fill([len(self.jobs)], tf.constant(np.nan, self.dtype))
        return lambda index: (unknown, [gradient[index] for gradient in given])

    def _free(self) -> Callable[[Any], tuple[Any, list[Any]]]:
        """A step that computes losses and gradients; the jobs share no parameter, so their losses can be added."""
        losses = [_loss(job.scenario, self.dtype) for job in self.jobs]

        def step(index: Any) -> tuple[Any, list[Any]]:
            with tf.GradientTape() as tape:
                values = [variable.read_value() for variable in self.variables]
                found = [
                    loss({name: view.tensor(values) for name, view in views.items()}, index)
                    for loss, views in zip(losses, self.views, strict=True)
                ]
                total = tf.add_n(found)
            return tf.stack(found), tape.gradient(total, self.variables)

        return step


def _layout(jobs: Sequence[Job], separate: bool) -> tuple[list[dict[str, _View]], list[Array]]:
    """The position of each job's parameters, and the initial values of the variables."""
    views: list[dict[str, _View]] = []
    starts: list[Array] = []
    position = 0
    for job in jobs:
        views.append({})
        for name, value in job.scenario.start.items():
            span = None if separate else slice(position, position + value.size)
            views[-1][name] = _View(len(starts) if separate else 0, span, value.shape)
            starts.append(value if separate else value.reshape(-1))
            position += value.size
    return views, starts if separate else [np.concatenate(starts)]


def _optimizer(job: Job, variables: list[Any], dtype: Any) -> tuple[Any, Any, list[Any]]:
    """The optimizer, the variable that holds its learning rate, and all variables that hold its state."""
    name = job.api.rpartition(".")[2]
    if not job.api.startswith(V1):
        optimizer = getattr(keras.optimizers, name)(**job.arguments)
        if dtype == tf.float64 and type(optimizer.weight_decay) is float:
            optimizer.weight_decay = np.float64(optimizer.weight_decay)  # Keras casts it with TensorFlow's own cast
        optimizer.build(variables)
        return optimizer, optimizer.learning_rate, list(optimizer.variables)
    create = getattr(tf.compat.v1.train, name)
    known = {"learning_rate": signature(create).parameters["learning_rate"].default, **job.arguments}
    rate = tf.Variable(known["learning_rate"], dtype=dtype)
    optimizer = create(**{**known, "learning_rate": rate})
    _keep_precision(optimizer, dtype)
    optimizer._create_slots(variables)
    return optimizer, rate, optimizer.variables()


def _exact(dtype: Any) -> AbstractContextManager[Any]:
    """A context in which a float64 run of Keras keeps its hyperparameters in float64."""
    return patch.object(keras_ops, "cast", _exact_cast) if dtype == tf.float64 else nullcontext()


def _exact_cast(value: Any, dtype: Any) -> Any:
    """Keras' `ops.cast`, except that Python numbers do not pass through float32 tensors on the way to float64."""
    return tf.constant(value, dtype) if type(value) is float else tf.cast(value, dtype)


def _keep_precision(optimizer: Any, dtype: Any) -> None:
    """Set the hyperparameters of a v1 class in float64 for a float64 run, for the same reason."""
    if dtype == tf.float64:
        for key, value in list(vars(optimizer).items()):
            if type(value) is float:
                setattr(optimizer, key, np.float64(value))


def _loss(scenario: Scenario, dtype: Any) -> Callable[[dict[str, Any], Any], Any]:
    """The loss of a scenario as a function of its parameters and the step."""
    inputs, targets = tf.constant(scenario.inputs, dtype), tf.constant(scenario.targets, dtype)
    of_element = {
        Loss.CROSS_ENTROPY: tf.nn.softmax_cross_entropy_with_logits,
        Loss.MAE: lambda target, result: tf.abs(result - target),
        Loss.MSE: lambda target, result: tf.square(result - target),
    }[scenario.loss]

    def loss(parameters: dict[str, Any], step: Any) -> Any:
        batch = step % len(scenario.inputs)
        result = tf.matmul(inputs[batch], parameters["weight"], transpose_b=True) + parameters["bias"]
        if scenario.model is Model.TINY:
            result = result * parameters["factor"] + parameters["offset"]
        if scenario.model is Model.SCALED:
            result = result * parameters["norm.gamma"] + parameters["norm.beta"]
        return tf.reduce_mean(of_element(targets[batch], result)) * scenario.scale

    return loss
