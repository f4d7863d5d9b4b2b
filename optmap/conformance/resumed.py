"""Runs that start in the middle: the source's state after some steps, as the tables carry it over to the target."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from optmap.conformance.calls import Call, canonical_values
from optmap.conformance.results import Pair
from optmap.conformance.scenario import Array, Middle, Rows, Trace
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan
from optmap.mapping.sections import Api
from optmap.mapping.state_values import Values, active, canonical, slots, stored


class Carry(NamedTuple):
    """How the state of a call becomes that of its translation."""

    tables: MappingSet
    source: Api
    given: Values
    target: Api
    wanted: Values

    def middle(self, trace: Trace, steps: int) -> Middle:
        """Where the target starts: the source's parameters after these steps, and its state. Raises StateError."""
        parameters = {name: values[steps - 1] for name, values in trace.parameters.items()}
        zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
        found = canonical(self.tables, self.source, self.given, trace.state or {})
        found["step"] = {name: np.array(float(steps)) for name in parameters}
        return Middle(steps, parameters, stored(self.tables, self.target, self.wanted, found, zeros))


def carried(tables: MappingSet, call: Call, plan: Plan, pair: Pair) -> Carry | None:
    """How a call's state is carried over; None where it has none, or where the row that the call is for has no part in it."""
    source, target = plan.source, plan.target
    if (
        not (source.state and target.state)
        or call.groups is not None
        or (call.row and not _speaks_of(source, target, call.row))
    ):
        return None
    found = Carry(
        tables, source, canonical_values(call), target, canonical_values(Call(target, pair.arguments))
    )  # fmt: skip
    held, needed = (
        {name for name, slot in active(tables, api, values).items() if slot.value is None} - {"step"}
        for api, values in ((source, found.given), (target, found.wanted))
    )
    return found if held == needed else None


def _speaks_of(source: Api, target: Api, row: str) -> bool:
    """Whether the state of either class depends on a hyperparameter."""
    parameter = source.by_name.get(row)
    rows = [slot for api in (source, target) for slot in slots(api).values()]
    names = {slot.when for slot in rows}
    names |= {
        name for slot in rows for text in (slot.times, slot.value) if text for name in re.findall(r"{(\w+)}", text)
    }
    return not names.isdisjoint(parameter.ties if parameter else (row,))


def second_half(trace: Trace, steps: int) -> tuple[Trace, dict[str, Array]]:
    """A trace without its first steps, and the parameters where the rest starts."""
    rest = {name: values[steps:] for name, values in trace.parameters.items()}
    gradients = {
        name: Rows(value.indices[steps:], value.values[steps:]) if isinstance(value, Rows) else value[steps:]
        for name, value in trace.gradients.items()
    }
    start = {name: values[steps - 1] for name, values in trace.parameters.items()}
    return replace(trace, loss=trace.loss[steps:], gradients=gradients, parameters=rest), start
