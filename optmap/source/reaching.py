"""Which expressions may a place hold? Through names, attributes of self, conditions, unpacking, returns and callers."""

from __future__ import annotations

import ast
import builtins
from typing import Final

from optmap.source.bindings import Binding, How, Symbols, Variable
from optmap.source.classes import Classes
from optmap.source.functions import Functions
from optmap.source.order import Order
from optmap.values import NamedTuple

_MANY: Final = 2000
"""Steps after which a question is given up."""
_DEEP: Final = 8
_FEW: Final = 20
"""Bindings among which the values behind `+=` are looked for."""
_GROWS: Final = frozenset(
    ("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "setdefault", "popitem", "add",
     "discard")
)  # fmt: skip
"""Methods that change a list, a dictionary or a set."""
_EACH: Final = -1
"""Stands for the items of a display, where other numbers stand for one of them."""
_DISPLAYS: Final = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)


class Reaching(NamedTuple):
    """What an expression may hold: `values` are the expressions that may have made it, in the order they were found.

    `complete` says that it holds nothing else, but for None that a function returns at its end. Else `unknown` is the first
    place that hides a value: a parameter, an import, a loop, a mutation, a call that passes it with `*`.
    """

    values: tuple[ast.expr, ...]
    complete: bool
    unknown: ast.AST | None


class _Step(NamedTuple):
    """An expression whose values are wanted, or the parts of them that `path` leads to; `at` is where it is read."""

    node: ast.expr
    path: tuple[int, ...] = ()
    at: ast.AST | None = None


