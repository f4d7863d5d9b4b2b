"""`optmap explain`: a class and its counterparts side by side, parameter by parameter, with causes and advice."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from optmap.commands.common import UsageError, choice, known_frameworks, reports_usage_errors, tables_at, versioned
from optmap.commands.matrix import level, measured
from optmap.mapping.derive import candidates, plan
from optmap.mapping.frameworks import Gradients
from optmap.mapping.model import Api, Framework, MappingSet, Parameter, same_value
from optmap.mapping.plan import Plan
from optmap.mapping.values import write_literal


class Row(NamedTuple):
    """One line of the comparison: a parameter of the source, its counterpart in the target, and how they differ."""

    source: str
    target: str
    difference: str


class Uncovered(NamedTuple):
    """A class and a target framework that has no counterpart of it."""

    api: Api
    target: Framework


@reports_usage_errors
def run(name: str, to: str | None, format: str, mappings: tuple[Path, ...]) -> int:
    """Print the comparison of a class, or of a learning-rate schedule, with its counterparts. Returns the exit code."""
    choice(format, "--format", ("text", "json"))
    target, versions = versioned(to, "--to", known_frameworks(mappings)) if to else (None, {})
    loaded = tables_at(mappings, versions)
    wanted = [target] if target else list(loaded.frameworks.values())
    if not loaded.named(name):
        from optmap.commands.explain_schedule import explain
        from optmap.mapping.load import load_schedules

        shown = explain(load_schedules(loaded.extra), name, wanted, format)
        if shown is not None:
            return shown
    apis = find_apis(loaded, name)
    for api in apis:
        if not api.exists:
            raise UsageError(api.absence)
    pairs = [(api, target) for api in apis for target in wanted if target != api.framework]
    if not pairs:
        raise UsageError(f"{apis[0].name} belongs to {apis[0].framework}, expected another framework with --to")
    plans = [plan(loaded, api, (), each) for api, target in pairs for each in candidates(loaded, api, target)]
    uncovered = [Uncovered(api, target) for api, target in pairs if not candidates(loaded, api, target)]
    if format == "json":
        found = [*(_as_dict(loaded, item) for item in plans), *(_uncovered_as_dict(loaded, item) for item in uncovered)]
        print(json.dumps({"version": 1, "pairs": found}, indent=2))
    elif sys.stdout.isatty():
        _show_rich(loaded, plans)
        print("\n".join(_uncovered(loaded, item) for item in uncovered), end="")
    else:
        print(
            "\n".join([*(_markdown(loaded, item) for item in plans), *(_uncovered(loaded, item) for item in uncovered)])
        )
    return 0


def find_apis(loaded: MappingSet, name: str) -> list[Api]:
    """The classes with a name: a dotted path in any spelling, or a bare class name. Raises UsageError where there is none."""
    from optmap.mapping.yamlnodes import nearest

    found = loaded.named(name)
    if not found:
        raise UsageError(f"unknown optimizer {name!r}{nearest(name, [*loaded.apis, *loaded.class_names])}")
    return found


def rows(loaded: MappingSet, source: Api, target: Api) -> list[Row]:
    """Compare two classes parameter by parameter."""
    return [*_source_rows(loaded, source, target), *_target_rows(loaded, source, target)]


def _source_rows(loaded: MappingSet, source: Api, target: Api) -> Iterator[Row]:
    for parameter in source.current:
        if parameter.execution:
            yield Row(_signature(parameter), "-", "dropped: affects only execution, not the result")
            continue
        if parameter.switches:
            text = ", ".join(f"{old} becomes {new}" for old, new in parameter.switches.items())
            yield Row(_signature(parameter), "-", f"if true, {text}")
            continue
        named = {target.by_tie[tie].name: target.by_tie[tie] for tie in parameter.ties if tie in target.by_tie}
        partners = list(named.values())
        shown = ", ".join(map(_signature, partners)) or "-"
        yield Row(_signature(parameter), shown, _difference(loaded, parameter, partners, target))


def _difference(loaded: MappingSet, parameter: Parameter, partners: list[Parameter], target: Api) -> str:
    if not partners:
        return _absent(loaded, parameter, target)
    names = [partner.name for partner in partners]
    renamed = "" if names == [parameter.name] else "renamed" if len(names) == 1 else "split"
    if len(partners[0].ties) > len(parameter.ties):
        renamed = "combined with others"
    same = len(partners) == 1 and partners[0].ties == parameter.ties
    fixed = parameter.required or any(partner.required for partner in partners)
    other = "" if not same or fixed else _default_difference(parameter, partners[0])
    partly = "" if renamed or same else "partly the same"
    return ", ".join(item for item in (renamed, partly, other) if item) or "same"


def _default_difference(parameter: Parameter, partner: Parameter) -> str:
    if same_value(parameter.default, partner.default):  # type: ignore[arg-type]
        return ""
    return "defaults differ; written out"


def _absent(loaded: MappingSet, parameter: Parameter, target: Api) -> str:
    tie = parameter.ties[0]
    if tie == "parameters":
        if target.framework.facts.steps.gradients is Gradients.TAPE:
            return f"{target.framework} takes the variables when gradients are applied"
        return f"left out: {target.name} {target.framework.facts.parameters.left_out}"
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
            yield Row("-", _signature(parameter), "inferred from what the file trains, or taken from --params")
        elif not parameter.ties or not any(tie in source.by_tie for tie in parameter.ties):
            yield Row("-", _signature(parameter), f"not in {source.framework}; {_default_used(loaded, parameter)}")


def _default_used(loaded: MappingSet, parameter: Parameter) -> str:
    """How a parameter that only the target has is set: a default that has an effect is switched off."""
    hyperparameter = loaded.hyperparameters[parameter.ties[0]] if len(parameter.ties) == 1 else None
    if hyperparameter is None or not hyperparameter.has_neutral or parameter.required:
        return "keeps its default"
    if hyperparameter.is_neutral(parameter.default):  # type: ignore[arg-type]
        return "keeps its default"
    return f"set to {write_literal(hyperparameter.neutral)}"


def _signature(parameter: Parameter) -> str:
    return parameter.name if parameter.required else f"{parameter.name}={write_literal(parameter.default)}"  # type: ignore[arg-type]


def _causes(item: Plan) -> list[str]:
    return [
        f"{cause.trait} ({cause.effect}): {item.source.name} {cause.source}; {item.target.name} {cause.target}"
        + (f". To avoid it, {cause.advice}" if cause.advice else "")
        for cause in item.causes
    ]


def _measured(item: Plan) -> list[str]:
    """The measured level, or the reason why none can be measured; empty where none was."""
    reasons = [f"{api.name} {api.not_run}" for api in (item.source, item.target) if api.not_run]
    found = measured(item)
    if reasons or item.problems or found is None:
        return [f"not run: {'; '.join(reasons)}"] if reasons else []
    double = "" if found.double == found.single else f"; {found.double} in float64"
    return [f"{found.text} in float32{double}"]


def _inactive_differences(loaded: MappingSet, item: Plan) -> list[str]:
    """Differences that have no effect at the defaults, with the hyperparameters that activate them."""
    active = {cause.trait for cause in item.causes}
    found = []
    for trait in loaded.traits.values():
        source = item.source.rule.get(trait.name, trait.default)
        target = item.target.rule.get(trait.name, trait.default)
        if source and target and source != target and trait.name not in active:
            activating = [name for name in trait.active_with if name in item.source.by_tie]
            if activating:
                text = f"{item.source.name} {trait.values[source]}; {item.target.name} {trait.values[target]}"
                found.append(f"with {' or '.join(activating)}: {text}")
    return found


def _markdown(loaded: MappingSet, item: Plan) -> str:
    lines = [f"## {item.source.label} -> {item.target.label}", ""]
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
        ("Differences between the update rules at the defaults", _causes(item) or ["none"]),
        ("Measured at the defaults", _measured(item)),
        ("Differences at other values", _inactive_differences(loaded, item)),
        ("Cannot be expressed", [problem.message for problem in item.problems]),
        ("Notes", notes),
        ("Documentation", docs),
    ]
    return [(title, texts) for title, texts in found if texts]


def _uncovered(loaded: MappingSet, item: Uncovered) -> str:
    about = loaded.algorithms[item.api.algorithm].title
    lines = [f"## {item.api.label} -> {item.target}", "", f"No counterpart. {item.api.name}: {about}."]
    instead = loaded.instead(item.api, item.target)
    lines += ["", "Instead:", f"- {instead}"] if instead else []
    lines += ["", "Documentation:", f"- {item.api.docs}"] if item.api.docs else []
    return "\n".join(lines) + "\n"


def _uncovered_as_dict(loaded: MappingSet, item: Uncovered) -> dict[str, Any]:
    instead = loaded.instead(item.api, item.target)
    return {"source": item.api.name, "target": None, "framework": str(item.target), "instead": instead,
            "rows": [], "causes": [], "elsewhere": [], "problems": []}  # fmt: skip


def _show_rich(loaded: MappingSet, plans: list[Plan]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for item in plans:
        table = Table(title=f"{item.source.label} -> {item.target.label}", title_justify="left")
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
        "elsewhere": _inactive_differences(loaded, item),
        "problems": [problem.message for problem in item.problems],
    }  # fmt: skip
