"""PyTorch on CPU in eager mode, with one thread."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch

from optmap.conformance.engines.recorder import record
from optmap.conformance.engines.sharing import together
from optmap.conformance.engines.torch_state import get, put
from optmap.conformance.scenario import Job, Loss, Model, Outcome, Scenario, ScheduleJob, Trace, metric_of

torch.set_num_threads(1)

ELEMENTWISE: Final = tuple(
    f"torch.optim.{name}"
    for name in ("ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD")
)
"""Classes in which the update of an element depends on nothing else."""


def version() -> str:
    """See `Engine`."""
    return str(torch.__version__).partition("+")[0]


def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
    """See `Engine`."""
    return together(jobs, ELEMENTWISE, _run)


def rates(job: ScheduleJob) -> list[float]:
    """See `Engine`. The schedule is attached to an SGD whose parameter has no gradient."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        momentum = 0.5 if job.momentum else 0.0
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=job.learning_rate, momentum=momentum)
        schedule = getattr(torch.optim.lr_scheduler, job.api.rpartition(".")[2])(
            optimizer, **job.called(torch=torch, opt=optimizer)
        )
        follows = isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)
        optimizer.step()
        found, epochs = [], 0
        for step in job.wanted:
            while epochs < step // job.steps_per_epoch:
                epochs += 1
                schedule.step(*([metric_of(epochs)] if follows else []))
            found.append(float(optimizer.param_groups[0]["momentum" if job.momentum else "lr"]))
    return found


def _run(job: Job) -> Trace:
    dtype = getattr(torch, job.dtype)
    torch.set_default_dtype(dtype)  # ASGD and NAdam keep scalar state in the default dtype
    parameters = {name: torch.tensor(value, dtype=dtype, requires_grad=True) for name, value in job.start.items()}
    optimizer = _optimizer(job, parameters)
    if job.middle is not None:
        put(optimizer, parameters, job.slots, job.middle.state)
    loss_of = _loss(job.scenario, dtype)
    factors = [rate / job.rates[0] if job.rates[0] else 1.0 for rate in job.rates] if job.rates else []
    first = [group["lr"] for group in optimizer.param_groups]

    def compute(step: int) -> tuple[float, dict[str, Any]]:
        for value in parameters.values():
            value.grad = None
        loss = loss_of(parameters, step)
        loss.backward()
        return float(loss.detach()), {name: _array(value.grad) for name, value in parameters.items()}

    def update(step: int, gradients: dict[str, Any]) -> dict[str, Any]:
        for group, rate in zip(optimizer.param_groups, first, strict=True) if factors else ():
            group["lr"] = rate * factors[step]
        for name, value in parameters.items():
            value.grad = None if gradients[name] is None else _tensor(gradients[name], value)
        optimizer.step()
        return {name: _numbers(value.detach()) for name, value in parameters.items()}

    return record(job, compute, update, lambda: get(optimizer, parameters, job.slots))


def _optimizer(job: Job, parameters: dict[str, Any]) -> Any:
    given: Any = list(parameters.values())
    if job.groups is not None:
        given = [{"params": [parameters[name] for name in group.parameters], **group.arguments} for group in job.groups]
    arguments = dict(job.arguments)
    if job.rates is not None:
        arguments[job.rate_argument] = job.rates[0]
    return getattr(torch.optim, job.api.rpartition(".")[2])(given, **arguments)


def _tensor(gradient: Any, parameter: Any) -> Any:
    """A gradient as a tensor of the parameter's dtype, sparse where it is a pair of indices and rows."""
    if isinstance(gradient, tuple):
        indices, rows = (torch.from_numpy(np.ascontiguousarray(item)) for item in gradient)
        return torch.sparse_coo_tensor(indices[None], rows.to(parameter.dtype), parameter.shape)
    return torch.from_numpy(np.ascontiguousarray(gradient)).reshape(parameter.shape).to(parameter.dtype)


def _array(gradient: Any) -> Any:
    if gradient.is_sparse:
        return gradient._indices()[0].numpy().copy(), gradient._values().numpy().copy()
    return _numbers(gradient).copy()


def _numbers(tensor: Any) -> Any:
    """A tensor as an array; numpy has no bfloat16."""
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()


def _loss(scenario: Scenario, dtype: Any) -> Callable[[dict[str, Any], int], Any]:
    """The loss of a scenario as a function of its parameters and the step."""
    functional = torch.nn.functional
    losses = {Loss.CROSS_ENTROPY: functional.cross_entropy, Loss.MAE: functional.l1_loss, Loss.MSE: functional.mse_loss}
    sparse = scenario.model is Model.EMBEDDING
    inputs = [torch.tensor(item, dtype=None if sparse else dtype) for item in scenario.inputs]
    targets = [torch.tensor(item, dtype=dtype) for item in scenario.targets]

    def loss(parameters: dict[str, Any], step: int) -> Any:
        batch = step % len(inputs)
        if sparse:
            result = functional.embedding(inputs[batch], parameters["embedding"], sparse=True)
        else:
            result = functional.linear(inputs[batch], parameters["weight"], parameters["bias"])
        if scenario.model is Model.TINY:
            result = result * parameters["factor"] + parameters["offset"]
        if scenario.model is Model.SCALED:
            result = result * parameters["norm.gamma"] + parameters["norm.beta"]
        value = losses[scenario.loss](result, targets[batch])
        return value if scenario.scale == 1.0 else value * scenario.scale

    return loss
