"""Optimizers that are passed to code outside the file, which was written for those of the source framework."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.diagnostics import GIVEN_AWAY
from optmap.source.model import Module
from optmap.source.paths import root_of
from optmap.translate.discover.flow import places_of
from optmap.translate.findings import Finding, offset_of
from optmap.translate.frontier.listing import Item, foremost, listed, short
from optmap.translate.frontier.origins import Origin, Origins
from optmap.translate.unit import Outcome, Unit

_KEEPS: Final = frozenset(
    ("append", "extend", "insert", "add", "update", "setdefault", "get", "pop", "remove", "index", "print", "info", "debug",
     "format", "warning")
)  # fmt: skip
"""Methods of lists, dictionaries and logs, whatever they are given."""


def given_away(unit: Unit, outcome: Outcome, origins: Origins) -> Iterator[Finding]:
    """Yield at most one finding about all calls that get a translated optimizer and that no other finding is about."""
    told = {offset_of(unit.source, item.node) for item in (*outcome.findings, *outcome.mentions)}
    sites = [item.site for item in outcome.optimizers]
    module = origins.module
    found: dict[int, Item] = {}
    for place, _ in places_of(module, [site.node for site in sites]).values():
        call = _receiver(origins, place)
        if call is not None and unit.source.start(call) not in told:
            found[id(call)] = Item(short(call.func), call)
    if found:
        title = unit.options.target.facts.title
        message = f"the optimizer is passed to {listed(unit.source, found.values())}: make sure that it takes {title}'s"
        yield Finding(GIVEN_AWAY, message, foremost(found.values()))


def _receiver(origins: Origins, use: ast.expr) -> ast.Call | None:
    """The call outside the file that an optimizer is passed to, alone or in a display."""
    module, node = origins.module, use
    parent = module.parent(node)
    while isinstance(parent, ast.keyword | ast.Starred | ast.Tuple | ast.List | ast.Dict):
        node, parent = parent, module.parent(parent)  # type: ignore[assignment]
    if not isinstance(parent, ast.Call) or parent.func is node or id(parent.func) in origins.gone:
        return None
    func = _looked_up(module, parent.func)
    root = root_of(func)
    if root is not None and module.builtin(root):
        return None
    own = module.function(parent) is not None or module.definition(func) is not None
    if own or (isinstance(func, ast.Attribute) and (func.attr in _KEEPS or module.instance(func.value) is not None)):
        return None
    return parent if Origin.PLAIN not in origins.of(func).origins else None


def _looked_up(module: Module, func: ast.expr) -> ast.expr:
    """`schedulers` for `getattr(schedulers, name)`, which gives what belongs where it does; anything else as it is."""
    getter = func.func if isinstance(func, ast.Call) and func.args else None
    if isinstance(func, ast.Call) and getter is not None and module.builtin(getter) == "getattr":
        return func if module.self_class(func.args[0]) is not None else func.args[0]
    return func
