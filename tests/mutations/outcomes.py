"""What a user gets for the calls that `check --all` makes, as texts that can be compared."""

from __future__ import annotations

from functools import cache
from typing import Final

from optmap.conformance.calls import Call, arguments_of, choices, target_arguments
from optmap.conformance.select import table_calls
from optmap.mapping.derive import candidates, plans
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.translate.constructors.arguments import Refusal, bind_call

from .simulated import base

REFUSED: Final = "refused:"


@cache
def calls() -> dict[str, list[Call]]:
    """The calls of every class that `check --all` makes."""
    return {name: table_calls(base(), [api]) for name, api in base().apis.items() if api.exists}


def outcome(tables: MappingSet, call: Call, target: Framework, classes: tuple[str, ...] = ()) -> list[str]:
    """What a user gets for a call, as texts: what each class makes of it, and with which preference it is chosen."""
    if tables is base():
        return _usual(call.api.name, repr(sorted(call.given.items())), target, classes)
    return _outcome(tables, call, target, classes)


@cache
def _usual(name: str, given: str, target: Framework, classes: tuple[str, ...]) -> list[str]:
    call = next(call for call in calls()[name] if repr(sorted(call.given.items())) == given)
    return _outcome(base(), call, target, classes)


def _outcome(tables: MappingSet, call: Call, target: Framework, classes: tuple[str, ...]) -> list[str]:
    api = tables.apis.get(call.api.name)
    if api is None:
        return ["there is no such class"]
    bound = bind_call(api, arguments_of(call._replace(api=api)))
    if isinstance(bound, Refusal):
        return [reason.message for reason in bound.reasons]
    possible = [each for each in candidates(tables, api, target) if not classes or each.name in classes]
    found = plans(tables, api, bound, possible)
    chosen = sorted((str(prefer), plan.target.name) for prefer, plan in choices(found).items())
    texts = [f"chosen {chosen}" if chosen else f"{REFUSED} by all"]
    for plan in found:
        texts += [f"{REFUSED} {plan.target.name}: {problem.message}; {problem.remedy}" for problem in plan.problems]
        if plan.problems:
            continue
        texts.append(f"{plan.target.name}{sorted(target_arguments(plan, arguments_of(call)).items())}")
        texts += [f"drops {item.parameter.name} {item.execution}" for item in plan.dropped]
        texts += [
            f"{plan.target.name} {cause.trait}: {cause.effect}, {cause.source}; {cause.target}; {cause.needs}, {cause.diverges()}"
            for cause in plan.causes
        ]
    return texts


def difference(before: list[str], after: list[str]) -> str:
    return f"{[text for text in before if text not in after]} became {[text for text in after if text not in before]}"
