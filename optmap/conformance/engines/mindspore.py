"""MindSpore's semantics in numpy: the rules of `conformance/rules`, and a forward pass with the same order of operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optmap.conformance.engines import each
from optmap.conformance.engines.forward import loss_and_gradients
from optmap.conformance.engines.recorder import record
from optmap.conformance.held import get, put
from optmap.conformance.rules import SparseRows
from optmap.conformance.scenario import Job, Outcome, ScheduleJob, Trace
from optmap.conformance.simulated import Group, simulated_parameters

if TYPE_CHECKING:
    from optmap.mapping.sections import Api

SEMANTICS = "2.10.0"
"""The version of MindSpore that the rules are certified against."""
LAZY = ("mindspore.nn.LazyAdam", "mindspore.nn.Adam")


def version() -> str:
    """See `Engine`."""
    return f"{SEMANTICS} semantics, numpy {np.__version__}"


def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
    """See `Engine`."""
    return each(jobs, _run)


def rates(job: ScheduleJob) -> list[float]:
    """See `Engine`. The formula of the tables is evaluated, for arguments that MindSpore takes."""
    from optmap.conformance.schedules import rates as formula_rates
    from optmap.mapping.canonical import attached
    from optmap.mapping.load import load_schedules

    tables = load_schedules()
    api = tables.apis[job.api]
    _check(api, job.arguments)
    own = job.learning_rate if attached(api) else None
    found: list[float] = formula_rates(
        tables, api, job.arguments, job.steps, learning_rate=own, steps_per_epoch=job.steps_per_epoch, at=job.wanted
    ).tolist()
    return found


def _check(api: Api, arguments: Mapping[str, Any]) -> None:
    """Raise ValueError for arguments that MindSpore rejects."""
    from optmap.mapping.taken import refused, rising

    for name, value in arguments.items():
        parameter = api.by_name[name]
        problem = refused(api, parameter, value) or rising(api, parameter, value)
        if problem is not None:
            raise ValueError(problem)


def _run(job: Job) -> Trace:
    arguments = dict(job.arguments)
    if job.rates is not None:
        arguments[job.rate_argument] = job.rates
    if job.scenario.sparse and job.api in LAZY:
        arguments["target"] = "CPU"  # without it, rows that occur twice in a batch are not summed
    groups = None if job.groups is None else [Group(group.parameters, group.arguments) for group in job.groups]
    simulated = simulated_parameters(job.api, arguments, job.start, groups, job.steps, np.dtype(job.dtype))
    if job.middle is not None:
        put(simulated, job.middle.state)

    def compute(step: int) -> tuple[float, dict[str, Any]]:
        weights = {parameter.name: parameter.weight for parameter in simulated}
        return loss_and_gradients(job.scenario, weights, step % len(job.scenario.inputs))

    def update(step: int, gradients: dict[str, Any]) -> dict[str, Any]:
        given = {name: SparseRows(*value) if isinstance(value, tuple) else value for name, value in gradients.items()}
        for parameter in simulated:
            if given[parameter.name] is None:  # MindSpore's gradient of what a loss does not depend on is zero
                given[parameter.name] = np.zeros_like(parameter.weight)
            parameter.advance(step, given)
        return {parameter.name: parameter.weight for parameter in simulated}

    with np.errstate(all="ignore"):
        return record(job, compute, update, lambda: get(simulated, job.slots, job.kept))
