"""Shared by the Adam family: hyperparameters, moments, bias correction, NNACL's dense kernel.

The equation and its source are in `adam`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optmap.conformance.rules.arithmetic import Array, by_lanes, fma, wide
from optmap.conformance.rules.options import POSITIVE, UNIT_OPEN, Flag, Rate, Rates, option
from optmap.conformance.rules.rule import At, ScaledRule, State


def corrected_rate(lr: Any, beta1_power: Any, beta2_power: Any) -> Any:
    """`lr * sqrt(1 - beta2**t) / (1 - beta1**t)`, each operation rounded to the scalars' dtype."""
    one = type(lr)(1)
    return lr * np.sqrt(one - beta2_power) / (one - beta1_power)


def moments(state: State, gradient: Array, beta1: Any, beta2: Any) -> None:
    """Update the moments `m` and `v` with the fused operations of NNACL's kernel."""
    one = type(beta1)(1)
    state["m"] = fma(gradient - state["m"], one - beta1, state["m"])
    state["v"] = fma(fma(gradient, gradient, -state["v"]), one - beta2, state["v"])


def powers(state: State, beta1: Any, beta2: Any) -> tuple[Any, Any]:
    """Advance the running powers of both betas by one step and return them."""
    state["beta1_power"] = state["beta1_power"] * beta1
    state["beta2_power"] = state["beta2_power"] * beta2
    return state["beta1_power"], state["beta2_power"]


def start(weight: Array) -> State:
    """Moments at zero, powers of beta at one."""
    one = weight.dtype.type(1)
    return {"m": np.zeros_like(weight), "v": np.zeros_like(weight), "beta1_power": one, "beta2_power": one}


def adam_kernel(
    weight: Array, gradient: Array, state: State, *, lr: Any, beta1: Any, beta2: Any, eps: Any, nesterov: bool = False
) -> Array:
    """NNACL's AdamFp32: moments, then `w - lr * m / (sqrt(v) + eps)`; in the tail, root and quotient are in double."""
    moments(state, gradient, beta1, beta2)
    rest = type(beta1)(1) - beta1

    def lanes(w: Array, g: Array, m: Array, v: Array) -> Array:
        numerator = fma(g, rest, beta1 * m) if nesterov else m
        updated: Array = w - lr * numerator / (np.sqrt(v) + eps)
        return updated

    def tail(w: Array, g: Array, m: Array, v: Array) -> Array:
        numerator = fma(m, beta1, rest * g) if nesterov else m
        quotient = wide(lr * numerator) / (np.sqrt(wide(v)) + wide(eps))
        updated: Array = (wide(w) - quotient).astype(w.dtype)
        return updated

    return by_lanes(lanes, tail, weight, gradient, state["m"], state["v"])


@dataclass(frozen=True, kw_only=True)
class AdamBase(ScaledRule):
    """The hyperparameters of `mindspore.nn`'s bias-corrected Adam classes, and the kernels' scalars at one step."""

    learning_rate: Rates = option(Rate(), 0.001)
    beta1: float = option(UNIT_OPEN, 0.9)
    beta2: float = option(UNIT_OPEN, 0.999)
    eps: float = option(POSITIVE, 1e-8)
    use_locking: bool = option(Flag(), False)
    use_nesterov: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return start(weight)

    def scalars(self, weight: Array, state: State, at: At) -> dict[str, Any]:
        """The kernels' scalars in the parameter's dtype, with the bias-corrected rate; advances the powers of beta."""
        real = weight.dtype.type
        beta1, beta2 = real(self.beta1), real(self.beta2)
        lr = corrected_rate(at.lr, *powers(state, beta1, beta2))
        return {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": real(self.eps)}
