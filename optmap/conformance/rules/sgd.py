"""Stochastic gradient descent with momentum: `mindspore.nn.SGD`, `nn.Momentum` and `experimental.optim.SGD`.

    a = g                                          in the first step (Momentum: a = 0 before it)
    a = momentum * a + (1 - dampening) * g         after
    w = w - lr * a            or, with nesterov    w = w - lr * (g + momentum * a)

Without momentum `w = w - lr * g`. Source: Sutskever and others, http://www.cs.toronto.edu/~hinton/absps/momentum.pdf, in the
form of torch.optim.SGD and tf.compat.v1.train.MomentumOptimizer, lr outside the velocity. `nn` decays in the common
preparation, `experimental` inside the kernel, unfiltered.

Quirks reproduced: Momentum accepts use_nesterov, which has no effect on CPU; `nesterov` of SGD has one.
"""

from dataclasses import dataclass
from typing import ClassVar

from optmap.conformance.rules.arithmetic import Array, scalars
from optmap.conformance.rules.options import ANY_NON_NEGATIVE, FLAG, NON_NEGATIVE, Rate, Rates, Real, option
from optmap.conformance.rules.rule import At, ExperimentalRule, NnRule, Rule, State


@dataclass(frozen=True, kw_only=True)
class MomentumSGD(Rule):
    """The kernel P.SGD without its own weight decay."""

    momentum: float = option(ANY_NON_NEGATIVE, 0.0)
    dampening: float = option(ANY_NON_NEGATIVE, 0.0)
    nesterov: bool = option(FLAG, False)

    def __post_init__(self) -> None:
        """Check every hyperparameter, and nesterov against the others."""
        super().__post_init__()
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise ValueError(
                f"nesterov needs momentum > 0 and dampening 0, got {self.momentum!r} and {self.dampening!r}"
            )

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """See the base class; the velocity is in the state from the first step on."""
        one, momentum, dampening = scalars(weight, 1, self.momentum, self.dampening)
        if self.momentum > 0:
            velocity = gradient
            if "velocity" in state:
                velocity = state["velocity"] * momentum + (one - dampening) * gradient
            state["velocity"] = velocity
            gradient = gradient + velocity * momentum if self.nesterov else velocity
        updated: Array = weight - at.lr * gradient
        return updated


@dataclass(frozen=True, kw_only=True)
class SGD(MomentumSGD, NnRule):
    """`mindspore.nn.SGD`."""

    learning_rate: Rates = option(Rate(), 0.1)


@dataclass(frozen=True, kw_only=True)
class ExperimentalSGD(MomentumSGD, ExperimentalRule):
    """`mindspore.experimental.optim.SGD`; lr has no default."""

    lr: Rates = option(Rate())
    momentum: float = option(ANY_NON_NEGATIVE, 0)
    dampening: float = option(Real(integers=True), 0)


@dataclass(frozen=True, kw_only=True)
class Momentum(NnRule):
    """`mindspore.nn.Momentum`; learning_rate and momentum have no defaults."""

    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    momentum: float = option(NON_NEGATIVE)
    use_nesterov: bool = option(FLAG, False)

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        state["velocity"] = state["velocity"] * weight.dtype.type(self.momentum) + gradient
        updated: Array = weight - state["velocity"] * at.lr
        return updated
