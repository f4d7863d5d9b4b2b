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
    Code,
)
from optmap.mapping.derive import candidates, plans
from optmap.mapping.model import Api, Effect, Framework, MappingSet, Need
from optmap.mapping.plan import Constant, Given, Loss, Plan, choose
from optmap.mapping.values import Value, write_literal
from optmap.mapping.versions import key
from optmap.source.calls import Form

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


class Note(NamedTuple):
    """A message about a call; `index` is the argument that it is about, None for the whole call.

    `trait` is the trait of the update rules that a difference is about.
    """

    code: Code
    message: str
    index: int | None = None  # type: ignore[assignment]
    table: str | None = None
    trait: str | None = None


class Rewrite(NamedTuple):
    """The call can be expressed: how, and what to say about it."""

    plan: Plan
    notes: tuple[Note, ...]


class Refusal(NamedTuple):
    """The call cannot be expressed, and why."""

    notes: tuple[Note, ...]


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
        return Refusal((Note(INVALID_CALL, api.absence, table=str(api.at)),))
    bound = bind(api, arguments)
    if isinstance(bound, Refusal):
        return bound
    classes = candidates(tables, api, target)
    if not classes:
        advice = api.instead or tables.algorithms[api.algorithm].instead
        message = f"{api.name} has no counterpart in {target}" + (f"; {advice}" if advice else "")
        return Refusal((Note(NO_COUNTERPART, message, table=str(api.at)),))
    if serving is not None:
        usual, every, classes = classes[0], classes, tuple(each for each in classes if serving.serves(each))
        if not classes:
            return Refusal((Note(SCHEDULE_ARGUMENT, _unserved(api, every, serving), table=str(api.at)),))
    keys = None if groups is None else groups.keys
    found = plans(tables, api, bound, classes, keys)
    chosen = choose(found, faithful=faithful)
    if chosen is None:
        return Refusal(tuple(_problem_notes(found)))
    notes = _notes(tables, found, chosen, faithful)
    if serving is not None and usual not in classes and chosen is found[0]:
        message = f"{chosen.target.name} was chosen over {usual.name}: {serving.why}"
        notes.insert(0, Note(RETARGETED, message, None, str(chosen.target.at)))
    return Rewrite(chosen, tuple(notes))


def bind(api: Api, arguments: Sequence[CallArgument]) -> tuple[Given, ...] | Refusal:
    """Bind arguments to the signature as Python would; what Python or the API would reject is a Refusal."""
    positional = [parameter for parameter in api.current if not parameter.keyword_only]
    known = api.by_name
    bound: dict[str, Given] = {}
    notes: list[Note] = []
    place = 0  # among the positional arguments, which Python binds in their own order
    for index, argument in enumerate(arguments):
        if argument.form is Form.EMPTY:
            continue
        if argument.form in (Form.UNPACKED_LIST, Form.UNPACKED_MAPPING):
            star = "*" if argument.form is Form.UNPACKED_LIST else "**"
            notes.append(Note(UNPACKED_ARGUMENTS, f"{star} hides which arguments {api.name} gets", index, str(api.at)))
            continue
        if argument.name is None:
            if place >= len(positional):
                message = (
                    f"{api.label} takes at most {len(positional)} positional arguments, found {_positionals(arguments)}"
                )
                notes.append(Note(INVALID_CALL, message, index, str(api.at)))
                break
            parameter = positional[place]
            place += 1
        elif argument.name in known:
            parameter = known[argument.name]
        else:
            notes.append(Note(INVALID_CALL, _unknown(api, argument.name), index, str(api.at)))
            continue
        if parameter.name in bound:
            notes.append(Note(INVALID_CALL, f"{api.name} gets {parameter.name} twice", index, str(parameter.at)))
        else:
            bound[parameter.name] = Given(parameter, argument.value, index)
    hidden = any(note.code is UNPACKED_ARGUMENTS for note in notes)
    absent = [parameter for parameter in api.current if parameter.required and parameter.name not in bound]
    if absent and not hidden:
        names = ", ".join(parameter.name for parameter in absent)
        notes.append(Note(INVALID_CALL, f"{api.label} requires {names}", None, str(api.at)))
    notes += _wrong_lengths(api, bound)
    return Refusal(tuple(notes)) if notes else tuple(bound.values())


def _positionals(arguments: Sequence[CallArgument]) -> int:
    return sum(argument.name is None for argument in arguments)


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


