"""Contexts and decorators of the source framework around what was translated."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from optmap.diagnostics import SOURCE_CONTEXT
from optmap.source.syntax import Function
from optmap.translate.findings import Finding
from optmap.translate.frontier.listing import Item, foremost, listed, short
from optmap.translate.frontier.origins import Origins
from optmap.translate.frontier.sorts import Sort
from optmap.translate.unit import Outcome, Unit

_HARMLESS: Final = (Sort.PLAIN, Sort.MODEL)
"""What a decorator may be without changing what code means: it registers a function or class."""


def context_findings(unit: Unit, outcome: Outcome, origins: Origins) -> Iterator[Finding]:
    """Yield at most one finding about all contexts around the translated constructors and schedules."""
    nodes = [item.site.node for item in (*outcome.optimizers, *outcome.schedules)]
    found = {id(item.node): item for node in nodes for item in around(origins, node)}
    if found:
        title = unit.options.target.facts.title
        message = f"translated code stands under {listed(unit.source, found.values())}, which {title} does not know"
        yield Finding(SOURCE_CONTEXT, message, foremost(found.values()))


def around(origins: Origins, node: ast.AST) -> Iterator[Item]:
    """The contexts and decorators of the source around a node."""
    inner = node
    for outer in origins.module.ancestors(node):
        if isinstance(outer, ast.With | ast.AsyncWith) and not isinstance(inner, ast.withitem):
            yield from _of_source(origins, (item.context_expr for item in outer.items), "")
        elif isinstance(outer, Function | ast.ClassDef) and inner not in outer.decorator_list:
            yield from _of_source(origins, outer.decorator_list, "@")
        inner = outer


def _of_source(origins: Origins, nodes: Iterable[ast.expr], lead: str) -> Iterator[Item]:
    for node in nodes:
        callee = node.func if isinstance(node, ast.Call) else node
        if isinstance(node, ast.Call) and node.args and origins.module.paths(callee) == {"functools.partial"}:
            callee = node.args[0]
        sort = None if id(callee) in origins.gone else _sort(origins, callee)
        if sort is not None and not (lead and sort in _HARMLESS):
            yield Item(lead + short(callee), node)


def _sort(origins: Origins, node: ast.expr) -> Sort | None:
    """What a context of the source is; `strategy.scope` and a name that holds one are of what made them."""
    found = origins.sort(node)
    if found is not None:
        return found[1]
    sorts = [origins.sort(item) for item in origins.of(node).sources if isinstance(item, ast.expr)]
    return next((item[1] for item in sorts if item is not None), None)


def callers_contexts(origins: Origins, node: ast.AST, depth: int = 5) -> Iterator[Item]:
    """The contexts around a node, and around the calls of the function that it stands in."""
    yield from around(origins, node)
    function = origins.module.function_of(node)
    for call in (origins.module.callers(function) or ()) if function is not None and depth else ():
        yield from callers_contexts(origins, call, depth - 1)
