"""Which call of value_and_grad, or of what is like it, belongs to an `optimizer(grads)`?"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.source.flow import binds
from optmap.source.names import Function
from optmap.source.scopes import chain_of
from optmap.translate.discover.events import Event

_MAKERS: Final = ("value_and_grad", "grad", "GradOperation")


def makers(tree: ast.Module, event: Event) -> Iterator[ast.Call]:
    """Every such call of a file, that of the event first as far as names tell it."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _makes(node)]
    mine = _named(tree, event)
    yield from sorted(found, key=lambda node: not any(node is item for item in mine))


def _makes(call: ast.Call) -> bool:
    return (chain_of(call.func) or ("",))[-1] in _MAKERS


def _named(tree: ast.Module, event: Event) -> list[ast.expr]:
    """What the gradients are the result of, and what a function of that name is assigned."""
    given = event.call.args[0] if event.call.args else None
    around = next((node for node in reversed(event.ancestors) if isinstance(node, Function)), tree)
    last: ast.Assign | None = None
    for node in ast.walk(around):
        sets = isinstance(given, ast.Name) and isinstance(node, ast.Assign) and given.id in binds(node)
        if sets and isinstance(node, ast.Assign) and (last.lineno if last else 0) < node.lineno < event.call.lineno:
            last = node
    if last is None or not isinstance(last.value, ast.Call):
        return []
    function = chain_of(last.value.func)
    assigned = [item for item in ast.walk(tree) if isinstance(item, ast.Assign)]
    named = [item.value for item in assigned if function in [chain_of(target) for target in item.targets]]
    return [last.value.func, *(named if function is not None else [])]
