"""A constructor call and the tables to a Rewrite or a Refusal. Knows values, not text, so that `check` can ask it too."""

from __future__ import annotations

from collections.abc import Sequence

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
    UNSAFE_VALUE,
    UNSUPPORTED_ARGUMENT,
)
from optmap.mapping.derive import candidates, plans
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Constant, Obstacle, Plan, Prefer, choose
from optmap.mapping.sections import Api
from optmap.mapping.values import write_literal
from optmap.mapping.vocabulary import Need
from optmap.translate.constructors.arguments import CallArgument, Refusal, bind_call
from optmap.translate.constructors.reasons import SUBJECTS, CallReason, Remedy, RemedyKind, Subject
from optmap.values import NamedTuple

_PROBLEM_CODES = {
    Obstacle.MISSING: UNSUPPORTED_ARGUMENT,
    Obstacle.REJECTED_VALUE: UNSAFE_VALUE,
    Obstacle.INSEPARABLE: INSEPARABLE_VALUE,
    Obstacle.UNKNOWN_SWITCH: UNSUPPORTED_ARGUMENT,
    Obstacle.GROUP_KEY: GROUP_KEY,
}


class Rewrite(NamedTuple):
    """The call can be expressed: how, and what to say about it."""

    plan: Plan
    reasons: tuple[CallReason, ...]


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


class Trainer(NamedTuple):
    """What trains with the optimizer and takes only classes of these modules; `text` is how messages call it."""

    modules: tuple[str, ...]
    text: str


def resolve(
    tables: MappingSet,
    api: Api,
    arguments: Sequence[CallArgument],
    target: Framework,
    *,
    prefer: Prefer = Prefer.AUTO,
    groups: Groups | None = None,
    serving: Serving | None = None,
    trainer: Trainer | None = None,
    dtypes: frozenset[str] = frozenset(),
) -> Rewrite | Refusal:
    """Find how the target framework expresses the call; one of its classes is chosen, or the reasons against all given.

    `serving` leaves only some of the target's classes to choose from, `trainer` only some to prefer to the documented one.
    Weights may be of these `dtypes`.
    """
    # Files repeat themselves; equal calls have equal answers. repr() keeps 1, 1.0 and True apart.
    question = (api.name, api.version, target, prefer, groups, serving, trainer, dtypes, repr(arguments))
    return tables.once(
        question, lambda: _resolve(tables, api, arguments, target, prefer, groups, serving, trainer, dtypes)
    )


def _resolve(
    tables: MappingSet,
    api: Api,
    arguments: Sequence[CallArgument],
    target: Framework,
    prefer: Prefer,
    groups: Groups | None,
    serving: Serving | None,
    trainer: Trainer | None,
    dtypes: frozenset[str],
) -> Rewrite | Refusal:
    if not api.exists:
        return Refusal((CallReason(INVALID_CALL, Subject.CALL, api.absence, table=str(api.at)),))
    bound = bind_call(api, arguments)
    if isinstance(bound, Refusal):
        return bound
    classes = candidates(tables, api, target)
    if not classes:
        advice, _, more = (tables.instead(api, target) or "").partition("\n")
        message = f"{api.name} has no counterpart in {target}" + (f"; {advice}" if advice else "")
        return Refusal(
            (CallReason(NO_COUNTERPART, Subject.COUNTERPART, message, None, str(api.at), detail=more or None),)
        )
    if serving is not None:
        usual, every, classes = classes[0], classes, tuple(each for each in classes if serving.serves(each))
        if not classes:
            message = _unserved(api, every, serving)
            return Refusal((CallReason(SCHEDULE_ARGUMENT, Subject.COUNTERPART, message, table=str(api.at)),))
    keys = None if groups is None else groups.keys
    question = (plans, api.name, api.version, target, serving, keys, repr(arguments))
    found = tables.once(question, lambda: plans(tables, api, bound, classes, keys))  # whoever trains with them
    moving = [plan for plan in found if dtypes.isdisjoint(plan.target.unmoved)]
    if len(moving) < len(found):
        if not any(not plan.problems for plan in moving) and (idle := choose(found, prefer)):
            kinds = " and ".join(sorted(dtypes.intersection(idle.target.unmoved)))
            what = f"{idle.target.name} leaves {kinds} weights as they are"
            message = f"{what}, which this file speaks of; no other class takes the call"
            return Refusal((CallReason(NO_COUNTERPART, Subject.COUNTERPART, message, None, str(idle.target.at)),))
        found = moving
    chosen = choose(found, prefer, trainer and trainer.modules)
    if chosen is None:
        return Refusal(tuple(_problem_reasons(found)))
    reasons = _reasons(found, chosen, trainer)
    if serving is not None and usual not in classes and chosen is found[0]:
        message = f"{chosen.target.name} chosen over {usual.name}: {serving.why}"
        reasons.insert(0, CallReason(RETARGETED, Subject.CHOICE, message, None, str(chosen.target.at)))
    return Rewrite(chosen, tuple(reasons))


