"""Values that the tables say a class takes: the real class is given them, at both ends of a range and just beyond.

A value outside a range of a schedule may be taken all the same, as long as the formula of the tables does not hold for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

from optmap.audit.results import Difference, DifferenceKind
from optmap.conformance.calls import default_call
from optmap.conformance.catalog import catalog
from optmap.conformance.pool import Session
from optmap.conformance.scenario import Failure, Job, Rates, ScheduleJob
from optmap.conformance.schedule_check import EQUIVALENT, RATE, table_calls
from optmap.conformance.schedules import ScheduleError, has_rates, rates
from optmap.mapping.canonical import TOTAL, attached
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.taken import refused
from optmap.mapping.vocabulary import OPTIMIZER, Accepts, Parameter

NUMBERS: Final = (0, 1, 2, -1, 0.0, 0.5, 1.5, -0.5, 1e-9)
NEAR: Final = 1e-6
"""How far beyond an end a value lies that is no whole number."""
TOTAL_STEPS: Final = 100
OBJECTS: Final = {"wrapped_optimizer", "network", "global_step", "last_epoch"}
"""What needs more than a number: an optimizer, a network, a counter, a training that is resumed."""
APART: Final = {"eta_minus", "smallest_step"}
"""Items of tuples that have ranges of their own, and must be in order; no row says so."""
FLOATS: Final = (Accepts.FLOAT, Accepts.FLOATS, Accepts.NOT_INT)


class Trial(NamedTuple):
    """A number for one parameter of a call, and why the tables refuse it, if they do; `at` are the steps of a schedule."""

    api: Api
    row: Parameter
    number: float
    given: Mapping[str, Any]
    refusal: str | None
    at: tuple[int, ...] = ()


def wrong_values(
    tables: MappingSet, schedules: MappingSet, apis: Sequence[Api], session: Session
) -> Iterator[Difference]:
    """The values that a class and its section do not agree on."""
    optimizers = [trial for api in apis if api.name in tables.apis for trial in _optimizer_trials(tables, api)]
    scheduled = [trial for api in apis if api.name in schedules.apis for trial in _schedule_trials(schedules, api)]
    scenario = replace(catalog()["norm-scale"], start={"weight": np.ones((3, 3), np.float32)})
    outcomes = session.run([Job(trial.api.name, dict(trial.given), scenario, 0, "float32") for trial in optimizers])
    found = session.rates([_job(trial) for trial in scheduled])
    unmade = {
        trial.api.name for trial, outcome in zip(optimizers, outcomes, strict=True)
        if trial.row.is_parameters and trial.api.not_run is not None and isinstance(outcome, Failure)
    }  # fmt: skip
    judged = [
        _judged(trial, outcome.reason if isinstance(outcome, Failure) else None, taken=True)
        for trial, outcome in zip(optimizers, outcomes, strict=True)
        if trial.api.name not in unmade
    ] + [
        _judged(trial, real.failure or _lost(trial, real), taken=_as_the_formula(schedules, trial, real))
        for trial, real in zip(scheduled, found, strict=True)
    ]
    wrong = [item for item in judged if item is not None]
    yield from {item.at: item for item in reversed(wrong)}.values()  # one value of a row tells enough


def _judged(trial: Trial, failure: str | None, *, taken: bool) -> Difference | None:
    if (trial.refusal is None) is (failure is None) or (failure is None and not taken):
        return None
    table, live = f"accepts {trial.number!r}", f"rejects it: {failure}"
    if failure is None:
        table, live = f"accepts only {trial.row.interval}", f"takes {trial.number!r}"
    at, api = trial.row.at, trial.api.name
    return Difference(at, DifferenceKind.VALUE, api, trial.row.name, f"the table {table}", f"the class {live}")


def _optimizer_trials(tables: MappingSet, api: Api) -> Iterator[Trial]:
    if OBJECTS.isdisjoint(api.by_tie):
        given = default_call(tables, api).given
        if api.parameters_argument is not None:
            yield Trial(api, api.parameters_argument, 0.0, given, None)  # the call itself
        yield from _trials(api, given)


def _schedule_trials(schedules: MappingSet, api: Api) -> Iterator[Trial]:
    first = next(table_calls(api, TOTAL_STEPS), None)
    for trial in () if first is None else _trials(api, first.given):
        alone = trial.row.ties == (TOTAL,) or not (api.no_rate or has_rates(schedules, api))
        yield trial._replace(at=(0,) if alone else (0, 1))


def _trials(api: Api, base: Mapping[str, Any]) -> Iterator[Trial]:
    for row in api.current:
        if _numeric(row) and APART.isdisjoint(row.ties):
            for number in _numbers(api, row):
                refusal = refused(api, row, number) or _crossed(api, row, number, base)
                for value in _written(row, number, base.get(row.name, row.default)):
                    yield Trial(api, row, number, {**base, row.name: value}, refusal)


def _numeric(row: Parameter) -> bool:
    objects = row.is_parameters or row.ties[:1] == (OPTIMIZER,) or row.accepts in (Accepts.OBJECT, Accepts.LIST)
    return bool(row.ties) and not objects and row.ties[0] not in OBJECTS and not isinstance(row.default, bool | str)


def _numbers(api: Api, row: Parameter) -> list[float]:
    """Those that the tables take, and those at the ends of the range and just beyond."""
    whole = row.whole or row.accepts in (Accepts.INT, Accepts.INTS)
    ends = list(_ends(row, 1 if whole else NEAR))
    numbers = [*ends, *(number for number in NUMBERS if row.interval is None or number in row.interval)]
    if whole:
        kind = float if row.whole and row.accepts is None else int
        return list(dict.fromkeys(kind(number) for number in numbers if number == int(number)))
    return list(dict.fromkeys(map(float, numbers))) if row.accepts in FLOATS else numbers


def _ends(row: Parameter, step: float) -> Iterator[float]:
    if row.interval is None:
        return
    low, high, closed_low, closed_high = row.interval
    for end, closed, out in ((low, closed_low, -step), (high, closed_high, step)):
        if math.isfinite(end):
            yield from (end, end + out if closed else end - out)


def _crossed(api: Api, row: Parameter, number: float, base: Mapping[str, Any]) -> str | None:
    """Whether a number is on the wrong side of another parameter's."""
    for other in api.current:
        if other.below is not None and row in (other, api.by_tie.get(other.below)):
            limit = number if row is not other else base[api.by_tie[other.below].name]
            value = number if row is other else base[other.name]
            if not value < limit:
                return "it must lie below"
    return None


