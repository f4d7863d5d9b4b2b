"""Which dotted name does an expression stand for? Imports, aliases and Python's scope rules.

A name bound to several things stands for several paths, unless the order of plain statements says which is in force; the
caller decides what to make of that. Only names that can lead to the modules of interest are followed, and statements that
mention none of them are never entered.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

from optmap.source.scopes import Binding, ImportedName, Names, Reference, Scope, ScopeKind, TextMention, chain_of
from optmap.source.syntax import Comprehension as Comprehension
from optmap.source.syntax import Function as Function
from optmap.source.syntax import imported as imported
from optmap.source.syntax import statements as statements
from optmap.source.text import Source

_BLOCKS: Final = ("body", "handlers", "orelse", "finalbody", "cases")


def hit_lines(source: Source, words: Iterable[str], hint: str = "") -> list[int]:
    """Running count, line by line, of lines that hold one of the words, or the hint inside a string."""
    pattern = rf"\b(?:{'|'.join(sorted(map(re.escape, words)))})\b"
    if hint:
        pattern += rf"|['\"][^'\"\r\n]*{re.escape(hint)}"
    starts = source.line_starts
    flags = [0] * (len(starts) + 1)
    for match in re.finditer(pattern.encode(), source.body):
        flags[bisect_right(starts, match.start())] = 1
    return list(accumulate(flags))


def is_idle(node: ast.AST, hits: Sequence[int]) -> bool:
    """Tell whether no line of the statement was hit."""
    first: int = node.lineno  # type: ignore[attr-defined]
    for decorator in getattr(node, "decorator_list", ()):
        first = min(first, decorator.lineno)
    return hits[node.end_lineno] == hits[first - 1]  # type: ignore[attr-defined]


def _busy(body: Iterable[ast.AST], hits: Sequence[int]) -> Iterator[ast.AST]:
    """Yield the statements that were hit, outer ones first, without entering expressions."""
    for node in body:
        if isinstance(node, ast.stmt) and is_idle(node, hits):
            continue
        yield node
        for block in _BLOCKS:
            inner = getattr(node, block, None)
            if isinstance(inner, list):
                yield from _busy(inner, hits)


def imported_paths(source: Source, roots: Collection[str]) -> dict[str, set[str]]:
    """Map each name that an import binds to something under one of the root packages to what it may stand for."""
    found: dict[str, set[str]] = {}
    for node in _busy(source.tree.body, hit_lines(source, ["import"])):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for _, local, path in imported(node):
                if local != "*" and path.partition(".")[0] in roots:
                    found.setdefault(local, set()).add(path)
    return found


def possible_paths(
    source: Source, roots: Collection[str], also: Collection[str], hint: str
) -> tuple[dict[str, set[str]], list[int]]:
    """Add the names that plain assignments give to imported ones; return them with the lines that mention any.

    Lines that mention one of the names in `also`, an import, or the hint in a string are among those.
    """
    found = imported_paths(source, roots)
    hits: list[int] = []
    names: set[str] | None = None
    before = -1
    while before != (before := sum(map(len, found.values()))):
        if names != found.keys():
            names = set(found)
            hits = hit_lines(source, {*names, *also, "import"}, hint)
        for node in _busy(source.tree.body, hits):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                _add_alias(found, node, chain_of(node.value))
    return found, hits


def _add_alias(found: dict[str, set[str]], node: ast.Assign | ast.AnnAssign, chain: tuple[str, ...] | None) -> None:
    """`name = chain`: the name may stand for whatever the chain may stand for."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if chain is None or not isinstance(target, ast.Name) or len(chain) > 8:
            continue
        for path in tuple(found.get(chain[0], ())):
            if path.count(".") < 8:
                found.setdefault(target.id, set()).add(".".join((path, *chain[1:])))


class Interest(NamedTuple):
    """What to look for: root packages, and dotted prefixes under which every reference is wanted."""

    roots: frozenset[str]
    prefixes: tuple[str, ...]
    string_hint: str = "optim"

    def wants(self, path: str) -> bool:
        return any(path == prefix or path.startswith(prefix + ".") for prefix in self.prefixes)


def collect(source: Source, interest: Interest, unbound: Collection[str] = ()) -> Names:
    """Walk the tree once and collect bindings, references, imports and dotted strings of interest.

    `unbound` holds conventional names (torch, tf) that are worth reporting even where nothing binds them.
    """
    possible, hits = possible_paths(source, interest.roots, unbound, interest.string_hint)
    collector = _Collector(source, interest, possible, hits, frozenset(unbound))
    collector.block(source.tree.body, collector.names.module)
    return collector.names


