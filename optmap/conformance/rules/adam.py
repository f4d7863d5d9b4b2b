"""Adam: `mindspore.nn.Adam`, `nn.AdamOffload` and `experimental.optim.Adam`.

    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    lr_t = lr * sqrt(1 - beta2**t) / (1 - beta1**t)
    w = w - lr_t * m / (sqrt(v) + eps)

Source: Kingma and Ba, https://arxiv.org/abs/1412.6980, the reordered form at the end of section 2, whose eps is the
paper's eps-hat: it is added before the bias correction. The algorithm proper adds it after, so the two differ wherever eps
matters. With nesterov the numerator is `beta1 * m + (1 - beta1) * g`, without Nadam's own bias correction. With amsgrad
(https://openreview.net/forum?id=ryQu7f-RZ) the denominator takes the largest `v` so far, uncorrected.

Quirks reproduced: `nn.Adam(use_amsgrad=True)` ignores use_nesterov, and `experimental.optim.Adam` ignores amsgrad.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optmap.conformance.rules.adam_kernel import AdamBase, adam_kernel, corrected_rate, start
from optmap.conformance.rules.adamoffload import offload_kernel
from optmap.conformance.rules.arithmetic import Array, power
from optmap.conformance.rules.gradients import experimental_gradient, nn_gradient, nn_rows
from optmap.conformance.rules.lazyadam import Target, lazy_rows
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    BETA,
    NON_NEGATIVE,
    Choice,
    Flag,
    Pair,
    Rate,
    Rates,
    option,
)
from optmap.conformance.rules.rule import At, ExperimentalRule, SparseRows, State


def amsgrad_kernel(weight: Array, gradient: Array, state: State, *, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Array:
    """ApplyAdamWithAmsgradV2: every operation is rounded separately."""
    one = type(beta1)(1)
    state["m"] = state["m"] + (gradient - state["m"]) * (one - beta1)
    state["v"] = state["v"] + (gradient * gradient - state["v"]) * (one - beta2)
    state["vhat"] = np.maximum(state["vhat"], state["v"])
    updated: Array = weight - lr * state["m"] / (np.sqrt(state["vhat"]) + eps)
    return updated


@dataclass(frozen=True, kw_only=True)
class Adam(AdamBase):
    """`mindspore.nn.Adam`; use_lazy and use_offload are its additional keyword-only arguments.

    `target` is not an argument of the constructor but the property of that name: "CPU" routes sparse rows of a lazy Adam
    to the fused kernel, see `lazyadam`.
    """

    use_amsgrad: bool = option(Flag(), False)
    use_lazy: bool = option(Flag(), False)
    use_offload: bool = option(Flag(), False)
    target: Target | None = option(Choice(Target), None)

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
        return start(weight) | ({"vhat": np.zeros_like(weight)} if self.use_amsgrad else {})

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = nn_gradient(self, weight, gradient, at)
        scalars = self.scalars(weight, state, at)
        if self.use_amsgrad:
            return amsgrad_kernel(weight, gradient, state, **scalars)
        kernel = offload_kernel if self.use_offload else adam_kernel
        return kernel(weight, gradient, state, nesterov=self.use_nesterov, **scalars)

    def update_rows(self, weight: Array, rows: SparseRows, state: State, at: At) -> Array:
        rows = nn_rows(self, weight, rows, at)
        scalars = self.scalars(weight, state, at)
        return lazy_rows(weight, rows, state, nesterov=self.use_nesterov, target=self.target, **scalars)


@dataclass(frozen=True, kw_only=True)
class ExperimentalAdam(ExperimentalRule):
    """`mindspore.experimental.optim.Adam`: the kernel of `nn.Adam`, with powers of beta computed at each step.

    `amsgrad` is accepted and has no effect.
    """

    lr: Rates = option(Rate(), 0.001)
    betas: tuple[float, float] = option(Pair(BETA, BETA), (0.9, 0.999))
    eps: float = option(NON_NEGATIVE, 1e-8)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    amsgrad: bool = option(Flag(), False)
    maximize: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return {"m": np.zeros_like(weight), "v": np.zeros_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay, maximize=self.maximize)
        beta1, beta2 = real(self.betas[0]), real(self.betas[1])
        lr = corrected_rate(at.lr, power(beta1, at.step), power(beta2, at.step))
        return adam_kernel(weight, gradient, state, lr=lr, beta1=beta1, beta2=beta2, eps=real(self.eps))
