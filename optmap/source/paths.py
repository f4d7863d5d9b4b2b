"""Which dotted import path does a name stand for? And where may a file speak of anything below some paths?

The second question is asked of every file, so only statements on lines that mention a name of interest are entered.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from optmap.source.bindings import How, Symbols, position
from optmap.source.order import Order
from optmap.source.syntax import BLOCKS, chain_of, imported
from optmap.source.text import Source

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


class Followed(NamedTuple):
    """The names that may lead to paths below the roots, with what each may stand for, and the lines that mention any."""

    possible: dict[str, set[str]]
    names: frozenset[str]
    hits: Sequence[int]

    def busy(self, node: ast.AST) -> bool:
        """Tell whether a line of the statement mentions one of the names."""
        return not is_idle(node, self.hits)


def root_of(node: ast.AST) -> ast.Name | None:
    """The first name of a chain of attributes."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def paths(
    symbols: Symbols, order: Order, node: ast.expr, at: ast.AST | None, names: Collection[str] | None
) -> frozenset[str | None] | None:
    """Every dotted import path that a name or chain may stand for; None in place of all if it leads past the `names`."""
    found: set[str | None] = set()
    seen: set[tuple[int, tuple[str, ...]]] = set()
    steps: list[tuple[ast.expr, tuple[str, ...], ast.AST]] = [(node, (), at if at is not None else node)]
    while steps:
        here, rest, place = steps.pop()
        root = root_of(here)
        if root is None or (names is not None and root.id not in names):
            return frozenset() if root is None else None
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
    stack = list(reversed(list(body)))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.stmt) and is_idle(node, hits):
            continue
        yield node
        for block in reversed(BLOCKS):
            inner = getattr(node, block, None)
            if isinstance(inner, list):
                stack += reversed(inner)


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
        if chain is None or not isinstance(target, ast.Name) or len(chain) > _LONGEST:
            continue
        for path in tuple(found.get(chain[0], ())):
            if path.count(".") < _LONGEST:
                found.setdefault(target.id, set()).add(".".join((path, *chain[1:])))


def follow(source: Source, prefixes: Collection[str], unbound: Collection[str], hint: str) -> Followed:
    """Find the names that may lead below the prefixes; `unbound` are names that are wanted whatever binds them."""
    roots = {prefix.partition(".")[0] for prefix in prefixes}
    possible, hits = possible_paths(source, roots, unbound, hint)
    return Followed(possible, frozenset((*possible, *unbound)), hits)


def mentions(symbols: Symbols, followed: Followed, prefixes: Collection[str], hint: str) -> Mentions:
    """The references that may stand for paths below the prefixes, and the strings with the hint."""
    wanted: dict[tuple[str, ...], bool] = {}
    starts = tuple(f"{prefix}." for prefix in prefixes)
    found: list[Reference] = []
    index = symbols.index
    for scope in index.scopes:
        for name in followed.names & scope.uses.keys():
            for root in scope.uses[name]:
                node, chain = _whole(index.parents, root)
                if chain not in wanted:
                    wanted[chain] = _leads(chain, followed.possible, starts)
                if wanted[chain]:
                    found.append(Reference(node, chain))
    found.sort(key=lambda item: position(item.node))
    strings = [node for node in index.kinds[ast.Constant] if hint and _is_dotted(node.value, hint)]
    return Mentions(tuple(found), tuple(sorted(strings, key=position)))


def _whole(parents: dict[int, ast.AST], root: ast.Name) -> tuple[ast.expr, tuple[str, ...]]:
    node: ast.expr = root
    chain = [root.id]
    while isinstance(outer := parents.get(id(node)), ast.Attribute):
        node = outer
        chain.append(outer.attr)
    return node, tuple(chain)


def _leads(chain: tuple[str, ...], possible: dict[str, set[str]], starts: tuple[str, ...]) -> bool:
    known = possible.get(chain[0])
    return known is None or any(f"{'.'.join((path, *chain[1:]))}.".startswith(starts) for path in known)


def _is_dotted(value: object, hint: str) -> bool:
    return isinstance(value, str) and hint in value and "." in value and len(value) < 200
