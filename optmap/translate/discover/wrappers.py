"""Optimizers that are constructed for a wrapper which the target does not have: translated alone, they would not fit it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.diagnostics import UNEDITABLE
from optmap.mapping.derive import candidates
from optmap.source.names import Interest, collect, statements
from optmap.source.scopes import chain_of
from optmap.source.text import Source
from optmap.translate.discover.sites import WRAPPED, CallSite, Sites
from optmap.translate.findings import Finding
from optmap.translate.unit import Member, Outcome, Unit, Veto

Places = tuple[ast.AST, ...]
"""The nodes of a scope and of those around it, innermost first."""


def run(unit: Unit, before: Outcome) -> Outcome:
    """Veto each optimizer that goes into a wrapper without counterpart.

    Its call stands inside the wrapper's, or what it returns is assigned to a name, an attribute or a subscript, or
    returned by a function of this file, that the wrapper's call mentions as what it wraps.
    """
    found: dict[Member, Veto] = {}
    tracer = _Tracer(unit.source, unit.sites)
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

    def __init__(self, source: Source, sites: Sites) -> None:
        self.source = source
        self.sites = {id(site.node): site for site in sites.calls}
        self.seen: set[tuple[tuple[str, ...], int]] = set()

    def wrapped_by(self, site: CallSite) -> Iterator[CallSite]:
        self.seen = set()
        places = tuple(scope.node for scope in site.scope.enclosing())
        argument = _wrapped_argument(site)
        if argument is not None:
            yield from self._inside(argument, places, site)

    def _inside(self, node: ast.AST, places: Places, wrapper: CallSite) -> Iterator[CallSite]:
        """Optimizers that an expression constructs or mentions; what they are constructed from is their own affair."""
        site = self.sites.get(id(node))
        if site is not None and WRAPPED not in site.api.by_tie:
            yield site
            return
        if isinstance(node, ast.Lambda):
            return
        chain = chain_of(node) if isinstance(node, ast.Name | ast.Attribute) else None
        if chain is not None:
            yield from self._held(chain, places, wrapper)
            return
        for inner in ast.iter_child_nodes(node):
            yield from self._inside(inner, places, wrapper)

    def _held(self, chain: tuple[str, ...], places: Places, wrapper: CallSite) -> Iterator[CallSite]:
        """Optimizers that may be behind a name or an attribute."""
        owner = self._owner(chain, places, wrapper)
        if not owner or (chain, id(owner[0])) in self.seen:
            return
        self.seen.add((chain, id(owner[0])))
        for node in self._statements(owner[0], chain):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == chain[-1]:
                for inner in statements(node.body, same_scope=True):
                    if isinstance(inner, ast.Return) and inner.value is not None:
                        yield from self._inside(inner.value, (node, *owner), wrapper)
            for value in _assigned(node, chain):
                yield from self._inside(value, owner if len(chain) == 1 else places, wrapper)
        for value in self._passed(owner[0], chain):
            yield from self._inside(value, (self.source.tree,), wrapper)

    def _passed(self, function: ast.AST, chain: tuple[str, ...]) -> Iterator[ast.expr]:
        """What calls of a function of this file pass as the parameter of that name."""
        if len(chain) > 1 or not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        names = [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]
        for call in self.source.nodes:
            if not isinstance(call, ast.Call):
                continue
            method = isinstance(call.func, ast.Attribute)
            if getattr(call.func, "attr", getattr(call.func, "id", None)) != function.name:
                continue
            bound = names[1:] if method and names[:1] == ["self"] else names
            yield from (value for name, value in zip(bound, call.args, strict=False) if name == chain[0])
            yield from (keyword.value for keyword in call.keywords if keyword.arg == chain[0])

    def _owner(self, chain: tuple[str, ...], places: Places, wrapper: CallSite) -> Places:
        """The scope that the first name belongs to, with those around it; of `self`, the class."""
        if len(chain) > 1:
            classes = [node for node in wrapper.ancestors if isinstance(node, ast.ClassDef)]
            return (classes[-1],) if chain[0] == "self" and classes else (self.source.tree,)
        names = collect(self.source, Interest(frozenset(), (), string_hint="\0"), {chain[0]})
        scopes = {id(scope.node): scope for scope in names.scopes}
        here = next((scopes[id(place)] for place in places if id(place) in scopes), None)
        scope = here.owner(chain[0]) if here is not None else None
        return tuple(item.node for item in scope.enclosing()) if scope is not None else ()

    def _statements(self, owner: ast.AST, chain: tuple[str, ...]) -> Iterator[ast.AST]:
        """Statements that may bind: of a name those of its own scope, of an attribute all below."""
        if len(chain) > 1 or not isinstance(owner, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from ast.walk(owner)
            return
        for node in statements([*owner.body, *self._global_in(owner, chain[0])], same_scope=True):
            yield node
            yield from (inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.NamedExpr))

    def _global_in(self, owner: ast.AST, name: str) -> Iterator[ast.AST]:
        """The bodies of functions that declare a name of the module global."""
        for node in self.source.nodes if owner is self.source.tree else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                isinstance(inner, ast.Global) and name in inner.names for inner in statements(node.body)
            ):
                yield from node.body


def _wrapped_argument(site: CallSite) -> ast.expr | None:
    """The argument that holds what a wrapper wraps."""
    parameter = site.api.by_tie[WRAPPED]
    for keyword in site.node.keywords:
        if keyword.arg == parameter.name:
            return keyword.value
    position = [row.name for row in site.api.current if not row.keyword_only].index(parameter.name)
    return site.node.args[position] if position < len(site.node.args) else None


_BINDERS: Final = (ast.AnnAssign, ast.NamedExpr, ast.AugAssign, ast.For, ast.AsyncFor, ast.comprehension)


def _assigned(node: ast.AST, chain: tuple[str, ...]) -> Iterator[ast.expr]:
    """The value that a statement or expression gives to the chain, to an element of it, or to it among others."""
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, _BINDERS):
        targets = [node.target]
    else:
        return
    value = node.iter if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) else node.value
    flat = [
        item for target in targets for item in (target.elts if isinstance(target, ast.Tuple | ast.List) else [target])
    ]
    bases = [target.value if isinstance(target, ast.Subscript) else target for target in flat]
    if value is not None and any(chain_of(base) == chain for base in bases):
        yield value
