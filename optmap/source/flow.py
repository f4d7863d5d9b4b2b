"""Which names do statements read and bind, and what must have a value before them? Within one scope, as Python sees it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from optmap.source.names import Comprehension, Function, statements

Loop = ast.For | ast.AsyncFor | ast.While


class Use(NamedTuple):
    """One reading of a name. `called` says that it is called, or that only an attribute of it is asked for."""

    name: str
    called: bool


def reads(node: ast.AST) -> list[Use]:
    """The names of the surrounding scope that a node reads, in the order of the text; a name that grows is read, too."""
    found: list[Use] = []
    _reads(node, found, frozenset(), False)
    return found


def _reads(node: ast.AST, found: list[Use], local: frozenset[str], called: bool) -> None:
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load) and node.id not in local:
            found.append(Use(node.id, called))
    elif isinstance(node, ast.Attribute):
        _reads(node.value, found, local, True)
    elif isinstance(node, ast.Call):
        _reads(node.func, found, local, True)
        for part in (*node.args, *node.keywords):
            _reads(part, found, local, False)
    elif isinstance(node, ast.AugAssign):
        if isinstance(node.target, ast.Name):
            found.append(Use(node.target.id, False))
        _reads(node.target, found, local, False)
        _reads(node.value, found, local, False)
    elif isinstance(node, ast.Lambda):
        for default in (*node.args.defaults, *(item for item in node.args.kw_defaults if item)):
            _reads(default, found, local, False)
        inner = {item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)}
        _reads(node.body, found, local | inner, False)
    elif isinstance(node, Comprehension):
        _reads(node.generators[0].iter, found, local, False)
        inner = {name for part in node.generators for name in targets(part.target)}
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.comprehension):
                _reads(child, found, local | inner, False)
        for position, part in enumerate(node.generators):
            for piece in (*((part.iter,) if position else ()), *part.ifs):
                _reads(piece, found, local | inner, False)
    else:
        for child in ast.iter_child_nodes(node):
            _reads(child, found, local, False)


def targets(node: ast.AST) -> set[str]:
    """The names that an assignment target binds."""
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load)}


def binds(node: ast.AST) -> set[str]:
    """The names that a statement binds or deletes in its own scope."""
    found: set[str] = set()
    if isinstance(node, Function | ast.ClassDef):
        found.add(node.name)
        return found
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(item.asname or item.name).partition(".")[0] for item in node.names}
    if isinstance(node, ast.Lambda):
        return found
    if isinstance(node, Comprehension):
        return {item.target.id for item in ast.walk(node) if isinstance(item, ast.NamedExpr)}
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        found.add(node.id)
    for key in ("name", "rest"):
        value = getattr(node, key, None)
        if isinstance(value, str):
            found.add(value)
    for child in ast.iter_child_nodes(node):
        found |= binds(child)
    return found


class Flow(NamedTuple):
    """`needed`: what must have a value before, in order; `sure`: what surely has one afterwards because of the statements."""

    needed: tuple[Use, ...]
    sure: frozenset[str]


def flow(body: Sequence[ast.stmt], sure: frozenset[str] = frozenset()) -> Flow:
    """Follow statements in order; names in `sure` have been bound by what comes before."""
    needed: list[Use] = []
    for statement in body:
        part = _statement(statement, sure)
        needed += part.needed
        sure = part.sure
    return Flow(tuple(needed), sure)


def _statement(node: ast.stmt, sure: frozenset[str]) -> Flow:
    def missing(part: ast.AST) -> list[Use]:
        return [use for use in reads(part) if use.name not in sure]

    if isinstance(node, ast.If):
        body, other = flow(node.body, sure), flow(node.orelse, sure)
        return Flow((*missing(node.test), *body.needed, *other.needed), body.sure & other.sure)
    if isinstance(node, ast.For):
        body = flow(node.body, sure | targets(node.target))
        other = flow(node.orelse, sure)
        return Flow((*missing(node.iter), *missing(node.target), *body.needed, *other.needed), sure)
    if isinstance(node, ast.With):
        heads = [use for item in node.items for use in missing(item)]
        bound = {name for item in node.items if item.optional_vars for name in targets(item.optional_vars)}
        body = flow(node.body, sure | bound)
        return Flow((*heads, *body.needed), body.sure)
    simple = isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
    after = sure | (binds(node) if simple and getattr(node, "value", None) is not None else set())
    return Flow(tuple(missing(node)), after)


def same_scope(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every statement of a scope, outer ones first, without entering functions and classes."""
    return statements(body, same_scope=True)


def expressions(statement: ast.AST) -> Iterator[ast.AST]:
    """Every node of a statement that belongs to it alone: the statements of its blocks are left out."""
    stack = [statement]
    while stack:
        node = stack.pop()
        yield node
        stack += [
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case)
        ]
