"""The expression of --params, which the file must be able to evaluate where an optimizer is constructed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optmap.diagnostics import PARAMS_UNBOUND
from optmap.source.bindings import position
from optmap.source.changes import Replace
from optmap.source.model import Module
from optmap.source.templates import CallTemplate, Template
from optmap.translate.findings import Finding
from optmap.translate.frontier.listing import Item, listed
from optmap.translate.unit import Outcome, Rewritten, Unit


def unbound_params(unit: Unit, outcome: Outcome) -> Iterator[Finding]:
    """Yield at most one finding about all constructors that get the expression where its names have no value."""
    text = unit.options.params or ""
    tree = ast.parse(text, mode="eval")
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - bound)
    sites = [item.site for item in outcome.optimizers if _takes(item.change, text)]
    module = Module.of(unit.source)
    found = [Item(name, site.node) for site in sites for name in names if not _has_value(module, name, site.node)]
    if found:
        message = f"--params {text} is written where nothing gives its names a value: {listed(unit.source, found)}"
        first = next(site.node for site in sites if site.node is found[0].node)
        yield Finding(PARAMS_UNBOUND, message, first)


def _takes(change: Rewritten, text: str) -> bool:
    """Tell whether a new call is given the expression."""
    calls = (item.template for item in change.changes if isinstance(item, Replace))
    given = (each.value for call in calls if isinstance(call, CallTemplate) for each in call.arguments)
    return any(value == Template(text) for value in given)


def _has_value(module: Module, name: str, at: ast.expr) -> bool:
    variable = module.bound(name, at)
    if variable is None:
        return module.is_builtin(name, at) or bool(module.stars(at))
    later = all(position(item.target) > position(at) for item in variable.bindings)
    return not (later and module.scope(at) is variable.scope)
