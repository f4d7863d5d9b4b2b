"""Forward and backward pass in numpy, with the order of operations of MindSpore's single-threaded CPU kernels.

A matrix product is a chain of fused multiply-adds over the inner axis, the bias is added last; a gradient of a bias is a
sequential sum over the samples. Measured against MindSpore 2.10.0: bit-equal, see `mindspore_real`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optmap.conformance.scenario import Array, Loss, Model, Scenario


def outputs(scenario: Scenario, parameters: dict[str, Array], batch: int) -> Array:
    """The model's outputs for one batch: (samples, outputs) in the parameters' dtype."""
    if scenario.model is Model.EMBEDDING:
        rows: Array = parameters["embedding"][scenario.inputs[batch]]
        return rows
    return _scaled(scenario, parameters, _dense(scenario, parameters, batch))


def _dense(scenario: Scenario, parameters: dict[str, Array], batch: int) -> Array:
    """What the dense layer gives."""
    weight = parameters["weight"]
    dense: Array = chain(scenario.inputs[batch].astype(weight.dtype), weight.T) + parameters["bias"]
    return dense


def _scaled(scenario: Scenario, parameters: dict[str, Array], dense: Array) -> Array:
    """What the model makes of the dense layer's outputs."""
    if scenario.model is Model.TINY:
        tiny: Array = dense * parameters["factor"] + parameters["offset"]
        return tiny
    if scenario.model is Model.SCALED:
        scaled: Array = dense * parameters["norm.gamma"] + parameters["norm.beta"]
        return scaled
    return dense


def chain(left: Array, right: Array) -> Array:
    """Matrix product (n, k) x (k, m) as a chain of fused multiply-adds over k, from zero; `fma` says how."""
    total = np.zeros((left.shape[0], right.shape[1]), left.dtype)
    for product in np.multiply(left.T[:, :, None], right[:, None, :], dtype=np.float64):
        total = np.add(product, total).astype(left.dtype, copy=False)
    return total


def loss_and_gradients(scenario: Scenario, parameters: dict[str, Array], batch: int) -> tuple[float, dict[str, Any]]:
    """The loss, and the gradient of every parameter; of an embedding, the indices and values of its rows."""
    if scenario.model is Model.EMBEDDING:
        result = outputs(scenario, parameters, batch)
        loss, upstream = _loss(scenario, result, scenario.targets[batch].astype(result.dtype))
        return loss, {"embedding": (scenario.inputs[batch], upstream)}
    dense = _dense(scenario, parameters, batch)
    result = _scaled(scenario, parameters, dense)
    loss, upstream = _loss(scenario, result, scenario.targets[batch].astype(result.dtype))
    found: dict[str, Any] = {}
    if scenario.model is Model.SCALED:
        found = {"norm.gamma": _sum(upstream * dense), "norm.beta": _sum(upstream)}
        upstream = upstream * parameters["norm.gamma"]
    if scenario.model is Model.TINY:
        found = {"factor": np.sum(upstream * dense), "offset": np.sum(upstream).reshape(1)}
        upstream = upstream * parameters["factor"]
    inputs = scenario.inputs[batch].astype(result.dtype)
    return loss, {"weight": chain(upstream.T, inputs), "bias": _sum(upstream), **found}


def _sum(values: Array) -> Array:
    """The sum over the first axis, added sample by sample."""
    total: Array = values[0].copy()
    for row in values[1:]:
        total = total + row
    return total


def _loss(scenario: Scenario, result: Array, target: Array) -> tuple[float, Array]:
    """The loss and its gradient with respect to the outputs, in their dtype."""
    real = result.dtype.type
    scale = real(scenario.scale)
    if scenario.loss is Loss.CROSS_ENTROPY:
        powers = np.exp((result - result.max(axis=1, keepdims=True)).astype(np.float64)).astype(result.dtype)
        softmax = powers / powers.sum(axis=1, keepdims=True)
        loss = -(target * np.log(softmax)).sum() / len(result)
        return float(loss * scale), (softmax - target) / real(len(result)) * scale
    error = result - target
    if scenario.loss is Loss.MAE:
        return float(np.abs(error).mean() * scale), np.sign(error) * (scale / real(error.size))
    return float((error * error).mean() * scale), error * real(2) * (scale / real(error.size))
