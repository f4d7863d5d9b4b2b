"""The expected level of a plan in a scenario, from the tables, and the verdict on what was measured there.

WORSE is judged in each scenario, BETTER over all scenarios of a pair in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, NamedTuple

from optmap.conformance.catalog import SILENT
from optmap.conformance.engines import ENGINES
from optmap.conformance.explain import NOTHING, Explanation
from optmap.conformance.results import Divergence, FailOn, Level, Mode, Result, Verdict
from optmap.conformance.rules.rule import UNDECAYED
from optmap.conformance.scenario import Scenario
from optmap.mapping.plan import Cause, Plan
from optmap.mapping.records import Literal
from optmap.mapping.vocabulary import Need


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
    Need.FRESH_START: lambda scenario, values, run: not scenario.resumed,
    Need.SINGLE_PRECISION: lambda scenario, values, run: run.dtype == "float32",
    Need.LONG_RUN: _is_long,
}
"""For each need, whether a run meets it. In runs that do not, a trait with that need has no effect."""

_USUAL: Final = Circumstances()


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
        effect = Level.DIVERGENT if cause.diverges(scenario.gradient_size) else Level.CLOSE
        level = max(level, effect, key=lambda item: item.rank)
        texts.append(describe(plan, cause))
    sides = [ENGINES[api.framework].silent for api in (plan.source, plan.target) if api.framework in ENGINES]
    if scenario.silent and len(set(sides)) > 1:
        level = Level.DIVERGENT
        texts.append(f"missing gradients: {plan.source.framework} {sides[0]}; {plan.target.framework} {sides[1]}")
    return Expectation(level, tuple(texts))


def describe(plan: Plan, cause: Cause) -> str:
    """A cause as one line of text."""
    return f"{cause.trait.replace('_', ' ')}: {plan.source.name} {cause.source}; {plan.target.name} {cause.target}"


def judge(
    measured: Divergence, expected: Expectation, explanation: Explanation = NOTHING
) -> tuple[Verdict, str | None]:
    """The verdict on one forced run, and the reason where it is not AS_EXPECTED.

    AS_EXPECTED is what the causes excuse, and what they explain to the last bit.
    """
    if measured.level.rank <= expected.level.rank:
        return (Verdict.WORSE, explanation.fault) if explanation.fault else (Verdict.AS_EXPECTED, None)
    why = "; ".join(expected.causes) or "the tables state the same traits on both sides"
    return Verdict.WORSE, (
        f"measured {measured.level}, expected {expected.level} at worst ({why}); {measured.parameter} exceeds the rounding "
        f"tolerance from step {measured.first_step_over} on"
    )


def find_better(results: Sequence[Result]) -> list[Result]:
    """Set BETTER for pairs whose update rules differ by the tables, but agree in all scenarios.

    Only float64 counts, where the smallest difference is visible. The results of each pair must be consecutive.
    """
    found: list[Result] = []
    for _, group in groupby(results, key=lambda result: id(result.pair)):
        listed = list(group)
        found += map(_better, listed) if _shows_nothing(listed) else listed
    return found


ENOUGH: Final = 20
"""Steps after which a difference that the tables state must have shown."""


def _shows_nothing(results: Sequence[Result]) -> bool:
    judged = [
        result for result in results
        if result.mode is Mode.FORCED and result.dtype == "float64" and result.causes and result.scenario != SILENT
    ]  # fmt: skip
    levels = [result.divergence.level for result in judged if result.divergence is not None]
    if any(result.steps < ENOUGH for result in judged):
        return False
    return bool(judged) and len(levels) == len(judged) and all(level.rank <= Level.EQUIVALENT.rank for level in levels)


def _better(result: Result) -> Result:
    if result.verdict is not Verdict.AS_EXPECTED or not result.causes or result.dtype != "float64":
        return result
    reason = f"no scenario shows the difference that the tables state: {'; '.join(result.causes)}"
    return replace(result, verdict=Verdict.BETTER, reason=reason)


def rejecting(results: Iterable[Result]) -> list[Result]:
    """The results where no DIVERGENT run is accepted, whatever the tables predict."""
    stated = f"measured DIVERGENT, as the tables predict; --fail-on {FailOn.DIVERGENT} rejects it"
    return [
        replace(result, accepted=False, reason=result.reason or stated) if result.divergent else result
        for result in results
    ]
