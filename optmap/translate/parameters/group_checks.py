"""What is written inside a parameters argument and means nothing to the target: names of parameters, changing values."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from optmap.diagnostics import NAME_ATTRIBUTE, SCHEDULE_ARGUMENT
from optmap.mapping.model import Framework, MappingSet
from optmap.mapping.plan import Plan, group_ties
from optmap.source.text import Source
from optmap.translate.constructors.learning_rate import learning_rate_object
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.findings import Finding, Place
from optmap.translate.parameters.groups import GroupEntry


def unsayable(
    source: Source, sites: Sites, site: CallSite, tables: MappingSet, plan: Plan, node: ast.expr, at: Place,
    entries: Iterable[GroupEntry],
) -> Finding | None:  # fmt: skip
    """Return the reason why the parameters argument cannot be carried over, if there is one."""
    if plan.target.parameters_argument is None:
        return None
    picked = _picked_by_attribute(node, plan.source.framework)
    target = plan.target.framework
    if picked is not None and not target.facts.parameters.own_names:
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


def _picked_by_attribute(node: ast.expr, source: Framework) -> ast.Attribute | None:
    """`p.name` where p runs over parameters: MindSpore's parameters have names."""
    if not source.facts.parameters.own_names:
        return None
    for inner in ast.walk(node):
        names = set(_bound(inner))
        for part in ast.walk(inner) if names else ():
            is_name = isinstance(part, ast.Attribute) and part.attr == "name"
            if is_name and isinstance(part.value, ast.Name) and part.value.id in names:  # type: ignore[attr-defined]
                return part  # type: ignore[return-value]
    return None


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that a comprehension or a lambda binds."""
    if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
        for part in node.generators:
            yield from (item.id for item in ast.walk(part.target) if isinstance(item, ast.Name))
    elif isinstance(node, ast.Lambda):
        yield from (item.arg for item in node.args.args)
