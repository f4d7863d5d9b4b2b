"""Scopes, what binds names in them, and which dotted paths an expression may stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from optmap.source.syntax import chain_of as chain_of


class ScopeKind(Enum):
    MODULE = auto()
    FUNCTION = auto()
    CLASS = auto()


class Binding(NamedTuple):
    """One way a name gets its value: an import of `path`, another name's chain (`alias`), or anything else.

    `value` is what a plain assignment assigns.
    """

    node: ast.AST
    path: str | None = None
    alias: ast.expr | None = None
    harmless: bool = False
    value: ast.expr | None = None


@dataclass(eq=False)
class Scope:
    """A module, function, class, lambda or comprehension, with the bindings of the names that are followed."""

    kind: ScopeKind
    node: ast.AST
    parent: Scope | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)

    def owner(self, name: str) -> Scope | None:
        """The scope whose binding of the name is seen from here; None where the name is not bound."""
        scope: Scope | None = self
        if self.elsewhere.get(name) == "global":
            scope = self.module
            return scope if name in scope.bindings else None
        while scope is not None:
            visible = scope is self or scope.kind is not ScopeKind.CLASS
            if visible and name in scope.bindings and name not in scope.elsewhere:
                return scope
            scope = scope.parent
        return None

    @property
    def module(self) -> Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def enclosing(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


class Reference(NamedTuple):
    """An attribute chain or a name, as long as it goes, with the nodes around it, outermost first."""

    node: ast.expr
    chain: tuple[str, ...]
    scope: Scope
    ancestors: tuple[ast.AST, ...]


class TextMention(NamedTuple):
    """A string constant that is a dotted name."""

    node: ast.Constant
    ancestors: tuple[ast.AST, ...]


class ImportedName(NamedTuple):
    """One name of an import statement: `local` is what it binds, `path` what that stands for."""

    statement: ast.Import | ast.ImportFrom
    index: int  # type: ignore[assignment]
    local: str
    path: str
    scope: Scope
    ancestors: tuple[ast.AST, ...]


@dataclass
class Names:
    """What a file says about the names of interest."""

    module: Scope
    scopes: list[Scope] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    mentions: list[TextMention] = field(default_factory=list)
    imports: list[ImportedName] = field(default_factory=list)
    uses: dict[str, list[tuple[ast.Name, Scope]]] = field(default_factory=dict)
    stars: list[tuple[str, Scope]] = field(default_factory=list)

    def paths(
        self, chain: tuple[str, ...], scope: Scope, at: ast.AST | None = None, seen: frozenset[int] = frozenset()
    ) -> frozenset[str | None]:
        """Return every dotted path that the chain may stand for; None stands for something unknown.

        `at` is where the chain stands; without it the order of the bindings is not looked at.
        """
        owner = scope.owner(chain[0])
        if owner is None:
            return frozenset()
        found: set[str | None] = set()
        for binding in _in_force(owner, owner.bindings[chain[0]], scope, at):
            if binding.harmless or id(binding) in seen:
                continue
            if binding.path is not None:
                found.add(".".join((binding.path, *chain[1:])))
            elif binding.alias is not None and (inner := chain_of(binding.alias)) is not None:
                found |= self.paths(inner + chain[1:], owner, binding.node, seen | {id(binding)}) or {None}
            else:
                found.add(None)
        return frozenset(found)


def _in_force(owner: Scope, bindings: list[Binding], scope: Scope, at: ast.AST | None) -> list[Binding]:
    """The last binding before a place that runs in order with all of them; every binding where the order is not known.

    The order is known where each is a statement of the scope's own body, not of a branch or a loop, and the place runs as
    part of that body, not of a function that may be called at any time.
    """
    if len(bindings) < 2 or at is None or not _runs_within(scope, owner):
        return bindings
    direct = {id(statement) for statement in getattr(owner.node, "body", ())}
    if not all(id(binding.node) in direct for binding in bindings):
        return bindings
    before = [binding for binding in bindings if _end(binding.node) <= (at.lineno, at.col_offset)]  # type: ignore[attr-defined]
    return before[-1:] or bindings


def _runs_within(scope: Scope, owner: Scope) -> bool:
    """Tell whether the code of a scope runs where it stands in the owner: the owner itself, or a class body in it."""
    while scope is not owner and scope.kind is ScopeKind.CLASS and scope.parent is not None:
        scope = scope.parent
    return scope is owner


def _end(node: ast.AST) -> tuple[int, int]:
    return node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
