"""The expected level of a plan in a scenario, from the tables: which causes have an effect there, and how large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeGuard

from optmap.conformance.levels import Level
from optmap.conformance.rules.rule import UNDECAYED
from optmap.conformance.scenario import Scenario
from optmap.mapping.model import Effect, Need
from optmap.mapping.plan import Cause, Plan
from optmap.mapping.records import Literal


class Expectation(NamedTuple):
    """The worst level that the causes explain, and the causes as text."""

    level: Level
    causes: tuple[str, ...]


class Circumstances(NamedTuple):
    """How a scenario is run."""

    dtype: str = "float32"
    steps: int = 100


Values = Mapping[str, Literal]
"""The source call's hyperparameters by canonical name."""


def _is_long(scenario: Scenario, values: Values, run: Circumstances) -> bool:
    rate = values.get("learning_rate")
    return isinstance(rate, int | float) and rate > 0 and run.steps > rate**-2


NEEDS: Final[Mapping[Need, Callable[[Scenario, Values, Circumstances], bool]]] = {
    Need.CHANGING_RATE: lambda scenario, values, run: bool(scenario.rate_factors),
    Need.SCALE_NAMES: lambda scenario, values, run: any(part in name for name in scenario.start for part in UNDECAYED),
    Need.SINGLE_PRECISION: lambda scenario, values, run: run.dtype == "float32",
    Need.LONG_RUN: _is_long,
}
"""For each need, whether a run meets it. In runs that do not, a trait with that need has no effect."""

_USUAL: Final = Circumstances()

NEGLIGIBLE: Final = 1e-5
"""An epsilon below this fraction of the gradients (and of their squares, to which it is added inside a square root) changes a
run by less than the practical tolerance, even in the first steps, where second moments are too small by a factor of up to
1 / (1 - beta2), a thousand. The same bound applies to any other hyperparameter that a cause grows with."""


def expectation(plan: Plan, scenario: Scenario, values: Values, circumstances: Circumstances = _USUAL) -> Expectation:
    """The level that a forced run must reach.

    Args:
        plan: how the target expresses the source's call.
        scenario: where both are run.
        values: the source call's hyperparameters by canonical name.
        circumstances: how it is run.
    """
    level, texts = Level.EQUIVALENT, []
    for cause in plan.causes:
        if cause.needs is not None and not NEEDS[cause.needs](scenario, values, circumstances):
            continue
        level = max(level, _effect(plan, cause, scenario, values), key=lambda item: item.rank)
        texts.append(describe(plan, cause))
    return Expectation(level, tuple(texts))


def describe(plan: Plan, cause: Cause) -> str:
    """A cause as one line of text."""
    return f"{cause.trait.replace('_', ' ')}: {plan.source.name} {cause.source}; {plan.target.name} {cause.target}"


def _effect(plan: Plan, cause: Cause, scenario: Scenario, values: Mapping[str, Literal]) -> Level:
    grows = cause.grows_with or ""
    sizes = [size for size in (values.get(grows), plan.target.fixed.get(grows)) if _is_number(size)]
    if not sizes:
        return Level.DIVERGENT if cause.effect is Effect.DIVERGENT else Level.CLOSE
    beside = min(scenario.gradient_size, scenario.gradient_size**2)
    return Level.CLOSE if max(sizes) <= NEGLIGIBLE * beside else Level.DIVERGENT


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
