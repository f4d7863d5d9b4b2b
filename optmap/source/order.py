"""Which bindings of a name are in force at a place? As far as the order of statements tells."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from optmap.source.bindings import Binding, Symbols, Variable, climb, position
from optmap.source.scopes import ScopeKind
from optmap.source.symbols import Index
from optmap.source.syntax import Function
from optmap.values import NamedTuple

_FIELDS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
_LEAVE: Final = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_DEEP: Final = 50
_MANY: Final = 100
"""Bindings that may each be the last one; where there are more, all are taken."""

_ANY: Final = 0
"""Stands for the id of every binding of a variable."""


class Event(NamedTuple):
    """A place that binds a name, or deletes it (no binding), with the statement that it stands in."""

    node: ast.AST
    binding: Binding | None
    statement: ast.AST
    certain: bool


class _History(NamedTuple):
    """The events of one variable in the order of the text, those at any time among them, those at the start, and where each is.

    `inside` has the events below a statement, `marks` the places in a block (by id of the list) where there are any;
    `certain` says of a statement whether it is sure to bind or delete the variable.
    """

    events: list[Event]
    anytime: list[Event]
    first: list[Event]
    inside: dict[int, list[Event]]
    marks: dict[int, list[int]]
    certain: dict[int, bool]


class Order:
    """Statements and their order, for one index."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.index: Index = symbols.index
        self._statements: dict[int, ast.stmt] = {}
        self._places: dict[int, tuple[list[ast.stmt], int]] = {}
        self._histories: dict[Variable, _History] = {}
        self._uses: dict[Variable, dict[int, list[ast.expr]]] = {}
        self._later: dict[tuple[Variable, int], Sequence[Binding]] = {}

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The innermost statement that a node belongs to, itself if it is one; None for the module."""
        passed: list[int] = []
        inner: ast.AST | None = node
        found: ast.stmt | None = None
        while inner is not None:
            found = inner if isinstance(inner, ast.stmt) else self._statements.get(id(inner))
            if found is not None:
                break
            passed.append(id(inner))
            inner = self.index.parents.get(id(inner))
        if found is not None:
            self._statements.update(dict.fromkeys(passed, found))
        return found

    def block(self, statement: ast.stmt) -> tuple[list[ast.stmt], int]:
        """The list of statements that one stands in, and its place there."""
        if id(statement) not in self._places:
            parent = self.index.parents[id(statement)]
            for field in _FIELDS:
                nodes = getattr(parent, field, None)
                if isinstance(nodes, list) and nodes and isinstance(nodes[0], ast.stmt):
                    self._places.update({id(item): (nodes, place) for place, item in enumerate(nodes)})
        return self._places[id(statement)]

    def around(self, statement: ast.stmt) -> ast.AST:
        """The statement, or the module, whose block a statement stands in."""
        return next(item for item in climb(self.index, statement) if isinstance(item, ast.stmt | ast.Module))

    def in_force(self, variable: Variable, at: ast.AST) -> Sequence[Binding]:
        """The bindings that may have given a variable the value that is read at a place; all where nothing tells."""
        if len(variable.bindings) < 2 or len(variable.chain) > 1:
            return variable.bindings
        if not isinstance(variable.scope, (ast.Module, ast.ClassDef, Function)):
            return variable.bindings
        place = self._place(variable, at)
        if place is at:
            return self._found(variable, at, ())
        if (
            not isinstance(place, ast.stmt)
            or isinstance(variable.scope, ast.ClassDef)
            or len(variable.bindings) > _MANY
        ):
            return variable.bindings
        key = (variable, id(place))
        if key not in self._later:
            self._later[key] = self._found(variable, place, self._from(variable, place))
        return self._later[key]

    def _found(self, variable: Variable, at: ast.AST, later: Iterable[Event]) -> Sequence[Binding]:
        """The bindings that are in force at a place, and those of later events."""
        history = self._history(variable)
        before = list(islice(self._before(variable, history, at), _MANY + 1))
        if len(before) > _MANY:
            return variable.bindings
        found = {id(event.node): event for event in (*before, *later, *history.anytime)}
        bindings = [event.binding for event in found.values() if event.binding is not None]
        if len(bindings) in (0, len(variable.bindings)):
            return variable.bindings
        return sorted(bindings, key=lambda item: position(item.target))

    def _from(self, variable: Variable, definition: ast.stmt) -> Iterator[Event]:
        """The events at a definition, behind it, and in the loops around it: what it defines may run after any of them."""
        start: ast.AST = definition
        at = self.around(definition)
        while isinstance(at, ast.stmt) and at is not variable.scope:
            start = at if isinstance(at, (ast.For, ast.AsyncFor, ast.While)) else start
            at = self.around(at)
        first = position(start)
        yield from (item for item in self._history(variable).events if position(item.node) >= first)

    def uses(self, variable: Variable, binding: Binding) -> Sequence[ast.expr]:
        """The places that may read what a binding gave the variable."""
        found = self._uses.get(variable)
        if found is None:
            found = self._uses[variable] = {}
            for use in variable.uses:
                reaching = self.in_force(variable, use)
                for item in [_ANY] if reaching is variable.bindings else [id(item.target) for item in reaching]:
                    found.setdefault(item, []).append(use)
        return [*found.get(id(binding.target), ()), *found.get(_ANY, ())]

    def _place(self, variable: Variable, at: ast.AST) -> ast.AST | None:
        """The place itself where it runs in order with the statements of the variable's scope, else what defines it there."""
        scope, in_order = self.symbols.scope(at), True
        place: ast.AST | None = at
        while scope is not variable.owner:
            at_once = isinstance(scope.node, (ast.ListComp, ast.SetComp, ast.DictComp))
            in_order = in_order and (at_once or scope.kind in (ScopeKind.CLASS, ScopeKind.TYPES))
            if scope.parent is None:
                return None
            place, scope = scope.node, scope.parent
        return at if in_order else self.statement(place) if place is not None else None

    def _history(self, variable: Variable) -> _History:
        found = self._histories.get(variable)
        if found is None:
            found = self._histories[variable] = _History([], [], [], {}, {}, {})
            known = {id(item.target): item for item in variable.bindings}
            for node in sorted(variable.owner.binders[variable.chain[0]], key=position):
                deletes = isinstance(getattr(node, "ctx", None), ast.Del)
                if id(node) in known or deletes:
                    self._add(found, variable, node, known.get(id(node)))
            for places in found.marks.values():
                places.sort()
        return found

    def _add(self, history: _History, variable: Variable, node: ast.AST, binding: Binding | None) -> None:
        statement = self.statement(node)
        if isinstance(node, ast.arg) or statement is None:
            history.first.append(Event(node, binding, variable.scope, True))
            history.events.append(history.first[-1])
            return
        parent = self.index.parents[id(node)]
        walrus = isinstance(parent, ast.NamedExpr)
        event = Event(node, binding, statement, not walrus)
        history.events.append(event)
        late = walrus and any(isinstance(item, ast.GeneratorExp) for item in self._within(node, statement))
        if late or self.symbols.scope(statement) is not variable.owner:
            history.anytime.append(event)
            return
        at: ast.AST = statement
        while isinstance(at, ast.stmt) and at is not variable.scope:
            history.inside.setdefault(id(at), []).append(event)
            block, place = self.block(at)
            marks = history.marks.setdefault(id(block), [])
            if place not in marks[-1:]:
                marks.append(place)
            at = self.around(at)

    def _within(self, node: ast.AST, statement: ast.AST) -> Iterator[ast.AST]:
        for item in climb(self.index, node):
            if item is statement:
                return
            yield item

    def _before(self, variable: Variable, history: _History, at: ast.AST) -> Iterator[Event]:
        """Events that may be the last one before a place, from the nearest outwards."""
        statement = self.statement(at)
        if statement is None:
            return
        own = history.inside.get(id(statement), ())
        if isinstance(statement, ast.While):
            yield from own
        else:
            earlier = position(at)
            yield from (item for item in own if item.statement is statement and _is_walrus_before(item, earlier))
        while True:
            block, place = self.block(statement)
            marks = history.marks.get(id(block), ())
            for index in range(bisect_left(marks, place) - 1, -1, -1):
                other = block[marks[index]]
                yield from history.inside[id(other)]
                if self._certain(history, other):
                    return
            outer = self.around(statement)
            if outer is variable.scope or not isinstance(outer, ast.stmt):
                yield from history.first
                return
            inside = history.inside.get(id(outer), ())
            heads = [item for item in inside if item.statement is outer and item.certain]
            headed = isinstance(outer, (ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)) and block is outer.body
            if heads and headed:
                yield from heads
                return
            if isinstance(outer, (ast.If, ast.With, ast.AsyncWith)):
                yield from (item for item in inside if item.statement is outer)
            elif not _is_try(outer) or block is not outer.body:  # type: ignore[attr-defined]
                yield from inside
            statement = outer

    def _certain(self, history: _History, node: ast.AST, depth: int = 0) -> bool:
        """Tell whether the name is bound, or deleted, whenever a statement has run to its end."""
        if id(node) not in history.certain:
            history.certain[id(node)] = depth <= _DEEP and self._found_certain(history, node, depth)
        return history.certain[id(node)]

    def _found_certain(self, history: _History, node: ast.AST, depth: int) -> bool:
        events = history.inside.get(id(node), ())
        if isinstance(node, (ast.With, ast.AsyncWith)):
            return any(item.statement is node and item.certain for item in events)
        if isinstance(node, ast.If):
            return all(self._block_certain(history, block, depth) for block in (node.body, node.orelse))
        if _is_try(node):
            final = self._block_certain(history, node.finalbody, depth)  # type: ignore[attr-defined]
            body = [node.body, node.orelse]  # type: ignore[attr-defined]
            runs = any(self._block_certain(history, block, depth) for block in body)
            handled = [self._block_certain(history, item.body, depth) for item in node.handlers]  # type: ignore[attr-defined]
            return final or (runs and all(handled))
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While, ast.Match)):
            return False
        return any(item.statement is node and item.certain for item in events)

    def _block_certain(self, history: _History, block: list[ast.stmt], depth: int) -> bool:
        if block and isinstance(block[-1], _LEAVE):
            return True
        return any(self._certain(history, block[place], depth + 1) for place in history.marks.get(id(block), ()))


def _is_walrus_before(event: Event, place: tuple[int, int]) -> bool:
    return not event.certain and event.binding is not None and position(event.node) < place


def _is_try(node: ast.AST) -> bool:
    return type(node).__name__ in ("Try", "TryStar")
