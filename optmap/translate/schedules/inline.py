"""A schedule that is attached to an optimizer, moved to where Keras has it: passed as the learning rate.

Its statement goes, and so do the calls of its step(), for Keras counts the optimizer's own steps.
"""

from __future__ import annotations

import ast

from optmap.diagnostics import SCHEDULE_PASSED
from optmap.mapping.sections import Api
from optmap.source.changes import Change, Delete, Replace
from optmap.source.edits import has_own_lines, rest_of_line
from optmap.source.model import Module, Variable
from optmap.source.templates import Template
from optmap.translate.constructors.spelling import spell
from optmap.translate.discover.flow import places_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding
from optmap.translate.schedules.owners import Ownership, also_used, optimizer_node, rate_node
from optmap.translate.schedules.pace import Pace, find_pace, follows
from optmap.translate.schedules.stability import Stability
from optmap.translate.schedules.substitutes import read_call_of
from optmap.translate.schedules.translate import TranslatedSchedule, no_name, shadowed
from optmap.translate.surroundings.objects import MemberUse, uses_of
from optmap.translate.unit import Unit
from optmap.values import NamedTuple

_UNSEEN = (
    "how many steps the optimizer makes between two calls of its step() cannot be seen; pass --set steps_per_epoch=N"
)


class _Statements(NamedTuple):
    """The statement that binds a schedule, and the one that calls its step()."""

    binding: ast.stmt
    step: ast.stmt


def pass_schedule(
    unit: Unit, ownership: Ownership, stability: Stability, schedule: CallSite
) -> TranslatedSchedule | str:
    """Pass to the optimizer what takes the schedule's place; a clause that says why where that cannot be."""
    module = ownership.module
    optimizers = ownership.find(schedule).optimizers
    rate = rate_node(optimizers[0])
    if len(optimizers) != 1 or rate is None:
        return "its optimizer does not show one learning rate"
    if not isinstance(rate, ast.Constant | ast.Name | ast.Attribute):
        return f"the learning rate on line {rate.lineno} is neither a number nor a name"
    statements = _statements(module, schedule)
    if isinstance(statements, str):
        return statements
    pace = _pace(module, schedule, optimizers[0], statements.step)
    if isinstance(pace, str):
        return pace
    unit = _at(unit, pace)
    quantities = dict(unit.options.quantities)
    loader = pace.loader if pace is not None and "steps_per_epoch" not in quantities else None
    if loader is None and "steps_per_epoch" not in quantities:
        return _UNSEEN
    text = f"len({loader.id})" if loader is not None else None
    call = read_call_of(unit, schedule, optimizers[0])
    found = call.passable(text) if call is not None else "its arguments cannot be read"
    if isinstance(found, str):
        return found
    nodes = [*([loader] if loader is not None else []), *found.nodes]
    reason = stability.unstable(schedule, nodes, optimizers, before=optimizers[0].node)
    if reason is not None:
        return reason
    api = unit.tables.apis[found.api]
    counted = text or str(quantities["steps_per_epoch"])
    every = "every step" if counted == "1" else f"every {counted} steps"
    message = (
        f"{found.api} counts the optimizer's steps by itself: it does what one step() after {every} did, which is gone"
    )
    finding = Finding(SCHEDULE_PASSED, message, schedule.node, str(api.at))
    return _passed(unit, schedule, api, found.arguments, rate, statements, finding)


def paced(unit: Unit, ownership: Ownership, schedule: CallSite, optimizer: CallSite) -> Unit | None:
    """The unit, with the pace of a schedule if that is known; None where one that counts steps is no replacement."""
    variable = ownership.module.holder(schedule.node)
    uses = variable.uses if variable is not None and _is_bound_once(variable) else ()
    steps = [_step(ownership.module, use) for use in uses]
    shown = [step for step in steps if step is not None]
    pace = _pace(ownership.module, schedule, optimizer, shown[0]) if len(shown) == 1 else ""
    return None if isinstance(pace, str) else _at(unit, pace)


