"""Whether a class does what its section of the tables says, and whether stated differences are all that tells two apart.

The formula of an algorithm (`formulas`) is replayed with the hyperparameters and traits that the tables give the source's call.
As it stands it must give what the source gives. With exactly those traits switched that the plan calls causes it must give what
the target gives. Both hold in float64 to rounding, whatever level the causes excuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from optmap.conformance.calls import Call, arguments_of
from optmap.conformance.compare import compare
from optmap.conformance.engines import ENGINES, ZEROS
from optmap.conformance.formulas import FORMULAS
from optmap.conformance.formulas.by import Formula
from optmap.conformance.replay import COMMON, FILTER, PLACE, Stated, Then, replayed
from optmap.conformance.results import Divergence, Level, named
from optmap.conformance.resumed import second_half
from optmap.conformance.scenario import Scenario, Trace
from optmap.mapping.canonical import Canonical
from optmap.mapping.losses import traits_of
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan, group_ties
from optmap.shown import listed
from optmap.translate.constructors.arguments import Refusal, bind_call

DTYPE: Final = "float64"
"""Explained in this dtype: the smallest difference between two formulas is visible."""

SMALLEST: Final = 1e-37
"""Smaller squares vanish in float32."""


def stated(tables: MappingSet, call: Call) -> Stated | None:
    """What the tables say of a call; None where there is no formula, or the call cannot be bound."""
    formula = FORMULAS.get(call.api.algorithm)
    bound = bind_call(call.api, arguments_of(call))
    if formula is None or isinstance(bound, Refusal):
        return None
    canonical = Canonical(tables, call.api, bound, keys=call.group_keys)
    known = {*COMMON, *formula.takes}
    unknown = next((name for name in canonical.values if name not in known and not canonical.inert(name)), "")
    traits = traits_of(canonical, call.api)
    unknown = unknown or _unknown(formula, traits)
    values = {name: value.number for name, value in canonical.values.items() if value.known}
    keys = {key: group_ties(call.api, key, canonical.switched) for key in call.group_keys or ()}
    return Stated(call.api.algorithm, values, traits, keys, unknown)


def _unknown(formula: Formula, traits: Mapping[str, str]) -> str:
    """A trait with a value that means nothing to the formula; empty where there is none."""
    found = [name for name, values in formula.traits.items() if name in traits and traits[name] not in values]
    return f"{found[0]}: {traits[found[0]]}" if found else ""


def switched(rule: Stated, plan: Plan) -> Stated:
    """The rule with the traits, and the hyperparameters that cannot be given, that the plan says are the target's.

    An epsilon that moves inside a root is compared with squares there, and so is its own square, unless squares cancel.
    """
    formula = FORMULAS[rule.algorithm]
    traits, values, unknown = dict(rule.traits), dict(rule.values), rule.unknown
    for cause in plan.causes:
        if cause.trait in traits:
            traits[cause.trait] = str(cause.other)
        else:
            values[cause.trait] = cause.other
        if cause.trait not in (*formula.traits, *formula.takes, FILTER):
            unknown = cause.trait
    unknown = unknown or _unknown(formula, traits)
    epsilon = values.get("epsilon") or 0.0
    given = (
        ("epsilon",) not in rule.keys.values() and epsilon == rule.values.get("epsilon") and not values.get("centered")
    )
    if given and traits.get(PLACE) == "inside_root" != rule.traits.get(PLACE) and epsilon**2 > SMALLEST:
        values["epsilon"] = epsilon**2
    return rule._replace(values=values, traits=traits, unknown=unknown)


class Explanation(NamedTuple):
    """What remains of the difference of two runs when the causes are taken away; `fault` is why that is too much."""

    remainder: Divergence | None = None
    fault: str | None = None


NOTHING: Final = Explanation()


class Explainer:
    """Explains the runs of one class; whether a run of the class itself is what the tables state is asked once."""

    def __init__(self) -> None:
        self._own: dict[tuple[int, str], Divergence] = {}

    def explain(
        self, rule: Stated, plan: Plan, scenario: Scenario, source: Trace, target: Trace, halfway: int = 0
    ) -> Explanation:
        """Hold both runs against the tables; `source` has the gradients of both. Runs that overflow are not explained.

        The target may start from the source's state, halfway.
        """
        if not all(np.isfinite(values[-1]).all() for run in (source, target) for values in run.parameters.values()):
            return NOTHING
        changed = switched(rule, plan)
        zeros = [bool(scenario.silent) and ENGINES[api.framework].silent == ZEROS for api in (plan.source, plan.target)]
        if changed.unknown:
            return Explanation(fault=f"unexplained: no formula of {rule.algorithm} knows {changed.unknown}")
        key = id(source), scenario.name
        if key not in self._own:
            self._own[key] = compare(source, _replayed(rule, scenario, source, zeros[0]), scenario.start, DTYPE)
        own = self._own[key]
        if own.level.rank > Level.EQUIVALENT.rank:
            return Explanation(
                own, _told(plan.source.name, "the hyperparameters and traits that the tables state", own)
            )
        if not plan.causes and zeros[0] is zeros[1]:
            return NOTHING
        then = Then(halfway, changed) if halfway else None
        run, start = _replayed(rule if then else changed, scenario, source, zeros[1], then), scenario.start
        if halfway:
            start, run = second_half(source, halfway)[1], second_half(run, halfway)[0]
        rest = compare(target, run, start, DTYPE)
        if rest.level.rank <= Level.EQUIVALENT.rank:
            return Explanation(rest)
        missing = ["missing gradients"] if zeros[0] is not zeros[1] else []
        causes = listed([*missing, *(named(cause.trait) for cause in plan.causes)])
        return Explanation(rest, _told(plan.target.name, f"{causes} alone", rest))


def _replayed(rule: Stated, scenario: Scenario, source: Trace, zeros: bool, then: Then | None = None) -> Trace:
    return replayed(rule, scenario, source.gradients, len(source.loss), zeros=zeros, then=then)


def _told(api: str, what: str, measured: Divergence) -> str:
    return (
        f"{api} does not do what follows from {what}: unexplained remain {measured.max_abs:.1e} in float64, in "
        f"{measured.parameter} from step {measured.first_step_over} on"
    )
