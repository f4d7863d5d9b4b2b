"""A schedule that is attached to an optimizer, moved to where Keras has it: passed as the learning rate.

Its statement goes, and so do the calls of its step(), for Keras counts the optimizer's own steps.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from optmap.diagnostics import SCHEDULE_PASSED
from optmap.mapping.model import Api, MappingSet
from optmap.source.changes import Change, Delete, Replace
from optmap.source.edits import rest_of_line, starts_line
from optmap.source.scopes import chain_of
from optmap.source.templates import Template
from optmap.source.text import Source
from optmap.translate.constructors.spelling import spell
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.findings import Finding
from optmap.translate.options import Options
from optmap.translate.schedules.advice import passable
from optmap.translate.schedules.attach import unstable
from optmap.translate.schedules.owners import Ties, optimizer_node, rate_node
from optmap.translate.schedules.pace import find_pace
from optmap.translate.schedules.translate import TranslatedSchedule


class _Uses(NamedTuple):
    """The statement that binds a schedule, those that step it, and where its name is seen."""

    binding: ast.stmt
    steps: list[ast.stmt]
    region: ast.AST


def pass_schedule(
    source: Source, sites: Sites, ties: Ties, schedule: CallSite, tables: MappingSet, options: Options
) -> TranslatedSchedule | str:
    """Pass to the optimizer what takes the schedule's place; a clause that says why where that cannot be."""
    optimizers = ties.find(schedule).optimizers
    rate = rate_node(optimizers[0])
    attached_to = optimizer_node(schedule)
    if len(optimizers) != 1 or rate is None or attached_to is None:
        return "its optimizer does not show one learning rate"
    if not isinstance(rate, ast.Constant | ast.Name | ast.Attribute):
        return f"the learning rate on line {rate.lineno} is neither a number nor a name"
    uses = _uses(source, ties, schedule)
    if isinstance(uses, str):
        return uses
    pace = find_pace(source, uses.region, schedule.node, ast.unparse(attached_to), uses.steps)
    quantities = dict(options.quantities)
    nodes: list[ast.expr] = []
    text = None
    if pace is not None and pace.loader is None:
        quantities["steps_per_epoch"] = 1
    elif pace is not None and "steps_per_epoch" not in quantities and pace.loader is not None:
        nodes.append(pace.loader)
        text = f"len({pace.loader.id})"
    elif "steps_per_epoch" not in quantities:
        return "how many steps the optimizer makes between two calls of its step() cannot be seen; pass --set steps_per_epoch=N"
    given = options._replace(quantities=tuple(sorted(quantities.items())))
    found = passable(source, schedule, optimizers[0], tables, given, text)
    if isinstance(found, str):
        return found
    nodes += found.nodes
    reason = unstable(ties, source, schedule, nodes, optimizers, before=optimizers[0].node)
    if reason is not None:
        return reason
    counted = text or str(quantities["steps_per_epoch"])
    every = "every step" if counted == "1" else f"every {counted} steps"
    made = _made(source, sites, schedule, tables.apis[found.api], found.arguments, rate, uses)
    if isinstance(made, str):
        return made
    message = (
        f"{found.api} counts the optimizer's steps by itself: it does what one step() after {every} did, which is gone"
    )
    return made._replace(findings=(Finding(SCHEDULE_PASSED, message, schedule.node, str(made.target.at)),))


def _made(
    source: Source, sites: Sites, schedule: CallSite, api: Api, arguments: str, rate: ast.expr, uses: _Uses
) -> TranslatedSchedule | str:
    spelling = spell(schedule, api)
    if spelling is None:
        return f"the file binds {api.module.paths[0].partition('.')[0]!r} to something else"
    changes: list[Change] = [Replace(rate, Template(f"{spelling.text}({arguments})"))]
    for statement in (uses.binding, *uses.steps):
        if not _stands_alone(source, statement):
            return f"the statement on line {statement.lineno} does not stand alone"
        rest = rest_of_line(source, source.end(statement))
        noted = source.text(rest.start, rest.end).strip()  # a comment that speaks of the statement
        changes.append(Replace(statement, Template("pass")) if noted else Delete(statement))
    needed = (spelling.needs,) if spelling.needs is not None else ()
    return TranslatedSchedule(schedule, api, tuple(changes), needed, ())


def _uses(source: Source, ties: Ties, schedule: CallSite) -> _Uses | str:
    """The statements that go with the schedule; a clause where it is used for more than its step()."""
    binding = source.parents[id(schedule.node)]
    targets = binding.targets if isinstance(binding, ast.Assign) else []
    chain = chain_of(targets[0]) if len(targets) == 1 else None
    if (
        chain is None
        or not isinstance(binding, ast.Assign)
        or len(chain) > 2
        or (len(chain) == 2 and chain[0] != "self")
    ):
        return "it is not bound to a name whose uses can be seen"
    name = ".".join(chain)
    steps = []
    region = schedule.scope.node
    if len(chain) == 1:
        nodes = [_root(item.node) for item in ties.uses_of(schedule)]
    else:
        region = next((item for item in reversed(schedule.ancestors) if isinstance(item, ast.ClassDef)), region)
        nodes = [item for item in ast.walk(region) if isinstance(item, ast.Attribute) and chain_of(item) == chain]
    for node in nodes:
        if node is targets[0]:
            continue
        statement = _step(source, node)
        if statement is None:
            return f"{name} is also used on line {node.lineno}, which expects what it is now"
        steps.append(statement)
    if len(steps) != 1:
        return f"{name}.step() is not called at one place of this file, but at {len(steps) or 'none'}"
    return _Uses(binding, steps, region)


def _root(node: ast.expr) -> ast.expr:
    """The name that a chain of attributes begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def _step(source: Source, node: ast.AST) -> ast.stmt | None:
    """The statement that is nothing but a call of the node's step()."""
    member = source.parents[id(node)]
    call = source.parents[id(member)]
    statement = source.parents.get(id(call))
    plain = isinstance(member, ast.Attribute) and member.attr == "step" and isinstance(call, ast.Call)
    if plain and call.func is member and not call.args and not call.keywords and isinstance(statement, ast.Expr):  # type: ignore[attr-defined]
        return statement
    return None


def _stands_alone(source: Source, statement: ast.stmt) -> bool:
    """Tell whether a statement has its lines for itself, but for a comment."""
    rest = rest_of_line(source, source.end(statement))
    tail = source.text(rest.start, rest.end).strip()
    return starts_line(source, source.start(statement)) and (not tail or tail.startswith("#"))
