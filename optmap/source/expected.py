"""The tree that changes make of an old one, held against a real one without recursion."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from optmap.source.changes import Change, Delete, Insert, Rename, Replace, Where, wraps
from optmap.source.templates import Block, parse
from optmap.source.text import Source, SourceError

_NAME: Final = {ast.FunctionDef: "name", ast.AsyncFunctionDef: "name", ast.Attribute: "attr", ast.keyword: "arg"}


class Different(Exception):
    """The trees differ; `change` is the one that does not show as it should, None where no change explains it."""

    def __init__(self, message: str, change: Change | None) -> None:
        super().__init__(message)
        self.change = change


class Expected:
    """What stands where in the new tree, by the ids of old nodes; new nodes are those of templates."""

    def __init__(self, source: Source, changes: Sequence[Change]) -> None:
        self.source = source
        self.around: dict[int, list[Replace]] = {}
        self.replaced: dict[int, Replace] = {}
        self.runs: dict[int, Replace] = {}
        self.renamed: dict[int, Rename] = {}
        self.inserted: dict[tuple[int, bool], list[Insert]] = {}
        self.deleted: dict[int, Delete] = {}
        self.slots: dict[int, tuple[ast.expr | Block, int]] = {}
        self.new: set[int] = set()
        self.kept: list[list[ast.stmt]] = []
        self.met: set[int] = set()
        for change in dict.fromkeys(changes):
            self._add(change)

    def _add(self, change: Change) -> None:
        if isinstance(change, Rename):
            self.renamed[id(change.node)] = change
        elif isinstance(change, Delete):
            self.deleted[id(change.node)] = change
        elif isinstance(change, Insert):
            self.inserted.setdefault((id(change.anchor), change.where is Where.AFTER), []).append(change)
        elif isinstance(change.node, tuple):
            self.runs[id(change.node[0])] = change
        elif wraps(change):
            self.around.setdefault(id(change.node), []).append(change)
        else:
            self.replaced[id(change.node)] = change

    def compare(self, old: Sequence[ast.stmt], new: Sequence[ast.stmt], text: bytes) -> None:
        """Compare top-level statements with those of an edited text. Raises Different."""
        self.text = text
        self.lines = list(accumulate(map(len, text.splitlines(keepends=True)), initial=0))
        self.stack: list[tuple[object, object, int, Change | None]] = []
        self._block(old, new, None, top=True)
        while self.stack:
            self._node(*self.stack.pop())

    def _block(
        self, old: Sequence[ast.stmt], new: Sequence[ast.stmt], around: Change | None, *, top: bool = False
    ) -> None:
        expected = self._expanded(old, around)
        if not expected and not top:
            expected = [(ast.Pass(), around)]
            self.kept.append([expected[0][0]])
            self.new.add(id(expected[0][0]))
        for (before, change), after in zip(reversed(expected[: len(new)]), reversed(new[: len(expected)]), strict=True):
            if not self._same_text(before, after):
                self.stack.append((before, after, 0, change))
        if len(expected) != len(new):
            changed = [change for _, change in expected if change is not None]
            raise Different("statements were added or lost", changed[0] if len(set(changed)) == 1 else around)

    def _expanded(
        self, block: Sequence[ast.stmt], around: Change | None, *, moved: bool = False
    ) -> list[tuple[ast.stmt, Change | None]]:
        """The statements that a block holds afterwards, each with the change that it belongs to."""
        found: list[tuple[ast.stmt, Change | None]] = []
        skip = 0
        for index, statement in enumerate(block):
            if index < skip:
                continue
            slot = self._block_in(statement)
            if slot is not None:
                found += self._expanded(slot, around, moved=True)
                continue
            run = self.runs.get(id(statement)) if not moved else None
            last = run.node[-1] if run is not None and isinstance(run.node, tuple) else statement
            skip = index + (len(run.node) if run is not None and isinstance(run.node, tuple) else 1)
            if not (moved and index == 0):
                found += self._beside(statement, behind=False)
            if run is not None:
                found += self._template(run)
            elif id(statement) in self.deleted:
                self.met.add(hash(self.deleted[id(statement)]))
            elif isinstance(change := self.replaced.get(id(statement)), Replace):
                found += self._template(change)
            else:
                found.append((statement, around))
            if not (moved and skip >= len(block)):
                found += self._beside(last, behind=True)
        return found

    def _block_in(self, statement: ast.stmt) -> Block | None:
        """The statements in the slot that a statement of a template is."""
        name = statement.value if isinstance(statement, ast.Expr) else None
        slot, _ = self.slots.get(id(name), (None, 0)) if name is not None else (None, 0)
        return slot if isinstance(slot, tuple) else None

    def _beside(self, statement: ast.stmt, *, behind: bool) -> list[tuple[ast.stmt, Change | None]]:
        changes = self.inserted.get((id(statement), behind), ())
        return [item for change in changes for item in self._template(change)]

    def _template(self, change: Replace | Insert) -> list[tuple[ast.stmt, Change | None]]:
        return self._expanded(self._parsed(change, 0, expression=False), change)

    def _parsed(self, change: Replace | Insert, level: int, *, expression: bool) -> list[ast.stmt]:
        """The tree of a change's template; where a slot holds the very node, what is left of its changes goes on there."""
        self.met.add(hash(change))
        try:
            parsed = parse(change.template.pieces, expression=expression)
        except SourceError as error:
            raise Different(error.message, change) from None
        self.kept.append(parsed.body)
        own = change.node if isinstance(change, Replace) else None
        for node in parsed.nodes():
            if isinstance(node, ast.Name):
                if (slot := parsed.slots.get(node.id)) is not None:
                    self.slots[id(node)] = (slot, level + 1 if slot is own else 0)
            elif isinstance(node, ast.stmt):
                self.new.add(id(node))
        return parsed.body

    def _same_text(self, old: ast.stmt, new: ast.stmt) -> bool:
        if id(old) in self.new:
            return False
        before = self.source.body[self.source.start(old) : self.source.end(old)]
        start = self.lines[new.lineno - 1] + new.col_offset
        decorated = getattr(old, "decorator_list", None) or getattr(new, "decorator_list", None)
        end = self.lines[(new.end_lineno or 0) - 1] + (new.end_col_offset or 0)
        return not decorated and end - start == len(before) and before == self.text[start:end]

    def _node(self, old: object, new: object, level: int, change: Change | None) -> None:
        """Compare two nodes or field values, and put what is inside them on the stack."""
        while isinstance(old, ast.expr):
            if id(old) in self.slots:
                old, level = self.slots[id(old)]
                continue
            around = self.around.get(id(old), [])
            wanted = around[level] if level < len(around) else self.replaced.get(id(old))
            if wanted is None:
                break
            statement = self._parsed(wanted, level, expression=True)[0]
            assert isinstance(statement, ast.Expr)
            old, level, change = statement.value, 0, wanted
        if type(old) is not type(new):
            raise Different("the syntax tree is not what was meant", change)
        if isinstance(old, ast.AST):
            self._fields(old, new, change)
        elif isinstance(old, list) and isinstance(new, list):
            self._list(old, new, change)
        elif old != new:
            raise Different(f"found {str(new)[:40]}, expected {str(old)[:40]}", change)

    def _fields(self, old: ast.AST, new: object, change: Change | None) -> None:
        renamed = self.renamed.get(id(old))
        changed = None
        if renamed is not None:
            self.met.add(hash(renamed))
            changed = _NAME[type(old)]
        for name in old._fields:
            before, after = getattr(old, name, None), getattr(new, name, None)
            if name == changed and renamed is not None:
                if after != renamed.name:
                    raise Different(f"found {after}, expected {renamed.name}", renamed)
            elif before is not after:
                self.stack.append((before, after, 0, change))

    def _list(self, old: list[object], new: list[object], change: Change | None) -> None:
        if old and isinstance(old[0], ast.stmt):
            self._block(old, new, change)  # type: ignore[arg-type]
            return
        for item in [item for item in old if id(item) in self.deleted]:
            self.met.add(hash(self.deleted[id(item)]))
        old = [item for item in old if id(item) not in self.deleted]
        if len(old) != len(new):
            raise Different("the syntax tree is not what was meant", change)
        self.stack.extend((before, after, 0, change) for before, after in zip(old, new, strict=True))
