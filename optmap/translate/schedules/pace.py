"""How many steps does the optimizer make between two calls of an attached schedule's step()? Read off the loops of a file."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from optmap.source.bindings import position
from optmap.source.model import Module, Variable
from optmap.translate.discover.flow import places_of
from optmap.values import NamedTuple

_LEAVE: Final = (ast.Break, ast.Continue, ast.Return, ast.Raise)
_BOUND: Final = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Call)
_DISPLAYS: Final = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Starred)
_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)


class Pace(NamedTuple):
    """One step each, or as many as the loop variable `loader` has items."""

    loader: ast.Name | None = None


def find_pace(module: Module, optimizer: Variable, schedule: ast.Call, step: ast.stmt) -> Pace | None:
    """The pace of a schedule whose only call of step() is this statement; None where the file does not prove it.

    `optimizer` is what the call that makes the schedule attaches it to.
    """
    steps = list(_optimizer_steps(module, optimizer, schedule))
    made = steps[0] if len(steps) == 1 else None
    outer = _in_block_of(module, step, made) if made is not None else None
    if made is None or outer is None:
        return None
    block, last = module.block(step)
    between = block[module.block(outer)[1] : last]
    if not between or _holds(module, _LEAVE if outer is made else (ast.Continue,), *between):
        return None
    if outer is made:
        return Pace()
    if not isinstance(outer, ast.For) or outer.orelse or _holds(module, _LEAVE, outer):
        return None
    loader = _iterated(module, outer.iter)
    return Pace(loader) if loader is not None and _runs_always(module, made, outer) else None


def follows(module: Module, optimizer: ast.Call, step: ast.stmt) -> bool:
    """Tell whether a schedule's step() comes after a loop of the optimizer's steps, whenever that loop has run.

    A function that the file does not show is taken for such a loop where it is given the optimizer.
    """
    block, last = module.block(step)
    leads: dict[int, bool] = {}
    for place, _ in places_of(module, [optimizer]).values():
        around = module.parent(place)
        outer = module.parent(around) if isinstance(around, ast.keyword | ast.Attribute) else around
        if isinstance(around, ast.Attribute) and around.attr == "step":
            found = dict(_leads(module, module.statement(place), step, ()))
            if not found or max(found) >= last:
                return False
            leads |= found
        elif isinstance(outer, ast.Call) and outer.func is not around and module.function(outer) is None:
            leads |= {at: True for at, _ in _leads(module, module.statement(place), step, ()) if at < last}
    return bool(leads) and all(leads.values()) and not _holds(module, (ast.Continue,), *block[min(leads) : last])


def _leads(
    module: Module, statement: ast.stmt, step: ast.stmt, seen: tuple[ast.AST, ...], looped: bool = False
) -> Iterator[tuple[int, bool]]:
    """The statements that lead to another, by their places in the block of step(), and whether a loop is on the way."""
    outer = _in_block_of(module, step, statement)
    function = module.function_of(statement)
    inside = (statement, *module.ancestors(statement))
    ends = inside.index(outer) + 1 if outer is not None else inside.index(function) if function is not None else 0
    looped = looped or any(isinstance(item, _LOOPS) for item in inside[:ends])
    if outer is not None:
        yield module.block(step)[0].index(outer), looped
    elif function is not None and function not in seen:
        for call in module.callers(function) or ():
            yield from _leads(module, module.statement(call), step, (*seen, function), looped)


def _optimizer_steps(module: Module, optimizer: Variable, schedule: ast.Call) -> Iterator[ast.stmt | None]:
    """The statements that step an optimizer; None for each place that lets other code step it."""
    for use in optimizer.uses:
        around = module.parent(use)
        outer = module.parent(around) if isinstance(around, ast.keyword | ast.Attribute) else around
        if isinstance(around, ast.Attribute):
            statement = module.parent(outer) if isinstance(outer, ast.Call) and outer.func is around else None
            if around.attr == "step":
                yield statement if isinstance(statement, ast.Expr) else None
        elif outer is not schedule and isinstance(
            outer, _BOUND if _is_returned(module, use) else (*_BOUND, *_DISPLAYS)
        ):
            yield None


def _is_returned(module: Module, node: ast.expr) -> bool:
    return isinstance(module.statement(node), ast.Return)


def _in_block_of(module: Module, statement: ast.stmt, other: ast.stmt) -> ast.stmt | None:
    """The statement that stands in the same block as one, and is or holds another."""
    block, _ = module.block(statement)
    found: ast.stmt | None = other
    while found is not None and module.block(found)[0] is not block:
        found = module.enclosing(found, ast.stmt)
    return found


def _holds(module: Module, kinds: tuple[type[ast.AST], ...], *statements: ast.stmt) -> bool:
    """Tell whether statements that follow each other hold a node of one of the kinds."""
    nodes = module.nodes(*kinds)
    place = bisect_left(nodes, position(statements[0]), key=position)
    end = statements[-1].end_lineno, statements[-1].end_col_offset
    return place < len(nodes) and position(nodes[place]) < end


def _runs_always(module: Module, statement: ast.stmt, loop: ast.For) -> bool:
    """Tell whether each turn of a loop runs a statement once."""
    parent = module.parent(statement)
    while isinstance(parent, ast.With):
        parent = module.parent(parent)
    return parent is loop


def _iterated(module: Module, node: ast.expr) -> ast.Name | None:
    """The name of what a loop runs over, through enumerate() and tqdm()."""
    while isinstance(node, ast.Call) and node.args and _keeps_length(module, node.func):
        node = node.args[0]
    return node if isinstance(node, ast.Name) else None


def _keeps_length(module: Module, function: ast.expr) -> bool:
    """Tell whether a function gives as many items as it is given; a `tqdm` that nothing binds is taken for the package's."""
    if not isinstance(function, ast.Name):
        return False
    variable = module.variable(function)
    if variable is None:
        return function.id in ("enumerate", "tqdm")
    paths = module.paths(function)
    return bool(paths) and all(path is not None and path.startswith("tqdm") and path.endswith("tqdm") for path in paths)
