"""MindSpore's optimizers take no two parameters of one name, and models that stand apart name theirs alike.

A Cell's parameters are named after the attributes from it down, so that `first.fc.weight` and `second.fc.weight` are both
called `fc.weight` until the two are parts of one Cell, or are renamed (measured with 2.10).
"""

from __future__ import annotations

import ast
from itertools import combinations

from optmap.mapping.frameworks import fill
from optmap.mapping.model import Framework
from optmap.source.scopes import chain_of
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite
from optmap.translate.parameters.edits import ParametersArgument


def clash_message(source: Source, site: CallSite, found: ParametersArgument, target: Framework) -> str | None:
    """Say how the parameters of the several models that one optimizer is given get names of their own."""
    rename, join = target.facts.parameters.rename, target.facts.parameters.join
    models = _models(source, site, found) if rename is not None else []
    if not models or rename is None:
        return None
    *first, last = models
    several = len(first) > 1
    one = models[1] if several else last
    renamed = f"call {fill(rename, model=one, prefix=repr(f'{one}.'))}{' and so on for all but one' if several else ''} before"
    return (
        f"the optimizer is given parameters of {', '.join(first)} and {last}; {target.facts.title} takes no two of one name, "
        f"and models that stand apart name equal layers alike: {renamed}{f', or {join}' if join is not None else ''}"
    )


def _models(source: Source, site: CallSite, found: ParametersArgument) -> list[str]:
    """The models whose parameters come together in one optimizer, as they are written; empty if there is but one."""
    calls = [call for call in (*found.accessors, *found.unnamed) if isinstance(call.func, ast.Attribute)]
    for call in calls:
        looped = _looped(source, call)
        if looped:
            return looped
    apart: dict[str, None] = {}
    for one, other in combinations(calls, 2):
        names = [_root(source, site, call) for call in (one, other)]
        if None not in names and names[0] != names[1] and _together(source, one, other):
            apart.update(dict.fromkeys(name for name in names if name is not None))
    return list(apart)


def _root(source: Source, site: CallSite, call: ast.Call) -> str | None:
    """The outermost model that the parameters are named from; None where that cannot be told."""
    chain = chain_of(call.func)
    if chain is None:
        return None
    if chain[0] not in ("self", "cls"):
        return _part_of(source, chain[0]) or chain[0]
    owner = next((node for node in reversed(site.ancestors) if isinstance(node, ast.ClassDef)), None)
    return "self" if owner is None or owner.bases else ".".join(chain[:2])


def _part_of(source: Source, name: str) -> str | None:
    """The model that `head = net.head` makes the name a part of."""
    for node in source.nodes:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            value = node.value.value if isinstance(node.value, ast.Subscript) else node.value
            chain = chain_of(value)
            if chain is not None and chain[0] != "self" and (len(chain) > 1 or value is not node.value):
                return chain[0]
    return None


def _together(source: Source, one: ast.AST, other: ast.AST) -> bool:
    """Tell whether both are parts of one expression, or of a list that grows, rather than of two branches."""
    above = [one, *_above(source, one)]
    seen = {id(node) for node in above}
    common = next(node for node in (other, *_above(source, other)) if id(node) in seen)
    if isinstance(common, ast.expr):
        return not isinstance(common, ast.IfExp)
    if isinstance(common, ast.If):
        return False
    statements = [next(node for node in _above(source, call) if isinstance(node, ast.stmt)) for call in (one, other)]
    return any(isinstance(node, ast.AugAssign | ast.Expr) for node in statements)


def _above(source: Source, node: ast.AST) -> list[ast.AST]:
    found = []
    at = source.parents.get(id(node))
    while at is not None:
        found.append(at)
        at = source.parents.get(id(at))
    return found


def _looped(source: Source, call: ast.Call) -> list[str]:
    """`[p for net in (first, second) for p in net.parameters()]`: the models of the list."""
    chain = chain_of(call.func)
    for node in _above(source, call):
        for part in getattr(node, "generators", ()):
            own = isinstance(part.target, ast.Name) and chain is not None and part.target.id == chain[0]
            if own and isinstance(part.iter, ast.List | ast.Tuple) and len(part.iter.elts) > 1:
                return [ast.unparse(item) for item in part.iter.elts]
    return []
