"""AdaFactor: `mindspore.nn.AdaFactor`.

    beta2_t = 1 - t**(-decay_rate)
    lr_t = min(1e-6 * t if warmup_init else 1e-2, 1 / sqrt(t))  with relative_step, else learning_rate
    lr_t = lr_t * max(eps[1], rms(w))                           with scale_parameter
    s = g**2 + eps[0]
    two axes or more:  R = beta2_t * R + (1 - beta2_t) * mean(s, last axis)
                       C = beta2_t * C + (1 - beta2_t) * mean(s, last axis but one)
                       u = g / (sqrt(R / mean(R)) * sqrt(C))
    otherwise:         V = beta2_t * V + (1 - beta2_t) * s,  u = g / sqrt(V)
    u = u * lr_t / max(1, rms(u) / clip_threshold)
    u = m = beta1 * m + (1 - beta1) * u                         where beta1 > 0
    w = w - u - weight_decay * lr_t * w

Source: Shazeer and Stern, https://arxiv.org/abs/1804.04235. All sums run in C order, one element after the other.

Quirks reproduced: loss_scale and the options of groups are ignored, weight decay has no name filter, and compression
keeps V, but not R and C, in half precision. A changing learning rate switches scale_parameter off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from optmap.conformance.rules.arithmetic import Array, power
from optmap.conformance.rules.options import FLAG, NON_NEGATIVE, POSITIVE, UNIT_OPEN, Rate, Rates, Real, Reals, option
from optmap.conformance.rules.rule import At, NnRule, State

SMALLEST = 1e-30


def total(values: Array, axis: int) -> Array:
    """The sum along an axis, one element after the other, each sum rounded to the values' dtype."""
    updated: Array = np.take(np.cumsum(values, axis=axis), -1, axis=axis)
    return updated


def rms(values: Array) -> Any:
    """The root mean square over all elements, a scalar of the values' dtype."""
    flat = values.reshape(-1)
    return np.sqrt(total(flat * flat, 0) / values.dtype.type(flat.size))


@dataclass(frozen=True, kw_only=True)
class AdaFactor(NnRule):
    """`mindspore.nn.AdaFactor`; learning_rate is None if and only if relative_step is True."""

    filters_names: ClassVar[bool] = False

    learning_rate: Rates | None = option(Rate(each=Real(at_least=0.0, integers=True, optional=True)), None)  # type: ignore[assignment]
    eps: tuple[float, float] = option(Reals(NON_NEGATIVE, NON_NEGATIVE), (1e-30, 1e-3))
    clip_threshold: float = option(POSITIVE, 1.0)
    decay_rate: float = option(UNIT_OPEN, 0.8)
    beta1: float | None = option(Real(at_least=0.0, at_most=1.0, integers=True, optional=True), 0.9)
    weight_decay: float = option(Real(at_least=0.0, below=1.0), 0.0)
    scale_parameter: bool = option(FLAG, True)
    relative_step: bool = option(FLAG, True)
    warmup_init: bool = option(FLAG, False)
    compression: bool = option(FLAG, False)

    def __post_init__(self) -> None:
        """Check every hyperparameter, and the combinations that MindSpore rejects."""
        super().__post_init__()
        if (self.learning_rate is None) != self.relative_step:
            raise ValueError("learning_rate must be given if and only if relative_step=False")
        if self.warmup_init and not self.relative_step:
            raise ValueError("warmup_init needs relative_step=True")

    @property
    def rates(self) -> Rates:
        """See the base class; a relative step is computed in `update`."""
        return 0.0 if self.learning_rate is None else self.learning_rate

    def overrides(self, group: Mapping[str, object]) -> dict[str, object]:
        """See the base class; the options of a group are ignored."""
        super().overrides(group)
        if "lr" in group and not self.relative_step:
            raise ValueError("MindSpore raises an error for a learning rate of a group")
        return {}

    def prepared(self, weight: Array, gradient: Array, at: At) -> Array:
        return gradient

    def start(self, weight: Array) -> State:
        moments = {"m": np.zeros_like(weight)}
        if weight.ndim < 2:
            return moments | {"v": np.zeros_like(weight)}
        return moments | {"row": np.zeros_like(weight[..., 0]), "column": np.zeros_like(weight[..., 0, :])}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        beta2 = real(1) - power(real(at.step), -self.decay_rate)
        lr = self._rate(at)
        if self.scale_parameter and not isinstance(self.learning_rate, Sequence):
            lr = lr * np.maximum(real(self.eps[1]), rms(weight))
        change = (self._factored if weight.ndim >= 2 else self._plain)(gradient, state, beta2)
        clipped = lr / np.maximum(rms(change) / real(self.clip_threshold), real(1))
        change = change * clipped
        if self.beta1:
            beta1 = real(self.beta1)
            change = state["m"] = state["m"] * beta1 + change * (real(1) - beta1)
        updated: Array = weight - (change + weight * real(self.weight_decay) * lr if self.weight_decay else change)
        return updated

    def _rate(self, at: At) -> Any:
        """The learning rate before it is scaled by the parameter."""
        if not self.relative_step:
            return at.lr
        real = type(at.lr)
        largest = real(1e-6) * real(at.step) if self.warmup_init else real(0.01)
        return np.minimum(largest, real(1) / np.sqrt(real(at.step)))

    def _factored(self, gradient: Array, state: State, beta2: Any) -> Array:
        """The preconditioned gradient of a parameter with two axes or more; updates the row and column means."""
        real = gradient.dtype.type
        rows, columns = real(gradient.shape[-2]), real(gradient.shape[-1])
        square, rest, smallest = gradient * gradient + real(self.eps[0]), real(1) - beta2, real(SMALLEST)
        row = state["row"] = state["row"] * beta2 + total(square, -1) / columns * rest
        column = state["column"] * beta2 + total(square, -2) / rows * rest
        column = state["column"] = np.maximum(column, smallest)
        mean = np.maximum(total(row, -1) / rows, smallest)
        norm = np.sqrt(row / mean[..., None])[..., :, None] * np.sqrt(column)[..., None, :]
        updated: Array = gradient / np.maximum(norm, smallest)
        return updated

    def _plain(self, gradient: Array, state: State, beta2: Any) -> Array:
        """The preconditioned gradient of a vector or scalar."""
        real = gradient.dtype.type
        square = gradient * gradient + real(self.eps[0])
        mean = np.maximum(state["v"] * beta2 + square * (real(1) - beta2), real(SMALLEST))
        state["v"] = mean.astype(np.float16).astype(real) if self.compression else mean
        updated: Array = gradient / np.sqrt(mean)
        return updated
