"""Shared by all engines: replays gradients into a run and records the run as a Trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from optmap.conformance.scenario import Array, Job, Rows, Trace


class Recorder:
    """Records one run step by step. A sparse gradient is a pair of indices and values."""

    def __init__(self, job: Job) -> None:
        self.dtype = np.dtype(job.dtype)
        self.loss: list[float] = []
        self.gradients: dict[str, list[Any]] = {name: [] for name in job.scenario.start}
        self.parameters: dict[str, list[Array]] = {name: [] for name in job.scenario.start}

    @staticmethod
    def replayed(job: Job, step: int) -> dict[str, Any] | None:
        """The gradients to replay at a step, counted from 0; None in a free run."""
        if job.gradients is None:
            return None
        return {
            name: (value.indices[step], value.values[step]) if isinstance(value, Rows) else value[step]
            for name, value in job.gradients.items()
        }

    def add(self, loss: float, gradients: dict[str, Any], parameters: dict[str, Array]) -> None:
        """Record one step: the loss and the gradients before it, copies of the parameters after it."""
        self.loss.append(loss)
        for name in self.gradients:
            self.gradients[name].append(gradients[name])
            self.parameters[name].append(np.array(parameters[name], self.dtype))

    def trace(self) -> Trace:
        """The whole run."""
        gradients = {name: self._stack(values) for name, values in self.gradients.items()}
        return Trace(
            np.array(self.loss), gradients, {name: np.stack(values) for name, values in self.parameters.items()}
        )

    def _stack(self, values: list[Any]) -> Array | Rows:
        if isinstance(values[0], tuple):
            indices, rows = zip(*values, strict=True)
            return Rows(np.stack(indices), np.stack(rows).astype(self.dtype, copy=False))
        stacked: Array = np.stack(values).astype(self.dtype, copy=False)
        return stacked
