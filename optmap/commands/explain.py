"""`optmap explain`: a class and its counterparts side by side, parameter by parameter, with causes and advice."""

from __future__ import annotations

from collections.abc import Iterator

from optmap.cli.explain import Request
from optmap.commands.common import UsageError, choice, named_tables, reports_usage_errors
from optmap.commands.comparison import Comparison, Row, flat, show, signature
from optmap.commands.explain_schedule import compare as compare_schedules
from optmap.commands.matrix import level, measured
from optmap.mapping.derive import candidates, plan, plans
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Gradients
from optmap.mapping.load import load_schedules
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan, Prefer, choose
from optmap.mapping.sections import Api
from optmap.mapping.values import write_literal
from optmap.mapping.vocabulary import Parameter, same_value
from optmap.nearest import nearest


@reports_usage_errors
def run(request: Request) -> int:
    """Print the comparison of a class, or of a learning-rate schedule, with its counterparts. Returns the exit code."""
    choice(request.format, "--format", ("text", "json", "markdown", "html"))
    own, target, loaded = named_tables(request.source, request.to, request.mappings)
    name = request.api
    if own is not None and own == target:
        raise UsageError(f"found --from {own} and --to {target}, expected two different frameworks")
    wanted = [target] if target else list(loaded.frameworks.values())
    schedules = load_schedules(loaded.extra) if not loaded.named(name) else None
    apis = schedules.named(name) if schedules else []
    if not apis:
        schedules, apis = None, find_apis(loaded, name)
    apis = _of_framework(apis, own, name)
    if schedules is None and not request.everything and name.rpartition(".")[2] == name:
        apis = list({api.framework: api for api in reversed(apis)}.values())[::-1]
    for api in apis if schedules is None else ():
        if not api.exists:
            raise UsageError(api.absence)
    pairs = [(api, target) for api in apis for target in wanted if target != api.framework]
    if not pairs:
        raise UsageError(f"{apis[0].name} belongs to {apis[0].framework}, expected another framework with --to")
    if schedules is not None:
        found = [item for api, target in pairs for item in compare_schedules(schedules, api, target)]
    else:
        found = [item for api, target in pairs for item in _chosen(loaded, api, target, request.everything)]
        found.sort(key=lambda item: item.target is None)
    show(found, request.format)
    return 0


def _of_framework(apis: list[Api], own: Framework | None, name: str) -> list[Api]:
    found = [api for api in apis if own in (None, api.framework)]
    if not found:
        raise UsageError(
            f"{name} belongs to {' and '.join(dict.fromkeys(api.framework for api in apis))}, found --from {own}"
        )
    return found


def _chosen(loaded: MappingSet, source: Api, target: Framework, everything: bool) -> list[Comparison]:
    """The class that a call becomes first; the others only where everything is wanted, else their names."""
    found = list(compare(loaded, source, target))
    usual = choose(plans(loaded, source, (), candidates(loaded, source, target)), Prefer.AUTO)
    found.sort(key=lambda item: usual is not None and item.target is not usual.target)
    others = [item.target.name for item in found[1:] if item.target is not None]
    if everything or not others:
        return found
    return [found[0]._replace(sections={**found[0].sections, "Other classes, with --all": others})]


def compare(loaded: MappingSet, source: Api, target: Framework) -> Iterator[Comparison]:
    """Compare a class with all its counterparts in a framework."""
    classes = candidates(loaded, source, target)
    for each in classes:
        item = plan(loaded, source, (), each)
        notes = (each.deprecated and f"deprecated {each.deprecated}", each.note)
        causes, elsewhere = _causes(item), _inactive_differences(loaded, item)
        problems = [problem.message for problem in item.problems]
        sections = {
            "Differences between the update rules at the defaults": causes or ["none"],
            "Measured at the defaults": _measured(item),
            "Differences at other values": elsewhere,
            "Cannot be expressed": problems,
            "Notes": [text for text in notes if text],
        }
        details = {"measured": level(item), "causes": causes, "elsewhere": elsewhere, "problems": problems}
        yield Comparison(source, target, each, rows(loaded, source, each), sections, details)
    if not classes:
        instead = flat(loaded.instead(source, target))
        details = {"instead": instead, "causes": [], "elsewhere": [], "problems": []}
        about = f"{source.name}: {loaded.algorithms[source.algorithm].title}."
        yield Comparison(source, target, None, (), {"Instead": [instead] if instead else []}, details, about)


