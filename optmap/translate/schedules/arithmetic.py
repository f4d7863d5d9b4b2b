"""Whether a function of a schedule does the same with a tensor of one element as with a number."""

from __future__ import annotations

import ast
from collections.abc import Set
from typing import Final

from optmap.source.model import Module

_EXACT: Final = ("min", "max", "abs", "float", "int", "round", "pow")
"""Builtins that take a tensor of one element for a number."""
_ARITHMETIC: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_ORDER: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


def is_arithmetic(module: Module, node: ast.expr) -> bool:
    """Tell whether a function only does with its argument what a tensor of one element can do as well."""
    if isinstance(node, ast.Constant) and node.value is None:
        return True
    if isinstance(node, ast.List | ast.Tuple):
        return all(is_arithmetic(module, item) for item in node.elts)
    if not isinstance(node, ast.Lambda):
        return False
    return _is_number(module, node.body, {item.arg for item in node.args.args})


def _is_number(module: Module, node: ast.expr, names: Set[str]) -> bool:
    """Tell whether an expression has the same value where the names in it stand for tensors of one element.

    Such a tensor is no key of a set or dictionary and no index; two comparisons of it add up to a truth value, and one has no
    negative.
    """
    parts = list(ast.iter_child_nodes(node))
    if not any(isinstance(item, ast.Name) and item.id in names for item in ast.walk(node)):
        return True
    if isinstance(node, ast.BinOp):
        known = isinstance(node.op, _ARITHMETIC) and not (_is_truth(node.left) and _is_truth(node.right))
    elif isinstance(node, ast.Compare):
        displays = (ast.List, ast.Tuple)
        known = all(
            isinstance(item, _ORDER) or (isinstance(item, ast.In | ast.NotIn) and isinstance(right, displays))
            for item, right in zip(node.ops, node.comparators, strict=True)
        )
    elif isinstance(node, ast.Call):
        known = _takes_tensors(module, node.func) and not node.keywords
        parts = list(node.args)
    else:
        known = isinstance(node, ast.Name | ast.IfExp | ast.BoolOp) or (
            isinstance(node, ast.UnaryOp)
            and not isinstance(node.op, ast.Invert)
            and (isinstance(node.op, ast.Not) or not _is_truth(node.operand))
        )
    return known and all(_is_number(module, item, names) for item in parts if isinstance(item, ast.expr))


def _is_truth(node: ast.expr) -> bool:
    """Tell whether an expression may be a truth value."""
    if isinstance(node, ast.IfExp):
        return _is_truth(node.body) or _is_truth(node.orelse)
    return isinstance(node, ast.Compare | ast.BoolOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def _takes_tensors(module: Module, function: ast.expr) -> bool:
    """Tell whether a function is one of math, or a builtin, that takes a tensor of one element for a number."""
    if builtin := module.builtin(function):
        return builtin in _EXACT
    paths = module.paths(function)
    return bool(paths) and all(path is not None and path.startswith("math.") for path in paths)
