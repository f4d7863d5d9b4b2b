"""One program that runs an optimizer on the parameters of several jobs at once.

A step and the gradients of scenarios are traced, once for all programs that are equal in them, and the loop is Python's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from inspect import signature
from typing import Any, Final, NamedTuple, TypeVar
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
KEPT: Final = 128
"""So many traced functions are kept."""


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


class _Update:
    """An optimizer with its variables, and one step of it, which is compiled where it is made often enough."""

    def __init__(self, job: Job, starts: Sequence[Array], dtype: Any) -> None:
        self.dtype = dtype
        self.variables = [tf.Variable(start, dtype=dtype) for start in starts]
        self.optimizer, self.rate, state = _optimizer(job, self.variables, dtype)
        self.constant = float(self.rate.numpy())
        self._state = [(variable, variable.numpy()) for variable in (*self.variables, *state)]
        self.step: Callable[..., list[Any]] = self._step
        if job.steps > EAGER:
            given = [tf.TensorSpec(variable.shape, dtype) for variable in (self.rate, *self.variables)]
            self.step = tf.function(self._step, autograph=False, input_signature=given).get_concrete_function()

    def reset(self) -> None:
        """Start anew."""
        for variable, value in self._state:
            variable.assign(value)

    def _step(self, rate: Any, *gradients: Any) -> list[Any]:
        """The parameters after a step."""
        self.rate.assign(rate)
        self.optimizer.apply_gradients(list(zip(gradients, self.variables, strict=True)))
        return [variable.read_value() for variable in self.variables]


_updates: OrderedDict[object, _Update] = OrderedDict()
_computations: OrderedDict[object, Callable[..., list[Any]]] = OrderedDict()
T = TypeVar("T")


def _once(made: OrderedDict[object, T], key: object, make: Callable[[], T]) -> T:
    """What was made for an equal program before, because tracing takes longer than running; the least recent ones go."""
    made[key] = found = made.pop(key) if key in made else make()
    if len(made) > KEPT:
        made.popitem(last=False)
    return found


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
        self.views, self.starts = _layout(jobs, separate)
        job, layout = jobs[0], tuple((start.shape, start.tobytes()) for start in self.starts)
        key = job.api, repr(sorted(job.arguments.items())), job.dtype, layout
        with _exact(self.dtype):
            make = partial(_Update, job, self.starts, self.dtype)
            self.update = _once(_updates, key, make) if self.steps > EAGER else make()
        self.optimizer, self.variables = self.update.optimizer, self.update.variables
        self.kept: dict[int, State] = {}
        self.alone: set[int] = set()

    def run(self) -> list[Trace | None]:
        """Run all steps and split the record into one Trace per job; None for a job that has to be run alone."""
        with _exact(self.dtype):
            return self._run()

    def _run(self) -> list[Trace | None]:
        compute = self._replayed() if self.jobs[0].gradients is not None else self._computed()
        traces: list[Trace | None] = [None] * len(self.jobs)
        for rates in dict.fromkeys(job.rates for job in self.jobs):
            self.update.reset()
            recorded = self._recorded(compute, rates or (self.update.constant,) * self.steps)
            for index, job in enumerate(self.jobs):
                if job.rates == rates:
                    traces[index] = self._trace(index, recorded)
        return [None if index in self.alone else trace for index, trace in enumerate(traces)]

    def _recorded(self, compute: Callable[..., Any], rates: Sequence[float]) -> list[Array]:
        """Run all steps; in between, states are kept, and the jobs that start there are given theirs."""
        records: list[list[Array]] = []
        values = [tf.constant(start, self.dtype) for start in self.starts]
        for step, rate in enumerate(tf.unstack(tf.constant(rates, self.dtype))):
            losses, *gradients = compute(step, *values)
            values = self.update.step(rate, *gradients)
            records.append([item.numpy() for item in (losses, *gradients, *values)])
            for index, job in enumerate(self.jobs):
                if job.kept == step + 1:
                    self.kept[index] = self._kept(index)
                if job.middle is not None and job.first == step + 1:
                    self._place(index, job.middle)
                    values = [variable.read_value() for variable in self.variables]
        held = held_in(self.dtype.name)
        return [np.stack(found).astype(held, copy=False) for found in zip(*records, strict=True)]

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

    def _replayed(self) -> Callable[..., list[Any]]:
        """What gives losses that are not known, and the jobs' gradients of a step."""
        pieces: list[list[Array]] = [[] for _ in self.variables]
        for job, views in zip(self.jobs, self.views, strict=True):
            for name, view in views.items():
                value: Any = job.gradients[name]  # type: ignore[index]
                pieces[view.variable].append(value if view.span is None else value.reshape(self.steps, -1))
        given = [tf.unstack(tf.constant(np.concatenate(found, axis=-1), self.dtype)) for found in pieces]
        unknown = tf.fill([len(self.jobs)], tf.constant(np.nan, self.dtype))
        return lambda step, *values: [unknown, *(gradients[step] for gradients in given)]

    def _computed(self) -> Callable[..., list[Any]]:
        """What computes losses and gradients of a step; the jobs share no parameter, so their losses can be added."""
        losses = [_loss(job.scenario, self.dtype) for job in self.jobs]

        def compute(step: Any, *values: Any) -> list[Any]:
            with tf.GradientTape() as tape:
                tape.watch(values)
                found = [
                    loss({name: view.tensor(values) for name, view in views.items()}, step)
                    for loss, views in zip(losses, self.views, strict=True)
                ]
                total = tf.add_n(found)
            return [tf.stack(found), *tape.gradient(total, values)]

        if self.steps <= EAGER:
            return compute
        given = [tf.TensorSpec([], tf.int32), *(tf.TensorSpec(start.shape, self.dtype) for start in self.starts)]
        made = tf.function(compute, autograph=False, input_signature=given)
        key = self.dtype, repr(self.views), tuple(_content(job.scenario) for job in self.jobs)
        program = _once(_computations, key, made.get_concrete_function)
        return lambda step, *values: program(tf.constant(step), *values)


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


def _content(scenario: Scenario) -> tuple[object, ...]:
    """All that the loss of a scenario depends on."""
    arrays = ((item.shape, item.dtype.str, item.tobytes()) for item in (scenario.inputs, scenario.targets))
    return scenario.model, scenario.loss, scenario.scale, *arrays


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
