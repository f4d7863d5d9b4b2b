"""Adam whose kernel returns the change of the parameter: `mindspore.nn.AdamOffload`, `nn.Adam(use_offload=True)`.

The equation and its source are in `adam`; only the order of rounding differs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optmap.conformance.rules.adam_kernel import AdamBase
from optmap.conformance.rules.arithmetic import Array, by_lanes, fma, wide
from optmap.conformance.rules.gradients import nn_gradient
from optmap.conformance.rules.rule import At, State


def offload_kernel(
    weight: Array, gradient: Array, state: State, *, lr: Any, beta1: Any, beta2: Any, eps: Any, nesterov: bool
) -> Array:
    """NNACL's AdamDeltaFp32 followed by an addition: the same update, its products rounded in another order."""
    one = type(beta1)(1)
    scaled = (one - beta1) * gradient
    state["m"] = by_lanes(
        lambda g, m, s: fma(m, beta1, s), lambda g, m, s: fma(g, one - beta1, m * beta1), gradient, state["m"], scaled
    )
    squared = (one - beta2) * gradient
    state["v"] = by_lanes(
        lambda g, v, s: fma(v, beta2, s * g), lambda g, v, s: fma(s, g, v * beta2), gradient, state["v"], squared
    )
    numerator = fma(state["m"], beta1, scaled) if nesterov else state["m"]

    def lanes(n: Array, v: Array) -> Array:
        updated: Array = -lr * n / (np.sqrt(v) + eps)
        return updated

    def tail(n: Array, v: Array) -> Array:
        updated: Array = (wide(-lr * n) / (np.sqrt(wide(v)) + wide(eps))).astype(n.dtype)
        return updated

    return weight + by_lanes(lanes, tail, numerator, state["v"])


@dataclass(frozen=True, kw_only=True)
class AdamOffload(AdamBase):
    """`mindspore.nn.AdamOffload`, deprecated in favour of `nn.Adam(use_offload=True)` and equal to it."""

    @property
    def takes_scalars(self) -> bool:
        return False

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = nn_gradient(self, weight, gradient, at)
        scalars = self.scalars(weight, state, at)
        return offload_kernel(weight, gradient, state, nesterov=self.use_nesterov, **scalars)
