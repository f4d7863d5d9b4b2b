"""Would a second run change the result again? Only new code can hold a call that there was not before."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from optmap.mapping.model import Framework, MappingSet
from optmap.source.changes import Change, Insert, Replace
from optmap.source.scopes import Scope
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport
from optmap.translate.discover.sites import Sites

_CALLED: Final = re.compile(r"(?<![\w.\"'])([^\W\d][\w.]*)\s*\(")


def changes_again(
    source: Source, sites: Sites, tables: MappingSet, sources: Collection[Framework],
    changes: Iterable[Change], needed: Iterable[NewImport],
) -> list[Change]:  # fmt: skip
    """The changes that write a call of an optimizer which is to be translated."""
    imported = {new.name: new.path for new in needed}
    scopes = {id(scope.node): scope for scope in sites.names.scopes}
    names = {api.class_name for api in tables.apis.values() if api.framework in sources}
    found = []
    for change in changes:
        for chain in _called(change):
            if chain[-1] not in names:
                continue
            scope = _scope(source, scopes, change, sites.names.module)
            paths = sites.names.paths(chain, scope)
            if not paths and chain[0] in imported:
                paths = frozenset({".".join((imported[chain[0]], *chain[1:]))})
            apis = [tables.api_at(path) for path in paths if path is not None]
            if any(api is not None and api.framework in sources for api in apis):
                found.append(change)
    return found


def _called(change: Change) -> Iterator[tuple[str, ...]]:
    """What the text of a change calls by name."""
    if isinstance(change, Insert | Replace):
        for piece in change.template.pieces:
            if isinstance(piece, str):
                yield from (tuple(match[1].split(".")) for match in _CALLED.finditer(piece))


def _scope(source: Source, scopes: dict[int, Scope], change: Change, module: Scope) -> Scope:
    """The scope that the new code stands in."""
    node = change.anchor if isinstance(change, Insert) else change.node
    at: ast.AST | None = node[0] if isinstance(node, tuple) else node
    while at is not None and id(at) not in scopes:
        at = source.parents.get(id(at))
    return scopes[id(at)] if at is not None else module
