"""Layers that are frozen by an attribute which the target's models do not have: there it would freeze nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optmap.diagnostics import FREEZES_NOTHING
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import fill
from optmap.source.model import Module
from optmap.source.syntax import chain_of
from optmap.translate.findings import Finding


def frozen_layers(module: Module, source: Framework, target: Framework) -> Iterator[Finding]:
    """Yield a finding for each place that says whether a model or a layer is trained."""
    flag, facts = source.facts.models.frozen_by, target.facts.models
    if flag is None or facts.freeze is None or facts.frozen_by == flag or not module.source.holds(flag.encode()):
        return
    found = [(node, value) for node in module.attributes(flag) if (value := _value(module, node)) is not None]
    if all(isinstance(value, ast.Constant) and value.value is True for _, value in found):
        return
    for node, value in found:
        said = f".{flag} freezes nothing in {target.facts.title}"
        model = ast.unparse(node.value)
        code = fill(facts.freeze, model=model, value=ast.unparse(value)) if chain_of(node.value) is not None else None
        said += ": write this in its place" if code is not None else ": freeze the parameters"
        yield Finding(FREEZES_NOTHING, said, node, replacement=code, detail=source.facts.models.frozen_also)


def _value(module: Module, node: ast.Attribute) -> ast.expr | None:
    """What `model.trainable = value` assigns; an object's own attribute is its class's affair."""
    statement = module.parent(node)
    plain = isinstance(statement, ast.Assign) and node in statement.targets and not module.self_class(node.value)
    return statement.value if plain and isinstance(statement, ast.Assign) else None
