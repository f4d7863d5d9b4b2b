"""Adam: `mindspore.nn.Adam`, `nn.AdamOffload`, `nn.LazyAdam` and `experimental.optim.Adam`.

    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    lr_t = lr * sqrt(1 - beta2**t) / (1 - beta1**t)
    w = w - lr_t * m / (sqrt(v) + eps)

Source: Kingma and Ba, https://arxiv.org/abs/1412.6980, the reordered form at the end of section 2, whose eps is the
paper's eps-hat: it is added before the bias correction. The algorithm proper adds it after, so the two differ wherever eps
matters. With nesterov the numerator is `beta1 * m + (1 - beta1) * g`, without Nadam's own bias correction. With amsgrad
(https://openreview.net/forum?id=ryQu7f-RZ) the denominator takes the largest `v` so far, uncorrected. A lazy Adam does this to
the rows of a sparse gradient alone, as torch.optim.SparseAdam does; other rows, their moments included, do not change. On
dense gradients it is plain Adam.

Quirks reproduced: `nn.Adam(use_amsgrad=True)` ignores use_nesterov, and `experimental.optim.Adam` ignores amsgrad. Several
gradients of one row are not summed by default: each starts from the same old moments, all their updates are added to the
row, and the last one's moments are kept. With the optimizer's property `target` set to "CPU" the fused kernel sums them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from optmap.conformance.rules.adam_base import ExperimentalBetas, Factors, NnBetas, corrected_rate, moments
from optmap.conformance.rules.arithmetic import Array, Averaging, by_lanes, fma, power, wide
from optmap.conformance.rules.options import FLAG, NON_NEGATIVE, Choice, option
from optmap.conformance.rules.rule import At, SparseRows, State


def fused(weight: Array, gradient: Array, state: State, lr: Any, by: Factors, *, nesterov: bool) -> Array:
    """NNACL's AdamFp32; in the tail, root and quotient are in double."""
    first, second = moments(state, gradient, by, Averaging.FUSED)
    rest = by.one - by.beta1

    def lanes(w: Array, g: Array, m: Array, v: Array) -> Array:
        numerator = fma(g, rest, by.beta1 * m) if nesterov else m
        updated: Array = w - lr * numerator / (np.sqrt(v) + by.eps)
        return updated

    def tail(w: Array, g: Array, m: Array, v: Array) -> Array:
        numerator = fma(m, by.beta1, rest * g) if nesterov else m
        quotient = wide(lr * numerator) / (np.sqrt(wide(v)) + wide(by.eps))
        updated: Array = (wide(w) - quotient).astype(w.dtype)
        return updated

    return by_lanes(lanes, tail, weight, gradient, first, second)


def amsgrad(weight: Array, gradient: Array, state: State, lr: Any, by: Factors, *, nesterov: bool) -> Array:
    """ApplyAdamWithAmsgradV2: every operation is rounded separately; nesterov is ignored."""
    m, v = moments(state, gradient, by, Averaging.STEPPED)
    state["vhat"] = np.where(state["vhat"] < v, v, state["vhat"])  # as std::max, which never takes NaN
    updated: Array = weight - lr * m / (np.sqrt(state["vhat"]) + by.eps)
    return updated


def offload(weight: Array, gradient: Array, state: State, lr: Any, by: Factors, *, nesterov: bool) -> Array:
    """NNACL's AdamDeltaFp32 followed by an addition: the same update, its products rounded in another order."""
    beta1, beta2 = by.beta1, by.beta2
    rest1, rest2 = by.one - beta1, by.one - beta2
    scaled, squared = rest1 * gradient, rest2 * gradient
    state["m"] = by_lanes(
        lambda g, m, s: fma(m, beta1, s), lambda g, m, s: fma(g, rest1, m * beta1), gradient, state["m"], scaled
    )
    state["v"] = by_lanes(
        lambda g, v, s: fma(v, beta2, s * g), lambda g, v, s: fma(s, g, v * beta2), gradient, state["v"], squared
    )
    numerator = fma(state["m"], beta1, scaled) if nesterov else state["m"]

    def lanes(n: Array, v: Array) -> Array:
        updated: Array = -lr * n / (np.sqrt(v) + by.eps)
        return updated

    def tail(n: Array, v: Array) -> Array:
        updated: Array = (wide(-lr * n) / (np.sqrt(wide(v)) + wide(by.eps))).astype(n.dtype)
        return updated

    return weight + by_lanes(lanes, tail, numerator, state["v"])


