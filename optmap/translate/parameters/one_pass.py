"""Where a list of parameters must stay a list: torch's `parameters()` returns what can be run over once only."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Final

from optmap.source.text import Source
from optmap.source.variables import Variable, Variables
from optmap.translate.parameters.groups import called

_RUN_OVER: Final = frozenset(
    ("list", "tuple", "set", "frozenset", "filter", "map", "iter", "sorted", "enumerate", "zip", "chain",
     "from_iterable", "sum", "any", "all", "min", "max", "extend", "dict", "OrderedDict")
)  # fmt: skip
"""Functions that run over their argument once."""


def needs_list(source: Source, node: ast.expr, variables: Callable[[], Variables], optimizer: ast.Call) -> bool:
    """Tell whether the code around an expression takes it for a list, or runs over it more than once.

    `optimizer` is the call whose parameters the expression gives; optimizers run over them once.
    """
    parent = source.parents[id(node)]
    if isinstance(parent, ast.IfExp) and parent.test is not node:
        return needs_list(source, parent, variables, optimizer)
    if isinstance(parent, ast.keyword):
        parent = source.parents[id(parent)]
    if isinstance(parent, ast.Call):
        return parent is not optimizer and called(parent) not in _RUN_OVER
    if isinstance(parent, ast.Assign | ast.AnnAssign):
        return _assigned(source, parent, variables, optimizer)
    return not isinstance(parent, ast.Starred | ast.For | ast.comprehension | ast.Dict | ast.AugAssign)


def _assigned(
    source: Source, statement: ast.Assign | ast.AnnAssign, variables: Callable[[], Variables], optimizer: ast.Call
) -> bool:
    """A variable may hold what can be run over once, if it has one use that does, and does so once."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    variable = _variable(source, targets[0], statement, variables()) if len(targets) == 1 else None
    if variable is None or any(isinstance(source.parents[id(slot.value)], ast.AugAssign) for slot in variable.slots):
        return True
    uses = variable.uses
    if len(uses) != 1 or _loops(source, uses[0]) != _loops(source, statement):
        return True
    return needs_list(source, uses[0], variables, optimizer)


def _variable(
    source: Source, target: ast.expr, statement: ast.Assign | ast.AnnAssign, variables: Variables
) -> Variable | None:
    """The name, or the attribute of self, that the statement assigns to."""
    text = ast.unparse(target)
    for node in source.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and ast.unparse(node) == text:
            variable = variables.variable(node)
            if variable is not None and any(slot.value is statement.value for slot in variable.slots):
                return variable
    return None


def _loops(source: Source, node: ast.AST) -> list[int]:
    """The loops and functions around a place."""
    found = []
    at = source.parents.get(id(node))
    while at is not None:
        if isinstance(at, ast.For | ast.AsyncFor | ast.While | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found.append(id(at))
        at = source.parents.get(id(at))
    return found
