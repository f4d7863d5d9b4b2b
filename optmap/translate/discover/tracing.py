"""What an attribute of a class is assigned, and which names a function's arguments and results have on the other side."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from optmap.source.scopes import chain_of


def class_of(ancestors: Sequence[ast.AST]) -> ast.ClassDef | None:
    return next((node for node in reversed(ancestors) if isinstance(node, ast.ClassDef)), None)


_SAME = ("to", "cuda", "cpu", "float", "double", "train", "eval", "requires_grad_")
"""Methods of models that give back the model itself."""


def kept_as(place: ast.ClassDef, model: tuple[str, ...]) -> tuple[str, ...] | None:
    """The attribute of self that a class assigns the variable of a method to, and nothing else."""
    for node in ast.walk(place):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        chain, value = chain_of(node.targets[0]), node.value
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _SAME:
            value = value.func.value
        if chain is None or len(chain) != 2 or chain[0] != "self" or chain_of(value) != model:
            continue
        values = list(assigned(place, chain))
        if len(values) == 1 and values[0] is node.value:
            return chain
    return None


def assigned(place: ast.AST, chain: tuple[str, ...]) -> Iterator[ast.expr | None]:
    """What a class assigns to an attribute of self; None where it cannot be told."""
    for node in ast.walk(place):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and chain_of(node) == chain:
            value = next((value for item in ast.walk(place) for value in _assigns(item, node)), None)
            if not (isinstance(value, ast.Constant) and value.value is None):
                yield value


def _assigns(node: ast.AST, target: ast.expr) -> Iterator[ast.expr]:
    """What a statement assigns to the target alone."""
    alone = isinstance(node, ast.Assign) and len(node.targets) == 1 and node.targets[0] is target
    noted = isinstance(node, ast.AnnAssign) and node.target is target
    if isinstance(node, ast.Assign | ast.AnnAssign) and (alone or noted) and node.value is not None:
        yield node.value


def parameter(function: ast.FunctionDef, call: ast.Call, passed: ast.expr) -> str | None:
    """The parameter of the function that receives an argument of the call."""
    if any(isinstance(item, ast.Starred) for item in call.args):
        return None
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    for index, argument in enumerate(call.args):
        if argument is passed:
            return names[index] if index < len(names) else None
    return next((item.arg for item in call.keywords if item.value is passed), None)


def returned(
    models: tuple[tuple[str, ...], ...] | None, piece: tuple[ast.Tuple, int] | None, targets: Sequence[ast.expr]
) -> tuple[tuple[str, ...], ...] | None:
    """The names of models that a function returns beside the optimizer."""
    if models is None or piece is None:
        return None
    found = []
    for model in models:
        index = next((i for i, item in enumerate(piece[0].elts) if chain_of(item) == model), None)
        target = targets[index] if index is not None else None
        if not isinstance(target, ast.Name):
            return None
        found.append((target.id,))
    return tuple(found)


def passed(
    function: ast.FunctionDef, call: ast.Call, models: tuple[tuple[str, ...], ...] | None
) -> tuple[tuple[str, ...], ...] | None:
    """The names that models have inside a function that is called with them."""
    if models is None:
        return None
    found: list[tuple[str, ...]] = []
    for model in models:
        values = [value for value in (*call.args, *(item.value for item in call.keywords)) if chain_of(value) == model]
        names = [parameter(function, call, value) for value in values]
        if not names or names[0] is None:
            return None
        found.append((names[0],))
    return tuple(found)


def values(function: ast.FunctionDef, call: ast.Call, name: str) -> Iterator[ast.expr]:
    for value in (*call.args, *(item.value for item in call.keywords)):
        if parameter(function, call, value) == name:
            yield value
