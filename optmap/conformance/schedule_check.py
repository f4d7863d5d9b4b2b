"""Schedules and their translations, compared rate by rate: pairs, runs, verdicts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from optmap.conformance.calls import Call
from optmap.conformance.compare import ulps
from optmap.conformance.engines import ENGINES
from optmap.conformance.followed import NOTES
from optmap.conformance.pool import Session
from optmap.conformance.results import Divergence, Level, Mode, Pair, Refused, Result, Verdict, internal_error
from optmap.conformance.scenario import Code, Rates, ScheduleJob
from optmap.conformance.schedule_steps import run_length, steps_of
from optmap.conformance.schedule_translated import Translated, translated
from optmap.mapping.canonical import PACE, TOTAL, attached
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.vocabulary import OPTIMIZER, Parameter
from optmap.processes import WorkerError

SCENARIO: Final = "schedule"
DTYPE: Final = "float32"
PACE_OF_RUNS: Final = 3
"""Steps of the optimizer between two calls of an attached schedule's step() in a run."""
RATE: Final = 0.1
REAL_EPOCHS: Final = 200
"""Calls of step() for which the installed MindSpore is run."""

EQUIVALENT: Final = 2e-5
"""Of the largest rate: some 100 products in float32, each rounded by 6e-8. A step too early or too late is more than 1e-3."""
CLOSE: Final = 1e-2

LEADS: Final = ((OPTIMIZER,), ("global_step",))
"""The hyperparameters that a schedule gets from the code around it."""

SAMPLES: Final[Mapping[str, Any]] = {
    "learning_rate": RATE, "decay_steps": 20, "decay_rate": 0.5, "end_learning_rate": 0.01, "power": 2.0,
    "milestones": (10, 40), "rates": (0.1, 0.05, 0.01), "max_learning_rate": 0.3, PACE: 4,
}  # fmt: skip
AWAY: Final[Mapping[str, Any]] = {
    "learning_rate": 0.2, "decay_steps": 13, "decay_rate": 0.7, "end_learning_rate": 0.02, "power": 0.5,
    "milestones": (9, 41), "rates": (0.2, 0.15, 0.1), "max_learning_rate": 0.4, "start_factor": 0.2, "end_factor": 0.6,
    "period_factor": 2, "rate_factor": 0.8, "steps_up": 7, "steps_down": 5, PACE: 6,
    "factor": 0.3, "patience": 2, "threshold": 0.2, "cooldown": 3, "min_learning_rate": 0.02, "least_reduction": 0.05,
}  # fmt: skip
WORDS: Final = {"min": "max", "rel": "abs"}
PARTS: Final = (
    "ConstantLR(opt, factor=0.5, total_iters=4)",
    "ExponentialLR(opt, gamma=0.9)",
    "StepLR(opt, step_size=5)",
)
"""Schedules of both frameworks that put others together."""


class SchedulePair(NamedTuple):
    """A schedule and its translation. One that moves into or out of the optimizer's call is run with this rate and pace.

    `at` are the steps, counted from 0, at which the rates are compared, of a run of this length.
    """

    pair: Pair
    source: Api
    target: Api
    rate: float = RATE
    pace: int = PACE_OF_RUNS
    at: tuple[int, ...] = ()
    length: int = 0


def table_calls(api: Api, steps: int, given: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Call]:
    """The schedule as `given` and otherwise at its defaults, and with each other hyperparameter away from it in turn."""
    first = completed(api, {**_parts(api), **given}, steps)
    if first is None:
        return
    yield Call(api, first)
    for parameter in api.current:
        moved = _moved(parameter)
        if moved is not None and parameter.name not in given:
            yield Call(api, {**first, parameter.name: moved}, row=parameter.name)


def _parts(api: Api) -> dict[str, Code]:
    """Schedules for a class that puts others together."""
    listed = ", ".join(f"{api.name.rpartition('.')[0]}.{part}" for part in PARTS)
    return {api.by_tie["schedulers"].name: Code(f"[{listed}]")} if "schedulers" in api.by_tie and attached(api) else {}


