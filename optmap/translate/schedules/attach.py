"""A schedule that is passed as the learning rate, moved to where torch has it: attached to the optimizer, in a statement behind.

The first rate takes the place of the schedule. What is written behind the optimizer's statement is evaluated later than the
schedule was, and a function again at every step, so that its names must have one value from there on.
"""

from __future__ import annotations

import ast

from optmap.diagnostics import SCHEDULE_STEPS
from optmap.mapping.sections import Api
from optmap.source.changes import Change, Insert, Replace, Where
from optmap.source.edits import has_own_lines
from optmap.source.layout import one_or_three_lines
from optmap.source.model import How, Module
from optmap.source.templates import Template
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport, spell
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding
from optmap.translate.schedules.owners import Ownership
from optmap.translate.schedules.stability import Stability
from optmap.translate.schedules.substitutes import read_call_of
from optmap.translate.schedules.translate import Taken, TranslatedSchedule, no_name, read_schedule, shadowed, uncounted
from optmap.translate.unit import Unit
from optmap.values import NamedTuple


class SchedulePlace(NamedTuple):
    """Where a schedule is attached: behind this statement, which binds the optimizer to a name or an attribute of self."""

    statement: ast.stmt
    scope: ast.AST
    optimizer: str
    scheduler: str


def attach_schedule(
    unit: Unit, ownership: Ownership, stability: Stability, schedule: CallSite, taken: Taken
) -> TranslatedSchedule | str | None:
    """Attach to each optimizer what takes the schedule's place; a clause that says why where that cannot be.

    None where the target has nothing to take its place. Other schedules have the names in `taken`.
    """
    source, module = unit.source, ownership.module
    optimizers = ownership.find(schedule).optimizers
    call = read_call_of(unit, schedule, None)
    made = call.attachable() if call is not None else None
    if made is None:
        return None
    bound = read_schedule(source, schedule)
    miscount = uncounted(ownership, schedule)
    reason = bound if isinstance(bound, str) else miscount.reason if miscount is not None else None
    reason = reason or stability.unstable(schedule, made.nodes, optimizers)
    if reason is not None:
        return reason
    api = unit.tables.apis[made.api]
    spelling = spell(schedule, api)
    if spelling is None:
        return no_name(api)
    reason = shadowed(module, f"f({made.arguments})", optimizers)
    if reason is not None:
        return reason
    imports = _math(module, optimizers) if "math." in made.arguments else []
    places = _places(source, module, optimizers, taken)
    if isinstance(imports, str) or isinstance(places, str):
        return imports if isinstance(imports, str) else str(places)
    changes: list[Change] = [Replace(schedule.node, Template(made.first))]
    for place in places:
        head, inside = f"{place.scheduler} = {spelling.text}", f"{place.optimizer}, {made.arguments}"
        text = one_or_three_lines(source, place.statement, head, inside)
        changes.append(Insert(place.statement, Where.AFTER, Template(text)))
    findings = tuple(_finding(ownership, api, site, place) for site, place in zip(optimizers, places, strict=True))
    needed = ([spelling.needs] if spelling.needs is not None else []) + imports
    names = {(id(place.scope), place.scheduler): place.optimizer for place in places}
    return TranslatedSchedule(schedule, api, tuple(changes), tuple(needed), findings, names=names)


def _math(module: Module, optimizers: tuple[CallSite, ...]) -> list[NewImport] | str:
    """The import of math that a formula needs beside each optimizer, if any."""
    seen = [module.bound("math", at=site.node) for site in optimizers]
    bindings = [item for variable in seen if variable is not None for item in variable.bindings]
    imported = [item for item in bindings if item.how is How.IMPORT and item.path == "math"]
    if None not in seen and len(imported) == len(bindings):
        return []
    strange = any(module.variable(node) is None for node in module.names("math"))
    if bindings or strange or module.bound("math", at=module.tree) is not None:
        return "the file binds 'math' to something else"
    return [NewImport("math", "math")]


def _places(
    source: Source, module: Module, optimizers: tuple[CallSite, ...], taken: Taken
) -> list[SchedulePlace] | str:
    found: list[SchedulePlace] = []
    given = dict(taken)
    for site in optimizers:
        place = place_of(source, module, site, given)
        if isinstance(place, str):
            return place
        given[id(place.scope), place.scheduler] = place.optimizer
        found.append(place)
    return found


def place_of(
    source: Source, module: Module, site: CallSite, taken: Taken, name: str = "scheduler"
) -> SchedulePlace | str:
    """Where a schedule of an optimizer goes, or what else has a new name; a clause that says why there is no place."""
    statement = module.parent(site.node)
    variable = module.holder(site.node)
    target: ast.expr | None = None
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
    own = isinstance(target, ast.Name) or (isinstance(target, ast.Attribute) and module.self_class(target.value))
    if variable is None or target is None or not own or not isinstance(statement, ast.stmt):
        return f"the optimizer on line {site.node.lineno} has no name that a schedule could be given"
    if not has_own_lines(source, statement):
        return f"there is more than one statement on line {site.node.lineno}"
    text, scope = ast.unparse(target), variable.scope
    lead = f"{ast.unparse(target.value)}." if isinstance(target, ast.Attribute) else ""
    names = [f"{lead}{name}", f"{text}_{name}"]
    free = (each for each in names if taken.get((id(scope), each), text) == text)
    found = next((each for each in free if not source.mentions(each.rpartition(".")[2])), None)
    return SchedulePlace(statement, scope, text, found) if found else f"the file already has {' and '.join(names)}"


def _finding(ownership: Ownership, api: Api, site: CallSite, place: SchedulePlace) -> Finding:
    message = f"call {place.scheduler}.step() after every step of {place.optimizer}"
    lines = ownership.counters.lines(site)
    if lines:
        message += f" (line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))})"
    return Finding(SCHEDULE_STEPS, f"{message}: it changes the rate", site.node, str(api.at))
