"""The code that is carried over to the target: models, forward parts, what they call; and what must not stand in it.

It is closed: what no row of the table knows is refused. Names of the framework and what is asked of tensors and models are
looked at where they are rewritten; here are operators, assignments, decorators, contexts, and what comes from elsewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from optmap.mapping.steps import Table
from optmap.source.model import How, Module
from optmap.source.syntax import Function, argument_values, inner
from optmap.translate.steps.names.kinds import PLAIN, Kind, Kinds, Value, given_inplace

Refuse = Callable[[ast.AST, str], None]
_SYMBOLS: Final[dict[type[ast.AST], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**", ast.MatMult: "@",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.USub: "u-", ast.UAdd: "u+",
    ast.Not: "not", ast.Is: "is", ast.IsNot: "is not", ast.Invert: "~", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
    ast.In: "in", ast.NotIn: "not in", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip
_DECORATORS: Final = frozenset({"staticmethod", "classmethod", "property", "abc.abstractmethod", "typing.override"})
_OWN: Final = frozenset({"__init__", "extra_repr", "__repr__", "__str__", "__len__"})
"""Methods that models of every framework may define."""


def reached(
    module: Module, kinds: Kinds, roots: Iterable[ast.AST], methods: Collection[str] | None = None
) -> list[ast.AST]:
    """The given nodes, and the functions, classes and values of the file that they call or are made of.

    With `methods` only those methods of models count, not what constructs them.
    """
    found: dict[int, ast.AST] = {}
    queue = list(roots)
    for root in queue:  # grows while it is walked
        if id(root) in found:
            continue
        if methods is not None and isinstance(root, ast.ClassDef):
            queue += (item for item in root.body if isinstance(item, Function) and item.name in methods)
            continue
        if methods is not None and (isinstance(root, ast.Call) or getattr(root, "name", "") == "__init__"):
            continue
        found[id(root)] = root
        for node in inner(root):
            if isinstance(node, ast.Call):
                queue += _called(module, node)
            elif isinstance(root, ast.expr) and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                made = (value for value in module.reaching(node, calls=False).values if isinstance(value, ast.Call))
                queue += (value for value in made if kinds.of(value) != PLAIN)
    return list(found.values())


def _called(module: Module, call: ast.Call) -> Iterator[ast.AST]:
    """The functions and classes of the file that a call may run, and the calls that make what it calls."""
    function = module.function(call) or module.definition(call.func)
    if function is not None:
        yield function
    elif isinstance(call.func, ast.Name | ast.Attribute):
        for value in module.reaching(call.func, calls=False).values:
            made = module.definition(value) if isinstance(value, ast.Name | ast.Attribute) else value
            if isinstance(made, ast.Call | ast.Lambda | ast.ClassDef | Function):
                yield made


class World:
    """Checks the code that is carried over. `nodes` are the ids of all of it, `models` those of classes that become models.

    `alone` are parts whose calls are not followed: the models and losses that they use stay the source's.
    """

    def __init__(
        self, module: Module, table: Table, kinds: Kinds, roots: Sequence[ast.AST], methods: frozenset[str],
        alone: Sequence[ast.AST] = (),
    ) -> None:  # fmt: skip
        self.module = module
        self.table = table
        self.kinds = kinds
        self.roots = [*reached(module, kinds, roots), *alone]
        self.alone = bool(alone)
        self.methods = methods
        self.settled = set[int]()
        self.running = {id(item) for item in reached(module, kinds, roots, methods)}
        self.nodes = {id(node): node for root in self.roots for node in inner(root)}

    def __contains__(self, node: ast.AST) -> bool:
        return id(node) in self.nodes

    def check(self, refuse: Refuse, skip: Callable[[ast.AST], bool]) -> None:
        """Tell what must not be carried over."""
        for node in self.nodes.values():
            if id(node) not in self.module.annotations and not skip(node):
                self._check(node, refuse, skip)
        for node in self.module.nodes(ast.AugAssign):
            if node not in self and self.kinds.of(node.target).kind in (Kind.TENSOR, Kind.PARAMETER):
                self._augmented(node, refuse)
        for attribute in self.module.nodes(ast.Attribute):
            assigned = attribute.attr == "data" and isinstance(attribute.ctx, ast.Store) and attribute not in self
            if assigned and self.kinds.of(attribute.value).kind is Kind.PARAMETER:
                refuse(attribute, f"{_shown(attribute)} = ...")

    def _check(self, node: ast.AST, refuse: Refuse, skip: Callable[[ast.AST], bool]) -> None:
        match node:
            case ast.BinOp():
                self._operator(node, node.op, (node.left, node.right), refuse)
            case ast.UnaryOp():
                self._operator(node, node.op, (node.operand,), refuse)
            case ast.Compare():
                for operator in node.ops:
                    self._operator(node, operator, (node.left, *node.comparators), refuse)
            case ast.AugAssign():
                self._operator(node, node.op, (node.target, node.value), refuse)
                self._augmented(node, refuse)
            case ast.Call():
                self._call(node, refuse)
            case ast.With() | ast.AsyncWith() if id(node) not in self.settled:
                refuse(node, f"with {_shown(node.items[0].context_expr)}")
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                self._definition(node, refuse, skip)
            case ast.Attribute() | ast.Subscript() if not isinstance(node.ctx, ast.Load):
                self._assigned(node, refuse)
            case ast.Subscript() if self.kinds.of(node.value).kind in (Kind.TENSOR, Kind.PARAMETER):
                if self.kinds.of(node.value).item is None:
                    self._indexed(node, refuse)
            case ast.Name() if isinstance(node.ctx, ast.Load) and self.kinds.of(node).kind is Kind.FOREIGN:
                if self.kinds.path(node) is None and not self.alone:
                    refuse(node, f"{node.id}, which holds what the table does not know")

    def _operator(self, node: ast.AST, operator: ast.AST, operands: Sequence[ast.expr], refuse: Refuse) -> None:
        values = [self.kinds.of(item) for item in operands]
        sign = _SYMBOLS.get(type(operator), "?")
        tensors = [item for item in values if item.kind in (Kind.TENSOR, Kind.PARAMETER) and item.item is None]
        if not tensors or sign in self.table.operators:
            if tensors and any(item.kind is Kind.ARRAY for item in values):
                refuse(node, f"{sign.removeprefix('u')} of a tensor and a numpy value")
            return
        if sign not in self.table.boolean_operators or any(item.type != "bool" for item in tensors):
            only = (
                " of tensors that are not known to be booleans"
                if sign in self.table.boolean_operators
                else " of tensors"
            )
            refuse(node, f"{sign.removeprefix('u')}{only}")

    def _call(self, node: ast.Call, refuse: Refuse) -> None:
        path = self.kinds.path(node.func)
        values = [self.kinds.of(item) for item in argument_values(node)]
        if path is not None:
            root = path.partition(".")[0]
            tensors = any(item.kind >= Kind.TENSOR for item in values)
            if root == "numpy" and tensors:
                refuse(node, f"{_shown(node.func)}() of a tensor")
            elif (
                self.kinds.of(node.func).kind is Kind.UNKNOWN and self._in_model(node) and root not in self.kinds.roots
            ):
                refuse(node, f"{_shown(node.func)}(), which {root or 'another file'} defines")
            rows = self.table.callables.get(path, ())
            if any(not row.makes_model and given_inplace(node, row) is not None for row in rows):
                self._in_place(node, refuse)
        elif isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr", "eval", "exec"):
            self._by_name(node, refuse)
        else:
            called = self.kinds.of(node.func)
            if called.inplace:
                self._in_place(node, refuse)
            if (
                called.row is not None
                and called.row.row.takes != "any"
                and values
                and values[0].type in ("int", "bool")
            ):
                refuse(node, f"{_shown(node)} of {values[0].type} tensors")

    def _indexed(self, node: ast.Subscript, refuse: Refuse) -> None:
        """Tensors of MindSpore take neither ranges nor numpy values as indices."""
        for index in node.slice.elts if isinstance(node.slice, ast.Tuple) else (node.slice,):
            named = isinstance(index, ast.Name | ast.Attribute)
            values = self.module.reaching(index, calls=False).values if named else [index]
            if any(isinstance(item, ast.Call) and _shown(item.func) == "range" for item in values):
                refuse(node, f"{_shown(node)}, whose index is a range")
            elif self.kinds.of(index).kind is Kind.ARRAY:
                refuse(node, f"{_shown(node)}, whose index is a numpy value")

    def _by_name(self, node: ast.Call, refuse: Refuse) -> None:
        """`getattr(x, name)` may ask a tensor anything."""
        given = self.kinds.of(node.args[0]) if node.args else None
        if given is not None and given.kind in (Kind.UNKNOWN, Kind.TENSOR, Kind.PARAMETER):
            refuse(node, _shown(node))

    def _in_model(self, node: ast.AST) -> bool:
        owner = self.module.class_of(node)
        return owner is not None and id(owner) in self.kinds.models

    # Values that change in place

    def _in_place(self, call: ast.Call, refuse: Refuse) -> None:
        """`x = relu(x)`, where relu changes x, must not be seen by anything else that holds x."""
        given = call.args[0] if call.args else None
        statement = self.module.parent(call)
        again = isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(given, ast.Name)
        rebound = again and ast.unparse(statement.targets[0]) == given.id  # type: ignore[union-attr]
        returned = isinstance(statement, ast.Return) and isinstance(given, ast.Name)
        if given is not None and (isinstance(given, ast.Call) or rebound or returned) and self._fresh(given):
            return
        refuse(call, f"{_shown(call)}, which changes its argument in place")

    def _augmented(self, node: ast.AugAssign, refuse: Refuse) -> None:
        """`x += y` changes a tensor in place: nothing else may hold it."""
        if self.kinds.of(node.target).kind in (Kind.PLAIN, Kind.ARRAY, Kind.FOREIGN):
            return
        if not isinstance(node.target, ast.Name) or not self._fresh(node.target):
            refuse(node, f"{_shown(node)}, which may change a tensor that is also known otherwise")

    def _fresh(self, node: ast.expr, depth: int = 8) -> bool:
        """Tell whether a value was just computed, so that nothing else holds it."""
        if isinstance(node, ast.Constant | ast.BinOp | ast.UnaryOp | ast.Compare):
            return True
        if isinstance(node, ast.IfExp):
            return self._fresh(node.body, depth - 1) and self._fresh(node.orelse, depth - 1)
        if isinstance(node, ast.Call):
            return self._fresh_call(node, depth - 1)
        variable = self.module.variable(node) if isinstance(node, ast.Name) else None
        if variable is None or depth < 0:
            return False
        for binding in self.module.in_force(variable, node):
            made = binding.whole
            whole = binding.how is How.AUGMENTED or (made is not None and self._fresh(made, depth - 1))
            if not whole or not all(self._consumes(use) for use in self.module.uses_of(variable, binding)):
                return False
        return True

    def _fresh_call(self, node: ast.Call, depth: int) -> bool:
        if depth < 0:
            return False
        path = self.kinds.path(node.func)
        row = next(iter(self.table.callables.get(path, ())), None) if path is not None else None
        if path is not None and row is None:
            return True
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        if row is None:
            function = self.module.function(node)
            made = self.kinds.of(node.func)
            owner = made.owner
            if function is None and owner is not None:
                function = next((item for name in self.methods if (item := self.module.method(owner, name))), None)
            if function is not None:
                return all(self._fresh(item, depth - 1) for item in self.module.returns(function))
            row = made.row
            if made.kind is not Kind.MODEL and receiver is not None:
                rows = self.table.methods.get(node.func.attr, ())  # type: ignore[attr-defined]
                row = next((pair for pair in rows if pair.row.gives == "same"), None)
                return row is None or self._fresh(receiver, depth - 1)
            if row is not None and row.row.sequence:
                return False
        given = node.args[0] if node.args else receiver
        return row is None or row.row.gives != "same" or (given is not None and self._fresh(given, depth - 1))

    def _consumes(self, use: ast.expr) -> bool:
        """Tell whether a use of a tensor keeps no hold of it: it is computed with, given to a model, or returned."""
        outer = self.module.parent(use)
        if isinstance(
            outer, ast.BinOp | ast.UnaryOp | ast.AugAssign | ast.Compare | ast.Return | ast.If | ast.FormattedValue
        ):
            return True
        if isinstance(outer, ast.Attribute):
            rows = self.table.methods.get(outer.attr, ())
            inside = self.module.parent(self.module.parent(outer) or outer)
            rebinds = (
                isinstance(inside, ast.Assign)
                and isinstance(use, ast.Name)
                and ast.unparse(inside.targets[0]) == use.id
            )
            return bool(rows) and (rebinds or all(pair.row.gives != "same" for pair in rows))
        if isinstance(outer, ast.Call) and use in outer.args:
            name = getattr(outer.func, "attr", "")
            return name not in ("append", "extend", "insert", "add")
        return False

    # Assignments and definitions

    def _assigned(self, node: ast.Attribute | ast.Subscript, refuse: Refuse) -> None:
        receiver = self.kinds.of(node.value)
        if isinstance(node, ast.Subscript):
            if receiver.kind not in (Kind.PLAIN, Kind.ARRAY):
                refuse(node, f"{_shown(node)} = ..., which changes a tensor in place")
            return
        owner = self.module.self_class(node.value)
        if owner is not None and id(owner) in self.kinds.models:
            if node.attr in self.table.taken and node.attr not in ("training",):
                refuse(node, f"{_shown(node)} = ..., a name that models of the target use themselves")
            variable = self.module.variable(node)
            found = [item for item in variable.bindings if item.target is node] if variable is not None else []
            values = [self.kinds.of(item.value) for item in found if item.value is not None]
            if any(_holds_layers(item) for item in values):
                refuse(
                    node, f"{_shown(node)} = ..., a plain collection of layers or parameters that no model registers"
                )
            runs = any(id(item) in self.running for item in self.module.ancestors(node))
            if runs and any(item.kind >= Kind.UNKNOWN for item in values):
                refuse(node, f"{_shown(node)} = ... where the model computes")
        elif node.attr != "requires_grad" and (
            receiver.kind >= Kind.TENSOR or (receiver.kind is Kind.UNKNOWN and node.attr in self.table.tensor_names)
        ):
            refuse(node, f"{_shown(node)} = ...")

    def _definition(
        self,
        node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
        refuse: Refuse,
        skip: Callable[[ast.AST], bool],
    ) -> None:
        for decorator in node.decorator_list:
            if not skip(decorator) and (self.kinds.path(decorator) or _shown(decorator)) not in _DECORATORS:
                refuse(decorator, f"the decorator {_shown(decorator)}")
        owner = self.module.parent(node)
        if isinstance(node, Function) and isinstance(owner, ast.ClassDef) and id(owner) in self.kinds.models:
            known = node.name in self.table.model_names or node.name in self.table.taken
            hidden = node.name.startswith("__") and node.name.endswith("__")
            if (known or hidden) and node.name not in _OWN | self.methods:
                refuse(node, f"a model's own {node.name}()")


def _holds_layers(value: Value) -> bool:
    """Tell whether a list, tuple or dict holds layers or parameters: models of some frameworks train those, of others not."""
    item = value.item if value.kind is Kind.PLAIN else None
    return item is not None and (item.kind in (Kind.PARAMETER, Kind.MODEL) or _holds_layers(item))


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node).partition("\n")[0]
    return text if len(text) <= 50 else text[:47] + "..."
