"""Is the learning rate a number, or an object of the source framework that the target cannot take?"""

from __future__ import annotations

import ast

from optmap.mapping.model import MappingSet
from optmap.source.names import Names, Scope, chain_of, statements
from optmap.source.text import Source
from optmap.translate.sites import CallSite

_VARIABLES = {
    "tensorflow.Variable": "a tf.Variable",
    "tensorflow.constant": "a TensorFlow tensor",
    "tensorflow.placeholder": "a TensorFlow placeholder",
    "tensorflow.compat.v1.placeholder": "a TensorFlow placeholder",
    "tensorflow.compat.v1.Variable": "a tf.Variable",
    "tensorflow.compat.v1.get_variable": "a TensorFlow variable",
    "tensorflow.get_variable": "a TensorFlow variable",
    "keras.Variable": "a keras.Variable",
    "torch.tensor": "a torch tensor",
    "torch.Tensor": "a torch tensor",
}


def learning_rate_object(
    source: Source, names: Names, site: CallSite, node: ast.expr, tables: MappingSet
) -> str | None:
    """Describe the object that the learning rate is; None where it may be a number."""
    direct = _describe(names, site.scope, node, tables)
    if direct is not None or not isinstance(node, ast.Name):
        return direct
    assigned = _assignments(source, site, node.id)
    described = [_describe(names, site.scope, value, tables) for value in assigned]
    return next((what for what in described if what is not None), None)


def _describe(names: Names, scope: Scope, node: ast.expr, tables: MappingSet) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    chain = chain_of(node.func)
    if chain is None:
        return None
    for path in names.paths(chain, scope):
        if path in _VARIABLES:
            return _VARIABLES[path]
        found = tables.find(path) if path else None
        if found is not None and found[1].partition(".")[0] in found[0].schedules:
            return f"the schedule {'.'.join(chain)}"
    return None


def _assignments(source: Source, site: CallSite, name: str) -> list[ast.expr]:
    """Values assigned to the name in the function of the call, or in the module where the function has none."""
    for node in (*reversed(site.ancestors), source.tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            continue
        if not isinstance(node, ast.Module) and name in {
            argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)
        }:
            return []
        found = [
            statement.value
            for statement in statements(node.body, same_scope=True)
            if isinstance(statement, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)
        ]
        if found:
            return found
    return []
