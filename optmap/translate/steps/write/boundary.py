"""Where tensors of the source framework come into rewritten steps: a loop over its data converts each batch at its head."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence

from optmap.mapping.frameworks import fill
from optmap.source.changes import Change, Insert, Where
from optmap.source.model import Module
from optmap.source.syntax import inner
from optmap.source.templates import Template
from optmap.translate.constructors.spelling import NewImport, spell_path
from optmap.translate.discover.events import Event, Training, model_uses
from optmap.translate.frontier.origins import Origin, Origins
from optmap.translate.steps.read.plan import PlainStep
from optmap.translate.unit import Unit
from optmap.values import NamedTuple

_DEPTH = 4
"""Functions behind each other that are followed from a loop."""
_NO_TENSORS = frozenset({"print", "len", "str", "repr", "isinstance", "type", "list", "enumerate", "zip", "range"})
"""Builtins that say nothing of what they are given."""


class Conversion(NamedTuple):
    """The change that converts a batch, the imports that it needs, and the names that are given the target's tensors then.

    `kept` is what the data are made of, which stays the source's.
    """

    change: Change
    needed: tuple[NewImport, ...]
    names: tuple[ast.Name, ...]
    kept: frozenset[int]


def conversions(unit: Unit, training: Training, plans: Sequence[PlainStep], left: Sequence[Event]) -> list[Conversion]:
    """The batches of the source's data that rewritten steps and models are given, each converted where a loop gets it."""
    boundary = _Boundary(unit, training, plans, left)
    batches = [(loop, got) for loop in training.module.nodes(ast.For) if (got := boundary.batch(loop)) is not None]
    running = [loop for loop, _ in batches if boundary.runs_rewritten(loop.body)]
    found = (boundary.conversion(*one) for one in batches if one[0] in running or boundary.feeds(one[0], running))
    return [item for item in found if item is not None]


