"""What is written inside a parameters argument and means nothing to the target: names of parameters, changing values."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

from optmap.diagnostics import NAME_ATTRIBUTE, SCHEDULE_ARGUMENT
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan, group_ties
from optmap.source.model import Module
from optmap.translate.constructors.learning_rate import learning_rate_object
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding, Place
from optmap.translate.parameters.groups import GroupEntry, called

_PICKING: Final = (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.Lambda)


def inexpressible(
    site: CallSite, tables: MappingSet, plan: Plan, node: ast.expr, at: Place,
    entries: Iterable[GroupEntry],
) -> Finding | None:  # fmt: skip
    """Return the reason why the parameters argument cannot be carried over, if there is one."""
    if plan.target.parameters_argument is None:
        return None
    target = plan.target.framework
    asked = plan.source.framework.facts.parameters.own_names and not target.facts.parameters.own_names
    picked = _picked_by_attribute(site.module, node) if asked else None
    if picked is not None:
        named = target.facts.parameters.named
        message = f"{ast.unparse(picked)} is None in {target}, whose parameters do not know their names"
        message += f"; pick them from {named}()" if named is not None else ""
        return Finding(NAME_ATTRIBUTE, message, at)
    for entry in entries:
        if "learning_rate" in group_ties(plan.source, entry.key, plan.switched):
            what = learning_rate_object(site, entry.value, tables)
            if what is not None:
                message = f"the learning rate of a group is {what.text}, which {plan.target.name} cannot take"
                return Finding(SCHEDULE_ARGUMENT, message, at)
    return None


def sum_message(site: CallSite, node: ast.BinOp) -> str:
    """Say that the parts of a sum are iterators, and how they are put together."""
    listed = [
        item.args[0] if isinstance(item, ast.Call) and called(item) == "list" else item
        for item in (node.left, node.right)
    ]
    first = node.left if listed[0] is node.left and not isinstance(node.left, ast.List) else node.right
    shown = f"[{', '.join(f'*{ast.unparse(item)}' for item in listed)}]"
    return f"{ast.unparse(first)} is an iterator, to which {site.api.framework} adds nothing: write {shown}"


def _picked_by_attribute(module: Module, node: ast.expr) -> ast.Attribute | None:
    """`p.name` where a comprehension or a lambda gives parameters to p."""
    scopes: set[int] = set()
    for part in ast.walk(node):
        if isinstance(part, _PICKING):
            scopes.add(id(part))
        elif isinstance(part, ast.Attribute) and part.attr == "name" and isinstance(part.value, ast.Name):
            variable = module.variable(part.value)
            if variable is not None and id(variable.scope) in scopes:
                return part
    return None
