"""Small questions about syntax nodes that need nothing but the node."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
BLOCKS: Final = ("body", "handlers", "orelse", "finalbody", "cases")
"""The fields of a node that hold statements, or what holds statements."""


def chain_of(node: ast.AST) -> tuple[str, ...] | None:
    """Return the names of `a.b.c`; None for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    names.append(node.id)
    return tuple(reversed(names))


def imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[int, str, str]]:
    """Yield (index, local name, dotted path) for every name of an import; relative paths start with dots."""
    for index, alias in enumerate(statement.names):
        yield index, *imported_name(statement, alias)


def imported_name(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple[str, str]:
    """The local name that one name of an import binds (`*` for all), and the dotted path that it stands for."""
    if isinstance(statement, ast.Import):
        first = alias.name.partition(".")[0]
        return alias.asname or first, alias.name if alias.asname else first
    base = "." * statement.level + (statement.module or "")
    separator = "" if base.endswith(".") else "."
    return alias.asname or alias.name, f"{base}{separator}{alias.name}"


def statements(body: Iterable[ast.AST], *, same_scope: bool = False) -> Iterator[ast.AST]:
    """Yield every statement below in order, without entering expressions, nor other scopes where `same_scope` says so."""
    stack = list(reversed(list(body)))
    while stack:
        node = stack.pop()
        yield node
        if same_scope and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for block in reversed(BLOCKS):
            inner = getattr(node, block, None)
            if isinstance(inner, list):
                stack.extend(reversed(inner))


def positional(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters that may be given by position."""
    return [*arguments.posonlyargs, *arguments.args]


def parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    """Every parameter, `*args` and `**kwargs` last."""
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (item for item in (arguments.vararg, arguments.kwarg) if item is not None)


def default_of(arguments: ast.arguments, name: str) -> ast.expr | None:
    """The default of a function's parameter."""
    pairs: list[tuple[ast.arg, ast.expr | None]] = [
        *zip(reversed(positional(arguments)), reversed(arguments.defaults), strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return next((default for item, default in pairs if item.arg == name), None)
