"""Gradient descent with momentum, its average, and resilient backpropagation.

Sources: Sutskever and others, http://www.cs.toronto.edu/~hinton/absps/momentum.pdf; Polyak and Juditsky,
https://dl.acm.org/citation.cfm?id=131098; Riedmiller and Braun, https://ieeexplore.ieee.org/document/298623.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from optmap.conformance.formulas.by import By, Formula, State
from optmap.conformance.scenario import Array


def sgd(w: Array, g: Array, state: State, by: By) -> Array:
    """SGD: a = momentum * a + (1 - dampening) * g, from a = g; the step is lr * a, or with nesterov lr * (g + momentum * a).

    With the trait `momentum_learning_rate: inside` lr multiplies the gradient before it enters `a`.
    """
    momentum = by.of("momentum")
    inside = by.has("momentum_learning_rate", "inside")
    step = g * by.rate if inside else g
    if momentum:
        old, own = state.get("velocity"), step
        state["velocity"] = own if old is None else momentum * old + (1 - by.of("dampening")) * own
        ahead = by.of("nesterov", False) and not by.has("nesterov_flag", "ignored")
        step = own + momentum * state["velocity"] if ahead else state["velocity"]
    moved: Array = w - (step if inside else by.rate * step)
    return moved


def asgd(w: Array, g: Array, state: State, by: By) -> Array:
    """ASGD: w * (1 - lambda * eta) - eta * g, and eta = lr / (1 + lambda * lr * t)**alpha for the next step."""
    eta = state.get("eta", np.asarray(by.rate))
    decay = by.of("decay_term")
    state["eta"] = np.asarray(by.rate / (1 + decay * by.rate * by.step) ** by.of("rate_power"))
    moved: Array = w * (1 - decay * eta) - eta * g
    return moved


def rprop(w: Array, g: Array, state: State, by: By) -> Array:
    """Rprop: a step by the sign, whose size grows while the sign stays and shrinks where it turns, without a step there."""
    turned = np.sign(g * state.get("previous", np.zeros_like(g)))
    factor = np.where(turned > 0, by.of("eta_plus"), np.where(turned < 0, by.of("eta_minus"), 1.0))
    size = state.get("size", np.full_like(g, by.rate)) * factor
    state["size"] = np.clip(size, by.of("smallest_step"), by.of("largest_step"))
    state["previous"] = np.where(turned < 0, 0.0, g)
    moved: Array = w - np.sign(state["previous"]) * state["size"]
    return moved


RATE_PLACES: Final = ("inside", "outside")
_SGD: Final = Formula(
    sgd, ("momentum", "dampening", "nesterov"),
    {"momentum_learning_rate": RATE_PLACES, "nesterov_flag": ("honoured", "ignored")},
)  # fmt: skip
FORMULAS: Final = {
    "sgd": _SGD,
    "momentum": _SGD,
    # Where averaging starts concerns a copy of the weights, not the weights.
    "asgd": Formula(asgd, ("decay_term", "rate_power", "averaging_start")),
    "rprop": Formula(rprop, ("eta_minus", "eta_plus", "smallest_step", "largest_step")),
}
