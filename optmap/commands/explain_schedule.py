"""`optmap explain` for a learning-rate schedule: its counterparts side by side, with the units of their parameters."""

from __future__ import annotations

from collections.abc import Iterator

from optmap.commands.comparison import Comparison, Row, flat, signature
from optmap.mapping.canonical import PACE, TOTAL, attached
from optmap.mapping.derive import candidates
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.values import write_literal
from optmap.mapping.vocabulary import OPTIMIZER, Parameter


def compare(schedules: MappingSet, source: Api, target: Framework) -> Iterator[Comparison]:
    """Compare with the counterparts that are used alike (attached to the optimizer, or passed to it), else with the others."""
    attach = attached(source)
    counterparts = candidates(schedules, source, target, attach=attach) or candidates(
        schedules, source, target, attach=not attach
    )
    for api in counterparts:
        notes = list(_notes(schedules, source, api))
        yield Comparison(source, target, api, tuple(_rows(source, api)), {"Notes": notes}, {"notes": notes})
    if not counterparts:
        advice = flat(schedules.instead(source, target))
        note = (
            advice
            or "A call is refused with the formula of its rates, or replaced by an attached function of that formula."
        )
        yield Comparison(source, target, None, (), {"Notes": [note]}, {"notes": [note]})


def _rows(source: Api, target: Api) -> Iterator[Row]:
    for parameter in source.current:
        other = target.by_tie.get(parameter.ties[0]) if parameter.ties else None
        yield Row(signature(parameter), signature(other) if other else "-", _difference(parameter, other, target))
    for parameter in target.current:
        if not parameter.ties or parameter.ties[0] not in source.by_tie:
            yield Row("-", signature(parameter), _added(parameter, source))


def _difference(own: Parameter, other: Parameter | None, target: Api) -> str:
    if own.execution:
        return "dropped: affects only execution, not the result"
    tie = own.ties[0]
    if other is None:
        if tie in target.fixed:
            return f"always {_fixed(target, tie)}"
        if tie == PACE:
            return "multiplied into the parameters that count epochs"
        if tie == "learning_rate" and attached(target):
            return "the optimizer's learning rate"
        return "not needed" if tie in (OPTIMIZER, "global_step", TOTAL) else "no counterpart"
    renamed = "" if own.name == other.name else "renamed"
    ours, theirs = _conversion(own), _conversion(other)
    units = "" if ours == theirs else f"{tie} is {ours or own.name} in the source, {theirs or other.name} in the target"
    fixed = own.required or other.required or own.default == other.default
    return (
        ", ".join(item for item in (renamed, units, "" if fixed else "defaults differ; written out") if item) or "same"
    )


def _fixed(api: Api, tie: str) -> str:
    value = api.fixed[tie]
    return value if isinstance(value, str) else write_literal(value)


def _conversion(parameter: Parameter) -> str:
    """The hyperparameter as an expression of the parameter; empty where the two are the same."""
    text = parameter.name
    if parameter.times:
        text += f" * {parameter.times}"
    if parameter.over:
        text += f" / {parameter.over}"
    if parameter.plus:
        text += f" + {parameter.plus}"
    if parameter.then:
        text += f" without its last item, {parameter.then}"
    return text if text != parameter.name else ""


def _added(parameter: Parameter, source: Api) -> str:
    tie = parameter.ties[0] if parameter.ties else ""
    if tie in source.fixed:
        return f"set to {_fixed(source, tie)}"
    if tie == OPTIMIZER:
        return "the optimizer that the schedule was passed to"
    if tie == "learning_rate":
        return "the optimizer's learning rate"
    if tie == TOTAL:
        return "--set total_steps=N"
    return "keeps its default" if not parameter.required else "inferred from the file, or taken from --set"


def _notes(schedules: MappingSet, source: Api, target: Api) -> Iterator[str]:
    if attached(source) and not attached(target):
        yield "The schedule moves into the optimizer's call and calls of its step() are removed, if loops or --set give the pace."
    if attached(target) and not attached(source):
        yield "The schedule moves out of the optimizer's call into a statement after it, and its step() has to be called."
    for trait in schedules.traits.values():
        own, other = source.rule.get(trait.name, trait.default), target.rule.get(trait.name, trait.default)
        if own and other and own != other:
            yield f"{source.name} {trait.values[own]}; {target.name} {trait.values[other]}"
    for api in (source, target):
        if api.note:
            yield f"{api.name}: {api.note}"
    if target.deprecated:
        yield f"{target.name} is deprecated {target.deprecated}"
