"""A constructor call and the tables to a Rewrite or a Refusal. Knows values, not text, so that `check` can ask it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optmap.diagnostics import (
    API_NOTE,
    DEFAULT_FILLED,
    DEPRECATED_TARGET,
    EXECUTION_DROPPED,
    GROUP_KEY,
    INSEPARABLE_VALUE,
    INVALID_CALL,
    NO_COUNTERPART,
    NUMERIC_DIFFERENCE,
    RETARGETED,
    SCHEDULE_ARGUMENT,
    SMALL_DIFFERENCE,
    UNMEASURED,
    UNPACKED_ARGUMENTS,
    UNSAFE_VALUE,
    UNSUPPORTED_ARGUMENT,
)
from optmap.mapping.derive import candidates, plans
from optmap.mapping.model import Api, Effect, Framework, MappingSet, Need
from optmap.mapping.plan import Constant, Given, Loss, Plan, choose
from optmap.mapping.values import Value, write_literal
from optmap.mapping.versions import key
from optmap.source.bind import Problem, Signature, Unbound, bind
from optmap.source.calls import Form
from optmap.translate.constructors.reasons import SUBJECTS, Reason, Remedy, RemedyKind, Subject

_PROBLEM_CODES = {
    Loss.MISSING: UNSUPPORTED_ARGUMENT,
    Loss.REJECTED_VALUE: UNSAFE_VALUE,
    Loss.INSEPARABLE: INSEPARABLE_VALUE,
    Loss.UNKNOWN_SWITCH: UNSUPPORTED_ARGUMENT,
    Loss.GROUP_KEY: GROUP_KEY,
}


class CallArgument(NamedTuple):
    """One argument of a call as the resolver sees it."""

    form: Form
    name: str | None
    value: Value


class Rewrite(NamedTuple):
    """The call can be expressed: how, and what to say about it."""

    plan: Plan
    reasons: tuple[Reason, ...]


class Refusal(NamedTuple):
    """The call cannot be expressed, and why."""

    reasons: tuple[Reason, ...]


class Groups(NamedTuple):
    """Parameter groups written at the call; `keys` are all their keys but `params`."""

    keys: tuple[str, ...] = ()


class Serving(NamedTuple):
    """Only classes of these modules will do, but for some, since only they take a schedule; `why` is a clause that says so.

    `moved` is the attached schedule that a passed one becomes, if any. Where the schedule itself is left as it is, these
    classes are not `needed`, but what the user is told to attach needs them.
    """

    modules: tuple[str, ...]
    unserved: tuple[str, ...]
    why: str
    moved: str = ""
    needed: bool = True

    def serves(self, api: Api) -> bool:
        return api.module.name in self.modules and api.class_name not in self.unserved


def resolve(
    tables: MappingSet,
    api: Api,
    arguments: Sequence[CallArgument],
    target: Framework,
    *,
    faithful: bool = False,
    groups: Groups | None = None,
    serving: Serving | None = None,
) -> Rewrite | Refusal:
    """Find how the target framework expresses the call; one of its classes is chosen, or the reasons against all given.

    `serving` leaves only some of the target's classes to choose from.
    """
    # Files repeat themselves; equal calls have equal answers. repr() keeps 1, 1.0 and True apart.
    question = (api.name, api.version, target, faithful, groups, serving, repr(arguments))
    known = tables.answers.get(question)
    if known is None:
        known = tables.answers[question] = _resolve(tables, api, arguments, target, faithful, groups, serving)
    return known


def _resolve(
    tables: MappingSet,
    api: Api,
    arguments: Sequence[CallArgument],
    target: Framework,
    faithful: bool,
    groups: Groups | None,
    serving: Serving | None,
) -> Rewrite | Refusal:
    if not api.exists:
        return Refusal((Reason(INVALID_CALL, Subject.CALL, api.absence, table=str(api.at)),))
    bound = bind_call(api, arguments)
    if isinstance(bound, Refusal):
        return bound
    classes = candidates(tables, api, target)
    if not classes:
        advice = tables.instead(api, target)
        message = f"{api.name} has no counterpart in {target}" + (f"; {advice}" if advice else "")
        return Refusal((Reason(NO_COUNTERPART, Subject.COUNTERPART, message, table=str(api.at)),))
    if serving is not None:
        usual, every, classes = classes[0], classes, tuple(each for each in classes if serving.serves(each))
        if not classes:
            message = _unserved(api, every, serving)
            return Refusal((Reason(SCHEDULE_ARGUMENT, Subject.COUNTERPART, message, table=str(api.at)),))
    keys = None if groups is None else groups.keys
    found = plans(tables, api, bound, classes, keys)
    chosen = choose(found, faithful=faithful)
    if chosen is None:
        return Refusal(tuple(_problem_reasons(found)))
    reasons = _reasons(found, chosen, faithful)
    if serving is not None and usual not in classes and chosen is found[0]:
        message = f"{chosen.target.name} was chosen over {usual.name}: {serving.why}"
        reasons.insert(0, Reason(RETARGETED, Subject.CHOICE, message, None, str(chosen.target.at)))
    return Rewrite(chosen, tuple(reasons))


def bind_call(api: Api, arguments: Sequence[CallArgument]) -> tuple[Given, ...] | Refusal:
    """Bind arguments to the signature as Python would; what Python or the API would reject is a Refusal."""
    found = bind(Signature(api.current, api.by_name), arguments)
    given = [Given(item.parameter, item.value, item.index) for item in found.given.values() if item.index is not None]
    reasons = _faults(api, arguments, found) if isinstance(found, Unbound) else []
    reasons += _wrong_lengths(api, given)
    return Refusal(tuple(reasons)) if reasons else tuple(given)


def _faults(api: Api, arguments: Sequence[CallArgument], found: Unbound) -> list[Reason]:
    """Why the arguments cannot be bound; what is missing is told once, at the end."""
    at = str(api.at)
    reasons: list[Reason] = []
    missing: list[str] = []
    for kind, index, name in found.problems:
        table = at
        if kind is Problem.MISSING:
            missing.append(str(name))
            continue
        if kind in (Problem.HIDDEN_LIST, Problem.HIDDEN_MAPPING):
            star = "*" if kind is Problem.HIDDEN_LIST else "**"
            message = f"{star} hides which arguments {api.name} gets"
            reasons.append(Reason(UNPACKED_ARGUMENTS, Subject.HIDDEN_ARGUMENTS, message, index, at))
            continue
        if kind is Problem.TOO_MANY:
            most = sum(not parameter.keyword_only for parameter in api.current)
            count = sum(argument.name is None for argument in arguments)
            message = f"{api.label} takes at most {most} positional arguments, found {count}"
        elif kind is Problem.UNKNOWN_NAME:
            message = _unknown(api, str(name))
        else:
            message, table = f"{api.name} gets {name} twice", str(api.by_name[str(name)].at)
        reasons.append(Reason(INVALID_CALL, Subject.CALL, message, index, table))
    if missing:
        reasons.append(Reason(INVALID_CALL, Subject.CALL, f"{api.label} requires {', '.join(missing)}", None, at))
    return reasons


def _unknown(api: Api, name: str) -> str:
    package = api.module.package
    hint = f"(--from {package}==VERSION says which version a file is for)"
    for row in api.parameters:
        if name in row.was:
            return f"{api.name} has no argument {name!r} since {package} {row.was[name]}; it takes {row.name!r} {hint}"
        if row.name == name:
            gone = row.until is not None and key(row.until) <= key(api.version or api.verified)
            when = f"since {package} {row.until}" if gone else f"before {package} {row.since}"
            return f"{api.name} has no argument {name!r} {when} {hint}"
    from difflib import get_close_matches

    close = get_close_matches(name, [parameter.name for parameter in api.current], n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{api.label} has no argument {name!r}{hint}"


def _wrong_lengths(api: Api, bound: Sequence[Given]) -> list[Reason]:
    reasons = []
    for given in bound:
        elements, ties = given.value.elements, given.parameter.ties
        if len(ties) > 1 and given.value.known and elements is None:
            message = f"{api.name} takes {len(ties)} values as {given.parameter.name}, found {given.value.literal!r}"
            reasons.append(Reason(INVALID_CALL, Subject.CALL, message, given.index, str(given.parameter.at)))
        if len(ties) > 1 and elements is not None and len(elements) != len(ties):
            message = f"{api.name} takes {len(ties)} values as {given.parameter.name}, found {len(elements)}"
            reasons.append(Reason(INVALID_CALL, Subject.CALL, message, given.index, str(given.parameter.at)))
    return reasons


def _problem_reasons(plans: Sequence[Plan]) -> list[Reason]:
    """Report what the preferred class cannot express; the others failed too."""
    preferred = plans[0]
    reasons: dict[Reason, None] = {}
    for problem in preferred.problems:
        remedy = Remedy(RemedyKind.VALUE, problem.remedy) if problem.remedy else None
        at = problem.parameter.at if problem.parameter else preferred.source.at
        code = _PROBLEM_CODES[problem.loss]
        reasons[Reason(code, Subject.VALUE, problem.message, problem.index, str(at), remedy)] = None
    return list(reasons)


def _reasons(plans: Sequence[Plan], chosen: Plan, faithful: bool) -> list[Reason]:
    source, target = chosen.source, chosen.target
    reasons = []
    for item in chosen.dropped:
        if item.execution:
            message = f"{item.parameter.name} was dropped: it changes how, not what, {source.name} computes"
            reasons.append(Reason(EXECUTION_DROPPED, Subject.EXECUTION, message, item.index, str(item.parameter.at)))
    for argument in chosen.arguments:
        if argument.filled:
            literals = tuple(piece.literal for piece in argument.pieces if isinstance(piece, Constant))
            text = write_literal(literals if argument.compound else literals[0])
            message = (
                f"{argument.parameter.name}={text} was written out: {target.name} would otherwise use another value"
            )
            reasons.append(Reason(DEFAULT_FILLED, Subject.DEFAULT, message, None, str(argument.parameter.at)))
    preferred = plans[0]
    if chosen is not preferred:
        why = (
            "; ".join(dict.fromkeys(problem.message for problem in preferred.problems))
            or f"it does the same arithmetic as {source.name}"
        )
        message = f"{target.name} was chosen over {preferred.target.name}: {why}"
        reasons.append(Reason(RETARGETED, Subject.CHOICE, message, None, str(target.at)))
    reasons += _cause_reasons(plans, chosen, faithful)
    reasons += [
        Reason(code, Subject.TARGET, message, None, str(target.at))
        for code, given, message in (
            (UNMEASURED, target.not_run, f"{target.name} {target.not_run}"),
            (DEPRECATED_TARGET, target.deprecated, f"{target.name} is deprecated {target.deprecated}"),
            (API_NOTE, target.note, f"{target.name}: {target.note}"),
        )
        if given
    ]
    return reasons


def _cause_reasons(plans: Sequence[Plan], chosen: Plan, faithful: bool) -> list[Reason]:
    better = None if faithful else choose(plans, faithful=True)
    reasons = []
    for cause in chosen.causes:
        message = f"{chosen.source.name} {cause.source}; {chosen.target.name} {cause.target}"
        gone = better is not None and all(other.trait != cause.trait for other in better.causes)
        remedy = Remedy(RemedyKind.DIFFERENCE, cause.advice) if cause.advice else None
        if better is not None and better.target is not chosen.target and gone:
            text = f"--faithful chooses {better.target.name}, which agrees{' in this' if better.causes else ''}"
            remedy = Remedy(RemedyKind.OTHER_CLASS, text)
        seen = cause.effect is Effect.DIVERGENT and cause.needs not in (Need.CHANGING_RATE, Need.LONG_RUN)
        code = NUMERIC_DIFFERENCE if seen else SMALL_DIFFERENCE
        subject = SUBJECTS.get(cause.trait, Subject.DIFFERENCE)
        reasons.append(Reason(code, subject, message, None, cause.table, remedy, cause))
    return reasons


def _unserved(api: Api, classes: Sequence[Api], serving: Serving) -> str:
    """Say why none of the classes takes the schedule."""
    near = next((each.name for each in classes if each.module.name in serving.modules), None)
    if near is not None:
        return f"{near} takes no schedule as learning rate"
    return f"{api.name} has no counterpart in {' or '.join(serving.modules)}, and {serving.why}"
