"""Scenarios: a tiny model with its initial weights, batches and loss, as data; and the jobs and results of engines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from optmap.mapping.plan import USUAL_GRADIENT

Array: TypeAlias = NDArray[Any]


class Model(StrEnum):
    """The forward pass. All models are linear, so that every framework computes the same thing in a few operations."""

    DENSE = "dense"
    """`x @ weight.T + bias`, weight of shape (outputs, inputs)."""
    SCALED = "scaled"
    """A dense layer, then `* norm.gamma + norm.beta`, as the last half of a normalization layer."""
    TINY = "tiny"
    """A dense layer, then `* factor + offset`, of which `factor` has no dimension and `offset` one element."""
    EMBEDDING = "embedding"
    """Rows of `embedding` selected by index; the gradient is sparse where the framework supports it."""


class Loss(StrEnum):
    """The loss, as the mean over all elements (cross-entropy: over the samples)."""

    MAE = "mae"
    MSE = "mse"
    CROSS_ENTROPY = "softmax-cross-entropy"


def held_in(dtype: str) -> str:
    """The numpy dtype that holds values of a dtype."""
    return "float32" if dtype == "bfloat16" else dtype


@dataclass(frozen=True)
class GroupChange:
    """A parameter group; it multiplies the learning rate by a factor and sets the weight decay to a value.

    `values` are what a group of a user's call sets, by the source's keys.
    """

    parameters: tuple[str, ...]
    rate_factor: float | None = None
    weight_decay: float | None = None
    values: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Scenario:
    """One training run without the optimizer.

    Attributes:
        name: the name that `--scenario` takes.
        about: a description in one line.
        start: initial parameters by name, float32; a float64 run starts at the same values.
        inputs: (batches, samples, features) float32, or (batches, samples) int64 rows of an embedding. Step t, counted from
            0, takes batch t modulo their number.
        targets: (batches, samples, outputs) float32; for cross-entropy the probabilities of the classes.
        scale: factor on the loss, and so on the gradients.
        gradient_size: order of magnitude of the gradients, with which an epsilon is compared.
        rate_factors: factors on the learning rate, each for an equal part of the run; empty for a constant rate.
        groups: parameter groups; empty for a plain list of parameters.
        resumed: the target of a forced run starts halfway, from the source's parameters and state.
        dtype: the only dtype that it is run in; empty for any.
        silent: parameters without a gradient in every third step.
        rare: no part of ordinary training; run where it is named.
    """

    name: str
    about: str
    model: Model
    loss: Loss
    start: dict[str, Array] = field(repr=False)
    inputs: Array = field(repr=False)
    targets: Array = field(repr=False)
    scale: float = 1.0
    gradient_size: float = USUAL_GRADIENT
    rate_factors: tuple[float, ...] = ()
    groups: tuple[GroupChange, ...] = ()
    resumed: bool = False
    dtype: str = ""
    silent: tuple[str, ...] = ()
    rare: bool = False

    def is_silent(self, name: str, step: int) -> bool:
        """Whether a parameter has no gradient in a step, counted from 0."""
        return name in self.silent and step % 3 == 1

    @property
    def sparse(self) -> bool:
        """Whether the gradient is sparse."""
        return self.model is Model.EMBEDDING

    def rates(self, rate: float, steps: int) -> tuple[float, ...] | None:
        """The learning rate of every step; None if it is constant."""
        if not self.rate_factors:
            return None
        parts = len(self.rate_factors)
        return tuple(rate * self.rate_factors[step * parts // steps] for step in range(steps))


@dataclass(frozen=True)
class Rows:
    """A sparse gradient: `indices` (steps, n) int64 rows of the parameter, `values` (steps, n, width) floats."""

    indices: Array
    values: Array


Gradients: TypeAlias = "dict[str, Array | Rows]"
"""Gradients by parameter name, each with the steps along its first axis."""


@dataclass(frozen=True)
class JobGroup:
    """A parameter group of the optimizer under test; the hyperparameters have the framework's own keys."""

    parameters: tuple[str, ...]
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Middle:
    """Where a run starts: the number of steps that lie behind it, the parameters, and the state as the class stores it."""

    steps: int
    parameters: dict[str, Array]
    state: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """A request to an engine for one run.

    Attributes:
        api: full name of the optimizer class.
        arguments: keyword arguments of its constructor, without the parameters to train.
        scenario: what is trained.
        steps: the number of steps; with none, the optimizer is made and nothing is recorded.
        dtype: "float32" or "float64", or "float16" or "bfloat16" where the scenario asks for it.
        gradients: gradients to replay (a forced run); None for a free run, in which the framework computes its own.
        rate_argument: the constructor's name for the learning rate.
        rates: the learning rate of each step, which replaces the constructor's; None for a constant rate.
        groups: parameter groups; None for a plain list.
        slots: the class's own names of what its state holds, by canonical name.
        kept: the number of steps after which the state is recorded; 0 for never.
        middle: where the run starts, of which the steps that lie behind it are not run; None for the scenario's start.
    """

    api: str
    arguments: dict[str, Any]
    scenario: Scenario
    steps: int
    dtype: str
    gradients: Gradients | None = field(default=None, repr=False)
    rate_argument: str = ""
    rates: tuple[float, ...] | None = None
    groups: tuple[JobGroup, ...] | None = None
    slots: dict[str, str] = field(default_factory=dict)
    kept: int = 0
    middle: Middle | None = field(default=None, repr=False)

    @property
    def start(self) -> dict[str, Array]:
        """The parameters at the start."""
        return self.scenario.start if self.middle is None else self.middle.parameters

    @property
    def first(self) -> int:
        """The index of the first step."""
        return 0 if self.middle is None else self.middle.steps


