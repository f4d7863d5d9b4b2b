"""Variables: what binds a name or an attribute of self, and every place that reads it. Flow-insensitive."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from functools import cached_property
from typing import Any, Final

from optmap.source.scopes import Scope, ScopeKind
from optmap.source.symbols import Index
from optmap.source.syntax import Comprehension, Function, imported_name, positional
from optmap.values import NamedTuple

Loop = ast.For | ast.AsyncFor | ast.comprehension
_OPENING: Final = frozenset(
    (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
     ast.GeneratorExp, ast.comprehension)
)  # fmt: skip
"""What opens a scope, or is a part of that."""


class How(Enum):
    """How a binding gives a variable its value."""

    ASSIGNED = auto()  # `value` is all of it
    UNPACKED = auto()  # the element of `value` at the place `element`
    LOOP = auto()  # each item of `value`, or the element of each at the place `element`
    PARAMETER = auto()  # what callers pass
    IMPORT = auto()  # `path`
    DEFINITION = auto()  # a function or a class
    AUGMENTED = auto()  # what the variable held, changed by `value`
    WITH = auto()  # what entering `value` gives
    OUTSIDE = auto()  # an attribute is set, or may be set, by code that does not speak of it as its own
    HIDDEN = auto()  # an exception, a pattern, a deeper or a starred part of `value`


class Binding(NamedTuple):
    """One way a variable gets its value.

    `target` is the node that binds: a Name or an Attribute, a function, a class, an `ast.arg`, an `ast.alias`, an except
    clause, a pattern. `value` is the expression that the value comes from, in the way that `how` says; None where there is
    none. `loop` is what makes the variable run over the value. `path` is what an import stands for.
    """

    target: ast.AST
    how: How
    value: ast.expr | None = None
    element: int | None = None
    loop: Loop | None = None
    path: str | None = None

    @property
    def is_none(self) -> bool:
        """Tell whether the variable is only set to None."""
        return self.how is How.ASSIGNED and isinstance(self.value, ast.Constant) and self.value.value is None

    @property
    def whole(self) -> ast.expr | None:
        """The expression that alone gives the variable its value; None where there is none."""
        value, place = self.value, self.element
        if self.how is How.UNPACKED and isinstance(value, (ast.Tuple, ast.List)) and place is not None:
            return value.elts[place] if place < len(value.elts) else None
        return value if self.how is How.ASSIGNED else None


class Variable:
    """A variable: a local, global or parameter (`chain` is its name), `self.x`, or a class attribute (`("x",)`).

    Two places mean the same variable if they have the same object. `scope` is the node that the variable belongs to: a
    Module, function, lambda, comprehension or class. `bindings` are all its bindings, in the order of the text; deleting
    and annotating bind nothing. `uses` are the places that read it: Names, or Attributes such as `self.x` as a whole; of an
    attribute also those of other objects, which may be the same.
    """

    __slots__ = ("__dict__", "_places", "bindings", "chain", "owner", "scope")

    def __init__(
        self, owner: Scope, chain: tuple[str, ...], bindings: tuple[Binding, ...], places: Sequence[Sequence[ast.expr]]
    ) -> None:
        self.owner = owner
        self.scope = owner.node
        self.chain = chain
        self.bindings = bindings
        self._places = places

    def __repr__(self) -> str:
        return f"<Variable {self.text} of {type(self.scope).__name__}>"

    @property
    def text(self) -> str:
        """How the variable is written."""
        return ".".join(self.chain)

    @cached_property
    def uses(self) -> tuple[ast.expr, ...]:
        """Every place that reads the variable, in the order of the text."""
        reads = (node for nodes in self._places for node in nodes if isinstance(node.ctx, ast.Load))  # type: ignore[attr-defined]
        return tuple(sorted(reads, key=position))

    @cached_property
    def is_plain(self) -> bool:
        """Tell whether the variable is bound by no import and no definition."""
        return not any(item.how in (How.IMPORT, How.DEFINITION) for item in self.bindings)

    @cached_property
    def grows(self) -> bool:
        """Tell whether there is a binding such as `x += value`, which may keep the value and change it."""
        return any(item.how is How.AUGMENTED for item in self.bindings)


class Symbols:
    """Variables of one index, found by the places that mention them."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._scopes: dict[int, Scope] = {}
        self._named_by: dict[int, Variable | None] = {}
        self._variables: dict[tuple[int, str], Variable] = {}
        self._reads: dict[str, dict[int, list[ast.Name]]] = {}

    def scope(self, node: ast.AST) -> Scope:
        """The scope that a node is evaluated in; of a parameter that of its function, of a definition the one around it."""
        parents, opened = self.index.parents, self.index.opened
        if isinstance(node, ast.arg):
            return opened[id(parents[id(parents[id(node)])])]
        passed: list[int] = []
        found = self._scopes.get(id(node))
        inner = node
        while found is None:
            passed.append(id(inner))
            outer = parents.get(id(inner))
            if outer is None:
                found = self.index.module
                break
            found = self._opened(outer, inner)
            if found is None:
                found = self._scopes.get(id(outer))
            inner = outer
        for item in passed:
            self._scopes[item] = found
        return found

    def _opened(self, outer: ast.AST, inner: ast.AST) -> Scope | None:
        """The scope of `outer` that `inner`, directly below it, is evaluated in; None where it opens none for that."""
        if outer.__class__ not in _OPENING and not self.index.typed:  # most nodes
            return None
        if isinstance(outer, ast.comprehension):
            around = self.index.parents[id(outer)]
            first = isinstance(around, Comprehension) and around.generators[0] is outer
            return None if first and outer.iter is inner else self.index.opened[id(around)]
        if isinstance(outer, ast.Lambda):
            return self.index.opened[id(outer)] if inner is outer.body else None
        if isinstance(outer, Comprehension):
            return self.index.opened[id(outer)] if not isinstance(inner, ast.comprehension) else None
        if isinstance(outer, (Function, ast.ClassDef, ast.Module)) and isinstance(inner, ast.stmt):
            return self.index.opened[id(outer)]
        if isinstance(outer, ast.arg) and self.index.typed:
            return self.index.typed.get(id(self.index.parents[id(self.index.parents[id(outer)])]))
        if id(outer) in self.index.typed and not isinstance(inner, ast.arguments):
            decorators: list[ast.expr] = getattr(outer, "decorator_list", [])
            name = getattr(outer, "name", None)
            if inner is not name and not any(inner is item for item in decorators):
                return self.index.typed[id(outer)]
        return None

    def bound(self, name: str, at: ast.AST) -> Variable | None:
        """The variable that a name stands for where it is read at a place; None where the file does not bind it."""
        scope = self.scope(at)
        return self._named(scope.owner(spelled), spelled) if (spelled := scope.spelled(name)) else None

    def named(self, node: ast.AST) -> Variable | None:
        """The variable of a Name, or of what binds one: a parameter, definition, import, except clause or pattern."""
        parent = self.index.parents.get(id(node))
        if isinstance(node, ast.Name):
            if parent is None:  # a node that was made
                return self.bound(node.id, node)
            if id(node) not in self._named_by:
                self._named_by[id(node)] = self.bound(node.id, node)
            return self._named_by[id(node)]
        name: str | None
        if isinstance(node, ast.alias) and isinstance(parent, (ast.Import, ast.ImportFrom)):
            name = imported_name(parent, node)[0]
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.MatchMapping):
            name = node.rest
        else:
            name = getattr(node, "name", None)
        return self.bound(name, node) if isinstance(name, str) else None

    def in_class(self, owner: ast.ClassDef, name: str) -> Variable | None:
        """The variable of a class's own body."""
        scope = self.index.opened[id(owner)]
        spelled = scope.spelled(name)
        return self._named(scope, spelled) if spelled in scope.binders else None

    def _named(self, owner: Scope | None, name: str) -> Variable | None:
        if owner is None:
            return None
        key = (id(owner), name)
        found = self._variables.get(key)
        if found is None:
            binders = sorted(owner.binders[name], key=position)
            bindings = tuple(item for node in binders if (item := self.binding(node)) is not None)
            reads = self._readers(name).get(id(owner), [])
            found = self._variables[key] = Variable(owner, (name,), bindings, [reads])
        return found

    def _readers(self, name: str) -> dict[int, list[ast.Name]]:
        """The reads of a name by the id of the scope whose symbol they mean."""
        found = self._reads.get(name)
        if found is None:
            found = self._reads[name] = {}
            for scope in self.index.mentioned.get(name, ()):
                owner = scope.owner(name)
                if owner is not None:
                    found.setdefault(id(owner), []).extend(scope.uses[name])
        return found

    def binding(self, node: ast.AST) -> Binding | None:
        """What a node that binds a name or an attribute gives it; None for `del` and a bare annotation."""
        parent = self.index.parents.get(id(node))
        if isinstance(node, ast.arg):
            return Binding(node, How.PARAMETER)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return Binding(node, How.DEFINITION)
        if isinstance(node, ast.alias) and isinstance(parent, (ast.Import, ast.ImportFrom)):
            return Binding(node, How.IMPORT, path=imported_name(parent, node)[1])
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return Binding(node, How.HIDDEN)
        if isinstance(node.ctx, ast.Del):
            return None
        return self._target(node, parent)

    def _target(self, node: ast.Name | ast.Attribute, parent: ast.AST | None) -> Binding | None:
        element: int | None = None
        plain, inner = True, node
        while isinstance(parent, (ast.Tuple, ast.List, ast.Starred)):
            plain = plain and inner is node and not isinstance(parent, ast.Starred)
            if plain and isinstance(parent, (ast.Tuple, ast.List)):
                element = _place(parent.elts, node)
                plain = element is not None
            inner, parent = parent, self.index.parents.get(id(parent))  # type: ignore[assignment]
        if isinstance(parent, ast.For | ast.AsyncFor | ast.comprehension):
            how = How.LOOP if plain else How.HIDDEN
            return Binding(node, how, parent.iter, element if plain else None, parent)
        if isinstance(parent, ast.AnnAssign) and parent.value is None:
            return None
        if isinstance(parent, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
            how = How.HIDDEN if not plain else How.ASSIGNED if element is None else How.UNPACKED
            return Binding(node, how, parent.value, element if plain else None)
        if isinstance(parent, ast.AugAssign):
            return Binding(node, How.AUGMENTED, parent.value)
        if isinstance(parent, ast.withitem):
            return Binding(node, How.WITH if element is None and plain else How.HIDDEN, parent.context_expr)
        return Binding(node, How.HIDDEN)

    def self_class(self, node: ast.AST) -> ast.ClassDef | None:
        """The class whose method has this name as its first parameter, which nothing else binds: `self`, or `cls`."""
        owner = self.scope(node).owner(node.id) if isinstance(node, ast.Name) else None
        if owner is None or not isinstance(owner.node, Function) or not isinstance(node, ast.Name):
            return None
        around = next(item for item in owner.enclosing() if item is not owner and item.kind is not ScopeKind.TYPES)
        first = positional(owner.node.args)[:1]
        if not isinstance(around.node, ast.ClassDef) or owner.binders[node.id] != first:
            return None
        return None if is_static(owner.node) else around.node


def is_static(function: ast.AST) -> bool:
    """Tell whether a function is decorated as a static method."""
    decorators: Sequence[ast.expr] = getattr(function, "decorator_list", ())
    return any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in decorators)


def _place(nodes: Sequence[ast.expr], node: ast.AST) -> int | None:
    """The place of an element in a target; None behind a starred one."""
    for place, item in enumerate(nodes):
        if item is node:
            return place
        if isinstance(item, ast.Starred):
            return None
    return None


def position(node: Any) -> tuple[int, int]:
    """Where a node begins: line, and column in bytes."""
    try:
        return node.lineno, node.col_offset
    except AttributeError:  # some kinds have no places
        return 0, 0


def climb(index: Index, node: ast.AST) -> Iterator[ast.AST]:
    """The nodes around a node, innermost first."""
    outer = index.parents.get(id(node))
    while outer is not None:
        yield outer
        outer = index.parents.get(id(outer))
