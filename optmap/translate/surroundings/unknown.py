"""The net below the tables: uses of translated optimizers that no row knows."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from optmap.diagnostics import UNKNOWN_USE
from optmap.source.model import Module
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of
from optmap.translate.discover.events import done_with
from optmap.translate.findings import Finding
from optmap.translate.unit import Translation
from optmap.values import NamedTuple


class OptimizerUse(NamedTuple):
    """A place that reads a translated optimizer."""

    node: ast.expr
    made: Translation


def unknown_uses(module: Module, places: Collection[OptimizerUse], known: Collection[int]) -> Iterator[Finding]:
    """Yield a finding for each attribute that nothing else speaks of.

    `known` are the ids of attributes and calls that the tables or other passes understand.
    """
    for place in sorted(places, key=lambda item: (item.node.lineno, item.node.col_offset)):
        finding = _finding(module, place, known)
        if finding is not None:
            yield finding


def _finding(module: Module, place: OptimizerUse, known: Collection[int]) -> Finding | None:
    node, made = place
    parent = module.parent(node)
    call = module.call_of(node) or module.call_with(node)
    around = (node, parent, call, call.func if call is not None else None)
    if any(item is not None and id(item) in known for item in around) or list(
        done_with(module, node, made.site.api.framework)
    ):
        return None
    if isinstance(parent, ast.Attribute):
        return _attribute(module, node, parent.attr, made, sets=not isinstance(parent.ctx, ast.Load))
    return _by_name(module, node, call, made) if call is not None else None


def _attribute(module: Module, node: ast.expr, name: str, made: Translation, *, sets: bool) -> Finding:
    text = _shown(node)
    advice = "give the constructor the value instead" if sets else "see what it becomes"
    message = f"{text}.{name}: optmap does not know it of {made.target.name}; {advice}"
    return Finding(UNKNOWN_USE, message, module.statement(node) if sets else node)


def _by_name(module: Module, node: ast.expr, call: ast.Call, made: Translation) -> Finding | None:
    """`setattr(optimizer, "weight_decay", 0.1)`; other calls that are given an optimizer are the frontier's."""
    name = getattr(call.func, "id", "")
    if name == "vars" and call.args == [node]:
        return _attribute(module, node, "__dict__", made, sets=False)
    if name not in ("setattr", "getattr", "delattr") or call.args[:1] != [node] or len(call.args) < 2:
        return None
    given = call.args[1]
    attribute = str(given.value) if isinstance(given, ast.Constant) else "..."
    return _attribute(module, node, attribute, made, sets=name != "getattr")


def _shown(node: ast.expr) -> str:
    return ".".join(chain_of(node) or ("the optimizer",)) if root_of(node) is not None else "the optimizer"
