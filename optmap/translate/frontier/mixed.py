"""Rewritten training steps and models that would hold both frameworks: such a rewrite is refused, with the first cause."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from optmap.source.changes import Change, Replace
from optmap.source.syntax import argument_values
from optmap.source.templates import Template
from optmap.translate.frontier.code import RewrittenCode
from optmap.translate.frontier.contexts import callers_contexts
from optmap.translate.frontier.listing import short
from optmap.translate.frontier.origins import Origin, Origins, Provenance
from optmap.translate.frontier.sorts import Sort
from optmap.translate.steps.reasons import Reason, Why, because
from optmap.translate.unit import STEPS, Rewritten, Unit, Veto, Vetoes, alone


def refusals(unit: Unit, steps: Sequence[Rewritten], code: RewrittenCode) -> Vetoes:
    """What must not be rewritten: all steps of the file, or single names and calls beside them."""
    changes, origins = [change for item in steps for change in item.changes], code.origins
    reason = next(_contexts(code), None) or code.mixture()
    if reason is not None:
        return {STEPS: Veto(str(reason))}
    mixed = [node for item in steps for node in item.gone if _meets_source(origins, node)]
    lacking = (item.facts.models.lacking.get(unit.options.target, {}) for item in origins.by_root.values())
    mixed += _converted(changes, origins, frozenset(word for words in lacking for word in words))
    beside = (node for node in mixed if id(node) not in code.nodes and id(node) not in origins.made)
    titles = " or ".join(dict.fromkeys(item.facts.title for item in origins.by_root.values()))
    return {alone(node): Veto(f"it works on values of {titles}") for node in beside}


def _contexts(code: RewrittenCode) -> Iterator[Reason]:
    """The contexts of the source that steps run under, and what the file sets for all of its code."""
    for node in code.places:
        for item in callers_contexts(code.origins, node):
            yield because(Why.CONTEXT, context=item.text, line=item.line)
    for reference, sort in code.references() if code.places else ():
        if sort is Sort.SETTING:
            yield because(Why.CONTEXT, context=short(reference), line=reference.lineno)


def _meets_source(origins: Origins, node: ast.expr) -> bool:
    """Tell whether what a name gives, or what it is called with, surely meets values that stay the source's."""
    module = origins.module
    if (call := module.call_of(node)) is not None:
        if any(_is_source(origins.of(part)) for item in argument_values(call) for part in _parts(item)):
            return True
        node = call
    while isinstance(parent := module.parent(node), ast.BinOp | ast.List | ast.Tuple | ast.Set | ast.Starred):
        if isinstance(parent, ast.BinOp) and _is_source(
            origins.of(parent.right if parent.left is node else parent.left)
        ):
            return True
        node = parent
    taking = module.call_with(node)
    return taking is not None and _is_source(origins.of(taking.func))


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """An expression, and what it is computed of or holds for sure."""
    yield node
    inside = [node.left, node.right] if isinstance(node, ast.BinOp) else getattr(node, "elts", ())
    for item in (node.value,) if isinstance(node, ast.Starred) else inside:
        yield from _parts(item)


def _is_source(value: Provenance) -> bool:
    return Origin.SOURCE in value.origins and Origin.TARGET not in value.origins


def _converted(changes: Sequence[Change], origins: Origins, words: Collection[str]) -> Iterator[ast.expr]:
    """The calls that become methods which the values that they are asked of lack."""
    for change in changes:
        node, new = (change.node, change.template) if isinstance(change, Replace) else (None, None)
        asked = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        converts = isinstance(new, Template) and any(f".{word}(" in new.text for word in words)
        if asked is not None and converts and isinstance(node, ast.expr) and _is_source(origins.of(asked)):
            yield node
