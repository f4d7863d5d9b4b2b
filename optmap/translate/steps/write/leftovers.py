"""Statements that a rewrite leaves without an effect: `data, label = data, label`, where `.to(device)` went away."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from optmap.source.changes import Change, Delete, Replace
from optmap.source.model import Module
from optmap.source.syntax import chain_of, inner
from optmap.source.templates import Template


def without_leftovers(module: Module, changes: Sequence[Change]) -> list[Change]:
    """The changes, with statements deleted that would only assign variables to themselves."""
    stays = dict(_kept(changes))
    statements = {id(item): item for item in (module.statement(node) for node, _ in stays.values())}
    gone = [
        item for item in statements.values() if _is_idle(module, item, {key: new for key, (_, new) in stays.items()})
    ]
    inside = {id(node) for item in gone for node in inner(item)}
    return [*(item for item in changes if id(getattr(item, "node", None)) not in inside), *map(Delete, gone)]


def _kept(changes: Sequence[Change]) -> Iterator[tuple[int, tuple[ast.expr, ast.expr]]]:
    """The expressions of which only a part stays, by id, and that part."""
    for item in changes:
        if isinstance(item, Replace) and isinstance(item.node, ast.expr) and isinstance(item.template, Template):
            pieces = item.template.pieces
            if len(pieces) == 1 and isinstance(pieces[0], ast.expr):
                yield id(item.node), (item.node, pieces[0])


def _is_idle(module: Module, statement: ast.stmt, stays: dict[int, ast.expr]) -> bool:
    """Tell whether a statement assigns variables to themselves alone, and others stand beside it."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or len(module.block(statement)[0]) < 2:
        return False
    target, value = statement.targets[0], statement.value
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        pairs = list(zip(target.elts, value.elts, strict=False)) if len(target.elts) == len(value.elts) else []
    return bool(pairs) and all(_is_same(one, other, stays) for one, other in pairs)


def _is_same(target: ast.expr, value: ast.expr, stays: dict[int, ast.expr]) -> bool:
    while id(value) in stays:
        value = stays[id(value)]
    chain = chain_of(target)
    return chain is not None and chain == chain_of(value)