class _Collector:
    """The one walk over a file."""

    def __init__(
        self,
        source: Source,
        interest: Interest,
        possible: dict[str, set[str]],
        hits: list[int],
        unbound: frozenset[str],
    ) -> None:
        self.source = source
        self.interest = interest
        self.possible = possible
        self.followed = frozenset(possible) | unbound
        module = Scope(ScopeKind.MODULE, source.tree, None)
        self.names = Names(module, [module])
        self.stack: list[ast.AST] = []
        self.wanted: dict[tuple[str, ...], bool] = {}
        self.hits = hits
        self.declares = b"global" in source.body or b"nonlocal" in source.body

    def block(self, body: Iterable[ast.AST], scope: Scope) -> None:
        for statement in body:
            if not is_idle(statement, self.hits):
                self.visit(statement, scope)

    def visit(self, node: ast.AST, scope: Scope) -> None:
        handler = _HANDLERS.get(node.__class__)
        if handler is not None:
            handler(self, node, scope)
        else:
            self.children(node, scope)

    def children(self, node: ast.AST, scope: Scope, skip: Collection[str] = ()) -> None:
        self.stack.append(node)
        for name in node._fields:
            value = getattr(node, name, None)
            if value.__class__ is list:
                if name in _BLOCKS and value and isinstance(value[0], ast.stmt):
                    self.block(value, scope)
                elif name not in skip:
                    for item in value:
                        if isinstance(item, ast.AST):
                            self.visit(item, scope)
            elif isinstance(value, ast.AST) and name not in skip:
                self.visit(value, scope)
        self.stack.pop()

    def bind(self, scope: Scope, name: str, binding: Binding) -> None:
        if name not in self.followed:
            return
        where = scope.elsewhere.get(name)
        if where == "global":
            scope = scope.module
        elif where == "nonlocal":
            owner = scope.parent.owner(name) if scope.parent else None
            scope = owner or scope
        scope.bindings.setdefault(name, []).append(binding)

    def name(self, node: ast.Name, scope: Scope) -> None:
        if node.id not in self.followed:
            return
        if isinstance(node.ctx, ast.Load):
            self.names.uses.setdefault(node.id, []).append((node, scope))
            self._refer(node, (node.id,), scope)
        else:
            self.bind(scope, node.id, Binding(node))

    def attribute(self, node: ast.Attribute, scope: Scope) -> None:
        chain = chain_of(node)
        if chain is None:
            self.children(node, scope)
        elif chain[0] in self.followed:
            root: ast.expr = node
            while isinstance(root, ast.Attribute):
                root = root.value
            assert isinstance(root, ast.Name)
            self.names.uses.setdefault(chain[0], []).append((root, scope))
            self._refer(node, chain, scope)

    def _refer(self, node: ast.expr, chain: tuple[str, ...], scope: Scope) -> None:
        wanted = self.wanted.get(chain)
        if wanted is None:
            paths = self.possible.get(chain[0]) or {chain[0]}
            wanted = any(self.interest.wants(".".join((path, *chain[1:]))) for path in paths)
            wanted = wanted or chain[0] not in self.possible
            self.wanted[chain] = wanted
        if wanted:
            self.names.references.append(Reference(node, chain, scope, tuple(self.stack)))

    def constant(self, node: ast.Constant, scope: Scope) -> None:
        value = node.value
        if isinstance(value, str) and self.interest.string_hint in value and "." in value and len(value) < 200:
            self.names.mentions.append(TextMention(node, tuple(self.stack)))

    def imports(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        for index, local, path in imported(node):
            if local == "*":
                base = path[:-2] if path[:-2].strip(".") else path[:-1]
                self.names.stars.append((base, scope))
                continue
            self.names.imports.append(ImportedName(node, index, local, path, scope, tuple(self.stack)))
            self.bind(scope, local, Binding(node, path=path))

    def assign(self, node: ast.Assign | ast.AnnAssign, scope: Scope) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        harmless = isinstance(node.value, ast.Constant) and node.value.value is None
        for target in targets:
            if isinstance(target, ast.Name):
                alias = node.value if node.value is not None and chain_of(node.value) else None
                bound = node.value is not None
                self.bind(
                    scope, target.id, Binding(node, alias=alias, harmless=harmless or not bound, value=node.value)
                )
            else:
                self._inside(node, target, scope)
        if isinstance(node, ast.AnnAssign):
            self._inside(node, node.annotation, scope)
        if node.value is not None:
            self._inside(node, node.value, scope)

    def _inside(self, parent: ast.AST, node: ast.AST, scope: Scope) -> None:
        self.stack.append(parent)
        self.visit(node, scope)
        self.stack.pop()

    def function(self, node: Function, scope: Scope) -> None:
        self.bind(scope, node.name, Binding(node))
        for outer in (*node.decorator_list, *_defaults(node.args), *_annotations(node)):
            self._inside(node, outer, scope)
        inner = self._scope(ScopeKind.FUNCTION, node, scope, node.args)
        if self.declares:
            self._declarations(node, inner)
        self.stack.append(node)
        self.block(node.body, inner)
        self.stack.pop()

    def lambda_(self, node: ast.Lambda, scope: Scope) -> None:
        for outer in _defaults(node.args):
            self._inside(node, outer, scope)
        self._inside(node, node.body, self._scope(ScopeKind.FUNCTION, node, scope, node.args))

    def class_(self, node: ast.ClassDef, scope: Scope) -> None:
        self.bind(scope, node.name, Binding(node))
        for outer in (*node.decorator_list, *node.bases, *node.keywords):
            self._inside(node, outer, scope)
        inner = self._scope(ScopeKind.CLASS, node, scope, None)
        if self.declares:
            self._declarations(node, inner)
        self.stack.append(node)
        self.block(node.body, inner)
        self.stack.pop()

    def comprehension(self, node: Comprehension, scope: Scope) -> None:
        self.stack.append(node)
        self.visit(node.generators[0].iter, scope)
        inner = self._scope(ScopeKind.FUNCTION, node, scope, None)
        for position, generator in enumerate(node.generators):
            if position:
                self.visit(generator.iter, inner)
            for part in (generator.target, *generator.ifs):
                self.visit(part, inner)
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        for part in parts:
            self.visit(part, inner)
        self.stack.pop()

    def named(self, node: ast.NamedExpr, scope: Scope) -> None:
        while isinstance(scope.node, Comprehension) and scope.parent is not None:
            scope = scope.parent
        self.bind(scope, node.target.id, Binding(node))
        self._inside(node, node.value, scope)

    def named_node(self, node: ast.AST, scope: Scope) -> None:
        """`except E as name`, `case [*name]`, `case {**name}`, `case x as name`: the name is a plain string."""
        for key in ("name", "rest"):
            name = getattr(node, key, None)
            if isinstance(name, str):
                self.bind(scope, name, Binding(node))
        self.children(node, scope)

    def _scope(self, kind: ScopeKind, node: ast.AST, parent: Scope, arguments: ast.arguments | None) -> Scope:
        scope = Scope(kind, node, parent)
        self.names.scopes.append(scope)
        for argument in _arguments(arguments) if arguments else ():
            self.bind(scope, argument.arg, Binding(argument))
        return scope

    def _declarations(self, node: Function | ast.ClassDef, scope: Scope) -> None:
        for statement in statements(node.body, same_scope=True):
            if isinstance(statement, ast.Global | ast.Nonlocal):
                kind = "global" if isinstance(statement, ast.Global) else "nonlocal"
                scope.elsewhere.update(dict.fromkeys(statement.names, kind))


def _arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]


