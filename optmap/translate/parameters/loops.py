"""Loops over parameters: whether they only sort them into lists, where they put them, and how they pick them by name."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import TypeAlias

from optmap.source.model import Module, Variable
from optmap.translate.parameters.uses import LOGGERS, READERS, binding_at, only_reads

_Items: TypeAlias = Collection[Variable | None]
"""The variables that a loop binds."""


def unplain_statement(module: Module, loop: ast.For) -> ast.stmt | None:
    """Find a statement of a loop that does something to its variables, or hands them on, rather than sort them into lists.

    MindSpore's loop iterates over the trainable parameters alone; what else the body does would be done for those only.
    """
    items = _bound(module, loop.target)
    for statement in ast.walk(loop):
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
            if any(not isinstance(target, ast.Name) and _is_one(module, _base(target), items) for target in targets):
                return statement
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            mentioned = any(_is_one(module, item, items) for item in ast.walk(statement.value))
            if mentioned and not _collects(module, statement.value, items):
                return statement
    return None


def collectors(module: Module, loop: ast.For) -> tuple[ast.expr, ...]:
    """Where a loop puts its parameters: the lists that they are appended to, and values that are added or stored.

    A pair's first part is a name, which may go anywhere.
    """
    target = loop.target
    if isinstance(target, ast.Tuple) and len(target.elts) == 2:
        target = target.elts[1]
    items = _bound(module, target)
    found: list[ast.expr] = []
    for node in ast.walk(loop):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr not in LOGGERS:
            if _collects(module, node, items) and any(_hands_on(module, item, items) for item in node.args):
                found.append(_list_of(node.func.value))
        elif isinstance(node, ast.Assign | ast.AugAssign) and _stores(node) and _hands_on(module, node.value, items):
            found.append(node.value)
    return tuple(found)


def _bound(module: Module, target: ast.expr) -> _Items:
    return {module.variable(item) for item in ast.walk(target) if isinstance(item, ast.Name)}


def _is_one(module: Module, node: ast.AST | None, items: _Items) -> bool:
    return isinstance(node, ast.Name) and module.variable(node) in items


def _stores(node: ast.Assign | ast.AugAssign) -> bool:
    """`kept += [p]`, `kept[name] = p`."""
    return isinstance(node, ast.AugAssign) or not all(isinstance(target, ast.Name) for target in node.targets)


def _hands_on(module: Module, node: ast.AST, items: _Items) -> bool:
    """Tell whether a value holds one of the variables itself, not just something that it was asked for."""
    stack = [node]
    while stack:
        inner = stack.pop()
        if _is_one(module, inner, items):
            return True
        asks = isinstance(inner, ast.Attribute | ast.Compare)
        if not asks and not (isinstance(inner, ast.Call) and only_reads(module, inner)):
            stack += ast.iter_child_nodes(inner)
    return False


def _collects(module: Module, call: ast.Call, items: _Items) -> bool:
    """`group.append(p)`, `print(name)`: the variable is put away or shown."""
    if isinstance(call.func, ast.Attribute):
        known = call.func.attr in ("append", "extend", "insert", "add", *LOGGERS)
        return known and not _is_one(module, _base(call.func), items)
    return isinstance(call.func, ast.Name) and call.func.id in READERS


def _list_of(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Subscript):
        node = node.value
    return node


def _base(node: ast.AST | None) -> ast.AST | None:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node


def picks_by_name(module: Module, target: ast.expr, body: ast.AST) -> bool:
    """Tell whether the first of a pair that a loop iterates over, a name, is used for anything but to be shown."""
    if isinstance(target, ast.Tuple) and isinstance(target.elts[-1], ast.Tuple):
        target = target.elts[-1]  # enumerate
    if not isinstance(target, ast.Tuple) or not isinstance(target.elts[0], ast.Name):
        return True
    calls = (node for node in ast.walk(body) if isinstance(node, ast.Call) and only_reads(module, node))
    shown = {id(inner) for call in calls for inner in ast.walk(call)}
    variable = module.variable(target.elts[0])
    binding = binding_at(module, variable, target.elts[0]) if variable is not None else None
    uses = module.uses_of(variable, binding) if variable is not None and binding is not None else ()
    return any(id(use) not in shown for use in uses)


def name_literals(module: Module, tests: Collection[ast.expr]) -> Iterator[str]:
    """Yield the strings that conditions compare with, those in lists that they name included."""
    for test in tests:
        for node in ast.walk(test):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            variable = module.variable(node) if isinstance(node, ast.Name) else None
            for binding in module.in_force(variable, node) if variable is not None else ():
                if isinstance(binding.value, ast.List | ast.Tuple | ast.Set | ast.Constant):
                    items = (item.value for item in ast.walk(binding.value) if isinstance(item, ast.Constant))
                    yield from (item for item in items if isinstance(item, str))
