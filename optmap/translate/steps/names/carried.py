"""Forward parts that are carried over as they stand: nothing in them may mean something else in the target, or nothing at all."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from optmap.mapping.steps import Pair
from optmap.source.syntax import inner
from optmap.source.templates import Template
from optmap.translate.steps.names.calls import Callee, Stays, rewrite_call
from optmap.translate.steps.names.kinds import Kind, Kinds
from optmap.translate.steps.names.references import NameRewriter
from optmap.translate.steps.names.tensors import is_same
from optmap.translate.steps.names.world import World
from optmap.translate.steps.reasons import NotPlain, Why


def check_carried(names: NameRewriter, parts: Iterable[ast.AST]) -> None:
    """Raises NotPlain where a forward part, or a function that it calls, uses what no row says to be the same."""
    module = names.module
    kinds = Kinds(module, names.table, names.roots, names.path, ())
    roots = list(parts)
    for root in roots:  # grows while it is walked
        calls = (node for node in inner(root) if isinstance(node, ast.Call))
        found = (module.function(call) for call in calls)
        roots += (item for item in found if item is not None and not any(item is other for other in roots))
    world = World(module, names.table, kinds, (), frozenset(), roots)
    refused: list[tuple[int, str]] = []

    def refuse(node: ast.AST, used: str) -> None:
        refused.append((getattr(node, "lineno", 0), used))

    for reference in names.references():
        kept = id(reference) in world.module.annotations or id(reference) in names.done
        if reference in world and not kept:
            refuse(reference, ast.unparse(reference))
    for node in world.nodes.values():
        if isinstance(node, ast.Attribute) and not _is_carried(names, kinds, node):
            refuse(node, f".{node.attr}")
    world.check(refuse, lambda node: isinstance(node, ast.FunctionDef) or id(node) in names.done)
    for line, used in sorted(refused):
        raise NotPlain(Why.NOT_IN_TABLE, line=line, used=used)


def _is_carried(names: NameRewriter, kinds: Kinds, node: ast.Attribute) -> bool:
    """Tell whether an attribute is none of a tensor's, or one that is the same in the target."""
    if node.attr not in names.table.tensor_names or kinds.path(node) is not None:
        return True
    if names.module.variable(node) is not None or kinds.of(node.value).kind in (Kind.PLAIN, Kind.ARRAY, Kind.MODEL):
        return True
    parent = names.module.parent(node)
    call = parent if isinstance(parent, ast.Call) and parent.func is node else None
    rows = names.table.methods.get(node.attr, ())
    if call is None and rows and all(pair.one.parameters is not None for pair in rows):
        return True  # no method is meant
    same = (
        pair for pair in rows if pair.one.path == pair.other.path and (pair.one.parameters is None) == (call is None)
    )
    return any(call is None or _carries(names, call, pair) for pair in same)


def _carries(names: NameRewriter, call: ast.Call, pair: Pair) -> bool:
    """Tell whether a row takes a call's arguments as they are."""
    how = Callee(Template("_"), aliases=names.table.aliases)
    try:
        made = rewrite_call(names.source, call, pair, how, lambda wanted, node: True)
    except Stays:
        return False
    return made.new is None or is_same(made.new, call)
