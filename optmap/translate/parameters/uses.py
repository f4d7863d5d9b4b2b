"""What the code around a variable of parameters does with it: adds to it, changes keys of its groups, or only looks at it."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.source.bindings import position
from optmap.source.model import Binding, How, Module, Variable
from optmap.source.syntax import Function
from optmap.translate.parameters.groups import GroupEntry, Role, is_group
from optmap.values import NamedTuple

READERS: Final = ("print", "len", "bool", "isinstance", "type", "id", "repr", "str")
LOGGERS: Final = ("debug", "info", "warning", "error", "log", "write")
_COUNTERS: Final = ("sum", "len", "any", "all", "max", "min", "print", "set", "list")
_ADDERS: Final = {"append": 0, "extend": 0, "insert": 1}
"""Methods that add to a list, with the place of what they add."""
FEW: Final = 10
"""Bindings that may be in force together; where `+=` makes more of them, the order of statements is not looked at."""
_CHANGING: Final = (ast.Attribute, ast.Subscript, ast.For, ast.comprehension)
"""What stands directly around a use that may change a value."""


class Added(NamedTuple):
    """A value that becomes part of what a variable holds, and in which role."""

    node: ast.expr
    role: Role


def is_sum(module: Module, binding: Binding) -> bool:
    """Tell whether a binding is `x += value`."""
    statement = module.parent(binding.target) if binding.how is How.AUGMENTED else None
    return isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add)


def defined(module: Module) -> frozenset[str]:
    """The names of all functions and methods of the file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return module.source.once(defined, lambda: frozenset(item.name for item in module.nodes(*functions)))


def one_value(module: Module, variable: Variable, place: ast.expr) -> Sequence[Binding]:
    """The bindings whose values a place may read, with those that `+=` ties to them: it changes a list for all its names."""
    bindings = module.in_force(variable, place)
    if not variable.grows:
        return bindings
    tied = module.source.once((one_value, variable), lambda: _tied(module, variable))
    return list({id(each.target): each for item in bindings for each in tied[id(item.target)]}.values())


def _tied(module: Module, variable: Variable) -> dict[int, list[Binding]]:
    """For each binding the bindings that `+=` ties to it, itself among them."""
    found = {id(item.target): [item] for item in variable.bindings}
    for item in variable.bindings:
        before = module.in_force(variable, item.target) if is_sum(module, item) else ()
        for other in before:
            small, large = sorted((found[id(item.target)], found[id(other.target)]), key=len)
            if small is not large:
                large += small
                found.update({id(each.target): large for each in small})
        if len(before) > FEW:
            return {id(each.target): list(variable.bindings) for each in variable.bindings}
    return found


def binding_at(module: Module, variable: Variable, target: ast.AST) -> Binding | None:
    """The binding of a variable that a place makes."""
    places = module.source.once((binding_at, variable), lambda: {id(item.target): item for item in variable.bindings})
    return places.get(id(target))


def changing_uses(module: Module, variable: Variable, binding: Binding | None) -> Sequence[ast.expr]:
    """The uses of a definition, or of all definitions of a variable, that may change the value."""

    def find() -> list[ast.expr]:
        uses = variable.uses if binding is None else module.uses_of(variable, binding)
        return [use for use in uses if isinstance(module.parent(use), _CHANGING)]

    return module.source.once((changing_uses, variable, id(binding.target) if binding is not None else None), find)


def effects(module: Module, use: ast.expr, role: Role) -> list[Added | GroupEntry] | None:
    """What a use of a variable does to the value that plays a role: additions, and keys that are set or read.

    None where it does something else, or nothing.
    """
    parent = module.parent(use)
    outer = module.parent(parent) if parent is not None else None
    if isinstance(parent, ast.Attribute) and (call := module.call_of(parent)) is not None:
        return _method(parent.attr, call, role) if isinstance(module.parent(call), ast.Expr) else None
    if isinstance(parent, ast.Subscript) and parent.value is use:
        if role is Role.ITEM:
            return _keyed(module, parent)
        if role is Role.PARAMS:
            return None
        if isinstance(outer, ast.Subscript) and outer.value is parent:
            return _keyed(module, outer)
        if isinstance(outer, ast.Assign) and outer.targets == [parent]:
            return [Added(outer.value, Role.ITEM)]
    if isinstance(parent, ast.For | ast.comprehension) and parent.iter is use and role is Role.WHOLE:
        return _loop_over_groups(module, parent)
    return None


def added(module: Module, use: ast.expr) -> list[ast.expr]:
    """What a use adds to a list, a dict of groups, or the parameters of a group."""
    every = (effects(module, use, role) for role in (Role.WHOLE, Role.ITEM, Role.MAPPING))
    found = next((item for item in every if item is not None), ())
    return [
        item.node if isinstance(item, Added) else item.value
        for item in found
        if isinstance(item, Added) or (item.sets and item.key == "params")
    ]


def _method(name: str, call: ast.Call, role: Role) -> list[Added | GroupEntry] | None:
    """`append`, `insert` and `extend`; None for any other method."""
    place = _ADDERS.get(name)
    if place is None or role in (Role.ITEM, Role.MAPPING) or call.keywords or len(call.args) != place + 1:
        return None
    return [Added(call.args[place], role if name == "extend" else Role.ITEM)]


