"""`optmap explain`: one class beside its counterparts, row by row, with causes and what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from optmap.commands.common import UsageError, choice, framework, reports_usage_errors, tables
from optmap.commands.matrix import level, measured
from optmap.mapping.derive import candidates, plan
from optmap.mapping.model import Api, Framework, MappingSet, Parameter, same_value
from optmap.mapping.plan import Plan
from optmap.mapping.values import write_literal


class Row(NamedTuple):
    """One line of the comparison: how source and target name a hyperparameter, and how they differ."""

    source: str
    target: str
    difference: str


class Alone(NamedTuple):
    """A class that a framework has no counterpart of."""

    api: Api
    target: Framework


@reports_usage_errors
def run(name: str, to: str | None, format: str, mappings: tuple[Path, ...]) -> int:
    """Print the comparison of a class with its counterparts."""
    choice(format, "--format", ("text", "json"))
    loaded = tables(mappings)
    wanted = [framework(to, "--to")] if to else list(Framework)
    if not loaded.named(name):
        from optmap.commands.explain_schedule import explain
        from optmap.mapping.load import load_schedules

        shown = explain(load_schedules(loaded.extra), name, wanted, format)
        if shown is not None:
            return shown
    apis = find_apis(loaded, name)
    pairs = [(api, target) for api in apis for target in wanted if target is not api.framework]
    if not pairs:
        raise UsageError(f"{apis[0].name} is {apis[0].framework}'s, expected another framework with --to")
    plans = [plan(loaded, api, (), each) for api, target in pairs for each in candidates(loaded, api, target)]
    alone = [Alone(api, target) for api, target in pairs if not candidates(loaded, api, target)]
    if format == "json":
        found = [*(_as_dict(loaded, item) for item in plans), *(_alone_as_dict(loaded, item) for item in alone)]
        print(json.dumps({"version": 1, "pairs": found}, indent=2))
    elif sys.stdout.isatty():
        _show_rich(loaded, plans)
        print("\n".join(_alone(loaded, item) for item in alone), end="")
    else:
        print("\n".join([*(_markdown(loaded, item) for item in plans), *(_alone(loaded, item) for item in alone)]))
    return 0


def find_apis(loaded: MappingSet, name: str) -> list[Api]:
    """Find the classes that a name may mean: a full name in any spelling, or a class name alone. Raises UsageError."""
    from optmap.mapping.yamlnodes import nearest

    found = loaded.named(name)
    if not found:
        raise UsageError(f"unknown optimizer {name!r}{nearest(name, [*loaded.apis, *loaded.class_names])}")
    return found


def advice(loaded: MappingSet, api: Api) -> str | None:
    """What to do where a framework has no counterpart of the class."""
    return api.instead or loaded.algorithms[api.algorithm].instead


def rows(loaded: MappingSet, source: Api, target: Api) -> list[Row]:
    """Compare two classes parameter by parameter."""
    return [*_source_rows(loaded, source, target), *_target_rows(loaded, source, target)]


def _source_rows(loaded: MappingSet, source: Api, target: Api) -> Iterator[Row]:
    for parameter in source.current:
        if parameter.execution:
            yield Row(_signature(parameter), "-", "dropped: changes how, not what, is computed")
            continue
        if parameter.switches:
            text = ", ".join(f"{old} becomes {new}" for old, new in parameter.switches.items())
            yield Row(_signature(parameter), "-", f"while true, {text}")
            continue
        named = {target.by_tie[tie].name: target.by_tie[tie] for tie in parameter.ties if tie in target.by_tie}
        partners = list(named.values())
        shown = ", ".join(map(_signature, partners)) or "-"
        yield Row(_signature(parameter), shown, _difference(loaded, parameter, partners, target))


def _difference(loaded: MappingSet, parameter: Parameter, partners: list[Parameter], target: Api) -> str:
    if not partners:
        return _absent(loaded, parameter, target)
    names = [partner.name for partner in partners]
    renamed = "" if names == [parameter.name] else "renamed" if len(names) == 1 else "taken apart"
    if len(partners[0].ties) > len(parameter.ties):
        renamed = "put together"
    same = len(partners) == 1 and partners[0].ties == parameter.ties
    fixed = parameter.required or any(partner.required for partner in partners)
    other = "" if not same or fixed else _default_difference(parameter, partners[0])
    partly = "" if renamed or same else "same in part"
    return ", ".join(item for item in (renamed, partly, other) if item) or "same"


def _default_difference(parameter: Parameter, partner: Parameter) -> str:
    if same_value(parameter.default, partner.default):  # type: ignore[arg-type]
        return ""
    return "other default, written out"


def _absent(loaded: MappingSet, parameter: Parameter, target: Api) -> str:
    tie = parameter.ties[0]
    if tie == "parameters":
        return f"{target.framework} passes the variables when it applies gradients"
    if tie in target.fixed:
        return f"always {write_literal(target.fixed[tie])}"
    hyperparameter = loaded.hyperparameters[tie]
    neutral = f"dropped at {write_literal(hyperparameter.neutral)}, otherwise " if hyperparameter.has_neutral else ""
    return (
        f"{neutral}{hyperparameter.advice(target.framework, parameter.name) or 'refused, or another class is chosen'}"
    )


def _target_rows(loaded: MappingSet, source: Api, target: Api) -> Iterator[Row]:
    for parameter in target.current:
        if parameter.is_parameters and source.parameters_argument is None:
            yield Row("-", _signature(parameter), "taken from what the file trains, or from --params")
        elif not parameter.ties or not any(tie in source.by_tie for tie in parameter.ties):
            yield Row("-", _signature(parameter), f"{source.framework} does not have it; {_left(loaded, parameter)}")


def _left(loaded: MappingSet, parameter: Parameter) -> str:
    """What becomes of a parameter that the source knows nothing of: what it does by default is switched off."""
    hyperparameter = loaded.hyperparameters[parameter.ties[0]] if len(parameter.ties) == 1 else None
    if hyperparameter is None or not hyperparameter.has_neutral or parameter.required:
        return "left at its default"
    if hyperparameter.is_neutral(parameter.default):  # type: ignore[arg-type]
        return "left at its default"
    return f"written out as {write_literal(hyperparameter.neutral)}"


def _signature(parameter: Parameter) -> str:
    return parameter.name if parameter.required else f"{parameter.name}={write_literal(parameter.default)}"  # type: ignore[arg-type]


def _causes(item: Plan) -> list[str]:
    return [
        f"{cause.trait} ({cause.effect}): {item.source.name} {cause.source}; {item.target.name} {cause.target}"
        + (f". To avoid it, {cause.advice}" if cause.advice else "")
        for cause in item.causes
    ]


def _measured(item: Plan) -> list[str]:
    """The level that a run found, or why there is none."""
    reasons = [f"{api.name} {api.not_run}" for api in (item.source, item.target) if api.not_run]
    found = measured(item)
    if reasons or item.problems or found is None:
        return [f"not run: {'; '.join(reasons)}"] if reasons else []
    double = "" if found.double == found.single else f"; {found.double} in float64"
    return [f"{found.text} in float32{double}"]


def _sometimes(loaded: MappingSet, item: Plan) -> list[str]:
    """Differences that sleep at the defaults: which hyperparameters wake them."""
    awake = {cause.trait for cause in item.causes}
    found = []
    for trait in loaded.traits.values():
        source = item.source.rule.get(trait.name, trait.default)
        target = item.target.rule.get(trait.name, trait.default)
        if source and target and source != target and trait.name not in awake:
            wakers = [name for name in trait.active_with if name in item.source.by_tie]
            if wakers:
                text = f"{item.source.name} {trait.values[source]}; {item.target.name} {trait.values[target]}"
                found.append(f"with {' or '.join(wakers)}: {text}")
    return found


def _markdown(loaded: MappingSet, item: Plan) -> str:
    lines = [f"## {item.source.name} -> {item.target.name}", ""]
    table = [Row(item.source.name, item.target.name, "difference"), *rows(loaded, item.source, item.target)]
    widths = [max(len(getattr(row, key)) for row in table) for key in ("source", "target")]
    for position, row in enumerate(table):
        lines.append(f"| {row.source:<{widths[0]}} | {row.target:<{widths[1]}} | {row.difference} |")
        if position == 0:
            lines.append(f"| {'-' * widths[0]} | {'-' * widths[1]} | --- |")
    for title, texts in _sections(loaded, item):
        lines += ["", f"{title}:", *(f"- {text}" for text in texts)]
    return "\n".join(lines) + "\n"


def _sections(loaded: MappingSet, item: Plan) -> list[tuple[str, list[str]]]:
    docs = [address for address in (item.source.docs, item.target.docs) if address]
    notes = [
        text for text in (item.target.deprecated and f"deprecated {item.target.deprecated}", item.target.note) if text
    ]
    found = [
        ("At the defaults the update rules differ", _causes(item) or ["nowhere"]),
        ("Measured at the defaults", _measured(item)),
        ("Elsewhere", _sometimes(loaded, item)),
        ("Not expressible", [problem.message for problem in item.problems]),
        ("Notes", notes),
        ("Pages", docs),
    ]
    return [(title, texts) for title, texts in found if texts]


def _alone(loaded: MappingSet, item: Alone) -> str:
    about = loaded.algorithms[item.api.algorithm].title
    lines = [f"## {item.api.name} -> {item.target}", "", f"No counterpart. {item.api.name}: {about}."]
    todo = advice(loaded, item.api)
    lines += ["", "Instead:", f"- {todo}"] if todo else []
    lines += ["", "Pages:", f"- {item.api.docs}"] if item.api.docs else []
    return "\n".join(lines) + "\n"


def _alone_as_dict(loaded: MappingSet, item: Alone) -> dict[str, Any]:
    return {"source": item.api.name, "target": None, "framework": str(item.target), "instead": advice(loaded, item.api),
            "rows": [], "causes": [], "elsewhere": [], "problems": []}  # fmt: skip


def _show_rich(loaded: MappingSet, plans: list[Plan]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for item in plans:
        table = Table(title=f"{item.source.name} -> {item.target.name}", title_justify="left")
        for heading in (item.source.name, item.target.name, "difference"):
            table.add_column(heading, overflow="fold")
        for row in rows(loaded, item.source, item.target):
            table.add_row(row.source, row.target, row.difference)
        console.print(table, markup=False)
        for title, texts in _sections(loaded, item):
            console.print(f"{title}:", style="bold")
            for text in texts:
                console.print(f"  - {text}", markup=False)
        console.print()


def _as_dict(loaded: MappingSet, item: Plan) -> dict[str, Any]:
    return {
        "source": item.source.name,
        "target": item.target.name,
        "rows": [{"source": row.source, "target": row.target, "difference": row.difference}
                 for row in rows(loaded, item.source, item.target)],
        "measured": level(item),
        "causes": _causes(item),
        "elsewhere": _sometimes(loaded, item),
        "problems": [problem.message for problem in item.problems],
    }  # fmt: skip