def _wrong_lengths(api: Api, bound: dict[str, Given]) -> list[Note]:
    notes = []
    for given in bound.values():
        elements, ties = given.value.elements, given.parameter.ties
        if len(ties) > 1 and given.value.known and elements is None:
            message = f"{api.name} takes {len(ties)} values as {given.parameter.name}, found {given.value.literal!r}"
            notes.append(Note(INVALID_CALL, message, given.index, str(given.parameter.at)))
        if len(ties) > 1 and elements is not None and len(elements) != len(ties):
            message = f"{api.name} takes {len(ties)} values as {given.parameter.name}, found {len(elements)}"
            notes.append(Note(INVALID_CALL, message, given.index, str(given.parameter.at)))
    return notes


def _problem_notes(plans: Sequence[Plan]) -> list[Note]:
    """Report what the preferred class cannot express; the others failed too."""
    preferred = plans[0]
    notes: dict[Note, None] = {}
    for problem in preferred.problems:
        remedy = f"; {problem.remedy}" if problem.remedy else ""
        at = problem.parameter.at if problem.parameter else preferred.source.at
        notes[Note(_PROBLEM_CODES[problem.loss], f"{problem.message}{remedy}", problem.index, str(at))] = None
    return list(notes)


def _notes(tables: MappingSet, plans: Sequence[Plan], chosen: Plan, faithful: bool) -> list[Note]:
    source, target = chosen.source, chosen.target
    notes = [Note(EXECUTION_DROPPED, f"{item.parameter.name} was dropped: it changes how, not what, {source.name} computes",
                  item.index, str(item.parameter.at)) for item in chosen.dropped if item.execution]  # fmt: skip
    for argument in chosen.arguments:
        if argument.filled:
            literals = tuple(piece.literal for piece in argument.pieces if isinstance(piece, Constant))
            text = write_literal(literals if argument.compound else literals[0])
            message = (
                f"{argument.parameter.name}={text} was written out: {target.name} would otherwise use another value"
            )
            notes.append(Note(DEFAULT_FILLED, message, None, str(argument.parameter.at)))
    preferred = plans[0]
    if chosen is not preferred:
        why = (
            "; ".join(dict.fromkeys(problem.message for problem in preferred.problems))
            or f"it does the same arithmetic as {source.name}"
        )
        notes.append(
            Note(RETARGETED, f"{target.name} was chosen over {preferred.target.name}: {why}", None, str(target.at))
        )
    notes += _cause_notes(plans, chosen, faithful)
    if target.not_run:
        notes.append(Note(UNMEASURED, f"{target.name} {target.not_run}", None, str(target.at)))
    if target.deprecated:
        notes.append(Note(DEPRECATED_TARGET, f"{target.name} is deprecated {target.deprecated}", None, str(target.at)))
    if target.note:
        notes.append(Note(API_NOTE, f"{target.name}: {target.note}", None, str(target.at)))
    return notes


def _cause_notes(plans: Sequence[Plan], chosen: Plan, faithful: bool) -> list[Note]:
    better = None if faithful else choose(plans, faithful=True)
    notes = []
    for cause in chosen.causes:
        message = f"{chosen.source.name} {cause.source}; {chosen.target.name} {cause.target}"
        gone = better is not None and all(other.trait != cause.trait for other in better.causes)
        if better is not None and better.target is not chosen.target and gone:
            message += f". --faithful chooses {better.target.name}, which agrees{' in this' if better.causes else ''}"
        elif cause.advice:
            message += f". To avoid it, {cause.advice}"
        seen = cause.effect is Effect.DIVERGENT and cause.needs not in (Need.CHANGING_RATE, Need.LONG_RUN)
        code = NUMERIC_DIFFERENCE if seen else SMALL_DIFFERENCE
        notes.append(Note(code, message, None, cause.table, cause.trait))
    return notes


def _unserved(api: Api, classes: Sequence[Api], serving: Serving) -> str:
    """Say why none of the classes takes the schedule."""
    near = next((each.name for each in classes if each.module.name in serving.modules), None)
    if near is not None:
        return f"{near} takes no schedule as learning rate"
    return f"{api.name} has no counterpart in {' or '.join(serving.modules)}, and {serving.why}"


def changing_rate_notes(rewrite: Rewrite) -> tuple[Note, ...]:
    """The notes for a call whose learning rate is known to change: what only shows then does show."""
    seen = {
        f"{rewrite.plan.source.name} {cause.source}; {rewrite.plan.target.name} {cause.target}"
        for cause in rewrite.plan.causes
        if cause.effect is Effect.DIVERGENT and cause.needs is Need.CHANGING_RATE
    }
    return tuple(
        note._replace(code=NUMERIC_DIFFERENCE) if any(map(note.message.startswith, seen)) else note
        for note in rewrite.notes
    )
