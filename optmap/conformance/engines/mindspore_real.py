"""The installed MindSpore on CPU in PyNative mode, with one kernel thread: several threads split arrays, which changes rounding.

A step takes about 9 ms, so this engine runs only on request. Float32 only. Sparse gradients exist only in graph mode and are
covered by the numpy rules and their goldens.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

os.environ.setdefault("GLOG_v", "3")

import mindspore
import numpy as np

from optmap.conformance.engines import each
from optmap.conformance.engines.mindspore_state import get, put
from optmap.conformance.engines.recorder import record
from optmap.conformance.scenario import Job, Loss, Model, Outcome, Scenario, ScheduleJob, Trace, metric_of

with suppress(RuntimeError):  # it can be called once in a process
    mindspore.device_context.cpu.op_tuning.threads_num(1)


def version() -> str:
    """See `Engine`."""
    return str(mindspore.__version__)


def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
    """See `Engine`."""
    return each(jobs, _run)


def rates(job: ScheduleJob) -> list[float]:
    """See `Engine`. Objects are called with the step, lists are read, and schedulers attached to an SGD."""
    module, _, name = job.api.rpartition(".")
    if module.startswith("mindspore.experimental"):
        return _attached(job, name)
    made = getattr(mindspore.nn, name)(**job.arguments)
    if isinstance(made, list):
        return [float(made[step]) for step in job.wanted if step < len(made)]
    return [float(made(mindspore.Tensor(step, mindspore.int32)).asnumpy()) for step in job.wanted]


def _attached(job: ScheduleJob, name: str) -> list[float]:
    experimental = importlib.import_module("mindspore.experimental.optim")
    weight = mindspore.Parameter(mindspore.Tensor(np.zeros(1, np.float32)), name="w")
    optimizer = experimental.SGD([weight], lr=job.learning_rate)
    schedule = getattr(experimental.lr_scheduler, name)(optimizer, **job.called(mindspore=mindspore, opt=optimizer))
    follows = isinstance(schedule, experimental.lr_scheduler.ReduceLROnPlateau)
    found, epochs = [], 0
    for step in job.wanted:
        while epochs < step // job.steps_per_epoch:
            epochs += 1
            schedule.step(*([mindspore.Tensor(metric_of(epochs))] if follows else []))
        found.append(float(optimizer.param_groups[0]["lr"].value().asnumpy()))
    return found


def _run(job: Job) -> Trace:
    if job.dtype != "float32" or job.scenario.sparse:
        raise NotImplementedError("the real MindSpore is run only in float32 with dense gradients")
    names = list(job.scenario.start)
    parameters = {
        name: mindspore.Parameter(mindspore.Tensor(value.copy()), name=name) for name, value in job.start.items()
    }
    optimizer, order = _optimizer(job, parameters)
    if job.middle is not None:
        put(optimizer, job.slots, job.middle.state)
    gradient = mindspore.value_and_grad(_forward(job.scenario, parameters), None, [parameters[name] for name in names])

    def compute(step: int) -> tuple[float, dict[str, Any]]:
        batch = step % len(job.scenario.inputs)
        given = (mindspore.Tensor(item[batch]) for item in (job.scenario.inputs, job.scenario.targets))
        loss, tensors = gradient(*given)
        return float(loss.asnumpy()), {name: item.asnumpy() for name, item in zip(names, tensors, strict=True)}

    def update(step: int, gradients: dict[str, Any]) -> dict[str, Any]:
        for rate in optimizer.lrs if job.rates is not None and hasattr(optimizer, "lrs") else ():
            mindspore.ops.assign(rate, mindspore.Tensor(np.float32((job.rates or ())[step])))
        arrays = (
            np.zeros_like(job.scenario.start[name]) if gradients[name] is None else gradients[name] for name in order
        )
        optimizer(tuple(mindspore.Tensor(np.array(item, np.float32, order="C")) for item in arrays))
        return {name: value.asnumpy() for name, value in parameters.items()}

    return record(job, compute, update, lambda: get(optimizer, names, job.slots))


def _optimizer(job: Job, parameters: dict[str, Any]) -> tuple[Any, list[str]]:
    """The optimizer, and the parameter names in the order in which it takes the gradients."""
    arguments = dict(job.arguments)
    experimental = ".experimental." in job.api
    if job.rates is not None:
        arguments[job.rate_argument] = job.rates[0] if experimental else list(job.rates)
    module, name = job.api.rsplit(".", 1)
    create = getattr(importlib.import_module(module), name)
    if job.groups is None:
        return create(list(parameters.values()), **arguments), list(parameters)
    given = [{"params": [parameters[name] for name in group.parameters], **group.arguments} for group in job.groups]
    return create(given, **arguments), [name for group in job.groups for name in group.parameters]


def _forward(scenario: Scenario, parameters: dict[str, Any]) -> Any:
    """The loss as a function of one batch and its targets."""
    ops = mindspore.ops
    losses: dict[Loss, Callable[[Any, Any], Any]] = {
        Loss.CROSS_ENTROPY: lambda result, targets: ops.SoftmaxCrossEntropyWithLogits()(result, targets)[0].mean(),
        Loss.MAE: lambda result, targets: ops.abs(result - targets).mean(),
        Loss.MSE: lambda result, targets: ops.square(result - targets).mean(),
    }
    chosen = losses[scenario.loss]

    def loss(inputs: Any, targets: Any) -> Any:
        result = ops.matmul(inputs, parameters["weight"].T) + parameters["bias"]
        if scenario.model is Model.TINY:
            result = result * parameters["factor"] + parameters["offset"]
        if scenario.model is Model.SCALED:
            result = result * parameters["norm.gamma"] + parameters["norm.beta"]
        return chosen(result, targets) * scenario.scale

    return loss
