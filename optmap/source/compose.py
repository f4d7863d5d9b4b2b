"""Changes to edits: those of one node are made one around another, those inside what moves are made where it goes."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final
from weakref import proxy

from optmap.source.call_layout import CallLayout
from optmap.source.calls import Span, read_call
from optmap.source.changes import Change, ConflictError, Delete, Insert, Rename, Replace, Where, extent, wraps
from optmap.source.comments import with_comments
from optmap.source.edits import Edit, apply_edits
from optmap.source.line_breaks import with_breaks
from optmap.source.slots import SlotWriter
from optmap.source.statement_layout import StatementLayout
from optmap.source.templates import Block, CallTemplate
from optmap.source.text import Source
from optmap.values import NamedTuple

_OPENING: Final = b" \t\r\n([{=,*:"
"""What a value may begin right behind."""


def to_edits(source: Source, changes: Iterable[Change]) -> list[Edit]:
    """The edits that changes make of a file, in order and disjoint. Raises ConflictError."""
    return with_breaks(source, _unbroken(source, changes))


def _unbroken(source: Source, changes: Iterable[Change]) -> list[Edit]:
    return with_comments(source, [(edit, change) for edit, _, change in merged(_Composer(source, changes).combined())])


def edited_text(source: Source, span: Span, changes: Iterable[Change]) -> str:
    """The text of a part of the file once changes are made, on lines as wide as they come."""
    inside = [edit for edit in _unbroken(source, changes) if span.start <= edit.start and edit.end <= span.end]
    return edited(source, span.start, span.end, inside)


def edited(source: Source, start: int, end: int, edits: Iterable[Edit]) -> str:
    """The text between two offsets with edits inside it."""
    own = [Edit(edit.start - start, min(edit.end, end) - start, edit.text) for edit in edits]
    return apply_edits(source.body[start:end], own).decode()


class _Placed(NamedTuple):
    """An edit, what decides between insertions at one offset, and the change that it belongs to."""

    edit: Edit
    order: tuple[int, ...]
    change: Change


class _Composer:
    def __init__(self, source: Source, changes: Iterable[Change]) -> None:
        self.source = source
        self.changes = list(dict.fromkeys(changes))
        self.number = {id(change): index for index, change in enumerate(self.changes)}
        self.spans = {id(change): extent(source, change) for change in self.changes}
        self.by_start = sorted(self.changes, key=lambda change: self.spans[id(change)].start)
        self.starts = [self.spans[id(change)].start for change in self.by_start]
        self.made: dict[int, list[_Placed]] = {}
        self.moved: set[int] = set()
        self.slots = SlotWriter(source, partial(_Composer._inner, proxy(self)))  # no cycle, which would keep the tree
        self.statements = StatementLayout(source, self.changes, self.slots)
        self._check_nodes()

    def _check_nodes(self) -> None:
        """One node becomes one thing, whatever is written around it."""
        taken: dict[int, Change] = {}
        for change in self.changes:
            if isinstance(change, Insert) or wraps(change) or isinstance(change.node, tuple):
                continue
            other = taken.setdefault(id(change.node), change)
            if other is not change:
                raise ConflictError("two changes of one node", other, change)

    def combined(self) -> list[_Placed]:
        """The edits of all changes, without those inside what moved or went away."""
        return self._combine(self.changes)

    def _combine(self, changes: Sequence[Change]) -> list[_Placed]:
        found = [placed for change in changes for placed in self.edits(change)]
        covers: list[_Placed] = []
        for placed in sorted(found, key=lambda item: (item.edit.start, -item.edit.end)):
            if placed.edit.start < placed.edit.end and (not covers or placed.edit.end > covers[-1].edit.end):
                covers.append(placed)
        starts = [cover.edit.start for cover in covers]
        return [placed for placed in found if not self._is_covered(placed, covers, starts)]

    def _is_covered(self, placed: _Placed, covers: Sequence[_Placed], starts: Sequence[int]) -> bool:
        """Tell whether an edit lies inside another change's, which has made it on the way or has no use for it."""
        start, end = placed.edit.start, placed.edit.end
        last = bisect_right(starts, start)
        for cover in covers[max(last - 2, 0) : last]:
            if cover.change is placed.change or start < cover.edit.start or end > cover.edit.end:
                continue
            at_border = start == end and start in (cover.edit.start, cover.edit.end)
            if at_border and not self._is_inside(placed.change, cover) and not self._cuts(cover, placed.change):
                continue
            if id(placed.change) in self.moved or isinstance(cover.change, Delete):
                return True
            raise ConflictError(f"changes overlap at offset {start}", cover.change, placed.change)
        return False

    def _is_inside(self, change: Change, cover: _Placed) -> bool:
        """Tell whether all that a change is about is what an edit replaces."""
        own, outer = self.spans[id(change)], cover.change
        if isinstance(change, Insert) or not cover.edit.start <= own.start <= own.end <= cover.edit.end:
            return False
        return own != cover.edit[:2] or (isinstance(outer, Replace) and isinstance(outer.node, tuple))

    def _cuts(self, cover: _Placed, change: Change) -> bool:
        """Tell whether an edit replaces a part of what a change is about, though not as a change inside of it."""
        own, outer = self.spans[id(change)], self.spans[id(cover.change)]
        if isinstance(change, Insert) or own.start <= outer.start <= outer.end <= own.end:
            return False
        return own.start < cover.edit.end and cover.edit.start < own.end

    def edits(self, change: Change) -> list[_Placed]:
        """The edits of one change."""
        if id(change) not in self.made:
            self.made[id(change)] = []  # a change inside itself would never end
            self.made[id(change)] = list(self._placed(change, self._edits(change)))
        return self.made[id(change)]

    def _placed(self, change: Change, edits: Sequence[Edit]) -> Iterable[_Placed]:
        """What closes comes before what opens at the same offset, what is written around before what is inside, or behind."""
        span, number = self.spans[id(change)], self.number[id(change)]
        size = span.end - span.start
        for index, edit in enumerate(edits):
            if isinstance(change, Insert):
                yield _Placed(edit, (1 if change.where is Where.AFTER else 2, number, index), change)
            elif edit.start == span.start or (edit.start < span.end and self.source.body[edit.start - 1] in _OPENING):
                yield _Placed(edit, (3, -size, number, index), change)
            else:
                yield _Placed(edit, (0, size, -number, index), change)

    def _edits(self, change: Change) -> list[Edit]:
        if isinstance(change, Rename):
            return [_rename(self.source, change)]
        if isinstance(change, Insert):
            return [self.statements.insert(change)]
        if isinstance(change, Delete):
            return self.statements.delete(change)
        node = change.node
        if isinstance(node, ast.Call) and isinstance(change.template, CallTemplate):
            return CallLayout(self.source, read_call(self.source, node), change.template, self.slots).edits()
        pieces = change.template.pieces
        if isinstance(node, ast.expr):
            return self.slots.in_place(self.spans[id(change)], pieces, node)
        return self.statements.replace(node, pieces)

    def _inner(self, span: Span, owner: ast.expr | Block) -> str:
        """The text of a part of the file with the changes inside it, but for those that move the part itself."""
        inside: list[Change] = []
        for index in range(bisect_left(self.starts, span.start), bisect_left(self.starts, span.end)):
            change = self.by_start[index]
            if self.spans[id(change)].end <= span.end and not self._moves(change, owner):
                inside.append(change)
        self.moved.update(map(id, inside))
        edits = [placed.edit for placed in merged(self._combine(inside))]
        edits = [edit for edit in edits if span.start <= edit.start <= span.end]
        return edited(self.source, span.start, span.end, edits)

    def _moves(self, change: Change, owner: ast.expr | Block) -> bool:
        if isinstance(owner, ast.expr):
            return id(change) in self.made and not self.made[id(change)] and not isinstance(change, Delete)
        if isinstance(change, Insert):
            return change.anchor in (owner[0], owner[-1])
        node = change.node
        return isinstance(node, tuple) and node[0] in owner


def merged(placed: Iterable[_Placed]) -> list[_Placed]:
    """Edits in order, insertions at one offset as one edit."""
    found: list[_Placed] = []
    for item in sorted(placed, key=lambda item: (item.edit.start, item.edit.end, item.order)):
        edit = item.edit
        last = found[-1].edit if found else None
        if last is not None and last.start == last.end == edit.start == edit.end:
            found[-1] = found[-1]._replace(edit=Edit(edit.start, edit.end, last.text + edit.text))
            continue
        if last is not None and edit.start < last.end:
            raise ConflictError(f"changes overlap at offset {edit.start}", found[-1].change, item.change)
        found.append(item)
    return found


def _rename(source: Source, change: Rename) -> Edit:
    node = change.node
    if isinstance(node, ast.Attribute):
        end = source.end(node)
        return Edit(end - len(node.attr.encode()), end, change.name)
    if isinstance(node, ast.keyword):
        start = source.start(node)
        return Edit(start, start + len((node.arg or "").encode()), change.name)
    at = source.body.index(node.name.encode(), source.body.index(b"def", source.start(node)) + 3)
    return Edit(at, at + len(node.name.encode()), change.name)
