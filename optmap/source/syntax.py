"""Small questions about syntax nodes that need nothing but the node."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
BLOCKS: Final = ("body", "handlers", "orelse", "finalbody", "cases")
"""The fields of a node that hold statements, or what holds statements."""
_ATOMS: Final = frozenset(
    ("ctx", "op", "ops", "id", "attr", "arg", "conversion", "is_async", "kind", "kwd_attrs", "level", "module", "simple",
     "type_comment")
)  # fmt: skip
"""Fields that hold no nodes, or nodes that all places share."""
_FIELDS: Final[dict[type[ast.AST], tuple[str, ...]]] = {ast.Constant: (), ast.MatchSingleton: ()}


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


def called(call: ast.Call) -> str:
    """The last name of what is called, empty where it has none."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def argument_values(call: ast.Call) -> list[ast.expr]:
    """What a call is given, by position and by keyword."""
    return [*call.args, *(item.value for item in call.keywords)]


def inner(node: ast.AST) -> list[ast.AST]:
    """A node and all below it, as `ast.walk` orders them, but contexts, which tell nothing."""
    found = [node]
    for item in found:  # grows while it is walked
        for name in _FIELDS.get(item.__class__) or fields_of(item.__class__):
            value = getattr(item, name, None)
            if value.__class__ is list:
                found += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


def fields_of(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a class of nodes that may hold nodes, but for contexts and operators."""
    found = _FIELDS.get(kind)
    if found is None:
        found = _FIELDS[kind] = tuple(name for name in kind._fields if name not in _ATOMS)
    return found


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes directly below a node but contexts and operators."""
    for name in fields_of(node.__class__):
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            yield value
        elif value.__class__ is list:
            yield from (each for each in value if isinstance(each, ast.AST))


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
        if same_scope and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
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


def is_alias(parent: ast.AST | None, node: ast.expr) -> bool:
    """`nn = torch.nn` only gives a module another name; it goes or stays with its uses."""
    own = isinstance(parent, ast.Assign) and parent.value is node
    return own and all(isinstance(target, ast.Name) for target in parent.targets)  # type: ignore[union-attr]
