"""Learning rates step by step, in numpy: the formula that each table states, evaluated.

Computed in float64; tests hold the formulas to the real frameworks over whole trainings, to the rounding of those: torch
computes in float64, TensorFlow and MindSpore in float32 (a relative 2^-24 an operation; torch and mindspore.experimental
multiply the last rate instead of the first, so that errors add up).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from optmap.conformance.followed import NOTES, Asked, in_turn, on_plateau
from optmap.mapping.canonical import PACE, Canonical, Context
from optmap.mapping.formula import ARITHMETIC, Formula, Op
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import BoundArgument
from optmap.mapping.rate import LAST, STEP, RateError, rate_formula
from optmap.mapping.sections import Api
from optmap.mapping.values import Value, literal_value

Array: TypeAlias = npt.NDArray[np.float64]

_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "min": np.minimum, "max": np.maximum, "floor": np.floor, "ceil": np.ceil, "cos": np.cos, "exp": np.exp,
    "log": lambda number, base: np.log(number) / np.log(base),
    "reached": lambda places, number: np.searchsorted(np.sort(places), number, side="right"),
}  # fmt: skip


class ScheduleError(ValueError):
    """The rates cannot be computed; the message says why."""


def rates(
    tables: MappingSet,
    api: Api,
    arguments: Mapping[str, Any],
    steps: int,
    *,
    learning_rate: float | None = None,
    steps_per_epoch: int = 1,
    at: Sequence[int] = (),
) -> Array:
    """The learning rate of each of the first steps, as the schedule's framework computes it.

    Args:
        tables: the tables of schedules.
        api: the schedule.
        arguments: its arguments by name, without the optimizer and the step.
        steps: number of steps of the optimizer.
        learning_rate: the optimizer's own rate, for a schedule that is attached to it.
        steps_per_epoch: steps of the optimizer between two calls of an attached schedule's step().
        at: steps, counted from 0, to which the answer is limited.

    A schedule that follows a metric is given `metric_of` the epoch. Raises ScheduleError for a schedule that has no rates.
    """
    given = [
        BoundArgument(api.by_name[name], _value(value), index) for index, (name, value) in enumerate(arguments.items())
    ]
    known = {PACE: literal_value(steps_per_epoch)}
    if learning_rate is not None:
        known["learning_rate"] = literal_value(learning_rate)
    call = Canonical(tables, api, given, Context(known))
    if api.algorithm in NOTES:
        taken = np.asarray(at or range(steps), np.int64) // steps_per_epoch
        asked = Asked(call, arguments, learning_rate or 0.0, int(taken[-1]))
        epochs = (
            on_plateau(asked) if "schedulers" not in call.parameters else in_turn(asked, partial(_part, tables, asked))
        )
        chosen: Array = np.asarray(epochs, np.float64)[taken]
        return chosen
    try:
        formula = rate_formula(call)
    except RateError as error:
        raise ScheduleError(f"the rates of {api.name} have no formula: {error}") from None
    wanted = np.asarray(at, np.float64) if at else np.arange(steps, dtype=np.float64)
    evaluation = _Evaluation(list(arguments.values()), wanted)
    with np.errstate(all="ignore"):
        if LAST in formula.missing():
            return evaluation.chained(formula, call.value("learning_rate").number, steps_per_epoch)
        return np.asarray(np.broadcast_to(evaluation.of(formula), wanted.shape), dtype=np.float64)


def _part(tables: MappingSet, whole: Asked, name: str, arguments: Mapping[str, Any], epochs: int) -> Sequence[float]:
    """The rates of a schedule that is part of another, after each call of step()."""
    found: list[float] = rates(tables, tables.apis[name], arguments, epochs, learning_rate=whole.rate).tolist()
    return found


def has_rates(tables: MappingSet, api: Api) -> bool:
    """Whether the rates of a schedule can be computed."""
    return api.no_rate is None and (tables.algorithms[api.algorithm].rate is not None or api.algorithm in NOTES)


def _value(value: Any) -> Value:
    """What is known of an argument; a function stands for itself."""
    return Value() if callable(value) else literal_value(tuple(value) if isinstance(value, list) else value)


class _Evaluation:
    """Evaluates formulas of a call with these arguments, at these steps."""

    def __init__(self, arguments: Sequence[Any], steps: Array) -> None:
        self.arguments = arguments
        self.names: dict[str, Any] = {STEP: steps, "pi": np.pi}

    def chained(self, formula: Formula, first: float, pace: int) -> Array:
        """The rates of a schedule that goes on from its last rate."""
        wanted = self.names[STEP]
        found = [first]
        for epoch in range(1, int(wanted[-1]) // pace + 1):
            self.names |= {STEP: np.float64(epoch * pace), LAST: found[-1]}
            found.append(float(self.of(formula)))
        chosen: Array = np.array(found)[wanted.astype(int) // pace]
        return chosen

    def of(self, formula: Formula) -> Any:
        """The value of a formula, as an array where it depends on the step."""
        if formula.known:
            return np.asarray(formula.number, np.float64) if formula.op is Op.LIST else formula.number
        if formula.op is Op.ARGUMENT:
            return self.arguments[formula.index]
        if formula.op is Op.CONTEXT:
            if formula.name not in self.names:
                raise ScheduleError(f"{formula.name} is not given")
            return self.names[formula.name]
        items = [self.of(item) for item in formula.items]
        if formula.op is Op.CALL:
            return _FUNCTIONS[formula.name](*items) if formula.name else _called(*items)
        return _OPERATIONS[formula.op](*items) if formula.op in _OPERATIONS else ARITHMETIC[formula.op](*items)


def _called(function: Any, steps: Any) -> Any:
    """The values of a user's function of the step; its text is never run."""
    if not callable(function):
        raise ScheduleError("its function is only text")
    return np.vectorize(function, [float])(steps.astype(int))


_OPERATIONS: Final[dict[Op, Callable[..., Any]]] = {
    Op.ITEM: lambda items, index: items[index],
    Op.IF: np.where,
    Op.AND: np.logical_and,
    Op.WHOLE: lambda one, other: np.floor(one / other),  # Python's own // differs where the quotient is rounded to a whole number
    Op.NAMED: lambda item: item,
    Op.NEGATIVE: lambda item: -item,
}  # fmt: skip
