"""Where does a program turn a value into text as a number, or round it?"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from string import Formatter


def wants_number(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """The expressions that a node turns into text as numbers, or rounds, each with the kind of number."""
    if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
        last = node.format_spec.values[-1] if node.format_spec.values else None
        yield node.value, _kind(str(last.value) if isinstance(last, ast.Constant) else "")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
        if node.func.id in ("round", "format"):
            yield node.args[0], "float"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        text = node.func.value.value if isinstance(node.func.value, ast.Constant) else None
        if isinstance(text, str):
            yield from _formatted(text, node)


def _formatted(text: str, call: ast.Call) -> Iterator[tuple[ast.expr, str]]:
    """The arguments of `text.format(...)` whose fields have a specification."""
    keywords = {word.arg: word.value for word in call.keywords}
    count = 0
    with suppress(ValueError):
        for _, name, specification, _ in Formatter().parse(text):
            if name is None:
                continue
            key = name or str(count)
            count += not name
            if specification and key.isdecimal() and int(key) < len(call.args):
                yield call.args[int(key)], _kind(specification)
            elif specification and key in keywords:
                yield keywords[key], _kind(specification)


def _kind(specification: str) -> str:
    return "int" if specification.endswith(("d", "x", "X", "b", "o", "c")) else "float"
