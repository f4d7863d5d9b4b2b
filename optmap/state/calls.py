"""The call of a saved optimizer: as the user states it, and completed by what the file has."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Final

from optmap.conformance.calls import Call, arguments_of, choices, completed, plans
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan, Prefer
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.state import RequestError, StateError
from optmap.mapping.state_values import RATE
from optmap.mapping.values import read_value
from optmap.mapping.vocabulary import PARAMETERS, same_value
from optmap.nearest import nearest
from optmap.translate.constructors.arguments import Refusal
from optmap.translate.constructors.resolve import resolve

FREE: Final = ((PARAMETERS,), (RATE,), ())
"""What a file need not name among its hyperparameters, or stores elsewhere."""


def stated_call(tables: MappingSet, text: str) -> Call:
    """A class, or a call of it with literal arguments. Raises RequestError."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise RequestError(f"found {text!r}, expected a class such as torch.optim.Adam, or a call of it") from None
    given: dict[str, Literal] = {}
    if isinstance(node, ast.Call):
        if node.args:
            raise RequestError(f"{ast.unparse(node.args[0])}: expected keywords only, and no parameters")
        for item in node.keywords:
            value = read_value(item.value)
            if item.arg is None or not value.known:
                raise RequestError(
                    f"{ast.unparse(item)}: expected a keyword with a number, True, False, None or a tuple"
                )
            given[item.arg] = value.literal  # type: ignore[assignment]
        node = node.func
    api = named_class(tables, ast.unparse(node))
    for name in given:
        if name not in api.by_name or api.by_name[name].is_parameters:
            raise RequestError(f"{api.name} has no argument {name!r}{nearest(name, api.by_name)}")
    return Call(api, given)


def named_class(tables: MappingSet, name: str) -> Api:
    """The class of a name whose state the tables describe. Raises RequestError."""
    found = tables.named(name)
    if len(found) > 1:
        raise RequestError(f"{name} may be {' or '.join(api.name for api in found)}; give the whole name")
    if not found:
        raise RequestError(
            f"unknown class {name!r}{nearest(name, [api.name for api in tables.apis.values() if api.state])}"
        )
    return found[0]


def completed_call(tables: MappingSet, call: Call, found: Mapping[str, Any], rate: Any) -> Call:
    """The call with what the file says of it: hyperparameters by name, and the current learning rate. Raises StateError."""
    api = call.api
    given = {**_known(tables, call, found), **call.given}
    carrier = api.by_tie[RATE].name
    if rate is not None and (rate.size == 1 or carrier not in given):
        if rate.size != 1:
            raise StateError(
                f"the file holds a schedule of learning rates: state the one to go on with, as in {api.name}({carrier}=...)"
            )
        current = float(str(rate.dtype.type(rate)))
        if carrier in given and rate.dtype.type(given[carrier]) != rate:
            raise StateError(f"the file has {carrier}={current!r}, but the call says {given[carrier]!r}")
        given.setdefault(carrier, current)
    required = [row.name for row in api.current if row.required and not row.is_parameters]
    if missing := [name for name in (carrier, *required) if name not in given]:
        raise StateError(f"the file does not say what {missing[0]} is: write {api.name}({missing[0]}=...)")
    return call._replace(given=completed(tables, api, given))


def _known(tables: MappingSet, call: Call, found: Mapping[str, Any]) -> dict[str, Literal]:
    """The hyperparameters of a file by the constructor's names. Raises StateError for those of another class or call."""
    api = call.api
    own = {row.name: row for row in api.current}
    classes = [item for item in tables.apis.values() if item.module.name == api.module.name]
    others = {row.name for item in classes for row in item.parameters} - own.keys()
    for name, value in found.items():
        if name in others:
            raise StateError(
                f"the file has {name}={value!r}, which {api.name} does not take: another class has saved it"
            )
        if name in call.given and not same_value(call.given[name], value):
            raise StateError(f"the file has {name}={value!r}, but the call says {call.given[name]!r}")
    first = [row for row in api.parameters if row.since is None and row.until is None and not row.keyword_only]
    always = [row.name for row in first if row.ties[:1] not in FREE]
    if found and (missing := [name for name in always if name not in found]):
        raise StateError(f"the file has no {missing[0]}, which {api.name} has: another class or version has saved it")
    return {name: value for name, value in found.items() if name in own and not own[name].execution}


def planned(tables: MappingSet, call: Call, target: Framework, to: str) -> Plan:
    """How the target expresses the call; a class that was named is taken. Raises StateError where it cannot."""
    found = plans(tables, call, target)
    if isinstance(found, str):
        raise StateError(f"this is no call of {call.api.name}: {found}")
    picked = choices(found).get(Prefer.AUTO)
    if to != target:
        wanted = named_class(tables, to)
        picked = next((plan for plan in found if plan.target.name == wanted.name), None)
    if picked is None:
        resolved = resolve(tables, call.api, arguments_of(call), target)
        reasons = [reason.message for reason in resolved.reasons] if isinstance(resolved, Refusal) else []
        raise StateError("; ".join([f"{to} cannot express this call of {call.api.name}", *reasons]))
    return picked


def describes(api: Api) -> None:
    """Raise StateError unless the tables describe what a class saves, and that is enough to go on."""
    if not api.state:
        raise StateError(f"the tables do not describe the state of {api.name}")
    if unsaved := [slot.slot for slot in api.state.values() if slot.unsaved]:
        raise StateError(
            f"{api.framework} neither saves nor loads {unsaved[0]} of {api.name}, without which it cannot go on"
        )
