"""Scopes of a file and their symbols, as Python has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum, auto


class ScopeKind(Enum):
    MODULE = auto()
    FUNCTION = auto()  # a comprehension and a lambda as well
    CLASS = auto()
    TYPES = auto()  # type parameters, which see the names of a class around them


class Scope:
    """A scope with its own symbols.

    `binders` are the nodes that bind, annotate or delete a name: a Name, arg, alias, function, class, except clause or
    pattern. `uses` are the names read here. `declared` are those that are global or nonlocal.
    """

    __slots__ = ("binders", "declared", "in_class", "kind", "node", "parent", "stars", "uses")

    def __init__(self, kind: ScopeKind, node: ast.AST, parent: Scope | None) -> None:
        self.kind = kind
        self.node = node
        self.parent = parent
        self.in_class: bool = kind is ScopeKind.CLASS or (parent is not None and parent.in_class)
        self.binders: dict[str, list[ast.AST]] = {}
        self.uses: dict[str, list[ast.Name]] = {}
        self.declared: dict[str, type[ast.Global] | type[ast.Nonlocal]] = {}
        self.stars: list[ast.ImportFrom] = []

    def owner(self, name: str) -> Scope | None:
        """The scope whose symbol a name stands for that is read here; None where the file does not bind it."""
        scope: Scope | None = self
        visible = True
        while scope is not None:
            if visible:
                declared = scope.declared.get(name)
                if declared is ast.Global:
                    module = scope.module
                    return module if name in module.binders else None
                if declared is None and name in scope.binders:
                    return scope
            inner, scope = scope, scope.parent
            visible = scope is not None and (scope.kind is not ScopeKind.CLASS or inner.kind is ScopeKind.TYPES)
        return None

    @property
    def module(self) -> Scope:
        return next(scope for scope in self.enclosing() if scope.parent is None)

    def enclosing(self) -> Iterator[Scope]:
        """This scope and those around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def spelled(self, name: str) -> str:
        """A private name as Python spells it inside a class, any other name as it is."""
        if not self.in_class or name[:2] != "__" or name.endswith("__"):
            return name
        owner = next((item.node for item in self.enclosing() if isinstance(item.node, ast.ClassDef)), None)
        prefix = owner.name.lstrip("_") if isinstance(owner, ast.ClassDef) else ""
        return f"_{prefix}{name}" if prefix else name