def find_apis(loaded: MappingSet, name: str) -> list[Api]:
    """The classes with a name: a dotted path in any spelling, or a bare class name. Raises UsageError where there is none."""
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
            yield Row(signature(parameter), "-", f"dropped: affects only execution{_meaning(loaded, parameter)}")
            continue
        if parameter.switches:
            text = ", ".join(f"{old} becomes {new}" for old, new in parameter.switches.items())
            yield Row(signature(parameter), "-", f"if true, {text}")
            continue
        named = {target.by_tie[tie].name: target.by_tie[tie] for tie in parameter.ties if tie in target.by_tie}
        partners = list(named.values())
        shown = ", ".join(map(signature, partners)) or "-"
        yield Row(signature(parameter), shown, _difference(loaded, parameter, partners, target))


def _difference(loaded: MappingSet, parameter: Parameter, partners: list[Parameter], target: Api) -> str:
    if not partners:
        return _absent(loaded, parameter, target)
    names = [partner.name for partner in partners]
    renamed = "" if names == [parameter.name] else "renamed" if len(names) == 1 else "split"
    if len(partners[0].ties) > len(parameter.ties):
        renamed = "combined with others"
    same = len(partners) == 1 and partners[0].ties == parameter.ties
    fixed = parameter.required or any(partner.required for partner in partners)
    other = "defaults differ; written out" if same and not fixed and not _same_default(parameter, partners[0]) else ""
    partly = "" if renamed or same else "partly the same"
    return ", ".join(item for item in (renamed, partly, other) if item) or "same"


def _same_default(parameter: Parameter, partner: Parameter) -> bool:
    return same_value(parameter.default, partner.default)  # type: ignore[arg-type]


def _absent(loaded: MappingSet, parameter: Parameter, target: Api) -> str:
    tie = parameter.ties[0]
    if tie == "parameters":
        if target.framework.facts.steps.gradients is Gradients.TAPE:
            return f"{target.framework} takes the variables when gradients are applied"
        return f"left out: {target.framework.facts.parameters.left_out}"
    if tie in target.fixed:
        return f"always {write_literal(target.fixed[tie])}"
    hyperparameter = loaded.hyperparameters[tie]
    neutral = f"dropped at {write_literal(hyperparameter.neutral)}, otherwise " if hyperparameter.has_neutral else ""
    advice = hyperparameter.advice(target.framework, parameter.name) or "refused, or another class is chosen"
    return f"{neutral}{advice.partition(chr(10))[0]}{_meaning(loaded, parameter)}"


def _target_rows(loaded: MappingSet, source: Api, target: Api) -> Iterator[Row]:
    for parameter in target.current:
        if parameter.is_parameters and source.parameters_argument is None:
            yield Row("-", signature(parameter), "inferred from what the file trains, or taken from --params")
        elif not parameter.ties or not any(tie in source.by_tie for tie in parameter.ties):
            text = f"not in {source.framework}{_meaning(loaded, parameter)}; {_default_used(loaded, parameter)}"
            yield Row("-", signature(parameter), text)


def _meaning(loaded: MappingSet, parameter: Parameter) -> str:
    """What a parameter that only one side has is for."""
    names = parameter.ties or (parameter.name,)
    known = [loaded.hyperparameters[name].about for name in names if name in loaded.hyperparameters]
    return f" ({', '.join(known)})" if known else ""


def _default_used(loaded: MappingSet, parameter: Parameter) -> str:
    """How a parameter that only the target has is set: a default that has an effect is switched off."""
    hyperparameter = loaded.hyperparameters[parameter.ties[0]] if len(parameter.ties) == 1 else None
    if hyperparameter is None or not hyperparameter.has_neutral or parameter.required:
        return "keeps its default"
    if hyperparameter.is_neutral(parameter.default):  # type: ignore[arg-type]
        return "keeps its default"
    return f"set to {write_literal(hyperparameter.neutral)}"


def _causes(item: Plan) -> list[str]:
    return [
        f"{cause.trait} ({cause.agreement}): {item.source.name} {cause.source}; {item.target.name} {cause.target}"
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
