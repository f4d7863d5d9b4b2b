"""Optimizers that are constructed for a wrapper which the target does not have: translated alone, they would not fit it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from optmap.diagnostics import UNEDITABLE
from optmap.mapping.derive import candidates
from optmap.source.syntax import argument_values
from optmap.translate.discover.sites import WRAPPED, CallSite
from optmap.translate.findings import Finding
from optmap.translate.prefilter import names_packages
from optmap.translate.unit import Member, Outcome, Unit, Veto


def run(unit: Unit, before: Outcome) -> Outcome:
    """Veto each optimizer that goes into a wrapper without counterpart.

    The values that reach the wrapper's argument may be its call, or an expression that its call is a part of.
    """
    found: dict[Member, Veto] = {}
    tracer = _Tracer(unit)
    for name, call, wrapped in _wrappers(unit):
        target = unit.options.target.facts.title
        reason = f"is wrapped by {name} on line {call.lineno}, which {target} lacks: take the wrapper away first"
        for site in tracer.wrapped_by(wrapped):
            finding = Finding(UNEDITABLE, f"the optimizer {reason}", site.node, str(site.api.at))
            found.setdefault(id(site.node), Veto(reason, finding))
    return before._replace(vetoes={**found, **before.vetoes})


def _wrappers(unit: Unit) -> Iterator[tuple[str, ast.Call, list[ast.expr]]]:
    """The wrappers that the target lacks: the name, the call and the arguments that may be what it wraps."""
    for site in unit.sites.calls:
        if WRAPPED in site.api.by_tie and not candidates(unit.tables, site.api, unit.options.target):
            given = site.given(site.api.by_tie[WRAPPED].name)
            yield site.api.name, site.node, [given] if given is not None else []
    if names_packages(unit.source, unit.options.sources, unit.tables.extra):
        from optmap.translate.surroundings.foreign import uses

        for use in uses(unit):
            if use.call is not None and use.package.role == "wrapper":
                yield use.member, use.call, argument_values(use.call)


class _Tracer:
    """Follows what a wrapper wraps back to where it was constructed."""

    def __init__(self, unit: Unit) -> None:
        self.module = unit.sites.module
        self.sites = {id(site.node): site for site in unit.sites.calls}

    def wrapped_by(self, arguments: Iterable[ast.expr]) -> Iterator[CallSite]:
        """Optimizers that the arguments may construct, hold or contain."""
        pending = list(arguments)
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
