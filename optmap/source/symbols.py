"""The index of a file: what stands around each node, nodes by type, and the scopes with what they bind and read.

It is built by one walk with a stack of its own, so that neither depth nor length of an expression matters.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, Final

from optmap.source.scopes import Scope, ScopeKind
from optmap.source.syntax import Comprehension, fields_of, imported_name, parameters


class Index:
    """What one walk over a tree finds."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents: dict[int, ast.AST] = {}
        self.kinds: defaultdict[type[ast.AST], list[Any]] = defaultdict(list)
        self.module = Scope(ScopeKind.MODULE, tree, None)
        self.scopes: list[Scope] = [self.module]
        self.opened: dict[int, Scope] = {id(tree): self.module}
        """The scope that a node opens, by the node's id."""
        self.typed: dict[int, Scope] = {}
        """The scope of a node's type parameters, by the node's id."""
        self.mentioned: dict[str, list[Scope]] = {}
        """The scopes that read a name."""
        self._pending: list[tuple[Scope, list[ast.AST]]] = [(self.module, list(tree.body))]
        self.kinds[ast.Module].append(tree)
        self._adopt(tree, tree.body)
        while self._pending:
            self._walk(*self._pending.pop())
        self._finish()

    @cached_property
    def attributes(self) -> dict[str, list[ast.Attribute]]:
        """The attributes of each name, of whatever object, as they are written."""
        return _grouped(self.kinds[ast.Attribute], "attr")

    @cached_property
    def names(self) -> dict[str, list[ast.Name]]:
        """The names of each spelling, as they are written."""
        return _grouped(self.kinds[ast.Name], "id")

    def _walk(self, scope: Scope, stack: list[ast.AST]) -> None:
        """Go through nodes of one scope; inner scopes are left for later."""
        kinds, parents, uses, binders = self.kinds, self.parents, scope.uses, scope.binders
        names, attributes, constants = kinds[ast.Name], kinds[ast.Attribute], kinds[ast.Constant]
        Name, Attribute, Constant, Load = ast.Name, ast.Attribute, ast.Constant, ast.Load
        while stack:
            node: Any = stack.pop()
            kind: Any = node.__class__
            while kind is Attribute:
                attributes.append(node)
                parents[id(node.value)] = node
                node = node.value
                kind = node.__class__
            if kind is Name:
                names.append(node)
                table: Any = uses if node.ctx.__class__ is Load else binders
                if node.id in table:
                    table[node.id].append(node)
                else:
                    table[node.id] = [node]
                continue
            if kind is Constant:
                constants.append(node)
                continue
            kinds[kind].append(node)
            handler = _HANDLERS.get(kind)
            if handler is not None:
                handler(self, node, scope, stack)
                continue
            for value in (_CHILDREN.get(kind) or _children(kind))(node):
                if value.__class__ is list:
                    for item in value:
                        if item is not None:
                            parents[id(item)] = node
                            stack.append(item)
                elif value is not None:
                    parents[id(value)] = node
                    stack.append(value)

    def _adopt(self, parent: ast.AST, nodes: Iterable[ast.AST | None]) -> None:
        parents = self.parents
        for node in nodes:
            if node is not None:
                parents[id(node)] = parent

    def _add(self, parent: ast.AST, nodes: Iterable[ast.AST | None], stack: list[ast.AST]) -> None:
        """Children that are evaluated in the scope at hand."""
        for node in nodes:
            if node is not None:
                self.parents[id(node)] = parent
                stack.append(node)

    def _inner(self, kind: ScopeKind, node: ast.AST, parent: Scope, nodes: list[ast.AST]) -> Scope:
        """A scope inside another, and what is evaluated in it."""
        scope = Scope(kind, node, parent)
        self.scopes.append(scope)
        self.opened[id(node)] = scope
        self._pending.append((scope, nodes))
        return scope

    def _types(self, node: ast.AST, scope: Scope) -> Scope:
        """The scope of type parameters, if there are any; their bounds are walked in it."""
        given: list[ast.AST] = getattr(node, "type_params", [])
        if not given:
            return scope
        self._adopt(node, given)
        inner = Scope(ScopeKind.TYPES, node, scope)
        self.scopes.append(inner)
        self.typed[id(node)] = inner
        self._pending.append((inner, list(given)))
        return inner

    def _function(self, node: ast.FunctionDef, scope: Scope, stack: list[ast.AST]) -> None:
        scope.binders.setdefault(node.name, []).append(node)
        self._add(node, node.decorator_list, stack)
        types = self._types(node, scope)
        notes = stack if types is scope else []
        self._add(node, [node.returns], notes)
        self._adopt(node, node.body)
        inner = self._inner(ScopeKind.FUNCTION, node, types, list(node.body))
        self._arguments(node, node.args, inner, stack, notes)
        if notes is not stack:
            self._pending.append((types, notes))

    def _lambda(self, node: ast.Lambda, scope: Scope, stack: list[ast.AST]) -> None:
        self.parents[id(node.body)] = node
        inner = self._inner(ScopeKind.FUNCTION, node, scope, [node.body])
        self._arguments(node, node.args, inner, stack, stack)

    def _arguments(
        self, node: ast.AST, arguments: ast.arguments, inner: Scope, stack: list[ast.AST], notes: list[ast.AST]
    ) -> None:
        self.parents[id(arguments)] = node
        self.kinds[ast.arguments].append(arguments)
        self._add(arguments, (*arguments.defaults, *arguments.kw_defaults), stack)
        for item in parameters(arguments):
            self.parents[id(item)] = arguments
            self.kinds[ast.arg].append(item)
            inner.binders.setdefault(item.arg, []).append(item)
            self._add(item, [item.annotation], notes)

    def _class(self, node: ast.ClassDef, scope: Scope, stack: list[ast.AST]) -> None:
        scope.binders.setdefault(node.name, []).append(node)
        self._add(node, node.decorator_list, stack)
        types = self._types(node, scope)
        bases = stack if types is scope else []
        self._add(node, (*node.bases, *node.keywords), bases)
        if bases is not stack:
            self._pending.append((types, bases))
        self._adopt(node, node.body)
        self._inner(ScopeKind.CLASS, node, types, list(node.body))

    def _type_alias(self, node: Any, scope: Scope, stack: list[ast.AST]) -> None:
        self._add(node, [node.name], stack)
        self.parents[id(node.value)] = node
        self._pending.append((self._types(node, scope), [node.value]))

    def _type_parameter(self, node: Any, scope: Scope, stack: list[ast.AST]) -> None:
        scope.binders.setdefault(node.name, []).append(node)
        self._add(node, (getattr(node, "bound", None), getattr(node, "default_value", None)), stack)

    def _comprehension(self, node: Any, scope: Scope, stack: list[ast.AST]) -> None:
        """The first iterable is evaluated outside."""
        parts: list[ast.AST] = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._adopt(node, (*parts, *node.generators))
        self._inner(ScopeKind.FUNCTION, node, scope, parts)
        for position, generator in enumerate(node.generators):
            self.kinds[ast.comprehension].append(generator)
            self._add(generator, (generator.target, *generator.ifs), parts)
            self._add(generator, [generator.iter], parts if position else stack)

    def _annotated(self, node: ast.AnnAssign, scope: Scope, stack: list[ast.AST]) -> None:
        """`(name): T` binds nothing."""
        bare = not node.simple and node.value is None and isinstance(node.target, ast.Name)
        self._add(node, (node.annotation, node.value, None if bare else node.target), stack)
        if bare:
            self.parents[id(node.target)] = node
            self.kinds[ast.Name].append(node.target)

    def _named(self, node: ast.NamedExpr, scope: Scope, stack: list[ast.AST]) -> None:
        """In a comprehension, the name belongs to the scope around it."""
        self._add(node, [node.value], stack)
        self.parents[id(node.target)] = node
        self.kinds[ast.Name].append(node.target)
        while isinstance(scope.node, Comprehension) and scope.parent is not None:
            scope = scope.parent
        scope.binders.setdefault(node.target.id, []).append(node.target)

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope, stack: list[ast.AST]) -> None:
        for alias in node.names:
            self.parents[id(alias)] = node
            self.kinds[ast.alias].append(alias)
            local = imported_name(node, alias)[0]
            if local != "*":
                scope.binders.setdefault(local, []).append(alias)
            elif isinstance(node, ast.ImportFrom):
                scope.stars.append(node)

    def _declaration(self, node: ast.Global | ast.Nonlocal, scope: Scope, stack: list[ast.AST]) -> None:
        scope.declared.update(dict.fromkeys(node.names, node.__class__))

    def _named_node(self, node: Any, scope: Scope, stack: list[ast.AST]) -> None:
        """`except E as name`, `case [*name]`, `case {**name}`, `case x as name`: the name is a plain string."""
        name = node.rest if isinstance(node, ast.MatchMapping) else node.name
        if name is not None:
            scope.binders.setdefault(name, []).append(node)
        for field in ("type", "body", "pattern", "keys", "patterns"):
            value = getattr(node, field, None)
            self._add(node, value if isinstance(value, list) else [value], stack)

    def _finish(self) -> None:
        """Spell private names as classes do, give declared names to their owners, and note who reads what."""
        for scope in self.scopes:
            if scope.in_class:
                _respell(scope, scope.binders)
                _respell(scope, scope.uses)
                scope.declared = {scope.spelled(name): kind for name, kind in scope.declared.items()}
        for scope in self.scopes:
            for name in scope.uses:
                self.mentioned.setdefault(name, []).append(scope)
            for name, kind in scope.declared.items() if scope.parent is not None else ():
                found = scope.binders.pop(name, None)
                owner: Scope | None = self.module
                if kind is ast.Nonlocal:
                    owner = scope.parent.owner(name) if scope.parent is not None else None
                if found and owner is not None:
                    owner.binders.setdefault(name, []).extend(found)


