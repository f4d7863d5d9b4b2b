"""Optimizers that are constructed for a wrapper which the target does not have: translated alone, they would not fit it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optmap.diagnostics import UNEDITABLE
from optmap.mapping.derive import candidates
from optmap.source.bind import Signature, bind
from optmap.translate.discover.sites import WRAPPED, CallSite
from optmap.translate.findings import Finding
from optmap.translate.unit import Member, Outcome, Unit, Veto


def run(unit: Unit, before: Outcome) -> Outcome:
    """Veto each optimizer that goes into a wrapper without counterpart.

    The values that reach the wrapper's argument may be its call, or an expression that its call is a part of.
    """
    found: dict[Member, Veto] = {}
    tracer = _Tracer(unit)
    for wrapper in unit.sites.calls:
        if WRAPPED in wrapper.api.by_tie and not candidates(unit.tables, wrapper.api, unit.options.target):
            reason = (
                f"is wrapped by {wrapper.api.name} on line {wrapper.node.lineno}, which has no counterpart in "
                f"{unit.options.target} and would not take another framework's optimizer: take the wrapper away first"
            )
            for site in tracer.wrapped_by(wrapper):
                finding = Finding(UNEDITABLE, f"{site.api.name} {reason}", site.node, str(site.api.at))
                found.setdefault(id(site.node), Veto(reason, finding))
    return before._replace(vetoes={**found, **before.vetoes})


class _Tracer:
    """Follows what a wrapper wraps back to where it was constructed."""

    def __init__(self, unit: Unit) -> None:
        self.module = unit.sites.module
        self.sites = {id(site.node): site for site in unit.sites.calls}

    def wrapped_by(self, wrapper: CallSite) -> Iterator[CallSite]:
        """Optimizers that the wrapper's argument may construct, hold or contain."""
        argument = bind(Signature(wrapper.api.current, wrapper.api.by_name), wrapper.node).get(_parameter(wrapper))
        pending = [argument.value] if argument is not None and argument.index is not None else []
        seen: set[int] = set()
        while pending:
            for node in self.module.reaching(pending.pop()).values:
                site = self.sites.get(id(node))
                if id(node) in seen:
                    continue
                seen.add(id(node))
                if site is not None and WRAPPED not in site.api.by_tie:
                    yield site
                else:  # what an optimizer is constructed from is not wrapped
                    pending += [*_parts(node), *self._items(node)]

    def _items(self, node: ast.expr) -> Iterator[ast.expr]:
        """What is assigned to items of the variables that hold a list or dictionary."""
        holder = self.module.holder(node)
        for use in holder.uses if holder is not None else ():
            item = self.module.parent(use)
            statement = self.module.parent(item) if isinstance(item, ast.Subscript) and item.value is use else None
            if isinstance(statement, ast.Assign) and item in statement.targets:
                yield statement.value


def _parameter(wrapper: CallSite) -> str:
    """The parameter that takes what a wrapper wraps."""
    return wrapper.api.by_tie[WRAPPED].name


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The expressions directly in another one, but for the bodies of functions."""
    if isinstance(node, ast.Lambda):
        return
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.expr):
            yield inner
        elif isinstance(inner, ast.keyword):
            yield inner.value
        elif isinstance(inner, ast.comprehension):
            yield inner.iter
