"""A schedule that is passed as the learning rate, moved to where torch has it: attached to the optimizer, in a statement behind.

The first rate takes the place of the schedule. What is written behind the optimizer's statement is evaluated later than the
schedule was, and a function again at every step, so that its names must have one value from there on.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from optmap.diagnostics import SCHEDULE_STEPS
from optmap.mapping.model import Api, MappingSet
from optmap.source.changes import Change, Insert, Replace, Where
from optmap.source.edits import rest_of_line, starts_line
from optmap.source.scopes import Names, Scope
from optmap.source.templates import Template
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport, spell
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.findings import Finding
from optmap.translate.options import Options
from optmap.translate.schedules.advice import attachable
from optmap.translate.schedules.owners import Ties
from optmap.translate.schedules.translate import TranslatedSchedule, read_schedule, uncounted

_PURE = (
    ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.List, ast.Tuple, ast.operator, ast.unaryop, ast.Load,
)  # fmt: skip
_REPEATED = (ast.For, ast.AsyncFor, ast.While)
_STEPPERS = ("apply_gradients", "minimize")


Taken: TypeAlias = dict[tuple[int, str], str]
"""The optimizer that each new name of a schedule belongs to, by the id of the scope's node and the name."""


class _Place(NamedTuple):
    """Where a schedule is attached: behind this statement, which binds the optimizer to a name or an attribute of self."""

    statement: ast.stmt
    optimizer: str
    scheduler: str


def attach_schedule(
    source: Source, sites: Sites, ties: Ties, schedule: CallSite, tables: MappingSet, options: Options, taken: Taken
) -> TranslatedSchedule | str | None:
    """Attach to each optimizer what takes the schedule's place; a clause that says why where that cannot be.

    None where the target has nothing to take its place. The names that are given join those in `taken`.
    """
    optimizers = ties.find(schedule).optimizers
    made = attachable(source, schedule, tables, options)
    if made is None:
        return None
    bound = read_schedule(source, schedule)
    reason = uncounted(source, bound) if not isinstance(bound, str) else bound
    reason = reason or unstable(ties, source, schedule, made.nodes, optimizers)
    if reason is not None:
        return reason
    api = tables.apis[made.api]
    spelling = spell(schedule, api)
    if spelling is None:
        return f"the file binds {api.module.paths[0].partition('.')[0]!r} to something else"
    needed = [spelling.needs] if spelling.needs is not None else []
    if "math." in made.arguments:
        found = _math(source, sites.names, schedule.scope)
        if isinstance(found, str):
            return found
        needed += found
    places = _places(source, optimizers, taken)
    if isinstance(places, str):
        return places
    taken |= {
        (id(site.scope.node), place.scheduler): place.optimizer for site, place in zip(optimizers, places, strict=True)
    }
    changes: list[Change] = [Replace(schedule.node, Template(made.first))]
    for place in places:
        text = f"{place.scheduler} = {spelling.text}({place.optimizer}, {made.arguments})"
        changes.append(Insert(place.statement, Where.AFTER, Template(text)))
    findings = tuple(_finding(ties, api, site, place) for site, place in zip(optimizers, places, strict=True))
    return TranslatedSchedule(schedule, api, tuple(changes), tuple(needed), findings)


def _math(source: Source, names: Names, scope: Scope) -> list[NewImport] | str:
    """The import of math that a formula needs, if any."""
    if not source.mentions("math"):
        return [NewImport("math", "math")]
    imported = [
        node for node in source.tree.body
        if isinstance(node, ast.Import) and any(item.name == "math" and item.asname is None for item in node.names)
    ]  # fmt: skip
    bound = [node for node in source.nodes if _binds(node, "math")]
    return [] if imported and bound == [] else "the file has its own idea of math"


def _binds(node: ast.AST, name: str) -> bool:
    """Tell whether a node gives a name another meaning than the module of that name."""
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.arg):
        return node.arg == name
    if isinstance(node, ast.Import):
        return any(item.asname == name != item.name for item in node.names)
    if isinstance(node, ast.ImportFrom):
        return any((item.asname or item.name) == name for item in node.names)
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name


