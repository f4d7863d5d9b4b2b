"""Through which expressions may gradients flow? What is detached, a number, or made of arrays alone has none."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Final

from optmap.mapping.frameworks import Recording
from optmap.source.flow import effect_of
from optmap.source.model import Module
from optmap.source.syntax import children

DATA_METHODS: Final = frozenset(
    {"to", "cuda", "cpu", "float", "double", "half", "int", "long", "bool", "type", "type_as", "view", "reshape", "flatten",
     "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "clone", "detach", "repeat", "expand", "t", "size", "dim",
     "astype", "numpy", "get", "pop", "items", "keys", "values", "requires_grad_"}
)  # fmt: skip
"""Methods of tensors, arrays and batches that hold no parameters."""
_ARRAYS: Final = r"numpy\..*"
_DEEP: Final = 8


def needed_with_gradients(module: Module, facts: Recording, statement: ast.stmt) -> frozenset[str]:
    """The names of a statement through which gradients may flow; attributes of self as `self.x`."""
    wants = effect_of(statement).wants
    rest: set[str] = set()
    for node in differentiable(module, facts, statement) if wants else ():
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            rest.add(node.target.id)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in wants and node.id not in rest and not is_data(module, facts, node):
                rest.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            rest.add(f"{node.value.id}.{node.attr}")
    return wants & rest


def differentiable(module: Module, facts: Recording, node: ast.AST) -> list[ast.AST]:
    """A node and those below it but for what gradients cannot flow through."""
    found = [node] if not _is_detached(module, facts, node) else []
    for item in found:  # grows while it is walked
        found += (child for child in children(item) if not _is_detached(module, facts, child))
    return found


def _is_detached(module: Module, facts: Recording, node: ast.AST) -> bool:
    if isinstance(node, ast.With):
        return records_nothing(module, facts, node)
    if not isinstance(node, ast.Call):
        return False
    bare = not node.args and not node.keywords
    if bare and isinstance(node.func, ast.Attribute) and node.func.attr in facts.stops:
        return True
    return _leads(module, node.func, _fresh(facts.fresh)) and _asks_none(node)


def records_nothing(module: Module, facts: Recording, statement: ast.With) -> bool:
    """`with torch.no_grad():`."""
    for item in statement.items:
        call = item.context_expr
        bare = isinstance(call, ast.Call) and not call.args and not call.keywords and item.optional_vars is None
        if not bare or not isinstance(call, ast.Call) or not is_off(module, facts, call.func):
            return False
    return True


def cut_off(module: Module, facts: Recording, statement: ast.With) -> tuple[str, ...]:
    """The variables that a block sets under which nothing is recorded; none where it may also do something else."""
    found: dict[str, None] = {}
    for item in statement.body if records_nothing(module, facts, statement) else ():
        targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
        names = [node for target in targets for node in (target.elts if isinstance(target, ast.Tuple) else [target])]
        if not isinstance(item, ast.Assign | ast.AnnAssign) or item.value is None:
            return ()
        for node in names:
            if not isinstance(node, ast.Name):
                return ()
            found[node.id] = None
    return tuple(found)


def is_off(module: Module, facts: Recording, node: ast.expr) -> bool:
    """Tell whether an expression names a context under which nothing is recorded."""
    paths = module.paths(node)
    return bool(paths) and paths <= set(facts.unrecorded)


def is_data(module: Module, facts: Recording, node: ast.expr, deep: int = _DEEP) -> bool:
    """Tell whether a value surely carries no gradients: it is made of numbers, arrays, and tensors that have none."""
    match node:
        case ast.Constant():
            return True
        case ast.Tuple() | ast.List():
            return all(is_data(module, facts, item, deep) for item in node.elts)
        case ast.BinOp():
            return is_data(module, facts, node.left, deep) and is_data(module, facts, node.right, deep)
        case ast.UnaryOp():
            return is_data(module, facts, node.operand, deep)
        case ast.Starred() | ast.Subscript():
            return is_data(module, facts, node.value, deep)
        case ast.Call() if _is_detached(module, facts, node):
            return True
        case ast.Call() if _computes(module, facts, node):
            given = [*node.args, *(word.value for word in node.keywords if word.arg not in ("device", "dtype"))]
            return _asks_none(node) and all(is_data(module, facts, item, deep) for item in given)
        case ast.Call(func=ast.Attribute(attr=word, value=inside)) if word in DATA_METHODS and word != "requires_grad_":
            return not module.paths(node.func) and is_data(module, facts, inside, deep)
        case ast.Name() | ast.Call() if deep:
            found = module.reaching(node)
            made = found.complete and bool(found.values) and not any(item is node for item in found.values)
            return made and all(is_data(module, facts, item, deep - 1) for item in found.values)
    return False


def _computes(module: Module, facts: Recording, call: ast.Call) -> bool:
    """Tell whether a call runs a function of the framework, `FloatTensor(x)` under a name of the file as well."""
    pattern = _pattern(facts.computes)
    if _leads(module, call.func, pattern):
        return True
    found = module.reaching(call.func, calls=False)
    return isinstance(call.func, ast.Name) and bool(found.values) and all(
        _leads(module, item, pattern) for item in found.values
    )  # fmt: skip


def _asks_none(call: ast.Call) -> bool:
    """Tell whether a call that makes a tensor does not ask for its gradients."""
    asked = [word.value for word in call.keywords if word.arg in (None, "requires_grad")]
    return all(isinstance(item, ast.Constant) and not item.value for item in asked)


@cache
def _pattern(parts: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(parts))


@cache
def _fresh(paths: tuple[str, ...]) -> re.Pattern[str]:
    return _pattern((_ARRAYS, *map(re.escape, paths)))


def _leads(module: Module, node: ast.expr, pattern: re.Pattern[str]) -> bool:
    paths = module.paths(node)
    return bool(paths) and all(path is not None and pattern.fullmatch(path) for path in paths)
