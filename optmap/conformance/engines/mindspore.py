"""MindSpore's semantics in numpy: the rules of `conformance/rules`, and a forward pass with the same order of operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from optmap.conformance.engines.forward import loss_and_gradients
from optmap.conformance.engines.recorder import Recorder
from optmap.conformance.rules import SparseRows
from optmap.conformance.scenario import Failure, Job, Outcome, Trace
from optmap.conformance.simulate import Group, _advance, _slots

SEMANTICS = "2.10.0"
"""The version of MindSpore that the rules are certified against."""
LAZY = ("mindspore.nn.LazyAdam", "mindspore.nn.Adam")


def version() -> str:
    """See `Engine`."""
    return f"{SEMANTICS} semantics, numpy {np.__version__}"


def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
    """See `Engine`."""
    for job in jobs:
        try:
            with np.errstate(all="ignore"):
                yield _run(job)
        except ValueError as error:
            yield Failure(str(error))


def _run(job: Job) -> Trace:
    real = np.dtype(job.dtype)
    arguments = dict(job.arguments)
    if job.rates is not None:
        arguments[job.rate_argument] = job.rates
    if job.scenario.sparse and job.api in LAZY:
        arguments["target"] = "CPU"  # without it, rows that occur twice in a batch are not summed
    groups = None if job.groups is None else [Group(group.parameters, group.arguments) for group in job.groups]
    slots = _slots(job.api, arguments, job.scenario.start, groups, job.steps, real)
    recorder = Recorder(job)
    for step in range(job.steps):
        loss, gradients = _gradients(job, {slot.name: slot.weight for slot in slots}, step)
        for slot in slots:
            _advance(slot, step, {name: _rows(value) for name, value in gradients.items()}, real)
        recorder.add(loss, gradients, {slot.name: slot.weight for slot in slots})
    return recorder.trace()


def _gradients(job: Job, parameters: dict[str, Any], step: int) -> tuple[float, dict[str, Any]]:
    forced = Recorder.replayed(job, step)
    if forced is not None:
        return float("nan"), forced
    return loss_and_gradients(job.scenario, parameters, step % len(job.scenario.inputs))


def _rows(value: Any) -> Any:
    return SparseRows(*value) if isinstance(value, tuple) else value
