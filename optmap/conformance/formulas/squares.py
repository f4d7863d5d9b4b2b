"""Rules that divide by the root of a sum or a mean of squared gradients; `root` puts epsilon where the rule has it.

Sources: Duchi, Hazan and Singer, https://jmlr.org/papers/v12/duchi11a.html; Duchi and Singer,
https://papers.nips.cc/paper/3793-efficient-learning-using-forward-backward-splitting; Zeiler,
https://arxiv.org/abs/1212.5701; Tieleman and Hinton, https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf;
McMahan and others, https://research.google.com/pubs/archive/41159.pdf.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from optmap.conformance.formulas.by import By, Formula, State, average, root
from optmap.conformance.formulas.descent import RATE_PLACES
from optmap.conformance.scenario import Array


def _summed(g: Array, state: State, by: By) -> tuple[Array, Array]:
    """The sum of squares before and after this step."""
    old = state.get("sum", np.full_like(g, by.of("initial_accumulator")))
    state["sum"] = old + g * g
    return old, state["sum"]


def adagrad(w: Array, g: Array, state: State, by: By) -> Array:
    """Adagrad: w - lr / (1 + (t - 1) * lr_decay) * g / sqrt(a), with a the sum of squares."""
    _, total = _summed(g, state, by)
    moved: Array = w - by.rate / (1 + (by.step - 1) * by.of("lr_decay")) * g / root(total, by)
    return moved


def proximal_adagrad(w: Array, g: Array, state: State, by: By) -> Array:
    """Adagrad's step, shrunk by l1 and divided by 1 + l2, both times the rate of the element."""
    _, total = _summed(g, state, by)
    return _proximal(w, g, by.rate / np.sqrt(total), by)


def proximal_descent(w: Array, g: Array, state: State, by: By) -> Array:
    """The same around a step of plain gradient descent."""
    return _proximal(w, g, np.full_like(g, by.rate), by)


def _proximal(w: Array, g: Array, rate: Array, by: By) -> Array:
    plain: Array = w - rate * g
    moved: Array = (
        np.sign(plain) * np.maximum(np.abs(plain) - rate * by.of("l1"), 0) / (1 + rate * by.of("l2_proximal"))
    )
    return moved


def adadelta(w: Array, g: Array, state: State, by: By) -> Array:
    """Adadelta: d = g * sqrt(u + eps) / sqrt(s + eps), with s the mean square of g, and u that of d so far."""
    rho, epsilon = by.of("rho"), by.of("epsilon")
    square = average(state, "square", g * g, rho)
    change = g * np.sqrt(state.get("change", np.zeros_like(g)) + epsilon) / np.sqrt(square + epsilon)
    average(state, "change", change * change, rho)
    moved: Array = w - by.rate * change
    return moved


def rmsprop(w: Array, g: Array, state: State, by: By) -> Array:
    """RMSprop: g / sqrt(s), with s the mean square, less the squared mean if it is centered; then momentum."""
    start = 1.0 if by.has("mean_square_start", "ones") else 0.0
    square = average(state, "square", g * g, by.of("rho"), start)
    if by.of("centered", False):
        square = square - average(state, "mean", g, by.of("rho")) ** 2
    inside = by.has("momentum_learning_rate", "inside")
    step = g / root(square, by) * (by.rate if inside else 1.0)
    if by.of("momentum"):
        step = state["velocity"] = by.of("momentum") * state.get("velocity", np.zeros_like(g)) + step
    moved: Array = w - (step if inside else by.rate * step)
    return moved


def ftrl(w: Array, g: Array, state: State, by: By) -> Array:
    """FTRL: w = (sign(z) * l1 - z) / (n**p / lr + 2 * l2 + beta / lr) where |z| > l1, else 0; n is the sum of squares.

    z = z + g + 2 * l2_shrinkage * w - (n**p - a**p) / lr * w, with a the sum before this step and p = -learning_rate_power.
    """
    before, after = (total ** -by.of("learning_rate_power") for total in _summed(g, state, by))
    shrunk = g + 2 * by.of("l2_shrinkage") * w
    z = state["linear"] = state.get("linear", np.zeros_like(g)) + shrunk - (after - before) / by.rate * w
    sign = 1.0 if by.has("l1_sign", "wrong") else np.sign(z)
    divisor = after / by.rate + 2 * by.of("l2_proximal") + by.of("ftrl_beta") / by.rate
    return np.where(np.abs(z) > by.of("l1"), (sign * by.of("l1") - z) / divisor, 0.0)


PLACES: Final = ("beside_root", "inside_root", "mixed")
FORMULAS: Final = {
    "adagrad": Formula(adagrad, ("epsilon", "initial_accumulator", "lr_decay"), {"epsilon_placement": PLACES[:2]}),
    "proximal_adagrad": Formula(proximal_adagrad, ("initial_accumulator", "l1", "l2_proximal")),
    "proximal_gradient_descent": Formula(proximal_descent, ("l1", "l2_proximal")),
    "adadelta": Formula(adadelta, ("rho", "epsilon")),
    "rmsprop": Formula(
        rmsprop, ("rho", "epsilon", "momentum", "centered"),
        {"epsilon_placement": PLACES, "mean_square_start": ("zeros", "ones"), "momentum_learning_rate": RATE_PLACES},
    ),
    "ftrl": Formula(
        ftrl, ("learning_rate_power", "initial_accumulator", "l1", "l2_proximal", "l2_shrinkage", "ftrl_beta"),
        {"l1_sign": ("right", "wrong")},
    ),
}  # fmt: skip
