"""The training loop of the engines that run one job at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from optmap.conformance.engines.saved import State
from optmap.conformance.scenario import Array, Job, Rows, Trace, held_in

Found: TypeAlias = dict[str, Any]
"""Gradients by parameter name: arrays, or pairs of indices and values for sparse ones."""


def record(
    job: Job,
    compute: Callable[[int], tuple[float, Found]],
    update: Callable[[int, Found], Mapping[str, Array]],
    state: Callable[[], State],
) -> Trace:
    """Run the job's steps, counted from 0, and record them.

    Args:
        job: what is run; its gradients, if any, are replayed.
        compute: gives the loss and the gradients of a step.
        update: makes a step with these gradients, of which those that are missing are None, and gives the parameters after
            it, which are copied.
        state: what the optimizer stores.
    """
    if not job.steps:
        return Trace(np.zeros(0), {}, {})
    kept: State | None = None
    losses: list[float] = []
    gradients: dict[str, list[Any]] = {name: [] for name in job.scenario.start}
    parameters: dict[str, list[Array]] = {name: [] for name in job.scenario.start}
    for step in range(job.first, job.steps):
        loss, found = compute(step) if job.gradients is None else (float("nan"), _replayed(job, step))
        silent = job.scenario.is_silent
        after = update(step, {name: None if silent(name, step) else value for name, value in found.items()})
        losses.append(loss)
        for name in gradients:
            gradients[name].append(found[name])
            parameters[name].append(np.array(after[name], held_in(job.dtype)))
        if step + 1 == job.kept:
            kept = state()
    stacked = {name: _stack(values, held_in(job.dtype)) for name, values in gradients.items()}
    return Trace(np.array(losses), stacked, {name: np.stack(values) for name, values in parameters.items()}, kept)


def _replayed(job: Job, step: int) -> Found:
    return {
        name: (value.indices[step], value.values[step]) if isinstance(value, Rows) else value[step]
        for name, value in (job.gradients or {}).items()
    }


def _stack(values: list[Any], dtype: str) -> Array | Rows:
    if isinstance(values[0], tuple):
        indices, rows = zip(*values, strict=True)
        return Rows(np.stack(indices), np.stack(rows).astype(dtype, copy=False))
    stacked: Array = np.stack(values).astype(dtype, copy=False)
    return stacked
