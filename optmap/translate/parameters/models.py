"""Which models' parameters come together in one optimizer?

The parameters argument is followed to the models that it asks for parameters. What it holds is a graph: a list or a sum has
all of its parts, a condition or a variable with several definitions has one of them. Two models come together if they stand
in different parts of one sum.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from typing import Final

from optmap.source.bindings import position
from optmap.source.model import Binding, How, Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import called, chain_of
from optmap.translate.parameters.groups import LOOP_ONLY, PASS_ON
from optmap.translate.parameters.together import Combination, together
from optmap.translate.parameters.uses import FEW, added, changing_uses, is_sum
from optmap.values import NamedTuple

_MANY: Final = 200_000
"""Steps after which the question is given up."""
_DEEP: Final = 20
"""Calls inside each other, and names behind each other, that are followed."""
_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)


class _Frame(NamedTuple):
    """A call of a function of the file, in the frame of the call around it."""

    function: ast.FunctionDef
    call: ast.Call
    outer: _Frame | None
    depth: int


def models_together(
    module: Module, optimizer: ast.Call, argument: ast.expr, accessors: Collection[ast.Call]
) -> list[str]:
    """The models whose parameters come together in an optimizer, as they are written; empty if there is but one.

    `accessors` are the calls that give the parameters; others are not looked at.
    """
    graph = _Graph(module, optimizer, accessors)
    graph.todo.append((argument, None, graph.root, None))
    for _ in range(_MANY):
        if not graph.todo:
            return together(graph.root)
        graph.fill(*graph.todo.pop())
    return []


class _Graph:
    def __init__(self, module: Module, optimizer: ast.Call, accessors: Collection[ast.Call]) -> None:
        self.module = module
        self.accessors = {id(item) for item in accessors}
        self.around = {id(item) for item in module.ancestors(optimizer)}
        self.root = Combination()
        self.todo: list[tuple[ast.expr, _Frame | None, Combination, ast.expr | None]] = []
        self.known: dict[tuple[object, ...], Combination] = {}

    def _all(self, nodes: Iterable[ast.expr], frame: _Frame | None, part: Combination) -> None:
        self.todo += [(node, frame, part.add(), None) for node in nodes]

    def fill(self, node: ast.expr, frame: _Frame | None, part: Combination, at: ast.expr | None) -> None:
        """Find the parts of an expression; those that have parts themselves are left for later.

        `at` is where the value is read, if that is not where the expression stands.
        """
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            self._all(node.elts, frame, part)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            self._all([node.left, node.right], frame, part)
        elif isinstance(node, ast.IfExp):
            part.either = True
            self.todo += [(item, frame, part.add(), at) for item in (node.body, node.orelse)]
        elif isinstance(node, ast.Starred | ast.NamedExpr | ast.Subscript):
            self.todo.append((node.value, frame, part, at))
        elif isinstance(node, ast.Dict):
            named = {getattr(key, "value", None): value for key, value in zip(node.keys, node.values, strict=True)}
            self._all([named["params"]] if "params" in named else node.values, frame, part)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            self._all([node.elt, *(item.iter for item in node.generators)], frame, part)
        elif isinstance(node, ast.Call):
            self._call(node, None, frame, part)
        elif isinstance(node, ast.Name | ast.Attribute) and (variable := self.module.variable(node)) is not None:
            self._variable(variable, node, frame, part, at or node)

    def _call(self, call: ast.Call, element: int | None, frame: _Frame | None, part: Combination) -> None:
        if id(call) in self.accessors and isinstance(call.func, ast.Attribute):
            self._model(call.func.value, frame, part)
        elif (function := self.module.function(call)) is not None:
            inner = _Frame(function, call, frame, frame.depth + 1 if frame is not None else 0)
            returns = self.module.returns(function)
            part.either = bool(returns)
            given = returns or (*self.module.yields(function), *self.module.runs(function))
            for value in given if inner.depth < _DEEP else ():
                self._element(value, element, inner, part.add())
        elif called(call) in ("values", "items") and isinstance(call.func, ast.Attribute):
            self.todo.append((call.func.value, frame, part, None))
        elif called(call) in (*PASS_ON, *LOOP_ONLY, "filter", "dict", "OrderedDict"):
            groups = [item.value for item in call.keywords if item.arg == "params"]
            self._all([*call.args, *groups], frame, part)

    def _element(
        self, value: ast.expr, element: int | None, frame: _Frame | None, part: Combination, at: ast.expr | None = None
    ) -> None:
        """A value, or the element of it that a variable gets, which is read at a place."""
        if element is None:
            self.todo.append((value, frame, part, at))
        elif isinstance(value, ast.Tuple | ast.List) and element < len(value.elts):
            self.todo.append((value.elts[element], frame, part, at))
        elif isinstance(value, ast.Call):
            self._call(value, element, frame, part)

    def _variable(
        self, variable: Variable, place: ast.expr, frame: _Frame | None, part: Combination, at: ast.expr
    ) -> None:
        """One of the definitions in force at a place, with what is added to the value before it is read."""
        bindings = self.module.in_force(variable, place)
        many = len(bindings) > FEW and any(is_sum(self.module, item) for item in bindings)
        if many or (at is not place and variable.grows):
            key: tuple[object, ...] = (variable, id(at), frame)
            if key not in self.known:
                self.known[key] = Combination()
                self._whole(variable, at, frame, self.known[key])
            part.parts.append(self.known[key])
            return
        part.either = True
        for binding in bindings:
            key = (id(binding.target), id(at), frame)
            if key not in self.known:
                self.known[key] = Combination()
                self._definition(variable, binding, at, frame, self.known[key])
            part.parts.append(self.known[key])

    def _whole(self, variable: Variable, at: ast.expr, frame: _Frame | None, part: Combination) -> None:
        """Everything that a variable may hold at a place, without a look at what comes first."""
        first, branches = part.add(), dict[object, Combination]()
        first.either = True
        for binding in variable.bindings:
            value, outer = self._given(variable, binding, frame)
            if value is not None and not self._is_later(variable, binding.target, at):
                sums = is_sum(self.module, binding)
                inner = self._branch(binding.target, part, branches) if sums else first
                self._element(value, None if binding.loop else binding.element, outer, inner.add())
        self._additions(variable, None, at, frame, part, branches)

    def _definition(
        self, variable: Variable, binding: Binding, at: ast.expr, frame: _Frame | None, part: Combination
    ) -> None:
        value, outer = self._given(variable, binding, frame)
        if is_sum(self.module, binding) and isinstance(binding.target, ast.expr):
            self.todo.append((binding.target, frame, part.add(), None))  # what it held before
            self._all([value] if value is not None else [], outer, part)
        elif value is not None:
            same = outer is frame and not binding.loop  # another name for it
            self._element(value, None if binding.loop else binding.element, outer, part.add(), at if same else None)
        self._additions(variable, binding, at, frame, part, {})

    def _additions(
        self, variable: Variable, binding: Binding | None, at: ast.expr, frame: _Frame | None, part: Combination,
        branches: dict[object, Combination],
    ) -> None:  # fmt: skip
        for use in changing_uses(self.module, variable, binding):
            more = [] if use is at or self._is_later(variable, use, at) else added(self.module, use)
            if more:
                self._all(more, frame, self._branch(use, part, branches))

    def _given(
        self, variable: Variable, binding: Binding, frame: _Frame | None
    ) -> tuple[ast.expr | None, _Frame | None]:
        """The expression that a binding's value comes from, with the frame that it stands in."""
        if binding.how is not How.PARAMETER:
            seen = binding.loop or binding.how in (How.ASSIGNED, How.UNPACKED) or is_sum(self.module, binding)
            return (binding.value if seen else None), frame
        while frame is not None and frame.function is not variable.scope:
            frame = frame.outer
        if frame is None:
            return None, None
        given = self.module.arguments(frame.call, frame.function).get(variable.text)
        return (given.value if given is not None and isinstance(given.value, ast.expr) else None), frame.outer

    def _is_later(self, variable: Variable, use: ast.AST, place: ast.expr) -> bool:
        """Tell whether a use surely comes after a place: behind it in the same function, without a loop around both."""
        if len(variable.chain) > 1 or position(use) < position(place):
            return False
        if any(self.module.scope(node) is not variable.scope for node in (use, place)):
            return False
        loops = {id(item) for item in self.module.ancestors(place) if isinstance(item, _LOOPS)}
        return not loops or all(id(item) not in loops for item in self.module.ancestors(use))

    def _branch(self, use: ast.AST, part: Combination, branches: dict[object, Combination]) -> Combination:
        """The part to which a use adds: of the branches of an if statement, only one runs."""
        arms: list[tuple[int, int]] = []
        inner, scope = self.module.statement(use), self.module.scope(use)
        while (outer := self.module.parent(inner)) is not scope and isinstance(outer, ast.stmt):
            if isinstance(outer, ast.If):
                arms.append((id(outer), id(self.module.block(inner)[0])))
            inner = outer
        for arm in reversed(arms):
            if arm[0] not in branches:
                branches[arm[0]] = part.add()
                branches[arm[0]].either = True
            if arm not in branches:
                branches[arm] = branches[arm[0]].add()
            part = branches[arm]
        return part

    def _model(self, node: ast.expr, frame: _Frame | None, part: Combination, text: str = "", depth: int = 0) -> None:
        """The outermost model that the parameters of an expression are named from, if that can be told."""
        part.either = True
        if isinstance(node, ast.IfExp):
            for arm in (node.body, node.orelse):
                self._model(arm, frame, part.add(), text, depth)
        chain, root = chain_of(node), root_of(node)
        if chain is None or root is None:
            return
        owner, variable = self.module.self_class(root), self.module.variable(root)
        if owner is not None and not owner.bases and len(chain) > 1:  # the class is no model, its attribute is
            variable, owner = self.module.attribute_of(owner, chain[1]), None
            chain = (".".join(chain[:2]),)
        text = text or chain[0]
        if owner is not None or variable is None or depth > _DEEP:
            part.identity, part.text = owner or variable or chain[0], text
            return
        for binding in self.module.in_force(variable, root):
            key = (id(binding.target), text, frame)
            if key not in self.known and not binding.is_none:
                self.known[key] = Combination()
                self._named(variable, binding, frame, self.known[key], text, depth + 1)
            part.parts += [self.known[key]] if key in self.known else []

    def _named(
        self, variable: Variable, binding: Binding, frame: _Frame | None, part: Combination, text: str, depth: int
    ) -> None:
        """The model that a binding names: its own, that of another name or of a caller, or each of a list."""
        value, outer = self._given(variable, binding, frame)
        if binding.loop is not None and isinstance(value, ast.List | ast.Tuple) and binding.element is None:
            part.either = any(id(item) in self.around for item in (binding.loop, self.module.parent(binding.loop)))
            for item in value.elts:
                self._model(item, frame, part.add(), ast.unparse(item), depth)
            return
        while isinstance(value, ast.Subscript):
            value = value.value
        if binding.how in (How.ASSIGNED, How.PARAMETER) and isinstance(value, ast.Name | ast.Attribute | ast.IfExp):
            self._model(value, outer, part, text if len(variable.chain) > 1 else "", depth)
        else:
            part.identity, part.text = variable, text