def _children(kind: type[ast.AST]) -> Callable[[ast.AST], tuple[Any, ...]]:
    """What gives the nodes, and lists of nodes, below a node of a class."""
    fields = fields_of(kind)
    get: Any = attrgetter(*fields) if fields else lambda node: ()
    found = _CHILDREN[kind] = get if len(fields) != 1 else lambda node: (get(node),)
    return found


def _grouped(nodes: Sequence[Any], field: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for key, node in zip(map(attrgetter(field), nodes), nodes, strict=True):
        if key in found:
            found[key].append(node)
        else:
            found[key] = [node]
    return found


def _respell(scope: Scope, table: dict[str, list[Any]]) -> None:
    for name in [name for name in table if name[:2] == "__"]:
        spelled = scope.spelled(name)
        if spelled != name:
            table.setdefault(spelled, []).extend(table.pop(name))


_CHILDREN: Final[dict[type[ast.AST], Callable[[ast.AST], tuple[Any, ...]]]] = {}
_HANDLERS: Final[dict[type[ast.AST], Callable[[Index, Any, Scope, list[ast.AST]], None]]] = {
    ast.Import: Index._import,
    ast.ImportFrom: Index._import,
    ast.Global: Index._declaration,
    ast.Nonlocal: Index._declaration,
    ast.FunctionDef: Index._function,
    ast.AsyncFunctionDef: Index._function,
    ast.Lambda: Index._lambda,
    ast.ClassDef: Index._class,
    ast.ListComp: Index._comprehension,
    ast.SetComp: Index._comprehension,
    ast.DictComp: Index._comprehension,
    ast.GeneratorExp: Index._comprehension,
    ast.AnnAssign: Index._annotated,
    ast.NamedExpr: Index._named,
    ast.ExceptHandler: Index._named_node,
    ast.MatchAs: Index._named_node,
    ast.MatchStar: Index._named_node,
    ast.MatchMapping: Index._named_node,
}
for _name, _handler in {
    "TypeAlias": Index._type_alias,
    "TypeVar": Index._type_parameter,
    "TypeVarTuple": Index._type_parameter,
    "ParamSpec": Index._type_parameter,
}.items():
    if hasattr(ast, _name):  # Python 3.12
        _HANDLERS[getattr(ast, _name)] = _handler
