"""Which dotted import path does a name stand for, and where may a file speak of anything below some paths?"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Final

from optmap.source.bindings import How, Symbols, position
from optmap.source.order import Order
from optmap.source.symbols import Index
from optmap.source.syntax import chain_of, imported
from optmap.values import NamedTuple

_LONG: Final = 200
"""Characters of a string that is too long for a path."""
_LONGEST: Final = 8
"""Names in a path through aliases; longer ones are given up."""


class Reference(NamedTuple):
    """A name, or a chain of attributes as long as it goes."""

    node: ast.expr
    chain: tuple[str, ...]


class Mentions(NamedTuple):
    """Where a file may speak of some import paths: references, and strings with a dot and the hint, in the text's order."""

    references: tuple[Reference, ...]
    strings: tuple[ast.Constant, ...]


def root_of(node: ast.AST) -> ast.Name | None:
    """The first name of a chain of attributes."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def paths(symbols: Symbols, order: Order, node: ast.expr, at: ast.AST | None) -> frozenset[str | None]:
    """Every dotted import path that a name or chain of attributes may stand for; see `Module.paths`."""
    found: set[str | None] = set()
    seen: set[tuple[int, tuple[str, ...]]] = set()
    steps: list[tuple[ast.expr, tuple[str, ...], ast.AST]] = [(node, (), at if at is not None else node)]
    while steps:
        here, rest, place = steps.pop()
        root = root_of(here)
        if root is None:
            return frozenset()
        rest = (*(chain_of(here) or ())[1:], *rest)
        variable = symbols.named(root)
        bindings = order.in_force(variable, place) if variable is not None else ()
        plain = [binding for binding in bindings if not binding.is_none]
        if not plain and (here is not node or (variable is not None and not bindings)):
            found.add(None)
        for binding in plain:
            key = (id(binding.target), rest)
            alias = binding.value if binding.how is How.ASSIGNED and len(rest) < _LONGEST else None
            if key in seen:
                continue
            seen.add(key)
            if binding.path is not None:
                found.add(".".join((binding.path, *rest)))
            elif alias is not None and root_of(alias) is not None:
                steps.append((alias, rest, alias))
            else:
                found.add(None)
    return frozenset(found or ((None,) if seen else ()))


def possible_paths(index: Index, roots: Collection[str]) -> dict[str, set[str]]:
    """Map each name that an import, or a plain assignment, may bind to something below the roots to what it may stand for.

    Scopes are not looked at: this says which names are worth a look.
    """
    found: dict[str, set[str]] = {}
    for statement in (*index.kinds[ast.Import], *index.kinds[ast.ImportFrom]):
        for _, local, path in imported(statement):
            if local != "*" and path.partition(".")[0] in roots:
                found.setdefault(local, set()).add(path)
    aliases = list(_aliases(index)) if found else []
    before = -1
    while before != (before := sum(map(len, found.values()))):
        for name, chain in aliases:
            for path in tuple(found.get(chain[0], ())):
                if path.count(".") < _LONGEST:
                    found.setdefault(name, set()).add(".".join((path, *chain[1:])))
    return found


def _aliases(index: Index) -> Iterator[tuple[str, tuple[str, ...]]]:
    """`name = chain`: the name may stand for whatever the chain may stand for."""
    for node in (*index.kinds[ast.Assign], *index.kinds[ast.AnnAssign]):
        if node.value.__class__ is ast.Name or node.value.__class__ is ast.Attribute:
            chain = chain_of(node.value)
            for target in getattr(node, "targets", None) or [node.target]:
                if chain is not None and isinstance(target, ast.Name) and len(chain) <= _LONGEST:
                    yield target.id, chain


@lru_cache(maxsize=16)
def _starts(prefixes: frozenset[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The packages that prefixes lie in, and what paths at or below them begin with, followed by a dot themselves."""
    return frozenset(prefix.partition(".")[0] for prefix in prefixes), tuple(f"{prefix}." for prefix in prefixes)


def mentions(index: Index, prefixes: frozenset[str], unbound: Collection[str], hint: str) -> Mentions:
    """The references that may stand for paths below the prefixes, and the strings with the hint."""
    roots, starts = _starts(prefixes)
    possible = possible_paths(index, roots)
    found: list[Reference] = []
    for name in {*possible, *unbound} & index.mentioned.keys():
        first = _first_attributes(frozenset(possible[name]), prefixes) if name in possible else None
        wanted: dict[tuple[str, ...], bool] = {}
        for scope in index.mentioned[name]:
            for root in scope.uses[name]:
                if first is not None and getattr(index.parents.get(id(root)), "attr", None) not in first:
                    continue
                node, chain = _whole(index.parents, root)
                if chain not in wanted:
                    wanted[chain] = name not in possible or _leads(chain, possible[name], starts)
                if wanted[chain]:
                    found.append(Reference(node, chain))
    found.sort(key=lambda item: position(item.node))
    return Mentions(tuple(found), tuple(_strings(index, hint)) if hint else ())


def _strings(index: Index, hint: str) -> list[ast.Constant]:
    texts = [node for node in index.kinds[ast.Constant] if node.value.__class__ is str and hint in node.value]
    return sorted((node for node in texts if "." in node.value and len(node.value) < _LONG), key=position)


def _whole(parents: dict[int, ast.AST], root: ast.Name) -> tuple[ast.expr, tuple[str, ...]]:
    node: ast.expr = root
    chain = [root.id]
    while isinstance(outer := parents.get(id(node)), ast.Attribute):
        node = outer
        chain.append(outer.attr)
    return node, tuple(chain)


def _leads(chain: tuple[str, ...], known: Iterable[str], starts: tuple[str, ...]) -> bool:
    return any(f"{'.'.join((path, *chain[1:]))}.".startswith(starts) for path in known)


@lru_cache(maxsize=1024)
def _first_attributes(known: frozenset[str], prefixes: frozenset[str]) -> set[str] | None:
    """The attributes of a name, which may stand for some paths, that may lead on; None where the name alone does."""
    _, starts = _starts(prefixes)
    found: set[str] = set()
    for own in (f"{path}." for path in known):
        if own.startswith(starts):
            return None
        found.update(start[len(own) :].partition(".")[0] for start in starts if start.startswith(own))
    return found