def _annotations(node: Function) -> list[ast.expr]:
    found = [argument.annotation for argument in _arguments(node.args) if argument.annotation is not None]
    return [*found, *([node.returns] if node.returns is not None else [])]


_HANDLERS: Final[dict[type[ast.AST], Callable[[_Collector, Any, Scope], None]]] = {
    ast.Name: _Collector.name,
    ast.Attribute: _Collector.attribute,
    ast.Constant: _Collector.constant,
    ast.Import: _Collector.imports,
    ast.ImportFrom: _Collector.imports,
    ast.Assign: _Collector.assign,
    ast.AnnAssign: _Collector.assign,
    ast.FunctionDef: _Collector.function,
    ast.AsyncFunctionDef: _Collector.function,
    ast.Lambda: _Collector.lambda_,
    ast.ClassDef: _Collector.class_,
    ast.ListComp: _Collector.comprehension,
    ast.SetComp: _Collector.comprehension,
    ast.DictComp: _Collector.comprehension,
    ast.GeneratorExp: _Collector.comprehension,
    ast.NamedExpr: _Collector.named,
    ast.ExceptHandler: _Collector.named_node,
    ast.MatchAs: _Collector.named_node,
    ast.MatchStar: _Collector.named_node,
    ast.MatchMapping: _Collector.named_node,
}