def _written(row: Parameter, number: float, usual: Any) -> Iterator[Any]:
    """The number as the parameter takes it: in each place of a tuple, or as the first item of a list."""
    if row.accepts in (Accepts.FLOATS, Accepts.INTS):
        yield (number, *usual[1:])
    elif len(row.ties) > 1:
        own = usual if isinstance(usual, tuple) else (0.1,) * len(row.ties)
        yield from ((*own[:place], number, *own[place + 1 :]) for place in range(len(own)))
    else:
        yield number


def _job(trial: Trial) -> ScheduleJob:
    return ScheduleJob.of(trial.api.name, trial.given, 2, learning_rate=RATE, at=trial.at)


def _lost(trial: Trial, real: Rates) -> str | None:
    """What rejects a value within a range without an error: rates that are no numbers."""
    finite = trial.row.interval is None or all(map(math.isfinite, real.values))
    return None if finite or trial.refusal is not None else "its rates are not finite"


def _as_the_formula(schedules: MappingSet, trial: Trial, real: Rates) -> bool:
    """Whether the rates are those of the formula; True where there is none to tell."""
    own = RATE if attached(trial.api) else None
    try:
        ours = rates(schedules, trial.api, trial.given, 2, learning_rate=own, at=trial.at)
    except (ScheduleError, ArithmeticError, LookupError, TypeError):
        return len(trial.at) == 1
    theirs = np.array(real.values)
    with np.errstate(invalid="ignore"):  # of two infinities, which are no agreement
        return theirs.shape == ours.shape and bool(np.all(np.abs(theirs - ours) <= EQUIVALENT))
