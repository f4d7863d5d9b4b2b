"""Proof that an edited file is what was meant: it parses, and its tree differs from the old one only as planned."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from optmap.mapping.plan import FromArgument, Plan
from optmap.mapping.values import Conversion
from optmap.source.calls import CallText, Span
from optmap.source.edits import Edit, Shifts
from optmap.source.text import Source, parse_body


class VerificationError(Exception):
    """The edited file is not provably right; nothing of it may be used. `place` is where in the old file, if known."""

    def __init__(self, message: str, place: Span | None = None) -> None:
        super().__init__(message)
        self.place = place


class EditedCall(NamedTuple):
    """A call that was edited: its text before, what was planned, and the callee that was written."""

    call: CallText
    plan: Plan
    callee: str


class EditedNode(NamedTuple):
    """An expression, or the name of a keyword, outside the calls that was edited: its extent before, and its text after."""

    start: int
    end: int
    text: str


class Kept(NamedTuple):
    """A statement of the old tree that stands at a new place, as it was but for what is declared inside it."""

    node: ast.stmt


class Planned(NamedTuple):
    """What else the edits are to do to the tree, said in terms of the tree and not of the text.

    `expressions` gives for the id of an old expression what stands there afterwards, `statements` for the id of an old
    statement the statements that take its place. What they give is new, but may hold old expressions and Kept statements.
    `fresh` holds the new nodes, whose positions mean nothing, by their ids.
    """

    expressions: Mapping[int, ast.AST]
    statements: Mapping[int, Sequence[ast.stmt | Kept]]
    fresh: Mapping[int, ast.AST] = {}


NOTHING_PLANNED = Planned({}, {})


def joined(plans: Iterable[Planned]) -> Planned:
    """Everything that several plans do; each statement and expression belongs to one of them."""
    found: list[dict[int, Any]] = [{}, {}, {}]
    for plan in plans:
        for part, own in zip(found, plan, strict=True):
            part |= own
    return Planned(*found)


def verify(
    source: Source,
    body: bytes,
    edits: Sequence[Edit],
    edited: Sequence[EditedCall],
    nodes: Sequence[EditedNode] = (),
    planned: Planned = NOTHING_PLANNED,
) -> Source:
    """Parse the edited body and compare the trees. Raises SourceError or VerificationError."""
    result = Source(body, source.encoding, source.bom, parse_body(body))
    shifts = Shifts(edits)
    spans = {(source.start(item.call.node), source.end(item.call.node)): item for item in edited}
    moved_spans = {(shifts.new(start), shifts.new(end)): item for (start, end), item in spans.items()}
    changed = {(node.start, node.end): node.text for node in nodes}
    comparison = _Comparison(source, result, frozenset(spans), moved_spans, changed, planned)
    comparison.block(source.tree.body, result.tree.body)
    if not comparison.met.issuperset((*planned.expressions, *planned.statements)):
        raise VerificationError("a planned edit is not in the result")
    return result


class _Comparison:
    """Walks both trees side by side; statements whose text is the same are not entered."""

    def __init__(
        self, source: Source, result: Source, old: frozenset[tuple[int, int]], new: dict[tuple[int, int], EditedCall],
        changed: dict[tuple[int, int], str], planned: Planned,
    ) -> None:  # fmt: skip
        self.source = source
        self.result = result
        self.old = old
        self.new = new
        self.changed = changed
        self.planned = planned
        self.met: set[int] = set()
        self.nested = {id(item.call.node) for item in new.values()} | planned.expressions.keys()

    def block(self, old: Sequence[ast.AST], new: Sequence[ast.AST]) -> None:
        """Compare two lists of statements, imports left out."""
        left, right = _without_imports(self._planned_block(old)), _without_imports(new)
        if len(left) != len(right):
            raise VerificationError("statements were added or lost")
        for before, after in zip(left, right, strict=True):
            if not self._same_text(before, after):
                try:
                    self.node(before, after)
                except VerificationError as error:
                    error.place = error.place or self._place(before)
                    raise

    def _place(self, old: ast.AST) -> Span | None:
        """The extent of a statement of the old file."""
        if not isinstance(old, ast.stmt) or id(old) in self.planned.fresh:
            return None
        return Span(self.source.start(old), self.source.end(old))

    def _planned_block(self, old: Sequence[ast.AST | Kept]) -> list[ast.AST]:
        """Put what is planned in the place of each statement; a Kept one stands for itself."""
        found: list[ast.AST] = []
        for item in old:
            if isinstance(item, Kept):
                found.append(item.node)
            elif id(item) in self.planned.statements:
                self.met.add(id(item))
                found += (
                    entry.node if isinstance(entry, Kept) else entry for entry in self.planned.statements[id(item)]
                )
            else:
                found.append(item)
        return found

    def _same_text(self, old: ast.AST, new: ast.AST) -> bool:
        if not isinstance(old, ast.stmt) or not isinstance(new, ast.stmt) or id(old) in self.planned.fresh:
            return False
        before = self.source.body[self.source.start(old) : self.source.end(old)]
        return before == self.result.body[self.result.start(new) : self.result.end(new)]

    def node(self, old: object, new: object) -> None:
        """Compare two nodes or field values; an edited call must be what was planned."""
        while id(old) in self.planned.expressions:
            self.met.add(id(old))
            old = self.planned.expressions[id(old)]
        if isinstance(old, ast.expr) and id(old) not in self.planned.fresh and (
            self.source.start(old), self.source.end(old)
        ) in self.changed:  # fmt: skip
            return self._changed(old, new)
        if type(old) is not type(new):
            raise VerificationError("the syntax tree changed outside the edited calls")
        if isinstance(old, list) and isinstance(new, list):
            if any(isinstance(item, ast.stmt | ast.ExceptHandler | ast.match_case | Kept) for item in (*old, *new)):
                return self.block(old, new)
            if len(old) != len(new):
                raise VerificationError("the syntax tree changed outside the edited calls")
            for before, after in zip(old, new, strict=True):
                self.node(before, after)
        elif isinstance(old, ast.Call) and self._is_edited(old):
            self._call(new)
        elif isinstance(old, ast.keyword) and isinstance(new, ast.keyword):
            self._keyword(old, new)
        elif isinstance(old, ast.AST):
            for name in old._fields:
                self.node(getattr(old, name, None), getattr(new, name, None))
        elif old != new:
            raise VerificationError("the syntax tree changed outside the edited calls")
        return None

    def _changed(self, old: ast.expr, new: object) -> None:
        text = self.changed[self.source.start(old), self.source.end(old)]
        if not _same_tree(ast.parse(f"({text}\n)", mode="eval").body, new):
            raise VerificationError(f"expected {text}")

    def _keyword(self, old: ast.keyword, new: ast.keyword) -> None:
        name = old.arg
        if id(old) not in self.planned.fresh:
            start = self.source.start(old)
            name = self.changed.get((start, start + len((old.arg or "").encode())), old.arg)
        if name != new.arg:
            raise VerificationError(f"found the keyword {new.arg}, expected {name}")
        self.node(old.value, new.value)

    def _is_edited(self, old: ast.Call) -> bool:
        return id(old) not in self.planned.fresh and (self.source.start(old), self.source.end(old)) in self.old

    def _call(self, new: object) -> None:
        assert isinstance(new, ast.Call)
        item = self.new.get((self.result.start(new), self.result.end(new)))
        if item is None:
            raise VerificationError("an edited call is not where it was expected")
        _verify_call(new, item, self.nested)
        given = {keyword.arg: keyword.value for keyword in new.keywords}
        for argument in item.plan.arguments:
            piece = argument.pieces[0]
            if not isinstance(piece, FromArgument):
                continue
            own = item.call.arguments[piece.index].node
            if argument.parameter.is_parameters:
                self.node(own, new.args[0] if new.args else given[argument.parameter.name])
            elif any(id(inner) in self.planned.expressions for inner in ast.walk(own)):
                self.node(own, given[argument.parameter.name])


def _verify_call(node: ast.Call, item: EditedCall, edited: set[int]) -> None:
    if ast.unparse(node.func) != item.callee:
        raise VerificationError(f"found {ast.unparse(node.func)}, expected {item.callee}")
    expected = {argument.parameter.name: argument for argument in item.plan.arguments}
    names = [keyword.arg for keyword in node.keywords]
    if node.args:
        names.append(next((name for name, argument in expected.items() if argument.parameter.leads), None))
    if len(node.args) > 1 or sorted(map(str, names)) != sorted(expected):
        raise VerificationError(f"{item.callee} has the arguments {names}, expected {list(expected)}")
    for keyword in node.keywords:
        argument = expected[str(keyword.arg)]
        piece = argument.pieces[0]
        if argument.compound or argument.parameter.leads or not isinstance(piece, FromArgument):
            continue
        value = item.call.arguments[piece.index].node
        nested = any(id(inner) in edited for inner in ast.walk(value))
        copied = piece.element is None and piece.conversion is Conversion.NONE and piece.formula is None and not nested
        if copied and not _same_tree(value, keyword.value):
            raise VerificationError(f"the value of {keyword.arg} changed")


def _same_tree(left: object, right: object) -> bool:
    """Compare two trees; `ast.dump` would print every constant, which Python refuses for huge integers."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same_tree, left, right))
    if isinstance(left, ast.AST):
        return all(_same_tree(getattr(left, name, None), getattr(right, name, None)) for name in left._fields)
    return left == right


def _without_imports(body: Sequence[ast.AST]) -> list[ast.AST]:
    return [statement for statement in body if not isinstance(statement, ast.Import | ast.ImportFrom)]
