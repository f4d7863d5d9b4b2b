"""The functions of a file: which one a call runs, what it gives back, and who calls it with what."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from weakref import WeakMethod

from optmap.source.bind import Bound, Signature, Unbound, bind, signature_of
from optmap.source.bindings import How, Symbols, Variable, is_static, position
from optmap.source.classes import Classes
from optmap.source.scopes import ScopeKind
from optmap.source.syntax import Function, default_of, positional
from optmap.values import NamedTuple

_PLAIN = ("staticmethod", "classmethod")
_DEEP = 12
_FEW = 20
"""Calls that are looked at where others may exist as well."""


class Passed(NamedTuple):
    """What is seen to be passed for a parameter. `complete` says that nothing else can be; else `unknown` says why not."""

    values: tuple[ast.expr, ...]
    unknown: ast.AST | None


class Functions:
    """Calls and functions of one index. `instance` tells of which class of the file an expression is an object."""

    def __init__(self, symbols: Symbols, classes: Classes, instance: Callable[[ast.expr], ast.ClassDef | None]) -> None:
        self.symbols = symbols
        self.classes = classes
        self.index = symbols.index
        self._instance = WeakMethod(instance)  # whoever answers holds this object: no cycle
        self._callers: dict[int, tuple[ast.Call, ...] | None] = {}
        self._busy: set[int] = set()
        self._given: dict[int, tuple[tuple[ast.expr, ...], tuple[ast.expr, ...], tuple[ast.expr, ...]]] = {}
        self._passed: dict[int, Passed] = {}
        self._bound: dict[tuple[int, int], Bound | Unbound] = {}
        self._signatures: dict[tuple[int, bool], Signature] = {}

    def instance(self, node: ast.expr) -> ast.ClassDef | None:
        """The class of the file that an expression is surely an object of."""
        answer = self._instance()
        return answer(node) if answer is not None else None

    def function(self, call: ast.Call) -> ast.FunctionDef | None:
        """The function of the file that a call runs."""
        func = call.func
        if isinstance(func, ast.Name):
            return _only(self.symbols.named(func), in_class=False)
        if not isinstance(func, ast.Attribute):
            return None
        owner = self.symbols.self_class(func.value) or self.classes.named(func.value)
        if owner is not None:
            return _only(self.classes.of_class(owner, func.attr), in_class=True)
        made = self.instance(func.value)
        found = self.classes.method(made, func.attr) if made is not None else None
        variable = self.classes.of_class(made, func.attr) if found is not None and made is not None else None
        return found if found is not None and _only(variable, in_class=True) is found else None

    def is_bound(self, call: ast.Call, function: ast.FunctionDef) -> bool:
        """Tell whether a call leaves the first parameter of a method to Python."""
        scope = self.symbols.scope(function)
        if scope.kind is not ScopeKind.CLASS or not isinstance(call.func, ast.Attribute):
            return function.name == "__init__" and scope.kind is ScopeKind.CLASS
        decorators = {item.id for item in function.decorator_list if isinstance(item, ast.Name)}
        if "staticmethod" in decorators:
            return False
        through_class = self.classes.named(call.func.value) is not None and function.name != "__init__"
        return not through_class or "classmethod" in decorators

    def results(self, function: ast.AST) -> tuple[tuple[ast.expr, ...], tuple[ast.expr, ...], tuple[ast.expr, ...]]:
        """What a function returns, what it yields, and what it yields from, in the order of the text."""
        found = self._given.get(id(function))
        if found is None:
            nodes = list(_inside(function))
            returns = [node.value for node in nodes if isinstance(node, ast.Return) and node.value is not None]
            yields = [node.value for node in nodes if isinstance(node, ast.Yield) and node.value is not None]
            runs = [node.value for node in nodes if isinstance(node, ast.YieldFrom)]
            found = self._given[id(function)] = (_sorted(returns), _sorted(yields), _sorted(runs))
        return found

    def generates(self, function: ast.AST) -> bool:
        """Tell whether a function is a generator."""
        _, yields, runs = self.results(function)
        return bool(yields or runs) or any(isinstance(node, ast.Yield) for node in _inside(function))

    def callers(self, function: ast.AST) -> tuple[ast.Call, ...] | None:
        """Every call of a function, in the order of the text; None where it may be called in ways that are not seen."""
        if id(function) in self._callers:
            return self._callers[id(function)]
        if id(function) in self._busy or len(self._busy) > _DEEP or not isinstance(function, ast.FunctionDef):
            return None
        self._busy.add(id(function))
        found = self._found_callers(function)
        self._busy.discard(id(function))
        calls = None if found is None else tuple(sorted(found, key=position))
        self._callers[id(function)] = calls
        return calls

    def _found_callers(self, function: ast.FunctionDef) -> list[ast.Call] | None:
        scope = self.symbols.scope(function)
        variable = self.symbols.named(function)
        if variable is None or _only(variable, in_class=True) is not function:
            return None
        calls = self._calls(variable.uses)
        if scope.kind is not ScopeKind.CLASS or calls is None:
            return calls
        assert isinstance(scope.node, ast.ClassDef)
        if function.name == "__init__":
            return self._constructed(scope.node)
        special = function.name.startswith("__") and function.name.endswith("__")
        if special or self.classes.open(scope.node) or scope.node.decorator_list:
            return None
        attribute = self.classes.of_class(scope.node, function.name)
        if attribute is None or _only(attribute, in_class=True) is not function:
            return None
        mine = [use for use in attribute.uses if self._may_be_of(use, scope.node)]
        through = self._calls(mine)
        if through is None or any(self.function(call) is not function for call in through):
            return None
        return [*calls, *through]

    def _may_be_of(self, use: ast.expr, owner: ast.ClassDef) -> bool:
        """Leave out methods of objects that are known to be of another class."""
        value = use.value if isinstance(use, ast.Attribute) else use
        if self.symbols.self_class(value) is not None:
            return True
        made = self.classes.named(value) or self.instance(value)
        return made is None or any(made is item for item in self.classes.related(owner))

    def _calls(self, uses: Iterable[ast.expr]) -> list[ast.Call] | None:
        """The calls of these names; None where one of them is used in another way."""
        found: list[ast.Call] = []
        for use in uses:
            call = self.index.parents.get(id(use))
            if not isinstance(call, ast.Call) or call.func is not use:
                return None
            found.append(call)
        return found

    def _constructed(self, owner: ast.ClassDef) -> list[ast.Call] | None:
        """The calls that make objects of a class; None where something else may make them."""
        variable = self.symbols.named(owner)
        known = variable is not None and [item.target for item in variable.bindings] == [owner]
        init = self.symbols.in_class(owner, "__init__")
        if (
            not known
            or variable is None
            or owner.decorator_list
            or len(self.classes.subclasses(owner)) > 1
            or owner.keywords
        ):
            return None
        if init is None or len(init.bindings) != 1 or self.symbols.in_class(owner, "__new__") is not None:
            return None
        return self._calls(use for use in variable.uses if not self._is_harmless(use))

    def _is_harmless(self, use: ast.expr) -> bool:
        """`isinstance(x, C)`, `super(C, self)`, and annotations make no objects."""
        parent = self.index.parents.get(id(use))
        if isinstance(parent, ast.Call) and parent.func is not use:
            return getattr(parent.func, "id", "") in ("isinstance", "issubclass", "super")
        return (isinstance(parent, ast.arg | ast.AnnAssign) and parent.annotation is use) or (
            isinstance(parent, Function) and parent.returns is use
        )

    def passed(self, parameter: ast.arg) -> Passed:
        """What a function's callers pass for a parameter, its default among it where one of them leaves it out."""
        found = self._passed.get(id(parameter))
        if found is None:
            found = self._found_passed(parameter)
            if not self._busy:
                self._passed[id(parameter)] = found
        return found

    def _found_passed(self, parameter: ast.arg) -> Passed:
        function = self.index.parents[id(self.index.parents[id(parameter)])]
        if not isinstance(function, ast.FunctionDef) or parameter is self._implicit(function):
            return Passed((), parameter)
        calls = self.callers(function)
        unknown: ast.AST | None = None if calls else parameter
        values: dict[int, ast.expr] = {}
        for call in calls or self._seen_calls(function)[:_FEW]:
            given = self.arguments(call, function).get(parameter.arg)
            if given is not None and isinstance(given.value, ast.expr):
                values[id(given.value)] = given.value
            elif unknown is None:
                unknown = call
        default = default_of(function.args, parameter.arg)
        if not calls and default is not None:
            values[id(default)] = default
        return Passed(tuple(values.values()), unknown)

    def arguments(self, call: ast.Call, function: ast.FunctionDef) -> Bound | Unbound:
        """What each parameter of a function gets from a call that runs it."""
        key = (id(call), id(function))
        if key not in self._bound:
            self._bound[key] = bind(self._signature(function, self.is_bound(call, function)), call)
        return self._bound[key]

    def _signature(self, function: ast.FunctionDef, bound: bool) -> Signature:
        key = (id(function), bound)
        if key not in self._signatures:
            self._signatures[key] = signature_of(function, bound=bound)
        return self._signatures[key]

    def _implicit(self, function: ast.FunctionDef) -> ast.arg | None:
        """The first parameter of a method, which no caller passes."""
        inside = self.symbols.scope(function).kind is ScopeKind.CLASS and not is_static(function)
        return next(iter(positional(function.args)), None) if inside else None

    def _seen_calls(self, function: ast.FunctionDef) -> list[ast.Call]:
        """Calls that may run a function for which others may exist as well."""
        variable = self.symbols.named(function)
        owner = self.symbols.scope(function).node
        uses = list(variable.uses) if variable is not None else []
        if isinstance(owner, ast.ClassDef):
            attribute = self.classes.of_class(owner, function.name)
            every = attribute.uses if attribute is not None else ()
            uses += [use for use in every if self._may_be_of(use, owner)]
        calls = (self.index.parents.get(id(use)) for use in uses)
        return [item for item, use in zip(calls, uses, strict=True) if isinstance(item, ast.Call) and item.func is use]


def _only(variable: Variable | None, *, in_class: bool) -> ast.FunctionDef | None:
    """The function that is a variable's only binding; in the body of a class, a static or a class method as well."""
    bindings = variable.bindings if variable is not None else ()
    target = bindings[0].target if len(bindings) == 1 and bindings[0].how is How.DEFINITION else None
    if variable is None or not isinstance(target, ast.FunctionDef):
        return None
    if not in_class and isinstance(variable.scope, ast.ClassDef):
        return None
    return target if _is_plain(target, methods=isinstance(variable.scope, ast.ClassDef)) else None


def _is_plain(function: ast.FunctionDef, *, methods: bool) -> bool:
    """Tell whether a function has no decorators but those that make a method static or one of the class."""
    names = [item.id if isinstance(item, ast.Name) else "" for item in function.decorator_list]
    return not names or (methods and all(name in _PLAIN for name in names))


def _inside(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's own body, without those of functions and classes in it."""
    stack: list[ast.AST] = list(getattr(function, "body", ()))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (Function, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(node))


def _sorted(nodes: list[ast.expr]) -> tuple[ast.expr, ...]:
    return tuple(sorted(nodes, key=position))
