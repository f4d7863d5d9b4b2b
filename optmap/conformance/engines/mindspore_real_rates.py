"""Learning rates of the installed MindSpore's schedules: objects called with the step, lists, and attached schedulers."""

from __future__ import annotations

import os

os.environ.setdefault("GLOG_v", "3")

import mindspore
import mindspore.experimental.optim as experimental
import numpy as np
from mindspore import nn

from optmap.conformance.schedule_jobs import ScheduleJob


def rates(job: ScheduleJob) -> list[float]:
    """The learning rate of each step."""
    module, _, name = job.api.rpartition(".")
    if module.startswith("mindspore.experimental"):
        return _attached(job, name)
    made = getattr(nn, name)(**job.arguments)
    if isinstance(made, list):
        return [float(item) for item in made[: job.steps]]
    return [float(made(mindspore.Tensor(step, mindspore.int32)).asnumpy()) for step in range(job.steps)]


def _attached(job: ScheduleJob, name: str) -> list[float]:
    weight = mindspore.Parameter(mindspore.Tensor(np.zeros(1, np.float32)), name="w")
    optimizer = experimental.SGD([weight], lr=job.learning_rate)
    schedule = getattr(experimental.lr_scheduler, name)(optimizer, **job.arguments)
    found = []
    for step in range(job.steps):
        if step and step % job.steps_per_epoch == 0:
            schedule.step()
        found.append(float(optimizer.param_groups[0]["lr"].value().asnumpy()))
    return found