def _moved(parameter: Parameter) -> Any:
    if not parameter.ties:
        return None
    if isinstance(parameter.default, bool):
        return not parameter.default
    if isinstance(parameter.default, str):
        return WORDS.get(parameter.default)
    moved = AWAY.get(parameter.ties[0])
    return (*moved, 400) if parameter.then and moved else moved


def completed(api: Api, given: Mapping[str, Any], steps: int) -> dict[str, Any] | None:
    """The arguments with samples for required ones; None where there can be no sample."""
    found = {**api.sample, **given}
    for parameter in api.current:
        if not parameter.required or parameter.name in found or parameter.ties[:1] in LEADS:
            continue
        value = sample(parameter, steps)
        if value is None:
            return None
        found[parameter.name] = value
    return found


def sample(parameter: Parameter, steps: int) -> Any:
    """A value for a parameter without a default; None where there can be none."""
    tie = parameter.ties[0] if parameter.ties else ""
    value: Any = steps if tie == TOTAL else SAMPLES.get(tie)
    if value is None:
        return None
    if parameter.accepts == "float" and isinstance(value, int):
        value = float(value)
    return (*value, 400) if parameter.then else value


def pairs(
    tables: MappingSet, schedules: MappingSet, calls: Iterable[Call], target: Framework, steps: int | None,
    quantities: Mapping[str, int],
) -> tuple[list[SchedulePair], list[Refused]]:  # fmt: skip
    """The translation of each call; the calls that are refused, with the reasons. By default a run shows all of a schedule."""
    found: list[SchedulePair] = []
    refused: list[Refused] = []
    for call in calls:
        length = steps or quantities.get(TOTAL) or run_length(call.api, call.given, PACE_OF_RUNS)
        try:
            made = _made(tables, schedules, call, target, {TOTAL: length, **quantities})
        except Exception as error:
            refused.append(Refused.by_error(error, call.api.name, target, call.given, call.origin))
            continue
        if not isinstance(made, Translated):
            refused.append(Refused(call.api.name, target, call.given, call.origin, made))
            continue
        found.append(_pair(schedules, call, made, length))
    return found, refused


def _pair(schedules: MappingSet, call: Call, made: Translated, length: int) -> SchedulePair:
    steps = steps_of(schedules, call.api, call.given, length, made.learning_rate, made.pace)
    paced = attached(call.api) or attached(made.target)
    pace = f", step() called {f'after every {made.pace}' if made.pace > 1 else 'after each'}" if paced else ""
    notes = [f"{length} steps{pace}; rates compared at {len(steps)} of them"]
    if call.api.algorithm in NOTES:
        notes.append(NOTES[call.api.algorithm])
    if length < (whole := run_length(call.api, call.given, made.pace)):
        notes.append(f"the run stops before its end: {whole} steps would show all of the schedule")
    pair = Pair(call.api.name, made.target.name, call.given, made.arguments, call.origin, call.row, call.assumed,
                notes=tuple(notes))  # fmt: skip
    return SchedulePair(pair, call.api, made.target, made.learning_rate, made.pace, steps, length)


def _made(
    tables: MappingSet, schedules: MappingSet, call: Call, target: Framework, known: Mapping[str, int]
) -> Translated | tuple[str, ...]:
    """The call of the target, or why there is none to run."""
    absent = next((name for name in (call.api.framework, target) if name not in ENGINES), None)
    if absent is not None:
        return (f"no engine runs {absent}",)
    return translated(tables, schedules, call.api, call.given, target, RATE, PACE_OF_RUNS, known)


