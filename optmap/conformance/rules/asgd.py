"""Averaged stochastic gradient descent: `mindspore.nn.ASGD` and `experimental.optim.ASGD`.

    w = w * (1 - lambd * eta) - eta * g
    eta = lr / (1 + lambd * lr * t)**alpha         before the first step eta = lr

Source: Polyak and Juditsky, https://dl.acm.org/citation.cfm?id=131098, in the form of torch.optim.ASGD. The running average
of the parameters, which starts at t0, does not affect MindSpore's parameters and is left out.
"""

from dataclasses import dataclass
from typing import ClassVar

from optmap.conformance.rules.arithmetic import Array, power, scalars
from optmap.conformance.rules.options import RATE_ABOVE_ZERO, Rate, Rates, Real, option
from optmap.conformance.rules.rule import At, ExperimentalRule, NnRule, Rule, State


@dataclass(frozen=True, kw_only=True)
class AveragedSGD(Rule):
    """The formula of both classes."""

    lambd: float = option(Real(), 1e-4)
    alpha: float = option(Real(), 0.75)
    t0: float = option(Real(), 1e6)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        one, lambd, step = scalars(weight, 1, self.lambd, at.step)
        eta = state.get("eta", at.lr)
        state["eta"] = at.lr / power(one + lambd * at.lr * step, self.alpha)
        updated: Array = weight * (one - lambd * eta) - eta * gradient
        return updated


@dataclass(frozen=True, kw_only=True)
class ASGD(AveragedSGD, NnRule):
    """`mindspore.nn.ASGD`."""

    fixed: ClassVar[tuple[str, ...]] = ("loss_scale",)

    learning_rate: Rates = option(Rate(), 0.1)


@dataclass(frozen=True, kw_only=True)
class ExperimentalASGD(AveragedSGD, ExperimentalRule):
    """`mindspore.experimental.optim.ASGD`."""

    lr: Rates = option(RATE_ABOVE_ZERO, 0.01)
    alpha: float = option(Real(integers=True), 0.75)
