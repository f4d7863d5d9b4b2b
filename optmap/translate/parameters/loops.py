"""What code around parameter groups does with them: reads that change nothing, loops that only build groups, name tests."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Final

from optmap.source.text import Source
from optmap.source.variables import Variables

_READERS: Final = ("print", "len", "bool", "isinstance", "type", "id", "repr", "str")
_LOGGERS: Final = ("debug", "info", "warning", "error", "log", "write")
_COUNTERS: Final = ("sum", "len", "any", "all", "max", "min", "print", "set", "list")


def harmless_use(source: Source, use: ast.expr) -> bool:
    """Tell whether a use of a variable only looks at it: it is printed, counted, tested, or its elements are."""
    parent = source.parents[id(use)]
    if isinstance(parent, ast.Call):
        return use in parent.args and _only_reads(parent)
    if isinstance(parent, ast.FormattedValue | ast.Assert | ast.Compare):
        return True
    while isinstance(parent, ast.BoolOp | ast.UnaryOp):
        use, parent = parent, source.parents[id(parent)]
    if isinstance(parent, ast.If | ast.While | ast.IfExp):
        return parent.test is use
    if isinstance(parent, ast.comprehension):
        return parent.iter is use and _looks_at_elements(source, parent)
    return False


def _only_reads(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in _READERS
    return isinstance(call.func, ast.Attribute) and call.func.attr in _LOGGERS


def _looks_at_elements(source: Source, part: ast.comprehension) -> bool:
    """`sum(p.numel() for p in params)`, `set(map(id, params))`: the elements are asked for something, nothing more."""
    outer = source.parents[id(part)]
    if not isinstance(outer, ast.GeneratorExp | ast.ListComp | ast.SetComp) or not isinstance(part.target, ast.Name):
        return False
    call = source.parents.get(id(outer))
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _COUNTERS):
        return False
    return all(
        _reads_attribute(source.parents[id(item)]) or _is_identity(source.parents[id(item)])
        for item in ast.walk(outer)
        if isinstance(item, ast.Name) and item.id == part.target.id and isinstance(item.ctx, ast.Load)
    )


def _reads_attribute(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr not in ("update", "setdefault", "pop", "popitem", "clear")


def _is_identity(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "id"


def unplain_statement(loop: ast.For) -> ast.stmt | None:
    """Find a statement of a loop that does something to its variables, or hands them on, rather than sort them into lists.

    MindSpore's loop runs over the trainable parameters alone; what else the body does would be done for those only.
    """
    names = {item.id for item in ast.walk(loop.target) if isinstance(item, ast.Name)}
    for statement in ast.walk(loop):
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
            if any(_root(target) in names and not isinstance(target, ast.Name) for target in targets):
                return statement
        elif (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Call)
            and _mentions(statement.value, names)
            and not _collects(statement.value, names)
        ):
            return statement
    return None


def collectors(loop: ast.For) -> tuple[ast.expr, ...]:
    """Where a loop puts its parameters: the lists that they are appended to, and values that are added or stored.

    A pair's first part is a name, which may go anywhere.
    """
    target = loop.target
    if isinstance(target, ast.Tuple) and len(target.elts) == 2:
        target = target.elts[1]
    names = {item.id for item in ast.walk(target) if isinstance(item, ast.Name)}
    found: list[ast.expr] = []
    for node in ast.walk(loop):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr not in _LOGGERS:
            if any(_hands_on(item, names) for item in node.args) and _collects(node, names):
                found.append(_base(node.func.value))
        elif _stores(node) and isinstance(node, ast.Assign | ast.AugAssign) and _hands_on(node.value, names):
            found.append(node.value)
    return tuple(found)


def _stores(node: ast.AST) -> bool:
    """`kept += [p]`, `kept[name] = p`."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    return isinstance(node, ast.AugAssign) or not all(isinstance(target, ast.Name) for target in targets)


def _hands_on(node: ast.AST, names: Collection[str]) -> bool:
    """Tell whether a value holds one of the variables itself, not just something that it was asked for."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Attribute | ast.Compare) or (isinstance(node, ast.Call) and _only_reads(node)):
        return False
    return any(_hands_on(child, names) for child in ast.iter_child_nodes(node))


def _base(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Subscript):
        node = node.value
    return node


def _collects(call: ast.Call, names: Collection[str]) -> bool:
    """`group.append(p)`, `print(name)`: the variable is put away or shown."""
    if isinstance(call.func, ast.Attribute):
        known = call.func.attr in ("append", "extend", "insert", "add", *_LOGGERS)
        return known and _root(call.func) not in names
    return isinstance(call.func, ast.Name) and call.func.id in _READERS


def _mentions(node: ast.AST, names: Collection[str]) -> bool:
    return any(isinstance(item, ast.Name) and item.id in names for item in ast.walk(node))


def _root(node: ast.AST | None) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def picks_by_name(target: ast.expr, body: ast.AST) -> bool:
    """Tell whether the first of a pair that is run over, a name, is used for anything but to be shown."""
    if isinstance(target, ast.Tuple) and isinstance(target.elts[-1], ast.Tuple):
        target = target.elts[-1]  # enumerate
    if not isinstance(target, ast.Tuple) or not isinstance(target.elts[0], ast.Name):
        return True
    name = target.elts[0].id
    shown = {
        id(inner)
        for node in ast.walk(body)
        if isinstance(node, ast.Call) and _only_reads(node)
        for inner in ast.walk(node)
    }
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load) and id(node) not in shown
        for node in ast.walk(body)
    )


def name_literals(tests: Collection[ast.expr], variables: Variables) -> Iterator[str]:
    """Yield the strings that conditions compare with, those in lists that they name included."""
    for test in tests:
        for node in ast.walk(test):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                variable = variables.variable(node)
                for slot in variable.slots if variable is not None else ():
                    if isinstance(slot.value, ast.List | ast.Tuple | ast.Set | ast.Constant):
                        yield from (
                            item.value
                            for item in ast.walk(slot.value)
                            if isinstance(item, ast.Constant) and isinstance(item.value, str)
                        )