def _keyed(module: Module, node: ast.Subscript) -> list[Added | GroupEntry] | None:
    """`group["key"]`, set or read; None where the key cannot be seen."""
    index = node.slice
    if not isinstance(index, ast.Constant) or not isinstance(index.value, str):
        return None
    parent = module.parent(node)
    if isinstance(node.ctx, ast.Store):
        given = parent.value if isinstance(parent, ast.Assign | ast.AugAssign | ast.AnnAssign) else None
        return [GroupEntry(index.value, index, given)] if given is not None else None
    if isinstance(node.ctx, ast.Del):
        return None
    call = module.parent(parent) if isinstance(parent, ast.Attribute) else None
    if isinstance(parent, ast.Attribute) and isinstance(call, ast.Call):
        return _method(parent.attr, call, Role.PARAMS) if index.value == "params" else None
    return [GroupEntry(index.value, index, node, sets=False)] if index.value != "params" else []


def _loop_over_groups(module: Module, loop: ast.For | ast.comprehension) -> list[Added | GroupEntry] | None:
    """A loop over the groups whose variable is only asked for, or given, keys."""
    variable = module.variable(loop.target) if isinstance(loop.target, ast.Name) else None
    binding = binding_at(module, variable, loop.target) if variable is not None else None
    if variable is None or binding is None:
        return None
    found: list[Added | GroupEntry] = []
    for use in module.uses_of(variable, binding):
        parent = module.parent(use)
        subscript = isinstance(parent, ast.Subscript) and parent.value is use
        keyed = _keyed(module, parent) if subscript else None  # type: ignore[arg-type]
        if keyed is None or len(module.in_force(variable, use)) > 1:
            return None
        found += keyed
    return found


def is_harmless(module: Module, use: ast.expr) -> bool:
    """Tell whether a use of a variable only looks at it: it is printed, counted or tested, or its elements are."""
    parent = module.parent(use)
    if isinstance(parent, ast.Call):
        return use in parent.args and only_reads(module, parent)
    if isinstance(parent, ast.FormattedValue | ast.Assert | ast.Compare):
        return True
    while isinstance(parent, ast.BoolOp | ast.UnaryOp):
        use, parent = parent, module.parent(parent)
    if isinstance(parent, ast.If | ast.While | ast.IfExp):
        return parent.test is use
    return isinstance(parent, ast.comprehension) and parent.iter is use and _looks_at_elements(module, parent)


def only_reads(module: Module, call: ast.Call) -> bool:
    """Tell whether a call shows or measures its arguments."""
    if isinstance(call.func, ast.Name):
        return module.builtin(call.func) in READERS
    return isinstance(call.func, ast.Attribute) and call.func.attr in LOGGERS


def _looks_at_elements(module: Module, part: ast.comprehension) -> bool:
    """`sum(p.numel() for p in params)`, `set(map(id, params))`: the elements are asked for something, nothing more."""
    outer = module.parent(part)
    call = module.parent(outer) if isinstance(outer, ast.GeneratorExp | ast.ListComp | ast.SetComp) else None
    counts = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _COUNTERS
    variable = module.variable(part.target) if isinstance(part.target, ast.Name) else None
    return counts and variable is not None and all(_is_asked(module.parent(use)) for use in variable.uses)


def _is_asked(node: ast.AST | None) -> bool:
    """`p.shape`, `id(p)`."""
    if isinstance(node, ast.Attribute):
        return node.attr not in ("update", "setdefault", "pop", "popitem", "clear")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "id"


def groups_inside(module: Module, node: ast.AST) -> Iterator[ast.expr]:
    """The displays of groups that an expression or a definition holds, itself among them."""
    groups = module.source.once(groups_inside, lambda: sorted(_groups(module), key=position))
    end = (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    for index in range(bisect_left(groups, position(node), key=position), len(groups)):
        if position(groups[index]) >= end:
            return
        yield groups[index]


def _groups(module: Module) -> Iterator[ast.expr]:
    calls = (module.parent(name) for name in module.names("dict"))
    yield from (item for item in module.nodes(ast.Dict) if is_group(item))
    yield from (item for item in calls if isinstance(item, ast.Call) and is_group(item))


def shows_groups(module: Module, node: ast.AST) -> bool:
    """Tell whether what a name is bound to, or what its methods are given, visibly holds groups."""
    variable = module.variable(node) if isinstance(node, ast.Name | ast.Attribute) else None
    if variable is None:
        return False
    shown = (group for item in _visible(module, variable) for group in groups_inside(module, item))
    return module.source.once((shows_groups, variable), lambda: next(shown, None) is not None)


def _visible(module: Module, variable: Variable) -> Iterator[ast.AST]:
    for binding in variable.bindings:
        if binding.value is not None or isinstance(binding.target, Function):
            yield binding.value or binding.target
    for use in variable.uses:
        method = module.parent(use)
        call = module.call_of(method) if isinstance(method, ast.Attribute) else None
        yield from call.args if call is not None else ()
