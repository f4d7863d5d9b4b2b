"""Is an expression a gradient? tf.clip_by_value is used on images more often than on gradients."""

from __future__ import annotations

import ast
import re
from typing import Final

from optmap.source.model import Module
from optmap.source.syntax import called

_SOURCES: Final = ("gradient", "gradients", "compute_gradients", "get_gradients", "get_unscaled_gradients", "jacobian")
_CARRIERS: Final = ("zip", "enumerate", "list", "tuple", "map", "clip_by_global_norm", "clip_by_norm", "clip_by_value")
_NAMED: Final = re.compile(r"(?:^|_)(?:d?grad|gradient)s?(?:$|_|\d)", re.IGNORECASE)


def is_gradient(module: Module, node: ast.expr) -> bool:
    """Tell whether an expression is made of gradients, or is called so."""
    pending, seen = [node], {id(node)}
    for item in pending:  # grows while it is walked
        if _is_named(item):
            return True
        more = [part for part in _carried(module, item) if id(part) not in seen]
        seen |= {id(part) for part in more}
        pending += more
    return False


def _is_named(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return called(node) in _SOURCES
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return bool(_NAMED.search(name))


def _carried(module: Module, node: ast.expr) -> list[ast.expr]:
    """The expressions of which an expression is a gradient if one of them is."""
    if isinstance(node, ast.Name):
        variable = module.variable(node)
        bindings = module.in_force(variable, node) if variable is not None else ()
        return [item.value for item in bindings if item.value is not None]
    if isinstance(node, ast.Call):
        return node.args if called(node) in _CARRIERS else []
    if isinstance(node, ast.Subscript | ast.Starred):
        return [node.value]
    if isinstance(node, ast.Tuple | ast.List):
        return node.elts
    return [item.iter for item in node.generators] if isinstance(node, ast.ListComp | ast.GeneratorExp) else []
