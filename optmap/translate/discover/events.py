"""Variables that hold optimizers, and what is done with them."""

from __future__ import annotations

import ast
from typing import NamedTuple

from optmap.mapping.frameworks import Kind
from optmap.mapping.model import Framework
from optmap.source.scopes import chain_of
from optmap.translate.discover.sites import CallSite

Block = list[ast.stmt]


class Holder(NamedTuple):
    """A variable that holds an optimizer and nothing else: `optimizer`, `self.optimizer`, or a function's parameter.

    `place` is the function, class or module whose variable it is. `doubt` says why it may hold something else. `models`
    are the variables there whose parameters it trains; None where they cannot be named.
    """

    chain: tuple[str, ...]
    place: ast.AST
    sites: tuple[CallSite, ...]
    doubt: str | None = None
    models: tuple[tuple[str, ...], ...] | None = None

    @property
    def text(self) -> str:
        return ".".join(self.chain)


class Event(NamedTuple):
    """One use of an optimizer: the call, and the nodes around it, outermost first. Without a holder it is used in place."""

    kind: Kind
    call: ast.Call
    ancestors: tuple[ast.AST, ...]
    holder: Holder | None
    site: CallSite


def called_kind(call: ast.Call, optimizer: ast.expr, framework: Framework) -> Kind | None:
    """What a call does that is given the optimizer, or that calls it."""
    chain = chain_of(call.func) or ((call.func.attr,) if isinstance(call.func, ast.Attribute) else ("",))
    steps = framework.facts.steps
    if call.func is optimizer:
        return steps.called
    method = f".{chain[-1]}" if isinstance(call.func, ast.Attribute) else None
    return steps.given.get(chain[-1]) or (steps.given.get(method) if method else None)


def in_place(site: CallSite) -> Event | None:
    """`X(...).minimize(loss)`, `model.compile(optimizer=X(...))` and their like: the optimizer gets no name."""
    parents = [node for node in site.ancestors[:-1] if not isinstance(node, ast.keyword)]
    if not parents:
        return None
    parent = parents[-1]
    if isinstance(parent, ast.Attribute) and len(parents) > 1:
        kind = site.api.framework.facts.steps.methods.get(parent.attr)
        call = parents[-2]
        if kind is not None and isinstance(call, ast.Call) and call.func is parent:
            return Event(kind, call, tuple(parents[:-2]), None, site)
    if isinstance(parent, ast.Call):
        kind = called_kind(parent, site.node, site.api.framework)
        if kind is not None:
            return Event(kind, parent, tuple(parents[:-1]), None, site)
    return None
