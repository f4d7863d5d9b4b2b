"""Adafactor: the second moment of a matrix from the means of its rows and columns, the rate from the weights' size.

    b = 1 - t**-0.8            s = b * s + (1 - b) * g**2          by rows and columns where there are two axes
    u = g / sqrt(s)            u = u / max(1, rms(u) / d)          w = w - lr * max(eps2, rms(w)) * u

Source: Shazeer and Stern, https://arxiv.org/abs/1804.04235.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from optmap.conformance.formulas.by import By, Formula, State, average
from optmap.conformance.scenario import Array


def _rms(values: Array) -> Any:
    return np.sqrt(np.mean(values * values))


def adafactor(w: Array, g: Array, state: State, by: By) -> Array:
    """See the module."""
    ceiling = by.step**-0.5 if by.has("step_ceiling", "inverse_root") else np.inf
    rate = min(by.rate, ceiling)
    if by.of("relative_step", False):
        rate = min(1e-6 * by.step if by.of("relative_warmup", False) else 1e-2, by.step**-0.5)
    decayed = w * (1 - by.rate * by.of("decoupled_decay"))
    scaled = by.of("scale_parameter", True) and not (by.changing and by.has("scheduled_scale", "dropped"))
    if scaled:
        rate = rate * max(by.of("scale_epsilon"), _rms(decayed if by.has("decay_before_scale", "before") else w))
    update = g / np.sqrt(_second_moment(g, state, by))
    update = rate * update / max(1.0, _rms(update) / by.of("update_clipping", np.inf))
    if by.of("update_momentum"):
        update = average(state, "m", update, by.of("update_momentum"))
    moved: Array = decayed - update - w * by.of("scaled_decay") * rate
    return moved


def _second_moment(g: Array, state: State, by: By) -> Array:
    exponent = by.of("beta2_exponent", -by.of("beta2_rate", 0.8))
    keep = 1 - float(by.step) ** exponent
    square = g * g + by.of("square_epsilon")
    floor = by.of("variance_floor", 1e-15 if by.has("variance_floor", "tiny") else np.finfo(g.dtype).eps)
    if g.ndim < 2:
        found = average(state, "square", square, keep)
    else:
        row = average(state, "row", square.mean(-1), keep)
        column = average(state, "column", square.mean(-2), keep)
        mean = row.mean(-1, keepdims=True)[..., None]
        found = row[..., :, None] * column[..., None, :] / np.maximum(mean, floor)
    return np.maximum(found, floor**2)


_TAKES: Final = (
    "beta2_exponent", "beta2_rate", "variance_floor", "square_epsilon", "scale_epsilon", "update_clipping", "update_momentum",
    "scale_parameter", "relative_step", "relative_warmup", "scaled_decay",
)  # fmt: skip
_TRAITS: Final = {
    "variance_floor": ("machine_epsilon", "tiny"), "step_ceiling": ("inverse_root", "none"),
    "decay_before_scale": ("after", "before"), "scheduled_scale": ("kept", "dropped"),
}  # fmt: skip
FORMULAS: Final = {"adafactor": Formula(adafactor, _TAKES, _TRAITS, decays=True, coupled=True)}
