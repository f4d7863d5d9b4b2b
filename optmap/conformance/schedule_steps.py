"""The steps at which two schedules are compared: where they change, one before and one after, and well past their end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np

from optmap.conformance.schedules import ScheduleError, rates
from optmap.mapping.canonical import TOTAL, attached
from optmap.mapping.model import MappingSet
from optmap.mapping.rate import RateError
from optmap.mapping.sections import Api

SHORTEST: Final = 100
"""Steps of a run whose schedule says nothing about its length."""
LONGEST: Final = 10_000_000
DENSE: Final = 120
"""Runs up to this length are compared at every step."""
EVENLY: Final = 40
"""Points spread over a longer run."""
FEW: Final = 40
"""Changes of the rate that are all looked at; of more, so many from the first to the last."""
TRACED: Final = 20_000
"""The longest run whose changes are looked for in its rates."""
CYCLES: Final = (1, 2, 3, 7)
"""Ends of periods: equal ones, and three that double."""


def run_length(api: Api, given: Mapping[str, Any], pace: int) -> int:
    """The steps that show all of a schedule: twice its two longest parts, or just the total that it insists on."""
    unit = pace if attached(api) else 1
    total = api.by_tie[TOTAL].name if TOTAL in api.by_tie else ""
    if isinstance(given.get(total), int):
        return min(int(given[total]) * unit, LONGEST)
    lengths = list(_lengths(api, given))
    return min(max(SHORTEST, 2 * sum(sorted(lengths)[-2:]) * unit + 2), LONGEST)


def steps_of(
    schedules: MappingSet, api: Api, given: Mapping[str, Any], length: int, rate: float, pace: int
) -> tuple[int, ...]:
    """The steps of a run of this length, counted from 0, at which the rates of both sides are compared."""
    if length <= DENSE:
        return tuple(range(length))
    evenly = np.linspace(0, length - 1, EVENLY).astype(int).tolist()
    return boundaries(api, given, length, pace, (*_changes(schedules, api, given, length, rate, pace), *evenly))


def boundaries(api: Api, given: Mapping[str, Any], length: int, pace: int, more: Sequence[int] = ()) -> tuple[int, ...]:
    """The steps at, before and after every boundary that a call's numbers make, both ends, and more places."""
    unit = pace if attached(api) else 1
    lengths = list(_lengths(api, given))
    places = [size * unit * times for size in (*lengths, *accumulate(lengths)) for times in CYCLES]
    near = {place + by for place in (*places, *more, 0, 1, 2, unit, length - 2) for by in (-1, 0, 1)}
    return tuple(sorted(step for step in near if 0 <= step < length))


def _lengths(api: Api, given: Mapping[str, Any]) -> Iterator[int]:
    """Every whole number in a call that may count steps or epochs."""
    for parameter in api.current:
        if parameter.ties and not parameter.execution:
            yield from _whole(given.get(parameter.name, parameter.default))


def _whole(value: Any) -> Iterator[int]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _whole(item)
    elif isinstance(value, int | float) and not isinstance(value, bool) and 1 < value < LONGEST and value == int(value):
        yield int(value)


def _changes(
    schedules: MappingSet, api: Api, given: Mapping[str, Any], length: int, rate: float, pace: int
) -> Sequence[int]:
    """The first steps with another rate, where the rate rests between; else those where it turns or jumps most."""
    own = rate if attached(api) else None
    try:
        found = rates(schedules, api, given, min(length, TRACED), learning_rate=own, steps_per_epoch=pace)
    except (ScheduleError, RateError):
        return ()
    by = np.diff(found)
    changed = np.flatnonzero(by) + 1
    if 2 * pace * len(changed) > len(found):
        bends = np.abs(np.diff(by))
        changed = np.sort(np.argsort(bends)[-FEW:]) + 1
    return _thinned(changed.tolist())


def _thinned(places: Sequence[int]) -> Sequence[int]:
    if len(places) <= FEW:
        return places
    return [places[int(index)] for index in np.linspace(0, len(places) - 1, FEW)]


def factors_of(found: Iterable[float]) -> tuple[float, ...]:
    """Rates as multiples of the largest; never zero, which some constructors reject."""
    listed = list(found)
    peak = max(map(abs, listed), default=0.0)
    return tuple(max(item / peak, 1e-9) for item in listed) if peak else ()