def run_pairs(
    found: Sequence[SchedulePair],
    sessions: Mapping[str, Session],
    progress: Callable[[int, str, str], None] = lambda *_: None,
) -> list[Result]:
    """Run both sides of every pair in the engines that are there, and judge them."""
    results: list[Result] = []
    for whole in found:
        own = whole.target.framework
        progress(1, own, f"{whole.source.name} -> {whole.target.name}")
        begun = time.monotonic()
        for engine in (name for name in (own, f"{own}-real") if name in sessions):
            pair = _shortened(whole) if engine != own and attached(whole.target) else whole
            result = Result(
                pair.pair,
                engine,
                SCENARIO,
                DTYPE,
                Mode.SCHEDULE,
                pair.length,
                None,
                Level.EQUIVALENT,
                (),
                Verdict.NOT_RUN,
            )
            try:
                source = _rates(sessions, pair.source.framework, _job(pair, pair.source, pair.pair.hyperparameters))
                target = _rates(sessions, engine, _job(pair, pair.target, pair.pair.arguments))
                timed = replace(result, seconds=time.monotonic() - begun)
                results.append(_judged(timed, source, target, pair.at))
            except Exception as error:
                results.append(replace(result, reason=internal_error(error)))
    return results


def _shortened(pair: SchedulePair) -> SchedulePair:
    """The first part of a run, for an engine that takes some milliseconds for a step."""
    length = min(pair.length, REAL_EPOCHS * pair.pace)
    return pair._replace(at=tuple(step for step in pair.at if step < length), length=length)


def _job(pair: SchedulePair, api: Api, arguments: Mapping[str, Any]) -> ScheduleJob:
    pace = pair.pace if attached(api) else 1
    return ScheduleJob.of(api.name, arguments, pair.length, learning_rate=pair.rate, steps_per_epoch=pace, at=pair.at)


def _rates(sessions: Mapping[str, Session], engine: str, job: ScheduleJob) -> Rates:
    try:
        return sessions[engine].rates([job])[0]
    except WorkerError as error:
        return Rates(failure=str(error))


def _judged(result: Result, source: Rates, target: Rates, at: Sequence[int]) -> Result:
    for side, rates in (("source", source), ("target", target)):
        if rates.failure is not None:
            return replace(result, reason=f"the {side} cannot be run: {rates.failure}")
    divergence = compare_rates(source.values, target.values, at)
    if divergence.level.rank <= Level.EQUIVALENT.rank:
        return replace(result, divergence=divergence, verdict=Verdict.AS_EXPECTED)
    over = divergence.first_step_over or 1
    place = at.index(over - 1)
    shown = [f"{rates[place]:.9g}" if place < len(rates) else "nothing" for rates in (source.values, target.values)]
    reason = f"measured {divergence.level}, expected equal rates: at step {over} the source has {shown[0]}, the target {shown[1]}"
    return replace(result, divergence=divergence, verdict=Verdict.WORSE, reason=reason)


def compare_rates(source: Sequence[float], target: Sequence[float], at: Sequence[int] = ()) -> Divergence:
    """How far two runs of rates lie apart; steps count from 1. Steps that only one side has differ without bound.

    `at` are the steps of the rates, counted from 0, where they are not all the first ones.
    """
    peak = max(map(abs, source), default=0.0)
    gaps = [abs(one - other) for one, other in zip(source, target, strict=False)]
    gaps = [math.inf if math.isnan(gap) else gap for gap in gaps]
    gaps += [math.inf] * abs(len(source) - len(target))
    worst = max(gaps, default=0.0)
    steps = at or range(len(gaps))
    over = next((step + 1 for step, gap in zip(steps, gaps, strict=False) if gap > EQUIVALENT * peak), None)
    level = Level.DIVERGENT
    if worst == 0.0:
        level = Level.IDENTICAL
    elif over is None:
        level = Level.EQUIVALENT
    elif worst <= CLOSE * peak:
        level = Level.CLOSE
    shared = min(len(source), len(target))
    one, other = (np.asarray(side[:shared], np.float32) for side in (source, target))
    ulp = ulps(one, other, peak) if math.isfinite(worst) else None
    return Divergence(worst, ulp, worst / peak if peak else 0.0, over, "learning_rate" if over else None, level)
