"""What is written of parameters and means nothing, or something else, to the target: their names, changing rates, sums.

MindSpore's optimizers take no two parameters of one name. A Cell's parameters are named after the attributes from it down, so
that `first.fc.weight` and `second.fc.weight` are both called `fc.weight` until the two are parts of one Cell, or are renamed
(measured with 2.10).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable
from typing import Final

from optmap.diagnostics import NAME_ATTRIBUTE, SCHEDULE_ARGUMENT, UNFROZEN_LATER
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import fill
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan, group_ties
from optmap.source.model import Module
from optmap.source.syntax import called, inner
from optmap.translate.constructors.learning_rate import learning_rate_object
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import constructed_with
from optmap.translate.findings import Finding, Place
from optmap.translate.parameters.freezing import freezing
from optmap.translate.parameters.groups import GroupEntry, ParametersArgument
from optmap.translate.parameters.models import models_together

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
    frozen = _frozen(site, target, node, at)
    if frozen is not None:
        return frozen
    for entry in entries:
        if "learning_rate" in group_ties(plan.source, entry.key, plan.switched):
            what = learning_rate_object(site, entry.value, tables)
            if what is not None:
                message = f"the learning rate of a group is {what.text}, which {plan.target.name} cannot take"
                return Finding(SCHEDULE_ARGUMENT, message, at)
    return None


def sum_message(node: ast.BinOp) -> str:
    """Say that the parts of a sum are iterators, and how they are put together."""
    listed = [
        item.args[0] if isinstance(item, ast.Call) and called(item) == "list" else item
        for item in (node.left, node.right)
    ]
    first = node.left if listed[0] is node.left and not isinstance(node.left, ast.List) else node.right
    shown = f"[{', '.join(f'*{ast.unparse(item)}' for item in listed)}]"
    return f"{ast.unparse(first)} is an iterator, which cannot be added: write {shown}"


def _frozen(site: CallSite, target: Framework, node: ast.expr, at: Place) -> Finding | None:
    """Say that other parameters are trainable when the target's optimizer is constructed than when it steps."""
    facts, own = target.facts.parameters, site.api.framework.facts.parameters
    counted = any(isinstance(item, ast.Subscript) for item in inner(node))
    if facts.flag is not None and own.flag is None and own.trainable and counted:
        line = freezing(site, steps=True).before
        message = f"{ast.unparse(node)} leaves out frozen parameters (line {line}), which {facts.trainable}() counts"
        return Finding(UNFROZEN_LATER, message, at) if line is not None else None
    if facts.flag is not None or not facts.trainable:
        return None
    found = freezing(site)
    if found.between is not None:
        message = f"line {found.between} changes which parameters are trained once they are listed: list them behind it"
        return Finding(UNFROZEN_LATER, message, at)
    if found.before is not None and found.later is not None:
        message = f"line {found.before} changes which parameters are trained, and line {found.later} does so again: "
        return Finding(UNFROZEN_LATER, f"{message}{facts.trainable}() gives those that are trainable now", at)
    if found.before is not None and counted:
        message = f"{ast.unparse(node)} counts frozen parameters, too (line {found.before}), which {facts.trainable}() leaves out"
        return Finding(UNFROZEN_LATER, message, at)
    return None


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


_SHOWN: Final = 4
_SIGNS: Final = {"normalization layers": (b"Norm", b"norm"), "embeddings": (b"mbedding",)}


def names_message(
    literals: Collection[str], target: Framework, attribute: bool = False, words: Collection[bytes] = ()
) -> str:
    """Say, for the strings that names are compared with, what they stand for in the target.

    `attribute` says that the parameters are asked for their own name, which only MindSpore's have. Layers are spoken of if the
    `words` of the file do, or if they speak of none.
    """
    facts, says = target.facts.parameters, list[str]()
    if attribute and facts.named is not None and not facts.own_names:
        says.append(f"name is None, take it from {facts.named}()")
    layers = {"normalization layers": facts.scales, "embeddings": facts.tables}
    seen = {layer for layer in layers if any(sign in word for word in words for sign in _SIGNS[layer])}
    layers = {layer: names for layer, names in layers.items() if names and layer in (seen or layers)}
    others = dict.fromkeys(literals)
    for layer, names in layers.items():
        renamed = []
        for literal in literals:
            found = re.fullmatch(rf"(.*?)({'|'.join(names)})", literal)
            if found is not None:
                renamed.append(f"{found[1] if found[1].strip('._') else ''}{names[found[2]]} for {literal!r}")
            if found is not None or literal in names.values():
                others.pop(literal, None)
        says += [f"{layer} have {', '.join(renamed)}"] if renamed else []
    if others:
        shown = ", ".join(map(repr, [*others][:_SHOWN])) + (", ..." if len(others) > _SHOWN else "")
        says.append(f"check {shown}")
    if not says:
        says = [f"{layer} have {' and '.join(names.values())} there" for layer, names in layers.items()]
    return f"parameter names differ: {'; '.join(says) or 'layers have other names there'}"


def clash_message(site: CallSite, found: ParametersArgument, target: Framework) -> tuple[str, str, str | None] | None:
    """How the parameters of the several models that one optimizer is given get names of their own: message, code, detail."""
    rename, join = target.facts.parameters.rename, target.facts.parameters.join
    argument, accessors = constructed_with(site), [*found.accessors, *found.unnamed]
    if argument is None or rename is None or not accessors or accessors == [argument]:
        return None
    models = models_together(site.module, site.node, argument, accessors)
    if not models:
        return None
    *first, last = models
    several = len(first) > 1
    one = models[1] if several else last
    also = ", and so for all but one of them" if several else ""
    message = f"{', '.join(first)} and {last} may give parameters equal names, which {target.facts.title} refuses"
    detail = f"or {join}" if join is not None else None
    return f"{message}; before it, write{also}", fill(rename, model=one, prefix=repr(f"{one}.")), detail
