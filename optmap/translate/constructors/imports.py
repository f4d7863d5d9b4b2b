"""The imports that the changes of a file need, and those that nothing uses any more."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterable, Sequence

from optmap.mapping.model import MappingSet
from optmap.source.calls import Items, Span, tokens
from optmap.source.edits import Edit, line_indent, remove_pieces, starts_line
from optmap.source.scopes import ImportedName, Names
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport
from optmap.translate.discover.sites import CallSite
from optmap.translate.unit import Outcome, Unit


def run(unit: Unit, before: Outcome) -> Outcome:
    """Add the imports that the changes need, and remove those that they leave without a use."""
    changes = list(before.changes)
    if not any(change.edits for change in changes):
        return before
    sites = [item.site for item in (*before.optimizers, *before.schedules)]
    needed = [new for change in changes for new in change.needed]
    gone = [node for change in changes for node in change.gone]
    added = import_edits(unit.source, unit.sites.names, needed, sites)
    removed = removal_edits(unit.source, unit.sites.names, gone, unit.tables)
    return before._replace(imports=(*added, *removed))


def import_edits(source: Source, names: Names, needed: Iterable[NewImport], replaced: Sequence[CallSite]) -> list[Edit]:
    """Insert the imports after the docstring and the `__future__` imports; in cells, beside those that they replace."""
    lines = [new.text for new in dict.fromkeys(needed)]
    if not lines:
        return []
    text = source.newline.join(lines)
    if source.parts is not None and source.parts.anchors:
        at = _beside(source, source.parts.anchors, names, replaced)
        ending = source.newline + line_indent(source, at) if starts_line(source, at) else "; "
        return [Edit(at, at, "".join(line + ending for line in lines))]
    anchor, previous = _anchor(source)
    if anchor is None:
        assert previous is not None
        return [Edit(source.end(previous), source.end(previous), source.newline + text)]
    at = _first_offset(source, anchor)
    if starts_line(source, at) and source.body[at - 1 : at] != b";":
        return [Edit(at, at, text + source.newline)]
    return [Edit(at, at, "; ".join(lines) + "; ")]


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


def _first_offset(source: Source, statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    if not decorators:
        return source.start(statement)
    at = min(source.start(decorator) for decorator in decorators)
    return source.body.rindex(b"@", 0, at)


def removal_edits(source: Source, names: Names, left: Iterable[ast.expr], tables: MappingSet) -> list[Edit]:
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
    return [edit for items in gone.values() for edit in _remove_names(source, items)]


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
    rest = source.body[end:].splitlines()[:1]
    tail = rest[0].strip() if rest else b""
    alone = starts_line(source, start) and (not tail or tail.startswith(b"#"))
    alone = alone and not _kept(source, start)
    return alone and len(body) > 1 and isinstance(statement, ast.Import | ast.ImportFrom)


def _remove_names(source: Source, items: Sequence[ImportedName]) -> list[Edit]:
    statement = items[0].statement
    if len(items) < len(statement.names):
        return remove_pieces(source, _name_items(source, statement), [item.index for item in items])
    start = source.start(statement)
    line_start = len(source.body[:start].rstrip(b" \t"))
    match = re.compile(rb"[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n)?").match(source.body, source.end(statement))
    assert match is not None
    return [Edit(line_start, match.end(), "")]


def _name_items(source: Source, statement: ast.Import | ast.ImportFrom) -> Items:
    """Split the names of an import at their commas, with or without parentheses around them."""
    start, end = source.start(statement), source.end(statement)
    found = [token for token in tokens(source, start, end) if token.type in (tokenize.NAME, tokenize.OP)]
    keyword = max(index for index, token in enumerate(found) if token.string == "import")
    found = [token for token in found[keyword + 1 :] if token.string not in "()"]
    pieces: list[Span] = []
    commas: list[Span] = []
    first = None
    for token in found:
        if token.string == ",":
            assert first is not None
            commas.append(Span(token.start, token.end))
            first = None
            continue
        if first is None:
            first = token.start
            pieces.append(Span(token.start, token.end))
        pieces[-1] = Span(first, token.end)
    return Items(Span(start, start), Span(end, end), tuple(pieces), tuple(commas))
