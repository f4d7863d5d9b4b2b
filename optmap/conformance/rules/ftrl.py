"""Follow the regularized leader: `mindspore.nn.FTRL`.

    n = a + g**2
    z = z + g - (n**(-lr_power) - a**(-lr_power)) / lr * w
    w = (l1 - z) / (n**(-lr_power) / lr + 2 * l2)  where |z| > l1, else 0
    a = n

Source: McMahan and others, https://research.google.com/pubs/archive/41159.pdf. The paper and tf.compat.v1.train.FtrlOptimizer
have `l1 * sign(z) - z` in the numerator.

Quirks reproduced: MindSpore's CPU kernel lacks the sign, so l1 > 0 moves parameters with negative z in the wrong direction.
Weight decay has no name filter. lr may neither change nor differ by group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optmap.conformance.rules.arithmetic import Array, powers, scalars
from optmap.conformance.rules.options import FLAG, NON_NEGATIVE, POSITIVE, Rate, Rates, Real, option
from optmap.conformance.rules.rule import At, NnRule, State


@dataclass(frozen=True, kw_only=True)
class FTRL(NnRule):
    """`mindspore.nn.FTRL`."""

    filters_names: ClassVar[bool] = False
    slots: ClassVar[tuple[str, ...]] = ("linear",)

    initial_accum: float = option(NON_NEGATIVE, 0.1)
    learning_rate: Rates = option(Rate(each=POSITIVE, sequences=False), 0.001)
    lr_power: float = option(Real(at_most=0.0), -0.5)
    l1: float = option(NON_NEGATIVE, 0.0)
    l2: float = option(NON_NEGATIVE, 0.0)
    use_locking: bool = option(FLAG, False)

    @property
    def takes_scalars(self) -> bool:
        return False

    def overrides(self, group: Mapping[str, object]) -> dict[str, object]:
        if "lr" in group:
            raise ValueError("MindSpore rejects a learning rate of a group")
        return super().overrides(group)

    def start(self, weight: Array) -> State:
        return super().start(weight) | {"accum": np.full_like(weight, self.initial_accum)}

    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        zero, two, l1, l2, exponent = scalars(weight, 0, 2, self.l1, self.l2, -self.lr_power)
        grown = state["accum"] + gradient * gradient
        before, after = powers(state["accum"], exponent), powers(grown, exponent)
        linear = state["linear"] + (gradient - (after - before) / at.lr * weight)
        moved = (l1 - linear) / (after / at.lr + two * l2)
        state["accum"], state["linear"] = grown, linear
        return np.where(np.abs(linear) > l1, moved, zero)
