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


@reports_usage_errors
def run(name: str, to: str | None, format: str, mappings: tuple[Path, ...]) -> int:
    """Print the comparison of a class with its counterparts."""
    choice(format, "--format", ("text", "json"))
    loaded = tables(mappings)
    apis = find_apis(loaded, name)
    wanted = [framework(to, "--to")] if to else list(Framework)
    plans = [
        plan(loaded, api, (), target)
        for api in apis
        for target_framework in wanted
        if target_framework is not api.framework
        for target in candidates(loaded, api, target_framework)
    ]
    if not plans:
        raise UsageError(f"{apis[0].name} has no counterpart in {' or '.join(wanted)}")
    if format == "json":
        print(json.dumps({"version": 1, "pairs": [_as_dict(loaded, item) for item in plans]}, indent=2))
    elif sys.stdout.isatty():
        _show_rich(loaded, plans)
    else:
        print("\n".join(_markdown(loaded, item) for item in plans))
    return 0


def find_apis(loaded: MappingSet, name: str) -> list[Api]:
    """Find the classes that a name may mean: a full name in any spelling, or a class name alone. Raises UsageError."""
    from optmap.mapping.yamlnodes import nearest

    found = loaded.named(name)
    if not found:
        raise UsageError(f"unknown optimizer {name!r}{nearest(name, [*loaded.apis, *loaded.class_names])}")
    return found


def rows(loaded: MappingSet, source: Api, target: Api) -> list[Row]:
    """Compare two classes parameter by parameter."""
    return [*_source_rows(loaded, source, target), *_target_rows(source, target)]


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
    return ", ".join(item for item in (renamed, other) if item) or "same"


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
    return f"{neutral}{hyperparameter.remedy_in(target.framework, parameter.name) or 'refused, or another class is chosen'}"


def _target_rows(source: Api, target: Api) -> Iterator[Row]:
    for parameter in target.current:
        if parameter.is_parameters and source.parameters_argument is None:
            yield Row("-", _signature(parameter), "taken from what the file trains, or from --params")
        elif not parameter.ties or not any(tie in source.by_tie for tie in parameter.ties):
            yield Row("-", _signature(parameter), f"{source.framework} does not have it; left at its default")


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
