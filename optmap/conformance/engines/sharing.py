"""Runs that one run of an engine can stand for: a class that works element by element takes them as one vector.

A step of an optimizer costs the same for two parameters or for twenty, so forced runs with equal calls share theirs. What a
parameter's own shape, group, or missing gradient may change is run by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from optmap.conformance.engines import each
from optmap.conformance.scenario import Array, Job, Model, Outcome, Rows, Trace

NAME: Final = "all"


def together(jobs: Sequence[Job], elementwise: Collection[str], train: Callable[[Job], Trace]) -> Iterator[Outcome]:
    """Run jobs in order, those together that may share a run; one that fails tells nothing of the others."""
    groups: dict[str, list[int]] = {}
    for index, job in enumerate(jobs):
        groups.setdefault(_key(job, elementwise) or str(index), []).append(index)
    found: dict[int, Outcome] = {}
    for indices in groups.values():
        mine = [jobs[index] for index in indices]
        outcomes = list(each([_joined(mine)], train)) if len(mine) > 1 else []
        if outcomes and isinstance(outcomes[0], Trace):
            found |= zip(indices, _parted(mine, outcomes[0]), strict=True)
        else:
            found |= zip(indices, each(mine, train), strict=True)
    yield from (found[index] for index in range(len(jobs)))


def _key(job: Job, elementwise: Collection[str]) -> str:
    """A key that is equal for jobs that may share a run; empty for one that has its own."""
    scenario = job.scenario
    own = job.groups is not None or job.middle or job.kept or scenario.silent or scenario.model is Model.TINY
    if job.api not in elementwise or job.gradients is None or scenario.sparse or own or not job.steps:
        return ""
    return repr((job.api, sorted(job.arguments.items()), job.steps, job.dtype, job.rates))


def _joined(jobs: Sequence[Job]) -> Job:
    start = np.concatenate([value.reshape(-1) for job in jobs for value in job.start.values()])
    gradients = np.concatenate([_flat(job, name) for job in jobs for name in job.start], axis=1)
    return replace(jobs[0], scenario=replace(jobs[0].scenario, start={NAME: start}), gradients={NAME: gradients})


def _flat(job: Job, name: str) -> Array:
    value = (job.gradients or {})[name]
    assert not isinstance(value, Rows)
    return value.reshape(job.steps, -1)


def _parted(jobs: Sequence[Job], trace: Trace) -> Iterator[Trace]:
    place = 0
    for job in jobs:
        found: dict[str, Array] = {}
        for name, value in job.start.items():
            found[name] = trace.parameters[NAME][:, place : place + value.size].reshape(job.steps, *value.shape)
            place += value.size
        yield Trace(trace.loss, job.gradients or {}, found)