class _Boundary:
    def __init__(self, unit: Unit, training: Training, plans: Sequence[PlainStep], left: Sequence[Event]) -> None:
        self.module: Module = training.module
        self.target = unit.options.target
        source = plans[0].event.site.api.framework
        self.source = source.facts.frontier
        self.origins = Origins(self.module, unit.tables, [source], self.target, (), ())
        self.steps = {id(item) for plan in plans for item in (plan.step, plan.backward)}
        self.models = {id(use) for use in model_uses(training)}
        self.left = {id(event.call) for event in left}

    def batch(self, loop: ast.For) -> ast.expr | None:
        """What of a loop's target surely gets batches of the source's, which the target's tensors can be made of."""
        if not self.source.array or not self.target.facts.frontier.tensor or loop.orelse:
            return None
        return self._batch(loop.target, loop.iter)

    def conversion(self, loop: ast.For, found: ast.expr) -> Conversion | None:
        """What converts the batches of a loop; None where no names are given tensors."""
        anchor, where = loop.body[0], Where.ABOVE
        if isinstance(found, ast.Name) and (unpacked := self._unpacked(loop, found)) is not None:
            found, anchor, where = unpacked.targets[0], unpacked, Where.AFTER
        names = list(_names(found))
        tensors = [self._is_tensor(name, loop) for name in names]
        wanted = [name for name, is_tensor in zip(names, tensors, strict=True) if is_tensor]
        path, _, rest = (self.target.facts.frontier.tensor or "").partition("(")
        spelling = spell_path(self.module, path, path.partition(".")[0], anchor)
        if not wanted or None in tensors or spelling is None:
            return None
        change = Insert(anchor, where, Template(self._text([item.id for item in wanted], f"{spelling.text}({rest}")))
        needed = (spelling.needs,) if spelling.needs is not None else ()
        return Conversion(change, needed, tuple(wanted), self._made_of(loop.iter))

    def _made_of(self, data: ast.expr) -> frozenset[int]:
        """What computes data: the nodes (ids) of expressions, functions and classes of the file that it comes from."""
        found: set[int] = set()
        queue: list[ast.AST] = [data]
        for root in queue:  # grows while it is walked
            for node in inner(root) if id(root) not in found else ():
                found.add(id(node))
                if isinstance(node, ast.Call) and (function := self.module.function(node)) is not None:
                    queue.append(function)
                elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                    definition = self.module.definition(node)
                    queue += self.module.reaching(node, calls=False).values if definition is None else [definition]
        return frozenset(found)

    def _text(self, names: Sequence[str], made: str) -> str:
        one = names[0] if len(names) == 1 else "t"
        value = fill(made, array=fill(self.source.array or "", tensor=one))
        if len(names) == 1:
            return f"{one} = {value}"
        return f"{', '.join(names)} = ({value} for t in ({', '.join(names)}))"

    def _batch(self, target: ast.expr, over: ast.expr) -> ast.expr | None:
        """What of a loop's target gets batches of the source's data, through `enumerate` and what shows progress."""
        if isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "enumerate" and over.args:
            if not self.module.is_builtin("enumerate", over.func) or not isinstance(target, ast.Tuple):
                return None
            return self._batch(target.elts[1], over.args[0]) if len(target.elts) == 2 else None
        return target if self._is_loader(over) else None

    def _is_loader(self, over: ast.expr) -> bool:
        """Tell whether a loop surely runs over batches of the source's tensors."""
        if self.origins.of(over).origins != {Origin.DATA}:
            return False
        values = [over]
        for value in values:  # grows while it is walked
            found = self.module.reaching(value, calls=False) if isinstance(value, ast.Name | ast.Attribute) else None
            if found is not None and not (len(found.values) == 1 and found.values[0] is value):
                if not found.complete:
                    return False
                values += (item for item in found.values if not any(item is known for known in values))
            elif not self._gives_batches(value):
                return False
        return True

    def _gives_batches(self, value: ast.expr) -> bool:
        """Tell whether a call makes what gives tensors, or passes on what it is given: `tqdm(loader)`."""
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name | ast.Attribute):
            return False
        if not self.module.paths(value.func).isdisjoint(self.source.batches):
            return not any(word.arg is None or word.arg in self.source.own_batches for word in value.keywords)
        if isinstance(value.func, ast.Attribute) and value.func.attr in self.source.batched:
            return True
        passes = {None} != self.module.paths(value.func) != set() and len(value.args) == 1
        return passes and self._is_loader(value.args[0])

    def _unpacked(self, loop: ast.For, batch: ast.Name) -> ast.Assign | None:
        """`x, y = batch`, the only use of a batch, as a statement of the loop."""
        uses = list(self._loads(loop, batch.id))
        statement = self.module.statement(uses[0]) if len(uses) == 1 else None
        plain = isinstance(statement, ast.Assign) and len(statement.targets) == 1 and statement.value is uses[0]
        if not plain or not any(statement is item for item in loop.body) or not isinstance(statement, ast.Assign):
            return None
        return statement if isinstance(statement.targets[0], ast.Tuple | ast.List) else None

    def _loads(self, loop: ast.For, name: str) -> Iterator[ast.Name]:
        for statement in loop.body:
            for node in inner(statement):
                if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                    yield node

    def _is_tensor(self, name: ast.Name, loop: ast.For) -> bool | None:
        """Tell whether the loop does with what a name holds what only tensors can do, or passes it on; None where it may."""
        found: bool | None = False
        for use in self._loads(loop, name.id):
            outer = self.module.parent(use)
            outer = self.module.parent(outer) if isinstance(outer, ast.keyword | ast.Starred) else outer
            if isinstance(outer, ast.BinOp | ast.Compare | ast.Attribute):
                return True
            if isinstance(outer, ast.Subscript) and isinstance(outer.slice, ast.Slice | ast.Tuple):
                return True
            called = isinstance(outer, ast.Call)
            if isinstance(outer, ast.Call) and not (isinstance(outer.func, ast.Name) and outer.func.id in _NO_TENSORS):
                return True
            found = found if called or isinstance(outer, ast.FormattedValue) else None
        return found

    def feeds(self, loop: ast.For, running: Sequence[ast.For]) -> bool:
        """Tell whether a loop that runs nothing rewritten computes what loops that do read."""
        nodes = [node for statement in loop.body for node in inner(statement)]
        stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        read = {node.id for other in running for node in inner(other) if isinstance(node, ast.Name)}
        own = {node.id for node in inner(loop.target) if isinstance(node, ast.Name)}
        return not stored.isdisjoint(read - own) and not any(id(node) in self.left for node in nodes)

    def runs_rewritten(self, statements: Iterable[ast.AST], seen: Collection[int] = ()) -> bool:
        """Tell whether statements run a rewritten step or call a model that optimizers train, and no step that stays."""
        found = False
        for node in (item for statement in statements for item in inner(statement)):
            if id(node) in self.left:
                return False
            if id(node) in self.steps or (isinstance(node, ast.Call) and id(node.func) in self.models):
                found = True
            function = self.module.definition(node.func) if isinstance(node, ast.Call) else None
            if isinstance(function, ast.FunctionDef) and id(function) not in seen and len(seen) < _DEPTH:
                found = self.runs_rewritten(function.body, (*seen, id(function))) or found
        return found


def _names(target: ast.expr) -> Iterator[ast.Name]:
    """The names that a batch is unpacked to; none where something else stands among them."""
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    if all(isinstance(item, ast.Name) for item in parts):
        yield from (item for item in parts if isinstance(item, ast.Name) and item.id != "_")
