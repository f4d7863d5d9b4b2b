"""Arguments that the tables say affect execution alone: each is flipped on the real class, which must compute the same.

An argument that does something only together with others is flipped on a call that sets those as well. A value that the class
rejects shows nothing, so several are tried where the default does not tell of what type they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from optmap.conformance.calls import completed, default_call, rows
from optmap.conformance.catalog import catalog
from optmap.conformance.compare import compare
from optmap.conformance.pool import Session
from optmap.conformance.results import Divergence, Level, Mode, Pair, Result, Verdict
from optmap.conformance.scenario import Gradients, Job, Outcome, Rates, ScheduleJob, Trace
from optmap.conformance.schedule_check import compare_rates
from optmap.conformance.schedule_check import table_calls as schedule_calls
from optmap.mapping.canonical import attached, is_schedule
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.vocabulary import Parameter
from optmap.processes import WorkerError

SCENARIO: Final = "execution"
DTYPE: Final = "float64"
SIZES: Final = (1.0, 1e-3, 0.5)
"""Sizes of the gradients of the steps: a maximum of second moments shows only where they shrink."""
SCHEDULE_STEPS: Final = 24

Arguments: TypeAlias = Mapping[str, Any]


class Flip(NamedTuple):
    """An argument that is flipped on calls of its class.

    `bases` are its calls: one at the defaults, one in which as much as possible does something, then one for each argument.
    `words` are texts that may be a value.
    """

    api: Api
    parameter: Parameter
    bases: tuple[Arguments, ...]
    words: tuple[str, ...] = ("other",)


class FlipChange(NamedTuple):
    """A call without and with another value of the argument, and how far that moves the result; None where one cannot run."""

    flip: Flip
    base: Arguments
    given: Arguments
    gap: Divergence | None = None


def flips(tables: MappingSet, apis: Iterable[Api]) -> list[Flip]:
    """The arguments of classes that affect execution alone, each once."""
    found = []
    for api in {api.name: api for api in apis if api.not_run is None and "lazy" not in api.fixed}.values():
        arguments = [parameter for parameter in api.current if parameter.execution]
        singles = [call.given for call in rows(tables, api)] if arguments else []
        bases = (
            default_call(tables, api).given,
            completed(tables, api, {**api.sample, **_joined(api, singles)}),
            *singles,
        )
        found += [Flip(api, parameter, bases) for parameter in arguments]
    return found


def schedule_flips(schedules: MappingSet, apis: Iterable[Api]) -> list[Flip]:
    """The same of schedules; their formulas have the words that their modes go by."""
    found = []
    for api in {api.name: api for api in apis}.values():
        singles = [call.given for call in schedule_calls(api, SCHEDULE_STEPS)]
        bases = (singles[0], {**singles[0], **_joined(api, singles)}, *singles[1:])
        words = re.findall("'([a-z_0-9]+)'", schedules.algorithms[api.algorithm].rate or "")
        found += [Flip(api, row, bases, ("other", *words)) for row in api.current if row.execution]
    return found


def _joined(api: Api, calls: Sequence[Arguments]) -> Arguments:
    """What the calls set away from the defaults; flags, which may exclude each other, stay as they are."""
    return {
        name: value for given in calls for name, value in given.items()
        if not isinstance(value, bool) and value != api.by_name[name].default
    }  # fmt: skip


def values(current: Any, words: tuple[str, ...]) -> tuple[Any, ...]:
    """Values other than the current one."""
    if isinstance(current, bool):
        return (not current,)
    if isinstance(current, int | float):
        return (current * 0.5 + 0.1, 0.3)
    if isinstance(current, tuple):
        return (tuple(0.9 * item if isinstance(item, int | float) else 0.3 for item in current),)
    return words if isinstance(current, str) else (True, 0.01, 2, *words)


def run_flips(flipped: Sequence[Flip], sessions: Mapping[str, Session]) -> list[Result]:
    """The flips that change what is computed, as results that do not pass; the frameworks run side by side."""
    engines = [name for name in sessions if any(flip.api.framework == name for flip in flipped)]
    with ThreadPoolExecutor(len(engines) or 1) as pool:
        found = pool.map(
            lambda name: changes([flip for flip in flipped if flip.api.framework == name], sessions[name]), engines
        )
        return [
            _result(change) for listed in found for change in listed
            if change.gap is not None and change.gap.level.rank > Level.EQUIVALENT.rank
        ]  # fmt: skip


def changes(flipped: Sequence[Flip], session: Session) -> list[FlipChange]:
    """What the flips change on the first two calls, and on all others where the second cannot be made."""
    first = _measured([change for flip in flipped for change in _asked(flip, flip.bases[:2])], session)
    taken = {id(change.flip) for change in first if change.gap is not None and change.base is change.flip.bases[1]}
    rest = [flip for flip in flipped if id(flip) not in taken]
    return first + _measured([change for flip in rest for change in _asked(flip, flip.bases[2:])], session)


def _asked(flip: Flip, bases: Sequence[Arguments]) -> list[FlipChange]:
    name, default = flip.parameter.name, flip.parameter.default
    return [
        FlipChange(flip, base, {**base, name: value})
        for base in bases for value in values(base.get(name, default), flip.words)
    ]  # fmt: skip


def _measured(asked: Sequence[FlipChange], session: Session) -> list[FlipChange]:
    """The same with what was measured; equal calls run once, schedules with the rate and with the momentum that they set."""
    jobs: dict[str, Job | list[ScheduleJob]] = {}
    for change in asked:
        for given in (change.base, change.given):
            jobs.setdefault(_key(change.flip.api, given), _job(change.flip.api, given))
    plain = {key: job for key, job in jobs.items() if isinstance(job, Job)}
    rated = {(key, each.momentum): each for key, job in jobs.items() if isinstance(job, list) for each in job}
    try:
        traces = dict(zip(plain, session.run(list(plain.values())), strict=True))
        rates = dict(zip(rated, session.rates(list(rated.values())), strict=True)) if rated else {}
    except WorkerError:
        return list(asked)
    found = []
    for change in asked:
        keys = [_key(change.flip.api, given) for given in (change.base, change.given)]
        if keys[0] in plain:
            gap = _gap(*(traces[key] for key in keys))
        else:
            gaps = [
                _rate_gap(*(rates[key, momentum] for key in keys))
                for momentum in (False, True)
                if (keys[0], momentum) in rates
            ]
            gap = max((each for each in gaps if each is not None), key=lambda each: each.level.rank, default=None)
        found.append(change._replace(gap=gap))
    return found


def _key(api: Api, given: Arguments) -> str:
    return repr((api.name, sorted(given.items())))


def _job(api: Api, given: Arguments) -> Job | list[ScheduleJob]:
    if is_schedule(api):
        both = (False, True) if attached(api) else (False,)
        return [ScheduleJob.of(api.name, given, SCHEDULE_STEPS, momentum=momentum) for momentum in both]
    random, scenario = np.random.default_rng(0), catalog()["norm-scale"]
    gradients: Gradients = {
        name: np.stack([size * random.standard_normal(value.shape) for size in SIZES])
        for name, value in scenario.start.items()
    }
    return Job(api.name, dict(given), scenario, len(SIZES), DTYPE, gradients)


def _gap(one: Outcome, other: Outcome) -> Divergence | None:
    if not isinstance(one, Trace) or not isinstance(other, Trace):
        return None
    return compare(one, other, catalog()["norm-scale"].start, DTYPE)


def _rate_gap(one: Rates, other: Rates) -> Divergence | None:
    return None if one.failure or other.failure else compare_rates(one.values, other.values)


def _result(change: FlipChange) -> Result:
    api, parameter = change.flip.api, change.flip.parameter
    mode = Mode.SCHEDULE if is_schedule(api) else Mode.FORCED
    pair = Pair(api.name, api.name, change.base, change.given, row=parameter.name)
    reason = f"{parameter.name} affects execution alone by the tables ({parameter.at}), and it changes what is computed"
    return Result(pair, api.framework, SCENARIO, DTYPE, mode, len(SIZES), change.gap, Level.EQUIVALENT, (), Verdict.WORSE,
                  reason)  # fmt: skip
