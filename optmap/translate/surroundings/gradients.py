"""Is an expression a gradient? tf.clip_by_value is used on images more often than on gradients."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Final

_SOURCES: Final = ("gradient", "gradients", "compute_gradients", "get_gradients", "get_unscaled_gradients", "jacobian")
_CARRIERS: Final = ("zip", "enumerate", "list", "tuple", "map", "clip_by_global_norm", "clip_by_norm", "clip_by_value")
_NAMED: Final = re.compile(r"(?:^|_)(?:d?grad|gradient)s?(?:$|_|\d)", re.IGNORECASE)
_Comprehension = ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp
_DEPTH: Final = 6


def is_gradient(node: ast.expr, ancestors: Sequence[ast.AST], depth: int = _DEPTH) -> bool:
    """Tell whether an expression inside the ancestors (outermost first) is made of gradients, or is called so."""
    if depth == 0:
        return False
    if isinstance(node, ast.Name):
        return bool(_NAMED.search(node.id)) or _bound_to_gradient(node.id, ancestors, depth)
    if isinstance(node, ast.Attribute):
        return bool(_NAMED.search(node.attr))
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        carries = name in _CARRIERS and any(is_gradient(item, ancestors, depth - 1) for item in node.args)
        return name in _SOURCES or carries
    if isinstance(node, ast.Subscript | ast.Starred):
        return is_gradient(node.value, ancestors, depth - 1)
    if isinstance(node, ast.Tuple | ast.List):
        return any(is_gradient(item, ancestors, depth - 1) for item in node.elts)
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        return any(is_gradient(generator.iter, ancestors, depth - 1) for generator in node.generators)
    return False


def _bound_to_gradient(name: str, ancestors: Sequence[ast.AST], depth: int) -> bool:
    """Look for what binds the name: the innermost comprehension or loop around, then the function's assignments."""
    for place, parent in enumerate(reversed(ancestors)):
        outside = ancestors[: len(ancestors) - place - 1]
        if isinstance(parent, _Comprehension):
            for generator in parent.generators:
                if _binds(generator.target, name):
                    return is_gradient(generator.iter, outside, depth - 1)
        elif isinstance(parent, ast.For) and _binds(parent.target, name):
            return is_gradient(parent.iter, outside, depth - 1)
        elif isinstance(parent, ast.Lambda) and any(argument.arg == name for argument in parent.args.args):
            return False
        elif isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            values = [
                item.value
                for item in ast.walk(parent)
                if isinstance(item, ast.Assign) and any(_binds(target, name) for target in item.targets)
            ]
            return any(is_gradient(value, [*outside, parent], depth - 1) for value in values)
    return False


def _binds(target: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(target))
