"""The formulas of schedules: the rates of the tables are held to those of the real classes, where a schedule does something.

Every class is called at its defaults, then with each argument away from them, and with every word that its formula knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from optmap.audit.results import Difference, DifferenceKind
from optmap.conformance.execution import values
from optmap.conformance.pool import Session
from optmap.conformance.scenario import Code, Rates, ScheduleJob
from optmap.conformance.schedule_check import AWAY, PACE_OF_RUNS, RATE, compare_rates, table_calls
from optmap.conformance.schedule_steps import boundaries, run_length
from optmap.conformance.schedules import ScheduleError, has_rates, rates
from optmap.mapping.canonical import attached
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.vocabulary import Accepts, Parameter

TOTAL_STEPS: Final = 100
LONGEST: Final = 200
"""Steps of a run: the installed MindSpore takes some milliseconds for a step."""
FUNCTION: Final = Code("lambda epoch: 0.9**epoch")


def _function(epoch: float) -> float:
    return float(0.9**epoch)


class Trial(NamedTuple):
    """A call of a schedule, the steps that are looked at, and the rates of the tables there; None where they have none.

    `word` tells that an argument is a guess, which the class may reject; `idle` is the argument that must change nothing.
    """

    api: Api
    job: ScheduleJob
    expected: tuple[float, ...] | None
    word: bool = False
    idle: str = ""


def wrong_rates(schedules: MappingSet, apis: Sequence[Api], session: Session) -> Iterator[Difference]:
    """The schedules whose formula does not give the rates of the class, each once."""
    trials = [trial for api in apis if api.name in schedules.apis for trial in rate_trials(schedules, api)]
    wrong: dict[str, Difference] = {}
    for trial, real in zip(trials, session.rates([trial.job for trial in trials]), strict=True):
        difference = None if trial.api.name in wrong else _judged(trial, real)
        if difference is not None:
            wrong[trial.api.name] = difference
    yield from wrong.values()


def rate_trials(schedules: MappingSet, api: Api) -> Iterator[Trial]:
    """The calls of a class whose table states a formula."""
    if not has_rates(schedules, api):
        return
    text = schedules.algorithms[api.algorithm].rate or ""
    functions = {row.name: FUNCTION for row in api.current if row.ties in (("function",), ("scale_function",))}
    required = {name: text for name, text in functions.items() if api.by_name[name].required}
    first: Mapping[str, Any] = {}
    for call in table_calls(api, TOTAL_STEPS, required):
        first = first or call.given
        yield _trial(schedules, api, call.given)
    for name in functions.keys() - required.keys():
        yield _trial(schedules, api, {**first, name: FUNCTION})
    for row in api.current:
        if first and (part := _fraction(row)) is not None:
            yield _trial(schedules, api, {**first, row.name: part})
        if row.execution:
            given = {**first, row.name: values(row.default, ("other",))[-1]}
            yield _trial(schedules, api, first)._replace(job=_trial(schedules, api, given).job, idle=row.name)
        for word in re.findall("'([a-z_0-9]+)'", text) if isinstance(row.default, str) and row.ties else ():
            yield _trial(schedules, api, {**first, row.name: word})._replace(word=True)


def _fraction(row: Parameter) -> Any:
    """A count of steps that is no whole number; None where the tables say that a class takes none, or for no count."""
    moved: Any = AWAY.get(row.ties[0]) if row.ties else None
    parts = moved if isinstance(moved, tuple) else (moved,)
    if (
        row.whole
        or row.accepts in (Accepts.INT, Accepts.INTS)
        or row.then
        or not all(type(item) is int for item in parts)
    ):
        return None
    return tuple(item - 0.5 for item in parts) if isinstance(moved, tuple) else moved - 0.5


def _trial(schedules: MappingSet, api: Api, given: Mapping[str, Any]) -> Trial:
    pace = PACE_OF_RUNS if attached(api) else 1
    length = min(run_length(api, given, pace), LONGEST)
    at = boundaries(api, given, length, pace, (length // 3, length // 2))
    called = {name: _function if value is FUNCTION else value for name, value in given.items()}
    own = RATE if attached(api) else None
    try:
        found = rates(schedules, api, called, length, learning_rate=own, steps_per_epoch=pace, at=at)
        expected = tuple(found.tolist())
    except (ScheduleError, ArithmeticError, LookupError, TypeError):
        expected = None
    job = ScheduleJob.of(api.name, given, length, learning_rate=RATE, steps_per_epoch=pace, at=at)
    return Trial(api, job, expected)


def _judged(trial: Trial, real: Rates) -> Difference | None:
    api, job = trial.api, trial.job

    def made(table: str, live: str) -> Difference:
        call = ", ".join(f"{name}={value!r}" for name, value in job.arguments.items())
        return Difference(
            api.at, DifferenceKind.RATE, api.name, None, f"the table's formula for ({call}) gives {table}", live
        )

    over = compare_rates(real.values, trial.expected or (), job.at).first_step_over
    if trial.idle and (real.failure is not None or over is not None):
        row = api.by_name[trial.idle]
        live = (
            f"the class rejects {job.arguments[row.name]!r}: {real.failure}" if real.failure else "it changes the rates"
        )
        table = "the table says that it affects execution alone"
        return Difference(row.at, DifferenceKind.RATE, api.name, row.name, table, live)
    if real.failure is not None:
        return None if trial.word else made("rates", f"the class does not run: {real.failure}")
    if trial.expected is None:
        return made("none", "the class has rates")
    if over is None:
        return None
    place = job.at.index(over - 1)
    shown = [f"{each[place]:.9g}" if place < len(each) else "none" for each in (trial.expected, real.values)]
    return made(f"{shown[0]} after {over - 1} steps", f"the class has {shown[1]}")