def lazy(
    weight: Array, rows: SparseRows, state: State, lr: Any, by: Factors, *, nesterov: bool, summing: bool
) -> Array:
    """Update the rows of a sparse gradient; `summing` selects the kernel that adds up the gradients of a row first."""
    if summing:
        rows = summed(rows)
    g, rest1, rest2 = rows.values, by.one - by.beta1, by.one - by.beta2
    m = state["m"][rows.indices] * by.beta1 + g * rest1
    v = state["v"][rows.indices] * by.beta2 + (rest2 * g * g if summing else g * g * rest2)
    numerator = m * by.beta1 + g * rest1 if nesterov else m
    root = np.sqrt(v) + by.eps
    result = weight.copy()
    np.add.at(result, rows.indices, -(lr * numerator / root) if summing else -lr * (numerator / root))
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
class NnAdam(NnBetas):
    """What `mindspore.nn`'s bias-corrected Adam classes share.

    `target` is not an argument of the constructors but the property of that name, which selects the kernel of a lazy update.
    """

    use_locking: bool = option(FLAG, False)
    use_nesterov: bool = option(FLAG, False)
    target: str | None = option(Choice(("CPU",)), None)

    def start(self, weight: Array) -> State:
        one = weight.dtype.type(1)
        return super().start(weight) | {"beta1_power": one, "beta2_power": one}

    def corrected(self, state: State, by: Factors, at: At) -> Any:
        """The bias-corrected learning rate; advances the running powers of beta."""
        state["beta1_power"] = state["beta1_power"] * by.beta1
        state["beta2_power"] = state["beta2_power"] * by.beta2
        return corrected_rate(at.lr, state["beta1_power"], state["beta2_power"])

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        by = self.factors(weight)
        return self.kernel()(weight, gradient, state, self.corrected(state, by, at), by, nesterov=self.use_nesterov)

    def kernel(self) -> Callable[..., Array]:
        """The kernel that updates a dense parameter."""
        return fused

    def update_rows(self, weight: Array, rows: SparseRows, state: State, at: At) -> Array:
        by = self.factors(weight)
        lr, summing = self.corrected(state, by, at), self.target is not None
        return lazy(weight, rows, state, lr, by, nesterov=self.use_nesterov, summing=summing)


@dataclass(frozen=True, kw_only=True)
class Adam(NnAdam):
    """`mindspore.nn.Adam`; use_lazy and use_offload are its additional keyword-only arguments."""

    use_amsgrad: bool = option(FLAG, False)
    use_lazy: bool = option(FLAG, False)
    use_offload: bool = option(FLAG, False)

    def __post_init__(self) -> None:
        """Check every hyperparameter, and the combinations that MindSpore rejects."""
        super().__post_init__()
        if self.use_lazy and self.use_offload:
            raise ValueError("use_lazy and use_offload cannot both be True")
        if self.use_amsgrad and (self.use_lazy or self.use_offload):
            raise ValueError("use_amsgrad works neither with use_lazy nor with use_offload")

    @property
    def takes_rows(self) -> bool:
        return self.use_lazy

    @property
    def takes_scalars(self) -> bool:
        return not (self.use_amsgrad or self.use_offload)

    def start(self, weight: Array) -> State:
        return super().start(weight) | ({"vhat": np.zeros_like(weight)} if self.use_amsgrad else {})

    def kernel(self) -> Callable[..., Array]:
        return amsgrad if self.use_amsgrad else offload if self.use_offload else fused


@dataclass(frozen=True, kw_only=True)
class AdamOffload(NnAdam):
    """`mindspore.nn.AdamOffload`, deprecated in favour of `nn.Adam(use_offload=True)` and equal to it."""

    fixed: ClassVar[tuple[str, ...]] = ("target",)

    @property
    def takes_scalars(self) -> bool:
        return False

    def kernel(self) -> Callable[..., Array]:
        return offload


@dataclass(frozen=True, kw_only=True)
class LazyAdam(NnAdam):
    """`mindspore.nn.LazyAdam`."""

    weight_decay: float = option(NON_NEGATIVE, 0.0)

    @property
    def takes_rows(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdam(ExperimentalBetas):
    """`mindspore.experimental.optim.Adam`: the kernel of `nn.Adam`, with powers of beta computed at each step.

    `amsgrad` is accepted and has no effect.
    """

    amsgrad: bool = option(FLAG, False)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        by = self.factors(weight)
        lr = corrected_rate(at.lr, power(by.beta1, at.step), power(by.beta2, at.step))
        return fused(weight, gradient, state, lr, by, nesterov=False)
