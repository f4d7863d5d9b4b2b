"""Contexts such as `torch.no_grad()` where the target records nothing by itself, and in what is differentiated."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from optmap.mapping.frameworks import Recording
from optmap.source.calls import comments_in
from optmap.source.changes import Change, Delete, Replace
from optmap.source.edits import rest_of_line, starts_line
from optmap.source.model import Module
from optmap.source.syntax import inner
from optmap.source.templates import template
from optmap.translate.steps.names.calls import Stays
from optmap.translate.steps.read.compiled import callee
from optmap.translate.steps.read.detached import cut_off, is_off, records_nothing

if TYPE_CHECKING:
    from optmap.translate.steps.names.references import NameRewriter


def without_contexts(names: NameRewriter, facts: Recording, stop: str) -> None:
    """Take contexts and decorators away under which the source records nothing.

    What is computed there in a forward part or a model is given to `stop`, through which no gradients pass. A context
    around what stays the source's remains.
    """
    gone = list[ast.expr]()
    for node in names.module.nodes(ast.With):
        if records_nothing(names.module, facts, node) and _is_plain(names.module, node):
            try:
                names.changes.changes.append(_replaced(names, facts, node, stop))
            except Stays:
                continue
            names.world.settled.add(id(node))
            gone += (item.context_expr for item in node.items)
    for decorator, change in _decorators(names, facts):
        names.changes.changes.append(change)
        gone.append(decorator)
    own = {id(item) for node in gone for item in inner(node)}
    names.done |= own
    names.changes.gone += map(callee, gone)
    names.changes.stays[:] = [item for item in names.changes.stays if id(item[0]) not in own]


def _is_plain(module: Module, node: ast.With) -> bool:
    source, last = module.source, node.items[-1].context_expr
    line = rest_of_line(source, source.end(last))
    alone = source.text(line.start, line.end).strip() == ":"
    return alone and not comments_in(source, source.start(node), source.end(last))


def _replaced(names: NameRewriter, facts: Recording, node: ast.With, stop: str) -> Change:
    """The block without its context. Raises Stays."""
    lines = ["$body"]
    if node in names.world:
        cut = cut_off(names.module, facts, node)
        if not cut:
            raise Stays("it does more than to set variables")
        function = names.spelled(stop, node.items[0].context_expr)
        used = [name for name in cut if _is_read(names.module, node, name)]
        if function is None:
            raise Stays("the file binds the names that it needs to something else")
        lines += (f"{name} = {function}({name})" for name in used)
    elif _stays(names, node):
        raise Stays("it holds what stays")
    return Replace(node, template("\n".join(lines), body=tuple(node.body)))


def _is_read(module: Module, node: ast.With, name: str) -> bool:
    """Tell whether something outside of a block may read a variable that it sets."""
    variable = module.bound(name, at=node)
    own = {id(item) for item in inner(node)}
    return variable is None or any(id(use) not in own for use in variable.uses)


def _stays(names: NameRewriter, node: ast.AST) -> bool:
    """Tell whether a block computes with what stays the source's."""
    return any(names.changes.leaves(item) for part in getattr(node, "body", ()) for item in inner(part))  # type: ignore[arg-type]


def _decorators(names: NameRewriter, facts: Recording) -> Iterator[tuple[ast.expr, Change]]:
    source = names.source
    for function in names.module.nodes(ast.FunctionDef):
        for node in function.decorator_list if function not in names.world and not _stays(names, function) else ():
            bare = not isinstance(node, ast.Call) or not (node.args or node.keywords)
            at = source.body.rindex(b"@", 0, source.start(node))
            plain = starts_line(source, at) and not comments_in(source, source.start(node), source.end(node))
            if bare and plain and is_off(names.module, facts, callee(node)):
                yield node, Delete(node)
