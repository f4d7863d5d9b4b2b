"""The arguments of a constructor call bound to the signature of a table, or why that cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from optmap.diagnostics import INVALID_CALL, UNPACKED_ARGUMENTS
from optmap.mapping.canonical import is_schedule
from optmap.mapping.plan import BoundArgument
from optmap.mapping.sections import Api
from optmap.mapping.taken import counted, refused
from optmap.mapping.values import Value
from optmap.mapping.versions import key
from optmap.mapping.vocabulary import Parameter
from optmap.source.bind import BindingProblem, Unbound
from optmap.source.calls import Form
from optmap.translate.constructors.reasons import CallReason, Subject
from optmap.translate.discover.sites import bind_to
from optmap.values import NamedTuple


class CallArgument(NamedTuple):
    """One argument of a call as the resolver sees it."""

    form: Form
    name: str | None
    value: Value


class Refusal(NamedTuple):
    """The call cannot be expressed, and why."""

    reasons: tuple[CallReason, ...]


def bind_call(api: Api, arguments: Sequence[CallArgument]) -> tuple[BoundArgument, ...] | Refusal:
    """Bind arguments to the signature as Python would; what Python or the API would reject is a Refusal."""
    found = bind_to(api, arguments)
    given = [
        BoundArgument(item.parameter, item.value, item.index) for item in found.given.values() if item.index is not None
    ]
    reasons = _faults(api, arguments, found) if isinstance(found, Unbound) else []
    reasons += _wrong_lengths(api, given)
    reasons += _wrong_values(api, given)
    return Refusal(tuple(reasons)) if reasons else tuple(given)


def _faults(api: Api, arguments: Sequence[CallArgument], found: Unbound) -> list[CallReason]:
    """Why the arguments cannot be bound; what is missing is told once, at the end."""
    at = str(api.at)
    reasons: list[CallReason] = []
    missing: list[str] = []
    for kind, index, name in found.problems:
        table = at
        if kind is BindingProblem.MISSING:
            missing.append(str(name))
            continue
        if kind in (BindingProblem.HIDDEN_LIST, BindingProblem.HIDDEN_MAPPING):
            star = "*" if kind is BindingProblem.HIDDEN_LIST else "**"
            message = f"{star} hides the arguments of {api.name}: write them out"
            reasons.append(CallReason(UNPACKED_ARGUMENTS, Subject.HIDDEN_ARGUMENTS, message, index, at))
            continue
        if kind is BindingProblem.TOO_MANY:
            most = sum(not parameter.keyword_only for parameter in api.current)
            count = sum(argument.name is None for argument in arguments)
            message = f"{api.label} takes at most {most} positional arguments, found {count}"
        elif kind is BindingProblem.UNKNOWN_NAME:
            message = _unknown(api, str(name))
        else:
            message, table = f"{api.name} gets {name} twice", str(api.by_name[str(name)].at)
        reasons.append(CallReason(INVALID_CALL, Subject.CALL, message, index, table))
    if missing:
        reasons.append(CallReason(INVALID_CALL, Subject.CALL, f"{api.label} requires {', '.join(missing)}", None, at))
    return reasons


def _unknown(api: Api, name: str) -> str:
    package = api.module.package
    hint = f"(or --from {package}==VERSION)"
    for row in api.parameters:
        if name in row.was:
            return f"no argument {name!r} since {package} {row.was[name]}; did you mean {row.name!r}? {hint}"
        if row.name == name:
            gone = row.until is not None and key(row.until) <= key(api.version or api.verified)
            when = f"since {package} {row.until}" if gone else f"before {package} {row.since}"
            return f"no argument {name!r} {when} {hint}"
    from difflib import get_close_matches

    close = get_close_matches(name, [parameter.name for parameter in api.current], n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{api.label} has no argument {name!r}{hint}"


def _wrong_lengths(api: Api, bound: Sequence[BoundArgument]) -> list[CallReason]:
    reasons = []
    for given in bound:
        elements, ties = given.value.elements, given.parameter.ties
        if len(ties) > 1 and given.value.known and elements is None:
            message = f"{api.name} takes {len(ties)} values as {given.parameter.name}, found {given.value.literal!r}"
            reasons.append(CallReason(INVALID_CALL, Subject.CALL, message, given.index, str(given.parameter.at)))
        if len(ties) > 1 and elements is not None and len(elements) != len(ties):
            message = f"{api.name} takes {len(ties)} values as {given.parameter.name}, found {len(elements)}"
            reasons.append(CallReason(INVALID_CALL, Subject.CALL, message, given.index, str(given.parameter.at)))
    return reasons


def _wrong_values(api: Api, bound: Sequence[BoundArgument]) -> list[CallReason]:
    """What the class itself would not take, or would count otherwise than other frameworks."""
    reasons = []
    for given in bound:
        parameter, value = given.parameter, given.value
        several = len(parameter.ties) > 1
        if parameter.execution or (several and value.elements is None):
            continue
        if value.elements is not None and not (several or parameter.whole):
            continue  # what lists may stand for one number is the planner's
        values = (value,) if value.elements is None else value.elements
        messages = [_wrong_value(api, parameter, item) for item in values]
        found = dict.fromkeys(item for item in messages if item is not None)
        reasons += [CallReason(INVALID_CALL, Subject.CALL, item, given.index, str(parameter.at)) for item in found]
    return reasons


def _wrong_value(api: Api, parameter: Parameter, value: Value) -> str | None:
    """Why a value is wrong. Optimizers may take None for what does nothing; what it means to others the planner finds out."""
    if parameter.whole and value.is_fraction:
        return counted(api, parameter)
    passed_on = not value.known or (value.literal is None and not is_schedule(api))
    return None if passed_on else refused(api, parameter, value.literal)
