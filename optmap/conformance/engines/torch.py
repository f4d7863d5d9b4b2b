"""PyTorch on CPU in eager mode, with one thread."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from optmap.conformance.engines import each
from optmap.conformance.engines.recorder import Recorder
from optmap.conformance.scenario import Job, Loss, Model, Outcome, Scenario, ScheduleJob, Trace

torch.set_num_threads(1)


def version() -> str:
    """See `Engine`."""
    return str(torch.__version__).partition("+")[0]


def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
    """See `Engine`."""
    return each(jobs, _run)


def rates(job: ScheduleJob) -> list[float]:
    """See `Engine`. The schedule is attached to an SGD whose parameter has no gradient."""
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


def _run(job: Job) -> Trace:
    dtype = getattr(torch, job.dtype)
    torch.set_default_dtype(dtype)  # ASGD and NAdam keep scalar state in the default dtype
    parameters = {
        name: torch.tensor(value, dtype=dtype, requires_grad=True) for name, value in job.scenario.start.items()
    }
    optimizer = _optimizer(job, parameters)
    forward = _Forward(job.scenario, dtype)
    factors = [rate / job.rates[0] for rate in job.rates] if job.rates else []
    first = [group["lr"] for group in optimizer.param_groups]
    recorder = Recorder(job)
    for step in range(job.steps):
        for group, rate in zip(optimizer.param_groups, first, strict=True) if factors else ():
            group["lr"] = rate * factors[step]
        loss = _set_gradients(job, parameters, forward, step)
        optimizer.step()
        recorder.add(
            loss,
            {name: _array(value.grad) for name, value in parameters.items()},
            {name: value.detach().numpy() for name, value in parameters.items()},
        )
    return recorder.trace()


def _optimizer(job: Job, parameters: dict[str, Any]) -> Any:
    given: Any = list(parameters.values())
    if job.groups is not None:
        given = [{"params": [parameters[name] for name in group.parameters], **group.arguments} for group in job.groups]
    arguments = dict(job.arguments)
    if job.rates is not None:
        arguments[job.rate_argument] = job.rates[0]
    return getattr(torch.optim, job.api.rpartition(".")[2])(given, **arguments)


def _set_gradients(job: Job, parameters: dict[str, Any], forward: _Forward, step: int) -> float:
    """Set the gradient of every parameter, replayed or computed, and return the loss."""
    replayed = Recorder.replayed(job, step)
    if replayed is None:
        for value in parameters.values():
            value.grad = None
        loss = forward.loss(parameters, step)
        loss.backward()
        return float(loss.detach())
    for name, value in parameters.items():
        gradient = replayed[name]
        if isinstance(gradient, tuple):
            indices, rows = (torch.from_numpy(np.ascontiguousarray(item)) for item in gradient)
            value.grad = torch.sparse_coo_tensor(indices[None], rows.to(value.dtype), value.shape)
        else:
            value.grad = torch.from_numpy(np.ascontiguousarray(gradient)).to(value.dtype)
    return float("nan")


def _array(gradient: Any) -> Any:
    if gradient.is_sparse:
        return gradient._indices()[0].numpy().copy(), gradient._values().numpy().copy()
    return gradient.numpy().copy()


class _Forward:
    """The model and the loss of a scenario."""

    def __init__(self, scenario: Scenario, dtype: Any) -> None:
        self.scenario = scenario
        self.inputs = [torch.from_numpy(item) for item in scenario.inputs]
        if scenario.model is not Model.EMBEDDING:
            self.inputs = [item.to(dtype) for item in self.inputs]
        self.targets = [torch.tensor(item, dtype=dtype) for item in scenario.targets]

    def loss(self, parameters: dict[str, Any], step: int) -> Any:
        """The loss of the batch of a step, counted from 0."""
        batch = step % len(self.inputs)
        result, target = self._outputs(parameters, self.inputs[batch]), self.targets[batch]
        functional = torch.nn.functional
        if self.scenario.loss is Loss.CROSS_ENTROPY:
            loss = functional.cross_entropy(result, target)
        elif self.scenario.loss is Loss.MAE:
            loss = functional.l1_loss(result, target)
        else:
            loss = functional.mse_loss(result, target)
        return loss if self.scenario.scale == 1.0 else loss * self.scenario.scale

    def _outputs(self, parameters: dict[str, Any], inputs: Any) -> Any:
        if self.scenario.model is Model.EMBEDDING:
            return torch.nn.functional.embedding(inputs, parameters["embedding"], sparse=True)
        dense = torch.nn.functional.linear(inputs, parameters["weight"], parameters["bias"])
        if self.scenario.model is Model.DENSE:
            return dense
        return dense * parameters["norm.gamma"] + parameters["norm.beta"]