@dataclass(frozen=True)
class Trace:
    """The record of one run.

    Attributes:
        loss: (steps,) float64, before each step; NaN in a forced run.
        gradients: the gradients that the optimizer was given.
        parameters: by name, (steps, *shape) in the run's dtype, after each step.
        state: what the class stored where the job asks for it, by canonical name and parameter.
        seconds: its share of the time that the engine took for all runs of the request.
    """

    loss: Array
    gradients: Gradients
    parameters: dict[str, Array]
    state: dict[str, dict[str, Any]] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A run that failed, with the framework's error message."""

    reason: str


Outcome: TypeAlias = Trace | Failure


class Code(str):
    """An argument as Python text that optmap itself has written, such as a function. Text of a user's file is never run."""

    __slots__ = ()


def metric_of(epoch: int) -> float:
    """A metric that schedules follow: it falls by a tenth twice, then by so little that only an absolute threshold sees it."""
    return 100.0 - 10.0 * (epoch >= 3) - 9.0 * (epoch >= 7) - 0.005 * (epoch >= 15)


@dataclass(frozen=True)
class ScheduleJob:
    """A request to an engine for the learning rates of a schedule.

    Attributes:
        api: full name of the schedule.
        arguments: its arguments by name, without the optimizer and the step.
        steps: number of steps of the optimizer.
        learning_rate: the optimizer's own rate, where the schedule is attached to it.
        steps_per_epoch: steps between two calls of an attached schedule's step().
        at: the steps, counted from 0 and rising, whose rates are wanted; empty for all.
        code: the arguments that are `Code`.
        momentum: give the optimizer's momentum in place of the rate, for a framework whose schedules may change it.
    """

    api: str
    arguments: dict[str, Any]
    steps: int
    learning_rate: float = 0.1
    steps_per_epoch: int = 1
    code: tuple[str, ...] = ()
    momentum: bool = False
    at: tuple[int, ...] = ()

    @classmethod
    def of(cls, api: str, arguments: Mapping[str, Any], steps: int, **more: Any) -> ScheduleJob:
        """A job with lists where the arguments have tuples."""
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
        return cls(api, listed, steps, code=tuple(name for name in listed if isinstance(listed[name], Code)), **more)

    def called(self, **names: Any) -> dict[str, Any]:
        """The arguments, with what optmap's own code gives, in which these names may stand."""
        made = {name: eval(str(self.arguments[name]), {"math": math, **names}) for name in self.code}
        return self.arguments | made

    @property
    def wanted(self) -> tuple[int, ...]:
        """The steps whose rates are wanted, in order."""
        return self.at or tuple(range(self.steps))


@dataclass(frozen=True)
class Rates:
    """The learning rate of each step, or why there is none."""

    values: tuple[float, ...] = ()
    failure: str | None = None


WIRED: Final = (Failure, GroupChange, Job, JobGroup, Loss, Middle, Model, Rates, Rows, Scenario, ScheduleJob, Trace)
"""The classes of the values that messages between optmap and its workers hold."""
