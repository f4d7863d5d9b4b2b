"""The imports that the changes of a file need, and those that nothing uses any more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from optmap.mapping.model import MappingSet
from optmap.source.changes import Change, Delete, Insert, Where
from optmap.source.edits import rest_of_line, starts_line
from optmap.source.layout import first_offset
from optmap.source.scopes import ImportedName, Names
from optmap.source.templates import Template
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport
from optmap.translate.discover.sites import CallSite
from optmap.translate.unit import Outcome, Unit


def run(unit: Unit, before: Outcome) -> Outcome:
    """Add the imports that the changes need, and remove those that they leave without a use."""
    changes = list(before.rewritten)
    if not any(change.changes for change in changes):
        return before
    sites = [item.site for item in (*before.optimizers, *before.schedules)]
    needed = [new for change in changes for new in change.needed]
    gone = [node for change in changes for node in change.gone]
    added = import_changes(unit.source, unit.sites.names, needed, sites)
    removed = removal_changes(unit.source, unit.sites.names, gone, unit.tables)
    return before._replace(imports=(*added, *removed))


def import_changes(
    source: Source, names: Names, needed: Iterable[NewImport], replaced: Sequence[CallSite]
) -> list[Change]:
    """Insert the imports after the docstring and the `__future__` imports; in cells, beside those that they replace."""
    lines = [Template(new.text) for new in dict.fromkeys(needed)]
    if not lines:
        return []
    if source.parts is not None and source.parts.anchors:
        at = _beside(source, source.parts.anchors, names, replaced)
        anchor = next(node for node in source.nodes if isinstance(node, ast.stmt) and first_offset(source, node) == at)
        return [Insert(anchor, Where.BEFORE, line) for line in lines]
    following, previous = _anchor(source)
    if following is not None:
        return [Insert(following, Where.BEFORE, line) for line in lines]
    assert previous is not None
    return [Insert(previous, Where.AFTER, line) for line in lines]


def _beside(source: Source, anchors: Sequence[int], names: Names, replaced: Sequence[CallSite]) -> int:
    """Of the anchors before the first call, that of an import which gave a callee its name, or else the best one."""
    first = min(source.start(site.node) for site in replaced)
    before = [at for at in anchors if at <= first] or anchors[:1]
    callees = {_root(site.callee).id for site in replaced}
    starts = {source.start(item.statement) for item in names.imports if item.local in callees}
    return next((at for at in before if at in starts and not _kept(source, at)), before[0])


def _kept(source: Source, offset: int) -> bool:
    return source.parts is not None and any(first <= offset < last for first, last in source.parts.kept)


def _anchor(source: Source) -> tuple[ast.stmt | None, ast.stmt | None]:
    """Return the statement before which an import goes and the one before it."""
    previous: ast.stmt | None = None
    for index, statement in enumerate(source.tree.body):
        docstring = index == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) \
            and isinstance(statement.value.value, str)  # fmt: skip
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not docstring and not future:
            return statement, previous
        previous = statement
    return None, previous


def removal_changes(source: Source, names: Names, left: Iterable[ast.expr], tables: MappingSet) -> list[Change]:
    """Remove imports that nothing uses any more once the given references to what they import have gone."""
    callees = {_root(node) for node in left}
    locals_used = {site_name.id for site_name in callees}
    gone: dict[int, list[ImportedName]] = {}
    for local in locals_used:
        uses = [node for node, _ in names.uses.get(local, ())]
        if any(node not in callees for node in uses) or _mentioned_in_string(source, local):
            continue
        bindings = [binding for scope in names.scopes for binding in scope.bindings.get(local, ())]
        found = [item for item in names.imports if item.local == local]
        if len(bindings) != len(found) or not all(_removable(source, item, tables) for item in found):
            continue
        for item in found:
            gone.setdefault(id(item.statement), []).append(item)
    return [change for items in gone.values() for change in _without(items)]


def _root(node: ast.expr) -> ast.Name:
    while isinstance(node, ast.Attribute):
        node = node.value
    assert isinstance(node, ast.Name)
    return node


def _mentioned_in_string(source: Source, name: str) -> bool:
    """Tell whether a string that is not a docstring holds the name as a word (`__all__`, annotations, getattr)."""
    if re.search(rb"['\"][^'\"\r\n]*\b" + name.encode() + rb"\b", source.body) is None:
        return False
    word = re.compile(rf"\b{re.escape(name)}\b")
    documentation = {id(node.value) for node in source.nodes if isinstance(node, ast.Expr)}
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
        and word.search(node.value) is not None
        for node in source.nodes
    )  # fmt: skip


def _removable(source: Source, item: ImportedName, tables: MappingSet) -> bool:
    """An import in a plain place, alone on its lines, whose block keeps another statement."""
    if not all(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in item.ancestors):
        return False
    body = item.ancestors[-1].body if item.ancestors else source.tree.body  # type: ignore[attr-defined]
    statement = item.statement
    start, end = source.start(statement), source.end(statement)
    rest = rest_of_line(source, end)
    tail = source.body[rest.start : rest.end].strip()
    alone = starts_line(source, start) and (not tail or tail.startswith(b"#"))
    alone = alone and not _kept(source, start)
    return alone and len(body) > 1 and isinstance(statement, ast.Import | ast.ImportFrom)


def _without(items: Sequence[ImportedName]) -> list[Change]:
    statement = items[0].statement
    if len(items) < len(statement.names):
        return [Delete(statement.names[item.index]) for item in items]
    return [Delete(statement)]
