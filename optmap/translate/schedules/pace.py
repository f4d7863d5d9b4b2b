"""How many steps does the optimizer make between two calls of an attached schedule's step()? Read off the loops of a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from optmap.source.text import Source

_WRAPPERS: Final = ("enumerate", "tqdm")
_LEAVE: Final = (ast.Break, ast.Continue, ast.Return, ast.Raise)


class Pace(NamedTuple):
    """One step each, or as many as the loop variable `loader` has items."""

    loader: ast.Name | None = None


def find_pace(
    source: Source, region: ast.AST, schedule: ast.Call, optimizer: str, steps: Sequence[ast.stmt]
) -> Pace | None:
    """The pace of a schedule whose step() is called by these statements; None where the file does not prove it.

    `region` is where the name of the optimizer is seen, `schedule` the call that makes the schedule.
    """
    moves = list(_optimizer_steps(source, region, schedule, optimizer))
    if len(moves) != 1 or len(steps) != 1:
        return None
    block = _block(source, steps[0])
    if moves[0] in block:
        first, last = block.index(moves[0]), block.index(steps[0])
        return Pace() if first < last and not any(map(_leaves, block[first:last])) else None
    loop = next(
        (item for item in block if isinstance(item, ast.For) and any(n is moves[0] for n in ast.walk(item))), None
    )
    if loop is None or loop.orelse or _leaves(loop) or not _always(source, moves[0], loop):
        return None
    loader = _iterated(loop.iter)
    return Pace(loader) if loader is not None and block.index(loop) < block.index(steps[0]) else None


def _optimizer_steps(source: Source, region: ast.AST, schedule: ast.Call, optimizer: str) -> Iterator[ast.stmt]:
    """The statements that step the optimizer; one that is in no block for whatever may step it, such as a function."""
    for node in ast.walk(region):
        if not isinstance(node, ast.Call) or node is schedule:
            continue
        given = [*node.args, *(item.value for item in node.keywords)]
        if any(isinstance(item, ast.Name | ast.Attribute) and ast.unparse(item) == optimizer for item in given):
            yield ast.Pass()
        elif ast.unparse(node.func) == f"{optimizer}.step":
            parent = source.parents[id(node)]
            yield parent if isinstance(parent, ast.Expr) else ast.Pass()


def _block(source: Source, statement: ast.stmt) -> list[ast.stmt]:
    """The list of statements that one stands in."""
    parent = source.parents[id(statement)]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and any(item is statement for item in block):
            return block
    return [statement]


def _leaves(node: ast.AST) -> bool:
    return any(isinstance(item, _LEAVE) for item in ast.walk(node))


def _always(source: Source, statement: ast.stmt, loop: ast.For) -> bool:
    """Tell whether each turn of the loop runs the statement once."""
    parent = source.parents[id(statement)]
    while isinstance(parent, ast.With):
        parent = source.parents[id(parent)]
    return parent is loop


def _iterated(node: ast.expr) -> ast.Name | None:
    """The name of what a loop runs over, through enumerate() and tqdm()."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _WRAPPERS and node.args:
        node = node.args[0]
    return node if isinstance(node, ast.Name) else None
