"""Adam and its relatives, with the moments `m` and `v`.

    m = beta1 * m + (1 - beta1) * g         v = beta2 * v + (1 - beta2) * g**2
    c1 = 1 - beta1**t                       c2 = 1 - beta2**t

Traits: without bias correction c1 and c2 are 1. Epsilon is added to sqrt(v / c2), or before correction to sqrt(v).

Sources: Kingma and Ba, https://arxiv.org/abs/1412.6980; Loshchilov and Hutter, https://arxiv.org/abs/1711.05101; Dozat,
https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ; Liu and others, https://arxiv.org/abs/1908.03265; You and others,
https://arxiv.org/abs/1904.00962; Chen and others, https://arxiv.org/abs/2302.06675.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from optmap.conformance.formulas.by import By, Formula, State, average
from optmap.conformance.scenario import Array

RECTIFIED: Final = 5.0
"""RAdam adapts the rate from this length of the approximated average on."""


def _moments(g: Array, state: State, by: By) -> tuple[Array, Array]:
    return average(state, "m", g, by.of("beta1")), average(state, "v", g * g, by.of("beta2"))


def _corrections(by: By) -> tuple[float, float]:
    if by.has("bias_correction", "none"):
        return 1.0, 1.0
    return 1 - by.of("beta1") ** by.step, 1 - by.of("beta2") ** by.step


def adam(w: Array, g: Array, state: State, by: By) -> Array:
    """Adam and AdamW: w - lr * (m / c1) / (sqrt(v / c2) + eps); with amsgrad the root is that of the largest v so far."""
    m, v = _moments(g, state, by)
    if by.of("amsgrad", False) and not by.has("amsgrad_state", "ignored"):
        v = state["largest"] = np.maximum(state.get("largest", v), v)
    if by.of("nesterov_moment", False):
        m = by.of("beta1") * m + (1 - by.of("beta1")) * g
    c1, c2 = _corrections(by)
    epsilon = by.of("epsilon") / (c2**0.5 if by.has("epsilon_placement", "before_correction") else 1)
    moved: Array = w - by.rate * (m / c1) / (np.sqrt(v / c2) + epsilon)
    return moved


def adamax(w: Array, g: Array, state: State, by: By) -> Array:
    """Adamax: w - lr / c1 * m / u with u = max(beta2 * u, |g|); epsilon is added to |g|, or to u."""
    m, epsilon = average(state, "m", g, by.of("beta1")), by.of("epsilon")
    inside = epsilon if by.has("epsilon_placement", "inside_maximum") else 0.0
    state["u"] = np.maximum(by.of("beta2") * state.get("u", np.zeros_like(g)), np.abs(g) + inside)
    moved: Array = w - by.rate / (1 - by.of("beta1") ** by.step) * m / (state["u"] + epsilon - inside)
    return moved


def nadam(w: Array, g: Array, state: State, by: By) -> Array:
    """NAdam: the momentum mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2), and M_t the product of those so far."""
    m, v = _moments(g, state, by)

    def momentum(step: int) -> Any:
        return by.of("beta1") * (1 - 0.5 * 0.96 ** (step * by.of("momentum_decay")))

    mu, following = momentum(by.step), momentum(by.step + 1)
    product = state["product"] = state.get("product", np.ones(())) * mu
    mean = following * m / (1 - product * following) + (1 - mu) * g / (1 - product)
    moved: Array = w - by.rate * mean / (np.sqrt(v / (1 - by.of("beta2") ** by.step)) + by.of("epsilon"))
    return moved


def radam(w: Array, g: Array, state: State, by: By) -> Array:
    """RAdam: plain momentum until enough is known of v, then Adam times the rectification."""
    m, v = _moments(g, state, by)
    c1, c2 = _corrections(by)
    limit = 2 / (1 - by.of("beta2")) - 1
    length = limit - 2 * by.step * (1 - c2) / c2
    change = by.rate * m / c1
    if length > RECTIFIED:
        rectified = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        change = change * (rectified * c2) ** 0.5 / (np.sqrt(v) + by.of("epsilon"))
    moved: Array = w - change
    return moved


def lamb(w: Array, g: Array, state: State, by: By) -> Array:
    """LAMB: Adam's step, times the norm of the weights over the norm of the step."""
    update = by.of("trusted_decay") * w - adam(np.zeros_like(w), g, state, by._replace(rate=1.0))
    norms = np.sqrt(np.sum(w * w)), np.sqrt(np.sum(update * update))
    moved: Array = w - by.rate * update * (norms[0] / norms[1] if min(norms) > 0 else 1.0)
    return moved


def lion(w: Array, g: Array, state: State, by: By) -> Array:
    """Lion: the sign of an average of momentum and gradient."""
    old = state.get("m", np.zeros_like(g))
    average(state, "m", g, by.of("beta2"))
    moved: Array = w - by.rate * np.sign(by.of("beta1") * old + (1 - by.of("beta1")) * g)
    return moved


_MOMENTS: Final = ("beta1", "beta2", "epsilon")
_CORRECTED: Final = {
    "bias_correction": ("full", "none"),
    "epsilon_placement": ("after_correction", "before_correction"),
}
_ADAM: Final = Formula(
    adam, (*_MOMENTS, "amsgrad", "nesterov_moment"), {**_CORRECTED, "amsgrad_state": ("kept", "ignored")}
)
FORMULAS: Final = {
    "adam": _ADAM,
    "adamw": _ADAM,
    "sparse_adam": _ADAM,
    "adamax": Formula(adamax, _MOMENTS, {"epsilon_placement": ("inside_maximum", "after_maximum")}),
    "nadam": Formula(nadam, (*_MOMENTS, "momentum_decay"), {"epsilon_placement": ("after_correction",)}),
    "radam": Formula(radam, _MOMENTS),
    "lamb": Formula(lamb, (*_MOMENTS, "trusted_decay"), {**_CORRECTED, "trust_ratio": ("exact",)}, coupled=True),
    "lion": Formula(lion, ("beta1", "beta2")),
}
