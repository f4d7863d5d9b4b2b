"""What kind of value an expression of the file gives: a tensor, a parameter, a model, plain Python, or one that is not known."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

from optmap.mapping.steps import Pair, Table
from optmap.source.model import Binding, How, Module, Variable
from optmap.source.syntax import Function, positional
from optmap.values import NamedTuple

Path = Callable[[ast.expr], "str | None"]
_DEEP: Final = 60
_NUMBERS: Final = frozenset(
    {"len", "int", "float", "str", "bool", "range", "print", "isinstance", "type", "round", "repr", "format", "hash", "id",
     "any", "all", "callable", "hasattr", "open", "input", "ord", "chr", "hex", "bin", "bytes", "complex", "divmod"}
)  # fmt: skip
"""Builtins that give plain values, whatever they are given."""
_ITEMS: Final = frozenset(
    {"list", "tuple", "set", "sorted", "reversed", "iter", "frozenset", "enumerate", "zip", "filter"}
)
_ONE: Final = frozenset({"next", "sum", "max", "min", "abs"})
"""Builtins that give an item of what they are given, or what is computed of them."""
_PARAMETERS: Final = ("parameters", "named_parameters", "buffers", "named_buffers")
"""What nothing but models is asked for."""
_GROWS: Final = ("append", "extend", "insert", "add", "update", "setdefault")


class Kind(IntEnum):
    """Kinds of value; of two that a place may hold, the greater one is what has to be reckoned with."""

    PLAIN = 0
    ARRAY = 1
    UNKNOWN = 2
    TENSOR = 3
    PARAMETER = 4
    MODEL = 5
    FOREIGN = 6
    """What the framework gives, and no row knows."""


class Value(NamedTuple):
    """What is known of a value; `type` of a tensor's elements: float, int, bool, or empty.

    `item` is what a collection holds. `row` and `owner` are the class of a model: one of the table, or of the file.
    `inplace` tells that a model may change what it is given.
    """

    kind: Kind
    type: str = ""
    item: Value | None = None
    row: Pair | None = None
    owner: ast.ClassDef | None = None
    inplace: bool = False

    @property
    def items(self) -> Value:
        """What it gives when it is run over or unpacked."""
        return self.item if self.item is not None else self._replace(row=None, owner=None)


PLAIN: Final = Value(Kind.PLAIN)
UNKNOWN: Final = Value(Kind.UNKNOWN)
TENSOR: Final = Value(Kind.TENSOR)
PARAMETER: Final = Value(Kind.PARAMETER, "float")
_GIVEN: Final[Mapping[str, Value]] = {
    "float": Value(Kind.TENSOR, "float"), "int": Value(Kind.TENSOR, "int"), "bool": Value(Kind.TENSOR, "bool"),
    "parameter": PARAMETER, "tensor": TENSOR, "tensors": Value(Kind.TENSOR, item=TENSOR), "number": PLAIN,
    "array": Value(Kind.ARRAY),
}  # fmt: skip


def joined(values: Iterable[Value]) -> Value:
    """What is known of a value that may be any of several."""
    found: Value | None = None
    for value in values:
        if found is None or found == value:
            found = value
            continue
        item = joined(one for one in (found.item, value.item) if one is not None) if found.item or value.item else None
        higher = max(found, value, key=lambda each: each.kind)
        found = higher._replace(
            type=found.type if found.type == value.type else "", item=item, inplace=found.inplace or value.inplace,
            row=found.row if found.row is value.row else None, owner=found.owner if found.owner is value.owner else None,
        )  # fmt: skip
    return found if found is not None else PLAIN


class Kinds:
    """Answers for one file. `models` are the ids of its classes that become models, `tensors` hold results of a step.

    `bridged` are the ids of names that are given tensors of the target.
    """

    def __init__(
        self, module: Module, table: Table, roots: frozenset[str], path: Path, models: Iterable[int],
        tensors: Iterable[Variable] = (), bridged: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.module = module
        self.table = table
        self.roots = roots
        self.path = path
        self.models = frozenset(models)
        self.bridged = bridged
        self.tensors = frozenset(tensors)
        self._known: dict[int, Value | None] = {}
        self._deep = 0

    def of(self, node: ast.expr) -> Value:
        """What an expression gives. Values that lead back to themselves are unknown."""
        if id(node) in self._known:
            return self._known[id(node)] or UNKNOWN
        if self._deep >= _DEEP:
            return UNKNOWN
        self._known[id(node)] = None
        self._deep += 1
        try:
            found = self._known[id(node)] = self._find(node)
        finally:
            self._deep -= 1
        return found

    def _find(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant() | ast.JoinedStr() | ast.Slice():
                return PLAIN
            case ast.Name() | ast.Attribute():
                return self._named(node)
            case ast.Call():
                return self._call(node)
            case ast.BinOp():
                return self._computed(node.left, node.right)
            case ast.UnaryOp():
                return PLAIN if isinstance(node.op, ast.Not) else self.of(node.operand)
            case ast.Compare():
                made = self._computed(node.left, *node.comparators)
                return made._replace(type="bool") if made.kind >= Kind.TENSOR else made
            case ast.Subscript():
                return self.of(node.value).items
            case ast.List() | ast.Tuple() | ast.Set():
                return Value(Kind.PLAIN, item=joined(map(self.of, node.elts)))
            case ast.Dict():
                return Value(Kind.PLAIN, item=joined(map(self.of, node.values)))
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return Value(Kind.PLAIN, item=self.of(node.elt))
            case ast.DictComp():
                return Value(Kind.PLAIN, item=self.of(node.value))
            case ast.BoolOp():
                return joined(map(self.of, node.values))
            case ast.IfExp():
                return joined((self.of(node.body), self.of(node.orelse)))
            case ast.NamedExpr() | ast.Await():
                return self.of(node.value)
            case ast.Starred():
                return self.of(node.value).items
        return UNKNOWN

    def _computed(self, *nodes: ast.expr) -> Value:
        """What an operator makes of values: models and parameters are no more than tensors then."""
        found = joined(map(self.of, nodes))
        if found.kind in (Kind.PARAMETER, Kind.MODEL):
            return TENSOR
        return found if found.kind < Kind.TENSOR else found._replace(item=None)

    # Names

    def is_plain(self, node: ast.expr) -> bool:
        """Tell whether a name of the framework gives neither tensors nor models, such as `torch.device`."""
        path = self.path(node)
        return path is not None and _below(path, self.table.plain)

    def _named(self, node: ast.Name | ast.Attribute) -> Value:
        path = self.path(node)
        if path is not None:
            return self._imported(path)
        variable = self.module.variable(node)
        if variable is not None:
            bindings = self.module.in_force(variable, node)
            found = [self._binding(item, variable.bindings) for item in bindings] or [UNKNOWN]
            return joined([*found, *([TENSOR] if variable in self.tensors else [])])
        if isinstance(node, ast.Name):
            return PLAIN if self.module.is_builtin(node.id, node) else UNKNOWN
        return self._attribute(node)

    def _is_framework(self, path: str) -> bool:
        return path.partition(".")[0] in self.roots

    def _imported(self, path: str) -> Value:
        root = path.partition(".")[0]
        if root not in self.roots:
            return Value(Kind.ARRAY) if root == "numpy" else PLAIN if root in sys.stdlib_module_names else UNKNOWN
        if path in self.table.values or _below(path, self.table.plain):
            return PLAIN
        return UNKNOWN if _below(path, self.table.open) else Value(Kind.FOREIGN)

    def _binding(self, binding: Binding, others: Iterable[Binding]) -> Value:
        how, value, target = binding.how, binding.value, binding.target
        if id(target) in self.bridged:
            return TENSOR
        if how is How.PARAMETER and isinstance(target, ast.arg):
            return self._parameter(target)
        if how is How.DEFINITION:
            return PLAIN
        if how is How.AUGMENTED and value is not None:
            before = [item.value for item in others if item.how is How.ASSIGNED and item.value is not None]
            return joined(map(self.of, (value, *before)))
        if value is None or how not in (How.ASSIGNED, How.UNPACKED, How.LOOP):
            return UNKNOWN
        if how is How.ASSIGNED:
            found = self.of(value)
            return self._grown(binding, found) if found.kind is Kind.PLAIN and found.item is not None else found
        if how is How.UNPACKED and binding.element is not None:
            return self._element(value, binding.element)
        return self.of(value).items if how is How.UNPACKED else self._run_over(value, binding.element)

    def _element(self, value: ast.expr, place: int) -> Value:
        """What stands at a place of a value that is unpacked."""
        if isinstance(value, ast.Tuple | ast.List):
            plain = place < len(value.elts) and not any(isinstance(one, ast.Starred) for one in value.elts)
            return self.of(value.elts[place]) if plain else self.of(value).items
        function = self.module.function(value) if isinstance(value, ast.Call) else None
        returns = self.module.returns(function) if function is not None else ()
        if returns and all(isinstance(item, ast.Tuple) for item in returns):
            return joined(self._element(item, place) for item in returns)
        return self.of(value).items

    def _run_over(self, value: ast.expr, element: int | None) -> Value:
        """What a loop over a value gives its variable, or the element of it."""
        called = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
        if isinstance(value, ast.Call) and element is not None and self.module.is_builtin(called or "?", value):
            if called == "enumerate" and value.args:
                return PLAIN if element == 0 else self.of(value.args[0]).items
            if called == "zip" and element < len(value.args):
                return self.of(value.args[element]).items
        found = self.of(value).items
        return found if element is None else found.items

    def _grown(self, binding: Binding, found: Value) -> Value:
        """A collection together with what the file adds to it."""
        variable = self.module.variable(binding.target)
        added = [found.item] if found.item is not None else []
        for use in variable.uses if variable is not None else ():
            function = self.module.parent(use)
            call = self.module.parent(function) if isinstance(function, ast.Attribute) else None
            if isinstance(function, ast.Attribute) and function.attr in _GROWS and isinstance(call, ast.Call):
                given = map(self.of, call.args)
                added += [one.items for one in given] if function.attr in ("extend", "update") else list(given)
        return found._replace(item=joined(added))

    def _parameter(self, argument: ast.arg) -> Value:
        function = self.module.parent(self.module.parent(argument) or argument)
        if isinstance(function, Function):
            owner = self.module.parent(function)
            first = positional(function.args)[:1]
            if isinstance(owner, ast.ClassDef) and first and first[0] is argument:
                return Value(Kind.MODEL, owner=owner) if id(owner) in self.models else UNKNOWN
            if self._is_applied(function):
                return Value(Kind.MODEL)
        passed = self.module.passed(argument)
        found = [self.of(value) for value in passed.values]
        return joined([*found, *([UNKNOWN] if passed.unknown is not None or not found else [])])

    def _is_applied(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Tell whether a function is only given to `model.apply(...)`."""
        variable = self.module.bound(function.name, at=function)
        uses = variable.uses if variable is not None and len(variable.bindings) == 1 else ()
        calls = [self.module.parent(use) for use in uses]
        return bool(calls) and all(
            isinstance(call, ast.Call)
            and call.args == [use]
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "apply"
            for use, call in zip(uses, calls, strict=True)
        )

    # Calls and attributes

    def _call(self, node: ast.Call) -> Value:
        path = self.path(node.func)
        if path in ("copy.deepcopy", "copy.copy") and len(node.args) == 1:
            return self.of(node.args[0])
        if path is not None:
            rows = self.table.callables.get(path)
            if isinstance(node.func, ast.Attribute) and node.func.attr in _PARAMETERS and not self._is_framework(path):
                return self._of_model(UNKNOWN, node.func.attr)
            return self._made(node, rows) if rows else self._imported(path)._replace(item=None)
        if isinstance(node.func, ast.Name) and self.module.is_builtin(node.func.id, node.func):
            return self._builtin(node, node.func.id)
        function = self.module.function(node)
        if function is not None:
            return self._returned(function)
        definition = self.module.definition(node.func)
        if isinstance(definition, ast.ClassDef):
            return Value(Kind.MODEL, owner=definition) if id(definition) in self.models else UNKNOWN
        if isinstance(node.func, ast.Attribute) and self.module.variable(node.func) is None:
            return self._method(node, node.func)
        return self.called(self.of(node.func), node)

    def _made(self, node: ast.Call, pairs: Sequence[Pair]) -> Value:
        pair = next((item for item in pairs if _takes(item, node)), pairs[0])
        if pair.makes_model:
            return Value(Kind.MODEL, row=pair, inplace=self._is_inplace(node, pair))
        if pair.row.gives != "same" or not node.args:
            return _GIVEN.get(pair.row.gives, TENSOR)
        return TENSOR._replace(type=self.of(node.args[0]).type)

    def _is_inplace(self, node: ast.Call, pair: Pair) -> bool:
        """Tell whether a model that a call makes may change what it is given."""
        if pair.row.sequence:
            first = self.of(self._first(node.args[0])) if node.args else PLAIN
            row = first.row.row if first.row is not None else None
            whole = row is None or row.passes or row.sequence
            found = [first, *map(self.of, node.args if whole else [])]
            return any(item.inplace or (item.item is not None and item.item.inplace) for item in found)
        return given_inplace(node, pair) is not None

    def _first(self, node: ast.expr) -> ast.expr:
        """The first of the layers of a sequence, where they are plainly a list that only grows at its end."""
        if not isinstance(node, ast.Starred):
            return node
        function = self.module.function(node.value) if isinstance(node.value, ast.Call) else None
        returns = self.module.returns(function) if function is not None else [node.value]
        held = self.module.variable(returns[0]) if len(returns) == 1 else None
        made = returns[0] if held is None and len(returns) == 1 else None
        if held is not None and len(held.bindings) == 1 and not any(map(self._reorders, held.uses)):
            made = held.bindings[0].value
        first = made.elts[0] if isinstance(made, ast.List) and made.elts else node
        return node if isinstance(first, ast.Starred) else first

    def _reorders(self, use: ast.expr) -> bool:
        """Tell whether a list may become another one than it was with more behind it."""
        outer = self.module.parent(use)
        grown = isinstance(outer, ast.Attribute) and outer.attr in ("append", "extend")
        return not grown and not isinstance(outer, ast.Return | ast.Starred)

    def called(self, function: Value, node: ast.Call) -> Value:
        """What an object gives when it is called."""
        if function.kind is Kind.MODEL:
            gives = function.row.row.gives if function.row is not None else "tensor"
            if gives == "same" and node.args:
                return TENSOR._replace(type=self.of(node.args[0]).type)
            return _GIVEN.get(gives, TENSOR)._replace(item=TENSOR if function.row is None else None)
        return function if function.kind is Kind.FOREIGN else UNKNOWN

    def _builtin(self, node: ast.Call, name: str) -> Value:
        if name in _NUMBERS:
            return PLAIN
        if name in _ITEMS:
            return Value(Kind.PLAIN, item=joined(self.of(item).items for item in node.args))
        if name in _ONE:
            found = [self.of(item) for item in node.args]
            return joined(
                found if name == "abs" or (len(found) > 1 and name in ("max", "min")) else (one.items for one in found)
            )
        return Value(Kind.PLAIN, item=PLAIN) if name in ("dict", "object") and not node.args else UNKNOWN

    def _returned(self, function: ast.FunctionDef) -> Value:
        if self.module.yields(function) or self.module.runs(function):
            return UNKNOWN
        return joined(map(self.of, self.module.returns(function)))

    def _method(self, node: ast.Call, function: ast.Attribute) -> Value:
        receiver = self.of(function.value)
        if receiver.kind is Kind.MODEL:
            return self._of_model(receiver, function.attr)
        if receiver.kind in (Kind.PLAIN, Kind.ARRAY):
            return (
                receiver.items if receiver.item is not None and function.attr in ("pop", "get", "values") else receiver
            )
        if function.attr in _PARAMETERS:
            return self._of_model(receiver, function.attr)
        rows = self.table.methods.get(function.attr, ())
        gives = {pair.row.gives for pair in rows if pair.one.parameters is not None and _takes(pair, node)}
        return self._asked(receiver, gives)

    def _attribute(self, node: ast.Attribute) -> Value:
        receiver = self.of(node.value)
        if receiver.kind is Kind.MODEL:
            return self._attribute_of_model(receiver, node)
        if receiver.kind in (Kind.PLAIN, Kind.ARRAY, Kind.FOREIGN):
            return receiver if receiver.item is None else PLAIN
        if receiver.kind is Kind.PARAMETER and node.attr == "data":
            return receiver
        rows = self.table.methods.get(node.attr, ())
        return self._asked(receiver, {pair.row.gives for pair in rows if pair.one.parameters is None})

    def _asked(self, receiver: Value, gives: set[str]) -> Value:
        """What a row of tensors gives, asked of a value that may be one."""
        if receiver.kind is Kind.FOREIGN:
            return receiver
        found = [TENSOR._replace(type=receiver.type) if item == "same" else _GIVEN[item] for item in gives]
        if receiver.kind is Kind.UNKNOWN:
            return joined(found) if gives and gives <= {"number", "array"} else UNKNOWN
        return joined(found) if found else UNKNOWN

    def _of_model(self, model: Value, name: str) -> Value:
        """What a method of a model gives."""
        if name in ("parameters", "buffers"):
            return Value(Kind.PLAIN, item=PARAMETER)
        if name in ("named_parameters", "named_buffers"):
            return Value(Kind.PLAIN, item=Value(Kind.PLAIN, item=PARAMETER))
        if name in ("modules", "children"):
            return Value(Kind.PLAIN, item=Value(Kind.MODEL))
        same = name in ("to", "cuda", "cpu", "train", "eval", "float", "double", "half", "apply", "requires_grad_")
        return model if same else UNKNOWN

    def _attribute_of_model(self, model: Value, node: ast.Attribute) -> Value:
        variable = self.module.attribute_of(model.owner, node.attr) if model.owner is not None else None
        if variable is not None:
            return joined(self._binding(item, variable.bindings) for item in variable.bindings)
        if node.attr == "training":
            return PLAIN
        return PARAMETER if node.attr in ("weight", "bias") else UNKNOWN


def given_inplace(node: ast.Call, pair: Pair) -> ast.expr | None:
    """The argument that has a call change what it is given, unless it is plainly False."""
    for index, parameter in enumerate(pair.one.parameters or ()):
        if parameter.mark != "inplace":
            continue
        found = [word.value for word in node.keywords if word.arg == parameter.name]
        found += node.args[index : index + 1] if not parameter.keyword_only else []
        for value in found:
            if not (isinstance(value, ast.Constant) and not value.value):
                return value
    return None


def _below(path: str, prefixes: Iterable[str]) -> bool:
    return any(path == item or path.startswith(item + ".") for item in prefixes)


def _takes(pair: Pair, node: ast.Call) -> bool:
    """Tell whether a method's row may be meant by a call, by the number of its arguments."""
    parameters = pair.one.parameters or ()
    given = len(node.args) + len(node.keywords)
    least = sum(item.required for item in parameters)
    return any(item.any for item in parameters) or least <= given <= len(parameters)
