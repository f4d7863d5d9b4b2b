"""Where optimizers go: every place of a file that may read one, from its constructor call on."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from optmap.source.model import Module, Variable
from optmap.source.syntax import chain_of
from optmap.values import NamedTuple

_VALUES: Final = (ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Await)


def places_of(module: Module, calls: Iterable[ast.Call]) -> Mapping[int, tuple[ast.expr, tuple[ast.Call, ...]]]:
    """The places that may read what the calls construct, by their ids, each with these calls."""
    found: dict[int, tuple[ast.expr, tuple[ast.Call, ...]]] = {}
    for call in calls:
        flow = _Flow(module)
        for place in flow.run(call):
            before = found.get(id(place))
            found[id(place)] = place, (*(before[1] if before is not None else ()), call)
    return found


class _Inside(NamedTuple):
    """That a place does not read the object itself but what holds it, under a key: an index, a string, or None for any."""

    key: object = None


class _Flow:
    """Follows one object from place to place; what holds it is followed to where the object is taken out."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.seen: set[tuple[int, _Inside | None]] = set()
        self.pending: list[tuple[ast.expr, _Inside | None]] = []

    def run(self, start: ast.expr) -> Iterator[ast.expr]:
        self._add([start])
        for node, held in self.pending:  # grows while it is walked
            if held is None:
                yield node
            self._follow(node, held)

    def _add(self, nodes: Iterable[ast.expr], held: _Inside | None = None) -> None:
        """Go on from places that read the object, or what holds it."""
        for node in nodes:
            if (id(node), held) not in self.seen:
                self.seen.add((id(node), held))
                self.pending.append((node, held))

    def _follow(self, node: ast.expr, held: _Inside | None) -> None:
        parent = self.module.parent(node)
        if isinstance(parent, ast.Assign):
            for target in parent.targets:
                self._assigned(target, held)
        elif isinstance(parent, ast.AnnAssign | ast.NamedExpr):
            self._assigned(parent.target, held)
        if isinstance(parent, _VALUES) and node is not getattr(parent, "test", None):
            self._add([parent], held)
        elif isinstance(parent, ast.Return):
            self._add(self._results(parent), held)
        elif isinstance(parent, ast.Tuple | ast.List | ast.Dict | ast.Set) and held is None:
            self._add([parent], _Inside(_key(parent, node)))
        elif isinstance(parent, ast.Call | ast.keyword):
            call = self.module.call_with(node)
            self._add(self._received(call, node), held)
            self._add(self._compiled(call) if held is None else ())
        elif held is not None:
            self._taken(node, parent, held)

    def _assigned(self, target: ast.expr, held: _Inside | None) -> None:
        variable = self.module.variable(target) if isinstance(target, ast.Name | ast.Attribute) else None
        if variable is not None:
            binding = next((item for item in variable.bindings if item.target is target), None)
            plain = isinstance(target, ast.Name) and binding is not None
            self._add(self.module.uses_of(variable, binding) if plain and binding else self._uses(variable), held)
        elif isinstance(target, ast.Tuple | ast.List) and held is not None:
            for index, item in enumerate(target.elts):
                if held.key in (None, index):
                    self._assigned(item, None)
        elif isinstance(target, ast.Attribute):  # trainer.optimizer = SGD(...), of an object that is not seen
            chain = chain_of(target)
            same = (
                node for node in self.module.attributes(target.attr) if chain is not None and chain_of(node) == chain
            )
            self._add((node for node in same if isinstance(node.ctx, ast.Load)), held)
        elif isinstance(target, ast.Subscript):  # options["optimizer"] = SGD(...)
            container = self.module.variable(target.value)
            self._add(self._uses(container) if container is not None else (), _Inside(_constant(target.slice)))

    def _taken(self, node: ast.expr, parent: ast.AST | None, held: _Inside) -> None:
        """Go on with what is taken out of a container: an item, or each of its items in a loop."""
        if isinstance(parent, ast.Attribute) and parent.attr in ("values", "items", "get", "pop"):
            call = self.module.call_of(parent)
            if call is not None:
                self._add([call], _Inside() if parent.attr in ("values", "items") else None)
        elif isinstance(parent, ast.Subscript) and parent.value is node:
            key = _constant(parent.slice)
            if None in (key, held.key) or key == held.key:
                self._add([parent], held if isinstance(parent.slice, ast.Slice) else None)
        elif isinstance(parent, ast.For | ast.comprehension) and parent.iter is node:
            self._assigned(parent.target.elts[-1] if isinstance(parent.target, ast.Tuple) else parent.target, None)

    def _uses(self, variable: Variable) -> Iterator[ast.expr]:
        """The places that read a variable; of an attribute those of objects that are of its class, as far as that is known."""
        for use in variable.uses:
            owner = self.module.instance(use.value) if isinstance(use, ast.Attribute) else None
            if owner is None or not isinstance(variable.scope, ast.ClassDef) or self._related(owner, variable.scope):
                yield use

    def _related(self, one: ast.ClassDef, other: ast.ClassDef) -> bool:
        return one in self.module.subclasses(other) or other in self.module.subclasses(one)

    def _received(self, call: ast.Call | None, value: ast.expr) -> Iterator[ast.expr]:
        """The places that read the parameter of a function of the file which a call gives a value."""
        function = _run_by(self.module, call) if call is not None else None
        if call is not None and function is not None:
            given = self.module.arguments(call, function).given.items()
            arguments = function.args
            for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                variable = (
                    self.module.variable(item) if any(n == item.arg and g.value is value for n, g in given) else None
                )
                yield from self._uses(variable) if variable is not None else ()

    def _compiled(self, call: ast.Call | None) -> Iterator[ast.expr]:
        """`model.optimizer` after `model.compile(optimizer)`, and the `self.model.optimizer` of a callback."""
        callee = call.func if call is not None else None
        if isinstance(callee, ast.Attribute) and callee.attr == "compile":
            model = chain_of(callee.value)
            for node in self.module.attributes("optimizer"):
                chain = chain_of(node.value)
                if chain is not None and isinstance(node.ctx, ast.Load) and (chain == model or chain[-1] == "model"):
                    yield node

    def _results(self, result: ast.Return) -> Iterator[ast.expr]:
        """The calls of the function that returns the object."""
        function = self.module.function_of(result)
        variable = self.module.variable(function) if function is not None else None
        calls = self.module.callers(function) if function is not None else None
        yield from calls or ()
        for use in variable.uses if variable is not None else ():
            if (call := self.module.call_of(use)) is not None:
                yield call


def _run_by(module: Module, call: ast.Call) -> ast.FunctionDef | None:
    """The function of the file that a call runs, whatever decorates it; of a class its `__init__`."""
    function = module.function(call)
    if function is None and isinstance(call.func, ast.Name):
        found = module.definition(call.func)
        if isinstance(found, ast.ClassDef):
            return module.method(found, "__init__")
        return found if isinstance(found, ast.FunctionDef) else None
    return function


def _key(display: ast.Tuple | ast.List | ast.Dict | ast.Set, node: ast.expr) -> object:
    """The key under which a display holds one of its values."""
    if isinstance(display, ast.Dict):
        return next(
            (_constant(key) for key, value in zip(display.keys, display.values, strict=True) if value is node), None
        )
    if isinstance(display, ast.Set) or any(isinstance(item, ast.Starred) for item in display.elts):
        return None
    return next((index for index, item in enumerate(display.elts) if item is node), None)


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None
