"""Averaged stochastic gradient descent: `mindspore.nn.ASGD` and `experimental.optim.ASGD`.

    w = w * (1 - lambd * eta) - eta * g
    eta = lr / (1 + lambd * lr * t)**alpha         before the first step eta = lr

Source: Polyak and Juditsky, https://dl.acm.org/citation.cfm?id=131098, in the form of torch.optim.ASGD. The running average
of the parameters, which starts at t0, does not affect MindSpore's parameters and is left out.
"""

from dataclasses import dataclass
from typing import Any

from optmap.conformance.rules.arithmetic import Array, power
from optmap.conformance.rules.gradients import experimental_gradient, nn_gradient
from optmap.conformance.rules.options import ANY_NON_NEGATIVE, ANY_POSITIVE, Flag, Rate, Rates, Real, option
from optmap.conformance.rules.rule import At, ExperimentalRule, NnRule, State


def asgd(weight: Array, gradient: Array, state: State, at: At, *, lambd: Any, alpha: float) -> Array:
    """One step; `eta` is updated in the state."""
    real = weight.dtype.type
    one, eta = real(1), state.get("eta", at.lr)
    state["eta"] = at.lr / power(one + lambd * at.lr * real(at.step), alpha)
    updated: Array = weight * (one - lambd * eta) - eta * gradient
    return updated


@dataclass(frozen=True, kw_only=True)
class ASGD(NnRule):
    """`mindspore.nn.ASGD`."""

    learning_rate: Rates = option(Rate(), 0.1)
    lambd: float = option(Real(), 1e-4)
    alpha: float = option(Real(), 0.75)
    t0: float = option(Real(), 1e6)

    def start(self, weight: Array) -> State:
        return {}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = nn_gradient(self, weight, gradient, at)
        return asgd(weight, gradient, state, at, lambd=weight.dtype.type(self.lambd), alpha=self.alpha)


@dataclass(frozen=True, kw_only=True)
class ExperimentalASGD(ExperimentalRule):
    """`mindspore.experimental.optim.ASGD`."""

    lr: Rates = option(Rate(each=ANY_POSITIVE), 0.01)
    lambd: float = option(Real(), 1e-4)
    alpha: float = option(Real(integers=True), 0.75)
    t0: float = option(Real(), 1e6)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    maximize: bool = option(Flag(), False)

    def start(self, weight: Array) -> State:
        return {}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay, maximize=self.maximize)
        return asgd(weight, gradient, state, at, lambd=weight.dtype.type(self.lambd), alpha=self.alpha)
