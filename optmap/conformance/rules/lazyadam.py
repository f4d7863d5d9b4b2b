"""Lazy Adam on sparse rows: `mindspore.nn.LazyAdam` and `nn.Adam(use_lazy=True)`.

    m[i] = beta1 * m[i] + (1 - beta1) * g[i]
    v[i] = beta2 * v[i] + (1 - beta2) * g[i]**2
    w[i] = w[i] - lr_t * m[i] / (sqrt(v[i]) + eps)        for the rows i of the gradient; other rows do not change

Source: torch.optim.SparseAdam and the lazy Adam of TensorFlow Addons do the same to the rows; lr_t as in `adam`. On dense
gradients a lazy Adam is plain Adam.

Quirks reproduced: by default MindSpore does not sum the gradients of a row that occurs more than once. Each occurrence
starts from the same old moments, all their updates are added to the row, and the last occurrence's moments are kept. With
the optimizer's property `target` set to "CPU" the fused kernel sums them first, as torch does.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from optmap.conformance.rules.adam_kernel import AdamBase, adam_kernel
from optmap.conformance.rules.arithmetic import Array
from optmap.conformance.rules.gradients import nn_gradient, nn_rows
from optmap.conformance.rules.options import NON_NEGATIVE, Choice, option
from optmap.conformance.rules.rule import At, SparseRows, State


class Target(StrEnum):
    """The optimizer's property `target`, which selects the kernel of the update."""

    CPU = "CPU"


def lazy_rows(
    weight: Array,
    rows: SparseRows,
    state: State,
    *,
    lr: Any,
    beta1: Any,
    beta2: Any,
    eps: Any,
    nesterov: bool,
    target: Target | None,
) -> Array:
    """Update the rows of a sparse gradient.

    Args:
        weight: the parameter, at least 1-D.
        rows: the gradient, in the parameter's dtype.
        state: `m` and `v`, updated in place.
        lr: bias-corrected rate; a scalar of the parameter's dtype, like beta1, beta2 and eps.
        nesterov: whether the numerator has Nesterov's form.
        target: the fused kernel for "CPU", composed operations for None.

    Returns:
        The new parameter.
    """
    one = type(beta1)(1)
    fused = target is not None
    if fused:
        rows = summed(rows)
    g = rows.values
    m = state["m"][rows.indices] * beta1 + g * (one - beta1)
    decayed = state["v"][rows.indices] * beta2
    v = decayed + ((one - beta2) * g * g if fused else g * g * (one - beta2))
    numerator = m * beta1 + g * (one - beta1) if nesterov else m
    root = np.sqrt(v) + eps
    change = -(lr * numerator / root) if fused else -lr * (numerator / root)
    result = weight.copy()
    np.add.at(result, rows.indices, change)
    state["m"], state["v"] = state["m"].copy(), state["v"].copy()
    for position, index in enumerate(rows.indices):
        state["m"][index], state["v"][index] = m[position], v[position]
    return result


def summed(rows: SparseRows) -> SparseRows:
    """The same gradient with each row occurring once; repeated rows are added in their order."""
    unique, position = np.unique(rows.indices, return_inverse=True)
    values = np.zeros((len(unique), *rows.values.shape[1:]), rows.values.dtype)
    np.add.at(values, position.reshape(-1), rows.values)
    return SparseRows(unique, values)


@dataclass(frozen=True, kw_only=True)
class LazyAdam(AdamBase):
    """`mindspore.nn.LazyAdam`; `target` is its property of that name, not an argument of the constructor."""

    weight_decay: float = option(NON_NEGATIVE, 0.0)
    target: Target | None = option(Choice(Target), None)

    @property
    def takes_rows(self) -> bool:
        return True

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = nn_gradient(self, weight, gradient, at)
        scalars = self.scalars(weight, state, at)
        return adam_kernel(weight, gradient, state, nesterov=self.use_nesterov, **scalars)

    def update_rows(self, weight: Array, rows: SparseRows, state: State, at: At) -> Array:
        rows = nn_rows(self, weight, rows, at)
        scalars = self.scalars(weight, state, at)
        return lazy_rows(weight, rows, state, nesterov=self.use_nesterov, target=self.target, **scalars)
