"""Where parameters must stay a list: torch's `parameters()` gives an iterator, MindSpore's `trainable_params()` a list."""

from __future__ import annotations

import ast
from typing import Final

from optmap.source.model import Module
from optmap.translate.parameters.groups import called
from optmap.translate.parameters.uses import binding_at

_ITERATE_ONCE: Final = frozenset(
    ("list", "tuple", "set", "frozenset", "filter", "map", "iter", "sorted", "enumerate", "zip", "chain",
     "from_iterable", "sum", "any", "all", "min", "max", "extend", "dict", "OrderedDict")
)  # fmt: skip
"""Functions that iterate over their argument once."""


def needs_list(module: Module, node: ast.expr, optimizer: ast.Call) -> bool:
    """Tell whether the code around an expression takes it for a list, or iterates over it more than once.

    `optimizer` is the call whose parameters the expression gives; optimizers iterate over them once.
    """
    seen: set[int] = set()
    while id(node) not in seen:
        seen.add(id(node))
        parent = module.parent(node)
        if isinstance(parent, ast.keyword):
            parent = module.parent(parent)
        if isinstance(parent, ast.Call):
            return parent is not optimizer and called(parent) not in _ITERATE_ONCE
        if isinstance(parent, ast.IfExp) and parent.test is not node:
            node = parent
        elif isinstance(parent, ast.Assign | ast.AnnAssign):
            use = _only_use(module, parent)
            if use is None:
                return True
            node = use
        else:
            return not isinstance(parent, ast.Starred | ast.For | ast.comprehension | ast.Dict | ast.AugAssign)
    return True


def _only_use(module: Module, statement: ast.Assign | ast.AnnAssign) -> ast.expr | None:
    """The one place that reads what a statement assigns, if it does so as often as the statement runs."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    variable = module.variable(targets[0]) if len(targets) == 1 else None
    binding = binding_at(module, variable, targets[0]) if variable is not None else None
    if variable is None or binding is None or variable.grows:
        return None
    uses = module.uses_of(variable, binding)
    return uses[0] if len(uses) == 1 and _loops(module, uses[0]) == _loops(module, statement) else None


def _loops(module: Module, node: ast.AST) -> list[ast.AST]:
    """The loops and functions around a place."""
    kinds = (ast.For, ast.AsyncFor, ast.While, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return [item for item in module.ancestors(node) if isinstance(item, kinds)]
