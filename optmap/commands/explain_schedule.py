"""`optmap explain` for a learning-rate schedule: beside its counterparts, with the measures in which each states things."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from optmap.commands.common import UsageError
from optmap.mapping.model import OPTIMIZER, Api, Framework, MappingSet, Parameter
from optmap.mapping.schedule_plan import PACE, TOTAL, attached, schedule_candidates
from optmap.mapping.values import write_literal


class Row(NamedTuple):
    """One line of a comparison."""

    source: str
    target: str
    difference: str


class Comparison(NamedTuple):
    """A schedule and one of another framework; `target` is None where it has none, and `notes` say what then."""

    source: Api
    framework: Framework
    target: Api | None
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def explain(schedules: MappingSet, name: str, wanted: Sequence[Framework], format: str) -> int | None:
    """Print the comparison of a schedule with its counterparts; None where there is no schedule of that name."""
    apis = schedules.named(name)
    if not apis:
        return None
    pairs = [(api, target) for api in apis for target in wanted if target is not api.framework]
    if not pairs:
        raise UsageError(f"{apis[0].name} is {apis[0].framework}'s, expected another framework with --to")
    found = [item for api, target in pairs for item in compare(schedules, api, target)]
    if format == "json":
        print(json.dumps({"version": 1, "pairs": [_as_dict(item) for item in found]}, indent=2))
    else:
        print("\n".join(map(_markdown, found)), end="")
    return 0


def compare(schedules: MappingSet, source: Api, target: Framework) -> Iterator[Comparison]:
    """Compare with the counterparts that go to the same place, or else with those that go to the other one."""
    there = attached(source)
    near = schedule_candidates(schedules, source, target, attach=there)
    for api in near or schedule_candidates(schedules, source, target, attach=not there):
        yield Comparison(source, target, api, tuple(_rows(source, api)), tuple(_notes(schedules, source, api)))
        near = (api,)
    if not near:
        told = source.instead or schedules.algorithms[source.algorithm].instead
        note = told or "Calls are refused with the formula of their rates, or a function with it is attached."
        yield Comparison(source, target, None, (), (note,))


def _rows(source: Api, target: Api) -> Iterator[Row]:
    for parameter in source.current:
        other = target.by_tie.get(parameter.ties[0]) if parameter.ties else None
        yield Row(_signature(parameter), _signature(other) if other else "-", _difference(parameter, other, target))
    for parameter in target.current:
        if not parameter.ties or parameter.ties[0] not in source.by_tie:
            yield Row("-", _signature(parameter), _added(parameter, source))


def _signature(parameter: Parameter) -> str:
    return parameter.name if parameter.required else f"{parameter.name}={write_literal(parameter.default)}"  # type: ignore[arg-type]


def _difference(own: Parameter, other: Parameter | None, target: Api) -> str:
    if own.execution:
        return "dropped: changes how, not what, is computed"
    tie = own.ties[0]
    if other is None:
        if tie in target.fixed:
            return f"always {_fixed(target, tie)}"
        if tie == PACE:
            return "goes into what counts epochs"
        if tie == "learning_rate" and attached(target):
            return "the optimizer's own"
        return "passed along" if tie in (OPTIMIZER, "global_step", TOTAL) else "no counterpart"
    renamed = "" if own.name == other.name else "renamed"
    mine, theirs = _measure(own), _measure(other)
    measures = "" if mine == theirs else f"{tie} is {mine or own.name} and {theirs or other.name}"
    fixed = own.required or other.required or own.default == other.default
    return (
        ", ".join(item for item in (renamed, measures, "" if fixed else "other default, written out") if item) or "same"
    )


def _fixed(api: Api, tie: str) -> str:
    value = api.fixed[tie]
    return value if isinstance(value, str) else write_literal(value)


def _measure(parameter: Parameter) -> str:
    """How the hyperparameter follows from the value, where it is not the value itself."""
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
        return _fixed(source, tie)
    if tie == OPTIMIZER:
        return "the optimizer that took the schedule"
    if tie == "learning_rate":
        return "the optimizer's own"
    if tie == TOTAL:
        return "--set total_steps=N"
    return "left at its default" if not parameter.required else "read off the file, or --set"


def _notes(schedules: MappingSet, source: Api, target: Api) -> Iterator[str]:
    if attached(source) and not attached(target):
        yield "The schedule goes into the optimizer's call, and its step() goes, where the loops or --set tell the pace."
    if attached(target) and not attached(source):
        yield "The schedule goes from the optimizer's call into a statement behind it, and has to be stepped."
    for trait in schedules.traits.values():
        own, other = source.rule.get(trait.name, trait.default), target.rule.get(trait.name, trait.default)
        if own and other and own != other:
            yield f"{source.name} {trait.values[own]}; {target.name} {trait.values[other]}"
    for api in (source, target):
        if api.note:
            yield f"{api.name}: {api.note}"
    if target.deprecated:
        yield f"{target.name} is deprecated {target.deprecated}"


def _markdown(item: Comparison) -> str:
    if item.target is None:
        lines = [f"## {item.source.name} -> {item.framework}", "", "No counterpart."]
    else:
        lines = [f"## {item.source.name} -> {item.target.name}", ""]
        table = [Row(item.source.name, item.target.name, "difference"), *item.rows]
        widths = [max(len(row[place]) for row in table) for place in (0, 1)]
        shown = [f"| {row.source:<{widths[0]}} | {row.target:<{widths[1]}} | {row.difference} |" for row in table]
        lines += [shown[0], f"| {'-' * widths[0]} | {'-' * widths[1]} | --- |", *shown[1:]]
    lines += ["", "Notes:", *(f"- {note}" for note in item.notes)] if item.notes else []
    pages = [api.docs for api in (item.source, item.target) if api is not None and api.docs]
    return "\n".join([*lines, "", "Pages:", *(f"- {page}" for page in pages)]) + "\n"


def _as_dict(item: Comparison) -> dict[str, object]:
    return {
        "source": item.source.name,
        "target": item.target.name if item.target is not None else None,
        "framework": str(item.framework),
        "rows": [row._asdict() for row in item.rows],
        "notes": list(item.notes),
    }