def _problem_reasons(plans: Sequence[Plan]) -> list[CallReason]:
    """Report what the preferred class cannot express; the others failed too."""
    preferred = plans[0]
    reasons: dict[CallReason, None] = {}
    for problem in preferred.problems:
        remedy = Remedy(RemedyKind.VALUE, problem.remedy) if problem.remedy else None
        at = problem.parameter.at if problem.parameter else preferred.source.at
        code = _PROBLEM_CODES[problem.loss]
        reasons[CallReason(code, Subject.VALUE, problem.message, problem.index, str(at), remedy)] = None
    return list(reasons)


def _reasons(plans: Sequence[Plan], chosen: Plan, trainer: Trainer | None) -> list[CallReason]:
    source, target = chosen.source, chosen.target
    reasons = []
    for item in chosen.dropped:
        if item.execution:
            message = f"{item.parameter.name} was dropped: it changes how, not what, {source.name} computes"
            reasons.append(
                CallReason(EXECUTION_DROPPED, Subject.EXECUTION, message, item.index, str(item.parameter.at))
            )
    for argument in chosen.arguments:
        if argument.filled:
            literals = tuple(piece.literal for piece in argument.pieces if isinstance(piece, Constant))
            text = write_literal(literals if argument.compound else literals[0])
            default = argument.parameter.default
            own = "needs it" if argument.parameter.required else f"defaults to {write_literal(default)}"  # type: ignore[arg-type]
            message = f"{argument.parameter.name}={text} added ({target.name} {own})"
            reasons.append(CallReason(DEFAULT_FILLED, Subject.DEFAULT, message, None, str(argument.parameter.at)))
    if chosen is not plans[0]:
        reasons.append(_choice(plans, chosen))
    reasons += _cause_reasons(plans, chosen, trainer)
    reasons += [
        CallReason(code, Subject.TARGET, message, None, str(target.at))
        for code, given, message in (
            (UNMEASURED, target.not_run, f"{target.name} {target.not_run}"),
            (DEPRECATED_TARGET, target.deprecated, f"{target.name} is deprecated {target.deprecated}"),
            (API_NOTE, target.note, f"{target.name}: {target.note}"),
        )
        if given
    ]
    return reasons


def _choice(plans: Sequence[Plan], chosen: Plan) -> CallReason:
    """Why another class than the documented one was chosen."""
    documented, target = plans[0], chosen.target
    kept = {cause.trait for cause in chosen.causes}
    gone = [f"{documented.target.name} {cause.target}" for cause in documented.causes if cause.trait not in kept]
    why = list(dict.fromkeys(problem.message for problem in documented.problems)) or gone
    details = [f"also, {'; '.join(why[1:])}"] if why[1:] else []
    if not documented.problems:
        usual, steps = choose(plans, Prefer.DOCUMENTED), target.framework.facts.steps
        name = usual.target.name if usual is not None else documented.target.name
        limit = f", as {steps.trainers[0]} needs" if steps.trainers and target.module.name not in steps.trained else ""
        details.append(f"--prefer documented chooses {name}{limit}")
    detail = ". ".join(details) or None
    message = f"{target.name} chosen: {why[0]}"
    return CallReason(RETARGETED, Subject.CHOICE, message, None, str(target.at), detail=detail)


def _cause_reasons(plans: Sequence[Plan], chosen: Plan, trainer: Trainer | None) -> list[CallReason]:
    better = choose(plans, Prefer.FAITHFUL)
    reasons = []
    for cause in chosen.causes:
        statement = cause.change or f"{chosen.target.name} {cause.target}"
        detail = f"{chosen.source.name} {cause.source}; {chosen.target.name} {cause.target}"
        gone = better is not None and all(other.trait != cause.trait for other in better.causes)
        remedy = Remedy(RemedyKind.DIFFERENCE, cause.advice) if cause.advice else None
        if better is not None and better.target is not chosen.target and gone:
            avoid = "--prefer faithful avoids it"
            more = f"--prefer faithful chooses {better.target.name}, which agrees{' in this' if better.causes else ''}"
            if trainer is not None and better.target.module.name not in trainer.modules:
                avoid += f" where {better.target.framework.facts.steps.trainers[0]} does not train"
                more += f"; {trainer.text} does not take it"
            remedy, detail = Remedy(RemedyKind.OTHER_CLASS, avoid), f"{detail}. {more}"
        seen = cause.diverges() and cause.needs not in (Need.CHANGING_RATE, Need.LONG_RUN)
        code = NUMERIC_DIFFERENCE if seen else SMALL_DIFFERENCE
        subject = SUBJECTS.get(cause.trait, Subject.DIFFERENCE)
        reasons.append(CallReason(code, subject, statement, None, cause.table, remedy, cause, detail))
    return reasons


def _unserved(api: Api, classes: Sequence[Api], serving: Serving) -> str:
    """Say why none of the classes takes the schedule."""
    near = next((each.name for each in classes if each.module.name in serving.modules), None)
    if near is not None:
        return f"{near} takes no schedule as learning rate"
    return f"{api.name} has no counterpart in {' or '.join(serving.modules)}, and {serving.why}"