def _places(source: Source, optimizers: Sequence[CallSite], taken: Taken) -> list[_Place] | str:
    found: list[_Place] = []
    given = dict(taken)
    for site in optimizers:
        statement = source.parents.get(id(site.node))
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        line = site.node.lineno
        if len(targets) != 1 or not isinstance(statement, ast.Assign | ast.AnnAssign):
            return f"the optimizer on line {line} is not bound to a name that a schedule could be attached to"
        own = targets[0]
        if not (isinstance(own, ast.Name) or _of_self(own)):
            return f"the optimizer on line {line} is not bound to a name that a schedule could be attached to"
        rest = source.text(source.end(statement), rest_of_line(source, source.end(statement)).end).strip()
        if not starts_line(source, source.start(statement)) or (rest and not rest.startswith("#")):
            return f"there is more than one statement on line {line}"
        text, scope = ast.unparse(own), id(site.scope.node)
        free = (name for name in _names(text) if given.get((scope, name), text) == text and _is_new(source, name))
        name = next(free, None)
        if name is None:
            return f"the file has {' and '.join(_names(text))} already"
        given[scope, name] = text
        found.append(_Place(statement, text, name))
    return found


def _of_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _names(optimizer: str) -> list[str]:
    lead = "self." if optimizer.startswith("self.") else ""
    return [f"{lead}scheduler", f"{optimizer}_scheduler"]


def _is_new(source: Source, name: str) -> bool:
    return not source.mentions(name.rpartition(".")[2])


def _finding(ties: Ties, api: Api, site: CallSite, place: _Place) -> Finding:
    message = f"{api.name} changes the rate in its step(): call {place.scheduler}.step() after every step of {place.optimizer}"
    lines = [call.lineno for name in _STEPPERS for call in ties.method_calls.get((place.optimizer, name), ())]
    if lines:
        message += f" (line{'s' if len(lines) > 1 else ''} {', '.join(map(str, sorted(lines)))})"
    return Finding(SCHEDULE_STEPS, message, site.node, str(api.at))


def unstable(
    ties: Ties, source: Source, schedule: CallSite, nodes: Sequence[ast.expr], users: Sequence[CallSite],
    *, before: ast.expr | None = None,
) -> str | None:  # fmt: skip
    """Why expressions of a schedule may have other values where its substitute is; None where they cannot.

    Their names must be bound `before` a node, if one is given.
    """
    for node in nodes:
        shown = source.text(source.start(node), source.end(node))
        inside = list(ast.walk(node))
        if not all(isinstance(item, _PURE) or _is_field(item) for item in inside):
            return f"{shown} would be evaluated again; bind its value to a name first and pass the name"
        names = {item.id for item in inside if isinstance(item, ast.Name)}
        for name in sorted(names):
            owner, bindings = ties.bindings(name, schedule.scope)
            if any(_node(ties.bindings(name, user.scope)[0]) is not _node(owner) for user in users):
                return f"{shown} is not known where the optimizer is"
            if owner is not None and len([item for item in bindings if not item.harmless]) != 1:
                return f"{name} is bound more than once"
            own = owner is not None and owner.node in (schedule.scope.node, users[0].scope.node)
            if before is not None and own and any(source.start(item.node) >= source.start(before) for item in bindings):  # type: ignore[arg-type]
                return f"{name} is bound only below line {before.lineno}"
            if any(_repeated(source, item.node) for item in bindings):
                return f"{name} is bound again and again in a loop"
        for item in inside:
            stores = _assigned_to(source, item) if isinstance(item, ast.Attribute) else []
            if len(stores) > 1:
                return f"{ast.unparse(item)} is assigned more than once"
            if stores and _below(source, stores[0], schedule.node):
                return f"{ast.unparse(item)} is assigned below, on line {stores[0].lineno}"
    return None


def _node(scope: Scope | None) -> ast.AST | None:
    return scope.node if scope is not None else None


def _is_field(node: ast.AST) -> bool:
    """An attribute of a name: a setting."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute)


def _assigned_to(source: Source, wanted: ast.Attribute) -> list[ast.Attribute]:
    text = ast.unparse(wanted)
    return [
        node for node in source.nodes
        if isinstance(node, ast.Attribute) and node.attr == wanted.attr and not isinstance(node.ctx, ast.Load)
        and ast.unparse(node) == text
    ]  # fmt: skip


def _below(source: Source, node: ast.expr, other: ast.expr) -> bool:
    """Tell whether a node stands below another in the same function."""
    functions = []
    for item in (node, other):
        at = source.parents.get(id(item))
        while at is not None and not isinstance(at, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            at = source.parents.get(id(at))
        functions.append(at)
    return functions[0] is functions[1] and source.start(node) > source.start(other)


def _repeated(source: Source, node: ast.AST) -> bool:
    """Tell whether a node stands in a loop of its function or module."""
    parent = source.parents.get(id(node))
    while parent is not None and not isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        if isinstance(parent, _REPEATED):
            return True
        parent = source.parents.get(id(parent))
    return False
