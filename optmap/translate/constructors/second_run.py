"""Would a second run change the result again? Only new code can hold a call that there was not before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.changes import Change, place_of, texts_of
from optmap.source.model import Module
from optmap.translate.constructors.spelling import NewImport, paths_of

_CALLED: Final = re.compile(r"(?<![\w.\"'])([^\W\d][\w.]*)\s*\(")


def changes_again(
    module: Module, tables: MappingSet, sources: frozenset[Framework], changes: Iterable[Change],
    needed: Iterable[NewImport],
) -> list[Change]:  # fmt: skip
    """The changes that write a call of an optimizer which is to be translated."""
    imported = {new.name: new.path for new in needed}
    names = _class_names(tables, sources)
    found = []
    for change in changes:
        for chain in _called(change):
            if chain[-1] not in names:
                continue
            new = imported.get(chain[0])
            paths = {new} if new is not None else paths_of(module, chain[0], place_of(change))
            apis = [tables.api_at(".".join((path, *chain[1:]))) for path in paths if path is not None]
            if any(api is not None and api.framework in sources for api in apis):
                found.append(change)
    return found


def _class_names(tables: MappingSet, sources: frozenset[Framework]) -> frozenset[str]:
    names = (api.class_name for api in tables.apis.values() if api.framework in sources)
    return tables.once((_class_names, sources), lambda: frozenset(names))


def _called(change: Change) -> Iterator[tuple[str, ...]]:
    """What the text of a change calls by name."""
    return (tuple(match[1].split(".")) for text in texts_of([change]) for match in _CALLED.finditer(text))