class Reach:
    """Answers the question for one index; every answer is kept."""

    def __init__(self, symbols: Symbols, order: Order, classes: Classes) -> None:
        self.symbols = symbols
        self.order = order
        self.classes = classes
        self.index = symbols.index
        self.functions = Functions(symbols, classes, self.instance)
        self._known: dict[tuple[int, int, bool], Reaching] = {}
        self._whole: dict[tuple[Variable, bool], Reaching] = {}
        self._mutated: dict[Variable, ast.AST | None] = {}
        self._deep = 0

    def variable(self, node: ast.AST) -> Variable | None:
        """The variable of a name, of what binds one, of `self.x`, or of `C.x` for a class of the file."""
        return self.classes.attribute(node) if isinstance(node, ast.Attribute) else self.symbols.named(node)

    def reaching(self, node: ast.expr, at: ast.AST | None = None, calls: bool = True) -> Reaching:
        """What an expression may hold where it stands, or, a name or a condition of names, at another place."""
        key = (id(node), id(at), calls)
        found = self._known.get(key)
        shared = self._shared(node, at if at is not None else node) if found is None else None
        if shared is not None:
            found = self._whole.get((shared, calls))
        if found is None:
            self._deep += 1
            try:
                found = _Search(self, self._deep > _DEEP, calls).run(node, at)
            finally:
                self._deep -= 1
            if shared is not None:
                self._whole[shared, calls] = found
        self._known[key] = found
        return found

    def _shared(self, node: ast.expr, at: ast.AST) -> Variable | None:
        """The variable whose every binding counts here, so that all such places have one answer."""
        variable = self.variable(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
        if variable is None or not variable.is_plain:
            return None
        return variable if self.order.in_force(variable, at) is variable.bindings else None

    def known(self, node: ast.expr, calls: bool) -> Reaching | None:
        """An answer that was given before."""
        return self._known.get((id(node), id(None), calls))

    def instance(self, node: ast.expr) -> ast.ClassDef | None:
        """The class of the file that an expression is surely an object of."""
        if self._deep > _DEEP or not isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
            return None
        found = self.reaching(node)
        made = [self.classes.named(item.func) if isinstance(item, ast.Call) else None for item in found.values]
        first = made[0] if made else None
        return first if found.complete and first is not None and all(item is first for item in made) else None

    def mutated(self, variable: Variable) -> ast.AST | None:
        """The first place that changes the list, dictionary or set that a variable holds."""
        if variable not in self._mutated:
            self._mutated[variable] = next((use for use in variable.uses if self._changes(use)), None)
        return self._mutated[variable]

    def _changes(self, use: ast.expr) -> bool:
        parent = self.index.parents.get(id(use))
        outer = self.index.parents.get(id(parent))
        if isinstance(parent, ast.Attribute):
            return parent.attr in _GROWS and isinstance(outer, ast.Call) and outer.func is parent
        return isinstance(parent, ast.Subscript) and parent.value is use and not isinstance(parent.ctx, ast.Load)


class _Search:
    """One question. `shallow` asks nothing about callers, so that questions which lead to each other come to an end.

    `calls` says whether to look through calls of the file's functions.
    """

    def __init__(self, reach: Reach, shallow: bool, calls: bool) -> None:
        self.reach = reach
        self.shallow = shallow
        self.calls = calls
        self.values: dict[int, ast.expr] = {}
        self.unknown: ast.AST | None = None
        self.seen: set[tuple[int, tuple[int, ...]]] = set()
        self.steps: list[_Step] = []

    def run(self, node: ast.expr, at: ast.AST | None) -> Reaching:
        self.steps.append(_Step(node, (), at))
        count = 0
        while self.steps:
            step = self.steps.pop()
            if (id(step.node), step.path) in self.seen:
                continue
            self.seen.add((id(step.node), step.path))
            count += 1
            if count > _MANY:
                self._hide(node)
                break
            if count == 1 or not self._from_before(step):
                self._take(step)
        if not self.values:
            self._hide(node)
        return Reaching(tuple(self.values.values()), self.unknown is None, self.unknown)

    def _from_before(self, step: _Step) -> bool:
        known = self.reach.known(step.node, self.calls) if not step.path and step.at is None else None
        if known is None:
            return False
        self.values.update({id(item): item for item in known.values})
        if known.unknown is not None:
            self._hide(known.unknown)
        return True

    def _hide(self, place: ast.AST) -> None:
        self.unknown = self.unknown or place

    def _push(self, nodes: list[ast.expr], path: tuple[int, ...], at: ast.AST | None = None) -> None:
        """Go on with other expressions; the first is taken first."""
        self.steps += [_Step(node, path, at) for node in reversed(nodes)]

    def _take(self, step: _Step) -> None:
        node, path, at = step
        if isinstance(node, ast.IfExp):
            self._push([node.body, node.orelse], path, at)
        elif isinstance(node, ast.NamedExpr):
            self._push([node.value], path)
        elif isinstance(node, ast.BoolOp):
            self._push(node.values, path, at)
        elif isinstance(node, ast.Name):
            self._name(step)
        elif isinstance(node, ast.Attribute) and (variable := self.reach.classes.attribute(node)) is not None:
            self._variable(step, variable)
        elif isinstance(node, ast.Call) and (function := self._returning(node)) is not None:
            returns, *_ = self.reach.functions.results(function)
            self._push(list(returns), path)
        else:
            self._leaf(step)

    def _returning(self, call: ast.Call) -> ast.FunctionDef | None:
        """The function that a call runs, if its results are what it returns."""
        if not self.calls or (self.shallow and isinstance(call.func, ast.Attribute)):
            return None
        function = self.reach.functions.function(call)
        plain = function is not None and not self.reach.functions.generates(function)
        return function if plain and function is not None and self.reach.functions.results(function)[0] else None

    def _leaf(self, step: _Step) -> None:
        """An expression that is not looked through: a value, or a display that the path leads into."""
        node = step.node
        if not step.path:
            self.values[id(node)] = node
            return
        place, rest = step.path[0], step.path[1:]
        items = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else None
        if items is None or any(isinstance(item, ast.Starred) for item in items):
            self._hide(node)
        elif place == _EACH:
            self._push(items, rest)
        elif place < len(items) and not isinstance(node, ast.Set):
            self._push([items[place]], rest)
        else:
            self._hide(node)

    def _name(self, step: _Step) -> None:
        variable = self.reach.symbols.named(step.node)
        if variable is not None:
            self._variable(step, variable)
        elif step.path or not is_builtin(step.node.id):  # type: ignore[attr-defined]
            self._hide(step.node)
            if not step.path:
                self.values[id(step.node)] = step.node
        else:
            self.values[id(step.node)] = step.node

    def _variable(self, step: _Step, variable: Variable) -> None:
        bindings = self.reach.order.in_force(variable, step.at if step.at is not None else step.node)
        if not bindings:
            self._hide(step.node)
        pushed = len(self.steps)
        for binding in bindings:
            self._binding(step, variable, binding)
        self.steps[pushed:] = reversed(self.steps[pushed:])
        if any(isinstance(item.value, _DISPLAYS) for item in bindings):
            changed = self.reach.mutated(variable)
            if changed is not None:
                self._hide(changed)

    def _binding(self, step: _Step, variable: Variable, binding: Binding) -> None:
        how, value, path = binding.how, binding.value, step.path
        if len(variable.chain) > 1 and self.reach.classes.attribute_is_open(binding):
            self._hide(binding.target)
        if binding.element is not None:
            path = (binding.element, *path)
        if value is not None and how in (How.ASSIGNED, How.UNPACKED):
            self.steps.append(_Step(value, path))
        elif value is not None and how is How.LOOP and _is_plain(binding):
            self.steps.append(_Step(value, (_EACH, *path)))
        elif how is How.PARAMETER and isinstance(binding.target, ast.arg):
            self._parameter(binding.target, path)
        elif how in (How.IMPORT, How.DEFINITION) and not path:
            self.values[id(step.node)] = step.node
            if how is How.IMPORT:
                self._hide(binding.target)
        else:
            self._hide(binding.target)
        if how is How.AUGMENTED and len(variable.bindings) <= _FEW:
            values = [item.value for item in variable.bindings if item.how is How.ASSIGNED]
            self.steps += [_Step(item, path) for item in values if item is not None]

    def _parameter(self, parameter: ast.arg, path: tuple[int, ...]) -> None:
        if self.shallow:
            self._hide(parameter)
            return
        passed = self.reach.functions.passed(parameter)
        self.steps += [_Step(value, path) for value in passed.values]
        if passed.unknown is not None:
            self._hide(passed.unknown)


def _is_plain(binding: Binding) -> bool:
    """Tell whether a loop is not an asynchronous one."""
    loop = binding.loop
    return isinstance(loop, ast.For) or (isinstance(loop, ast.comprehension) and not loop.is_async)


def is_builtin(name: str) -> bool:
    """Tell whether Python itself gives the name a meaning."""
    return hasattr(builtins, name)
