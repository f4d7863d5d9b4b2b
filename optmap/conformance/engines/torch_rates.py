"""Learning rates of PyTorch's schedules, attached to an SGD whose parameter has no gradient."""

from __future__ import annotations

import math
import warnings

import torch

from optmap.conformance.schedule_jobs import ScheduleJob


def rates(job: ScheduleJob) -> list[float]:
    """The learning rate of each step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=job.learning_rate)
        arguments = dict(job.arguments)
        if job.formula:
            arguments["lr_lambda"] = eval(arguments["lr_lambda"], {"math": math})
        schedule = getattr(torch.optim.lr_scheduler, job.api.rpartition(".")[2])(optimizer, **arguments)
        found = []
        for step in range(job.steps):
            if step and step % job.steps_per_epoch == 0:
                schedule.step()
            found.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
    return found
