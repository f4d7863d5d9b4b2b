"""Frameworks as the tables say that they are: formulas in place of real classes, which `check --all` holds to them.

A mutation that is caught here is caught by the real check as well, since the real classes give what these give, to rounding.
Thousands of mutations can be judged so; `--real` runs the frameworks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

import numpy as np

from optmap.conformance.calls import Call
from optmap.conformance.explain import stated
from optmap.conformance.replay import replayed
from optmap.conformance.scenario import Failure, GroupChange, Job, Outcome, Rates, Scenario, ScheduleJob, Trace
from optmap.conformance.schedules import rates
from optmap.mapping.canonical import attached
from optmap.mapping.load import load, load_schedules
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.taken import refused

SIZES: Final = (1.0, 0.7, 1e-2, 0.5, 1e-3, 0.3)
"""Sizes of the gradients of the first steps, in units of the scenario's."""


@cache
def base() -> MappingSet:
    """The tables as they are."""
    return load()


class Simulated:
    """A session without a framework; equal jobs run once."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self._known: dict[str, Outcome] = {}
        self._schedules = load_schedules()

    def version(self) -> str:
        return "as the tables state"

    def close(self) -> None:
        pass

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> Outcome:
        groups = [(group.parameters, sorted(group.arguments.items())) for group in job.groups or ()]
        key = repr((job.api, sorted(job.arguments.items()), job.scenario.name, job.steps, job.dtype, job.rates, groups,
                    job.groups is None))  # fmt: skip
        if key not in self._known:
            try:
                self._known[key] = _trace(job)
            except Exception as error:
                self._known[key] = Failure(f"{type(error).__name__}: {error}")
        return self._known[key]

    def rates(self, jobs: Sequence[ScheduleJob]) -> list[Rates]:
        return [self._rates(job) for job in jobs]

    def _rates(self, job: ScheduleJob) -> Rates:
        api = self._schedules.apis[job.api]
        try:
            given = {name: value for name, value in job.arguments.items() if not api.by_name[name].execution}
            own = job.learning_rate if attached(api) else None
            if job.momentum:
                cycles = given.get("cycle_momentum", "cycle_momentum" in api.by_name)
                return Rates((0.5 + 0.1 * bool(cycles),) * job.steps)
            found = rates(
                self._schedules,
                api,
                given,
                job.steps,
                learning_rate=own,
                steps_per_epoch=job.steps_per_epoch,
                at=job.at,
            )
        except Exception as error:
            return Rates(failure=f"{type(error).__name__}: {error}")
        return Rates(tuple(found.tolist()))


def _trace(job: Job) -> Trace:
    tables = base()
    api = tables.apis[job.api]
    _check(api, job.arguments)
    given = {name: value for name, value in job.arguments.items() if not api.by_name[name].execution}
    groups = None if job.groups is None else tuple(tuple(group.arguments.items()) for group in job.groups)
    rule = stated(tables, Call(api, given, groups=groups))
    if rule is None or rule.unknown:
        raise ValueError(f"no formula knows {rule.unknown if rule else api.algorithm}")
    scenario, rate = job.scenario, rule.values.get("learning_rate")
    if job.groups is not None:
        own = tuple(GroupChange(group.parameters, values=tuple(group.arguments.items())) for group in job.groups)
        scenario = replace(scenario, groups=own)
    if job.rates is not None:
        scenario, rate = replace(scenario, rate_factors=tuple(item / job.rates[0] for item in job.rates)), job.rates[0]
    rule = rule._replace(values={**rule.values, "learning_rate": rate})
    return replayed(rule, scenario, job.gradients or _gradients(job), job.steps, job.dtype)


def _check(api: Api, given: dict[str, Any]) -> None:
    """Raise an error where the class would."""
    for name, value in given.items():
        row = api.by_name[name]
        for each in value if isinstance(value, tuple) else (value,):
            if row.ties and (message := refused(api, row, each)):
                raise ValueError(message)
    if given.get("nesterov") and "dampening" in api.by_name and (not given.get("momentum") or given.get("dampening")):
        raise ValueError("nesterov needs momentum and no dampening")


def _gradients(job: Job) -> Any:
    scenario: Scenario = job.scenario
    random = np.random.default_rng(7)
    sizes = [scenario.gradient_size * SIZES[step % len(SIZES)] for step in range(job.steps)]
    return {
        name: np.stack([size * random.standard_normal(start.shape) for size in sizes]).astype(job.dtype)
        for name, start in scenario.start.items()
    }
