"""The variables that `minimize(loss)` trains where it is given none: those of the graph that the loss is computed from.

They are told only where every value on the way to the loss is made in the file, by functions that make no variables of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final

from optmap.mapping.frameworks import Variables
from optmap.source.bindings import position
from optmap.source.model import Module, Variable
from optmap.source.syntax import argument_values
from optmap.translate.parameters.variables import Trained, TrainedKind

_BUILTINS: Final = frozenset(
    ("abs", "dict", "enumerate", "list", "max", "min", "reversed", "sorted", "sum", "tuple", "zip")
)
"""Builtins that give nothing but what follows from their arguments."""
_NUMBERS: Final = frozenset(("bool", "float", "int", "len", "range", "str"))
"""Builtins whose results no gradient passes."""
_PARTS: Final = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Subscript,
    ast.Slice, ast.Starred,
)  # fmt: skip
"""Expressions whose value depends on nothing but what stands in them."""
_PLAIN: Final = frozenset(("name", "dtype", "shape", "initializer", "initial_value"))
"""What variables are made with that does not decide whether they are trained."""
_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SHARING: Final = (b"reuse", b"custom_getter", b"partitioner", b"creator_scope")
"""Words of files in which a call may give another variable than a new one, or several."""


def collected(module: Module, loss: ast.expr, names: Variables) -> Sequence[Trained] | ast.expr:
    """The variables of the file that a loss depends on, in the order of the file, or what may bring in others."""
    try:
        return _Slice(module, names).of(loss)
    except _HiddenError as hidden:
        return hidden.node


def differentiated(module: Module, pairs: tuple[ast.expr, ast.expr], names: Variables) -> ast.expr | None:
    """The loss of `zip(tf.gradients(loss, variables), variables)` with all variables of the graph; None for anything else."""
    gradients, variables = (_only_call(module, item) for item in pairs)
    if gradients is None or variables is None or not gradients.args or gradients.keywords:
        return None
    made = (
        _path(module, gradients.func, names) in names.gradients
        and _path(module, variables.func, names) in names.collection
    )
    return gradients.args[0] if made and not variables.args and not variables.keywords else None


def _only_call(module: Module, node: ast.expr) -> ast.Call | None:
    reached = module.reaching(node)
    only = reached.values[0] if reached.complete and len(reached.values) == 1 else None
    return only if isinstance(only, ast.Call) else None


class _HiddenError(Exception):
    """A variable may come in at a node, where the file does not show it."""

    def __init__(self, node: ast.expr) -> None:
        self.node = node


def _path(module: Module, function: ast.expr, names: Variables) -> str | None:
    """The import path of a function, where it can be one alone, as the tables write it."""
    path = module.path(function)
    if path is None:
        return None
    prefix = next((prefix for prefix in names.alike if path.startswith(prefix)), "")
    return names.alike.get(prefix, "") + path.removeprefix(prefix)


class _Slice:
    """Walks backwards from a loss over everything that it is computed from."""

    def __init__(self, module: Module, names: Variables) -> None:
        self.module = module
        self.names = names
        self.roots = {package.partition(".")[0] for package in names.computing}
        self.seen: set[int] = set()
        self.todo: list[ast.expr] = []
        self.found: dict[Variable, Trained] = {}

    def of(self, loss: ast.expr) -> Sequence[Trained]:
        self.todo.append(loss)
        while self.todo:
            node = self.todo.pop()
            if id(node) not in self.seen:
                self.seen.add(id(node))
                self._look(node)
        return sorted(self.found.values(), key=lambda part: position(part.node))

    def _look(self, node: ast.expr) -> None:
        if isinstance(node, _PARTS):
            self._all(item for item in ast.iter_child_nodes(node) if isinstance(item, ast.expr))
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.Lambda):
            self._all([node.body])
        elif isinstance(node, ast.Name | ast.Attribute):
            self._name(node)
        elif not isinstance(node, ast.Constant | ast.JoinedStr):
            raise _HiddenError(node)

    def _all(self, nodes: Iterable[ast.expr]) -> None:
        self.todo += nodes

    def _name(self, node: ast.Name | ast.Attribute) -> None:
        """Everything that a name may hold; the member of a tensor or array comes from it."""
        variable = self.module.variable(node)
        if variable is None and isinstance(node, ast.Attribute):
            path = _path(self.module, node, self.names)
            if self._is_value(node):
                self._all([node.value])
            elif path is None or path.partition(".")[0] not in self.roots:
                raise _HiddenError(node)
            return
        definition = self.module.definition(node)
        if isinstance(definition, ast.FunctionDef):
            self._results(definition, node)
            return
        reached = self.module.reaching(node, calls=False)
        if variable is None or not reached.complete or any(value is node for value in reached.values):
            raise _HiddenError(node)
        self._all(reached.values)

    def _results(self, function: ast.FunctionDef, node: ast.expr) -> None:
        if function.decorator_list or self.module.yields(function) or self.module.runs(function):
            raise _HiddenError(node)
        self._all(self.module.returns(function))

    def _call(self, node: ast.Call) -> None:
        function = self.module.function(node)
        if self._stops(node.func):
            return
        if made := self._made(node):
            self._variable(node, made)
        elif function is not None and function.name != "__init__":
            self._results(function, node)
        elif isinstance(node.func, ast.Attribute) and self._is_value(node.func):
            self._given(node, [node.func.value])  # a method of a value that is looked at, too
        elif self._computes(node.func):
            self._given(node, [])
        else:
            raise _HiddenError(node)

    def _stops(self, function: ast.expr) -> bool:
        """Tell whether no gradient passes a function."""
        if builtin := self.module.builtin(function):
            return builtin in _NUMBERS
        return _path(self.module, function, self.names) in self.names.stops

    def _is_value(self, node: ast.Attribute) -> bool:
        """Tell whether an attribute is surely no name of an imported module."""
        return self.module.paths(node) <= {None}

    def _given(self, node: ast.Call, more: Iterable[ast.expr]) -> None:
        self._all([*more, *argument_values(node)])

    def _computes(self, function: ast.expr) -> bool:
        """Tell whether a function computes with what it is given alone."""
        if builtin := self.module.builtin(function):
            return builtin in _BUILTINS
        package, _, name = (_path(self.module, function, self.names) or "").rpartition(".")
        known = self.names.computing.get(package, ())
        return name in known or "any" in known

    def _made(self, node: ast.expr) -> Sequence[ast.Call]:
        """The calls of the framework that make what a call gives, a variable; none where it may be anything else."""
        if not isinstance(node, ast.Call) or _path(self.module, node.func, self.names) in self.names.made_by:
            return [node] if isinstance(node, ast.Call) else []
        function = self.module.function(node)
        results = self.module.returns(function) if function is not None and not function.decorator_list else ()
        reached = [self.module.reaching(item, calls=False) for item in results]
        values = [value for one in reached for value in one.values]
        calls = [item for item in values if isinstance(item, ast.Call)]
        made = all(_path(self.module, item.func, self.names) in self.names.made_by for item in calls)
        return calls if made and len(calls) == len(values) and all(one.complete for one in reached) else []

    def _is_trained(self, calls: Iterable[ast.Call]) -> bool:
        """Tell whether the calls surely make a variable that is trained, and False where it is not. Raises _HiddenError."""
        trained: set[bool] = set()
        for call in calls:
            words = {item.arg: item.value for item in call.keywords}
            flag = words.pop("trainable", None)
            starred = any(isinstance(item, ast.Starred) for item in call.args)
            plain = (
                not starred and len(call.args) <= self.names.made_by[_path(self.module, call.func, self.names) or ""]
            )
            if not plain or set(words) - _PLAIN or not isinstance(flag, ast.Constant | None):
                raise _HiddenError(call)
            trained.add(flag is None or flag.value is True)
            if len(trained) > 1 or self.module.source.once(_SHARING, self._shares):
                raise _HiddenError(call)
        return trained.pop()

    def _shares(self) -> bool:
        body = self.module.source.body.lower()
        return any(word in body for word in _SHARING)

    def _variable(self, node: ast.Call, made: Sequence[ast.Call]) -> None:
        """Keep the name of a variable, or of the dictionary that holds it with others."""
        if not self._is_trained(made):
            return
        outer, holder, kind = self.module.parent(node), self.module.holder(node), TrainedKind.SINGLE
        if isinstance(outer, ast.Dict):
            items = [
                self._made(value) if key is not None else ()
                for key, value in zip(outer.keys, outer.values, strict=True)
            ]
            if not all(items) or not all(map(self._is_trained, items)):
                raise _HiddenError(node)
            holder, kind = self.module.holder(outer), TrainedKind.EACH
        target = holder.bindings[0].target if holder is not None and len(holder.bindings) == 1 else None
        if holder is None or not isinstance(target, ast.Name | ast.Attribute):
            raise _HiddenError(node)
        around = takewhile(lambda item: item is not holder.scope, self.module.ancestors(node))
        repeated = _LOOPS if len(holder.chain) > 1 else (*_LOOPS, *_FUNCTIONS)
        if any(isinstance(item, repeated) for item in around):  # one name for several variables
            raise _HiddenError(node)
        self.found[holder] = Trained(target, kind)
