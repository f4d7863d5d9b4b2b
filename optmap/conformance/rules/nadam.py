"""NAdam: `mindspore.experimental.optim.NAdam`.

    mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2)            M_t = mu_1 * ... * mu_t
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    d = sqrt(v / (1 - beta2**t)) + eps
    w = w - lr * (1 - mu_t) / (1 - M_t) * g / d - lr * mu_(t+1) / (1 - M_(t+1)) * m / d

Source: Dozat, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ, in the form of torch.optim.NAdam.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optmap.conformance.rules.arithmetic import Array, power
from optmap.conformance.rules.gradients import experimental_gradient
from optmap.conformance.rules.options import ANY_NON_NEGATIVE, ANY_POSITIVE, BETA, Pair, Rate, Rates, option
from optmap.conformance.rules.rule import At, ExperimentalRule, State


@dataclass(frozen=True, kw_only=True)
class NAdam(ExperimentalRule):
    """`mindspore.experimental.optim.NAdam`."""

    lr: Rates = option(Rate(each=ANY_POSITIVE), 0.002)
    betas: tuple[float, float] = option(Pair(BETA, BETA), (0.9, 0.999))
    eps: float = option(ANY_POSITIVE, 1e-8)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    momentum_decay: float = option(ANY_NON_NEGATIVE, 0.004)

    def start(self, weight: Array) -> State:
        return {"m": np.zeros_like(weight), "v": np.zeros_like(weight), "mu_product": weight.dtype.type(1)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        real = weight.dtype.type
        one, beta1, beta2 = real(1), real(self.betas[0]), real(self.betas[1])
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay)
        mu, mu_next = self._mu(beta1, at.step), self._mu(beta1, at.step + 1)
        product = state["mu_product"] = state["mu_product"] * mu
        state["m"] = state["m"] * beta1 + gradient * (one - beta1)
        state["v"] = state["v"] * beta2 + gradient * gradient * (one - beta2)
        root = np.sqrt(state["v"] / (one - power(beta2, at.step))) + real(self.eps)
        ahead = product * mu_next
        weight = weight - at.lr * (one - mu) / (one - product) * gradient / root
        updated: Array = weight - at.lr * mu_next / (one - ahead) * state["m"] / root
        return updated

    def _mu(self, beta1: Any, step: int) -> Any:
        """The momentum of a step, a scalar of beta1's dtype."""
        real = type(beta1)
        return beta1 * (real(1) - real(0.5) * power(real(0.96), real(step) * real(self.momentum_decay)))
