"""RAdam: `mindspore.experimental.optim.RAdam`.

    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    rho = 2 / (1 - beta2) - 1                      rho_t = rho - 2 * t * beta2**t / (1 - beta2**t)
    c = m / (1 - beta1**t)
    rho_t > 5:  w = w - lr * c * sqrt(1 - beta2**t) / (sqrt(v) + eps) * r_t
                r_t = sqrt((rho_t - 4) * (rho_t - 2) * rho / ((rho - 4) * (rho - 2) * rho_t))
    otherwise:  w = w - lr * c

Source: Liu and others, https://arxiv.org/abs/1908.03265, in the form of torch.optim.RAdam.
"""

from dataclasses import dataclass

import numpy as np

from optmap.conformance.rules.arithmetic import Array, power
from optmap.conformance.rules.gradients import experimental_gradient
from optmap.conformance.rules.options import ANY_NON_NEGATIVE, ANY_POSITIVE, BETA, Pair, Rate, Rates, option
from optmap.conformance.rules.rule import At, ExperimentalRule, State

THRESHOLD = 5.0


@dataclass(frozen=True, kw_only=True)
class RAdam(ExperimentalRule):
    """`mindspore.experimental.optim.RAdam`."""

    lr: Rates = option(Rate(each=ANY_POSITIVE), 0.001)
    betas: tuple[float, float] = option(Pair(BETA, BETA), (0.9, 0.999))
    eps: float = option(ANY_POSITIVE, 1e-8)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)

    def start(self, weight: Array) -> State:
        return {"m": np.zeros_like(weight), "v": np.zeros_like(weight)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        one, two, four = real(1), real(2), real(4)
        beta1, beta2 = real(self.betas[0]), real(self.betas[1])
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay)
        state["m"] = state["m"] * beta1 + gradient * (one - beta1)
        state["v"] = state["v"] * beta2 + gradient * gradient * (one - beta2)
        beta2_power = power(beta2, at.step)
        correction1, correction2 = one - power(beta1, at.step), one - beta2_power
        limit = two / (one - beta2) - one
        rho = limit - real(2 * at.step) * beta2_power / correction2
        corrected = state["m"] / correction1
        change = corrected * at.lr
        if rho > THRESHOLD:
            rest = (limit - four) * (limit - two)
            rectified = np.sqrt((rho - four) * (rho - two) * limit / (rest * rho))
            adaptive = np.sqrt(correction2) / (np.sqrt(state["v"]) + real(self.eps))
            change = change * adaptive * rectified
        updated: Array = weight - change
        return updated