def _at(unit: Unit, pace: Pace | None) -> Unit:
    """The unit with the number of steps between two calls of step(), if the file shows that it is one."""
    if pace is None or pace.loader is not None:
        return unit
    given = dict(unit.options.quantities) | {"steps_per_epoch": 1}
    return unit._replace(options=unit.options._replace(quantities=tuple(sorted(given.items()))))


def _pace(module: Module, schedule: CallSite, optimizer: CallSite, step: ast.stmt) -> Pace | str | None:
    """The pace of a schedule whose only call of step() this is; None where only its number is unseen, else a clause."""
    node = optimizer_node(schedule)
    variable = module.variable(node) if node is not None else None
    if variable is None or module.holder(optimizer.node) is not variable or not _is_bound_once(variable):
        return "its optimizer is not bound to one name"
    written = rewritten(module, optimizer)
    if written is not None:
        return f"line {written.node.lineno} changes its optimizer, too"
    pace = find_pace(module, variable, schedule.node, step)
    if pace is None and not follows(module, optimizer.node, step):
        return f"its step() on line {step.lineno} does not plainly come after a loop of the optimizer's steps"
    return pace


def rewritten(module: Module, optimizer: CallSite) -> MemberUse | None:
    """Where a group of an optimizer is given another value."""
    members = (module.parent(place) for place, _ in places_of(module, [optimizer.node]).values())
    uses = (use for member in members if isinstance(member, ast.Attribute) for use in uses_of(module, member))
    return next((use for use in uses if use.kind == "item"), None)


def _passed(
    unit: Unit, schedule: CallSite, api: Api, arguments: str, rate: ast.expr, statements: _Statements, finding: Finding
) -> TranslatedSchedule | str:
    source = unit.source
    spelling = spell(schedule, api)
    if spelling is None:
        return no_name(api)
    reason = shadowed(Module.of(source), f"f({arguments})", [schedule])
    if reason is not None:
        return reason
    changes: list[Change] = [Replace(rate, Template(f"{spelling.text}({arguments})"))]
    for statement in statements:
        if not has_own_lines(source, statement):
            return f"the statement on line {statement.lineno} does not stand alone"
        rest = rest_of_line(source, source.end(statement))
        noted = source.text(rest.start, rest.end).strip()  # a comment that speaks of the statement
        changes.append(Replace(statement, Template("pass")) if noted else Delete(statement))
    needed = (spelling.needs,) if spelling.needs is not None else ()
    return TranslatedSchedule(schedule, api, tuple(changes), needed, (finding,))


def _statements(module: Module, schedule: CallSite) -> _Statements | str:
    """The statements that go with a schedule; a clause where it is used for more than its step()."""
    binding = module.parent(schedule.node)
    variable = module.holder(schedule.node)
    if not isinstance(binding, ast.Assign) or variable is None or not _is_own(module, binding.targets[0]):
        return "it is not bound to a name whose uses can be seen"
    name = ast.unparse(binding.targets[0])
    if not _is_bound_once(variable):
        return f"{name} is bound more than once"
    steps = []
    for use in variable.uses:
        step = _step(module, use)
        if step is None or not _is_own(module, use):
            return also_used(name, use)
        steps.append(step)
    if len(steps) != 1:
        return f"{name}.step() is not called at one place of this file, but at {len(steps) or 'none'}"
    return _Statements(binding, steps[0])


def _is_bound_once(variable: Variable) -> bool:
    return len([item for item in variable.bindings if not item.is_none]) == 1


def _is_own(module: Module, node: ast.expr) -> bool:
    """Tell whether a node is a name outside of class bodies, or an attribute of self."""
    if isinstance(node, ast.Attribute):
        return module.self_class(node.value) is not None
    return isinstance(node, ast.Name) and not isinstance(module.scope(node), ast.ClassDef)


def _step(module: Module, node: ast.expr) -> ast.stmt | None:
    """The statement that is nothing but a call of the node's step()."""
    member = module.parent(node)
    call = module.call_of(member) if isinstance(member, ast.Attribute) and member.attr == "step" else None
    statement = module.parent(call) if call is not None and not call.args and not call.keywords else None
    return statement if isinstance(statement, ast.Expr) else None
