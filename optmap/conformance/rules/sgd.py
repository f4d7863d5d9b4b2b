"""Stochastic gradient descent: `mindspore.nn.SGD` and `experimental.optim.SGD`, one kernel.

    a = g                                          in the first step
    a = momentum * a + (1 - dampening) * g         after
    w = w - lr * a            or, with nesterov    w = w - lr * (g + momentum * a)

Without momentum `w = w - lr * g`. Source: Sutskever and others, http://www.cs.toronto.edu/~hinton/absps/momentum.pdf, in the
form of torch.optim.SGD. `nn` decays in the common preprocessing, `experimental` inside the kernel, unfiltered.
"""

from dataclasses import dataclass
from typing import Any

from optmap.conformance.rules.arithmetic import Array
from optmap.conformance.rules.gradients import experimental_gradient, nn_gradient
from optmap.conformance.rules.options import ANY_NON_NEGATIVE, Flag, Rate, Rates, Real, option
from optmap.conformance.rules.rule import At, ExperimentalRule, ScaledRule, State


def sgd_kernel(
    weight: Array, gradient: Array, state: State, *, lr: Any, momentum: float, dampening: float, nesterov: bool
) -> Array:
    """The kernel P.SGD without its own weight decay; the velocity is in the state from the first step on."""
    real = weight.dtype.type
    if momentum > 0:
        velocity = gradient
        if "velocity" in state:
            velocity = state["velocity"] * real(momentum) + (real(1) - real(dampening)) * gradient
        state["velocity"] = velocity
        gradient = gradient + velocity * real(momentum) if nesterov else velocity
    updated: Array = weight - lr * gradient
    return updated


def check_nesterov(nesterov: bool, momentum: float, dampening: float) -> None:
    """Raise ValueError for Nesterov momentum without momentum or with dampening."""
    if nesterov and (momentum <= 0 or dampening != 0):
        raise ValueError(f"nesterov needs momentum > 0 and dampening 0, got {momentum!r} and {dampening!r}")


@dataclass(frozen=True, kw_only=True)
class SGD(ScaledRule):
    """`mindspore.nn.SGD`."""

    learning_rate: Rates = option(Rate(), 0.1)
    momentum: float = option(ANY_NON_NEGATIVE, 0.0)
    dampening: float = option(ANY_NON_NEGATIVE, 0.0)
    nesterov: bool = option(Flag(), False)

    def __post_init__(self) -> None:
        """Check every hyperparameter, and nesterov against the others."""
        super().__post_init__()
        check_nesterov(self.nesterov, self.momentum, self.dampening)

    def start(self, weight: Array) -> State:
        return {}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = nn_gradient(self, weight, gradient, at)
        return sgd_kernel(
            weight,
            gradient,
            state,
            lr=at.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            nesterov=self.nesterov,
        )


@dataclass(frozen=True, kw_only=True)
class ExperimentalSGD(ExperimentalRule):
    """`mindspore.experimental.optim.SGD`; lr has no default."""

    lr: Rates = option(Rate())
    momentum: float = option(ANY_NON_NEGATIVE, 0)
    dampening: float = option(Real(integers=True), 0)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    nesterov: bool = option(Flag(), False)
    maximize: bool = option(Flag(), False)

    def __post_init__(self) -> None:
        """Check every hyperparameter, and nesterov against the others."""
        super().__post_init__()
        check_nesterov(self.nesterov, self.momentum, self.dampening)

    def start(self, weight: Array) -> State:
        return {}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        gradient = experimental_gradient(weight, gradient, weight_decay=self.weight_decay, maximize=self.maximize)
        return sgd_kernel(
            weight,
            gradient,
            state,
            lr=at.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            nesterov=self.nesterov,
        )
