"""Is a MindSpore step plain: one gradient function of one forward function, called once, its gradients given to the optimizer?

Then it can become what the other frameworks write: the forward function is called, its loss differentiated, an update made.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final, NamedTuple

from optmap.mapping.frameworks import Gradients, Kind
from optmap.mapping.model import Framework
from optmap.source.calls import comments_in
from optmap.source.flow import binds, same_scope
from optmap.source.names import Function
from optmap.source.scopes import Scope, chain_of
from optmap.source.text import Source
from optmap.translate.discover.events import Event
from optmap.translate.discover.holders import Finder
from optmap.translate.discover.tracing import assigned, class_of
from optmap.translate.steps.read.history import Carried
from optmap.translate.steps.read.isolation import AroundReading
from optmap.translate.steps.read.plan import FUNCTIONS, NotPlain, block_of, deleted, shown

_PARAMETERS: Final = ("fn", "grad_position", "weights", "has_aux", "return_ids")


class Made(NamedTuple):
    """The call of value_and_grad, the scope that it stands in, and the statement that names its result, if one does."""

    call: ast.Call
    scope: Scope
    statement: ast.Assign | None


class Called(NamedTuple):
    """A plain step: `statement` calls the gradient function, `step` gives the gradients to the optimizer.

    `forward` is the text of the forward function, whose results are assigned to `targets`, the loss first.
    """

    statement: ast.Assign
    call: ast.Call
    step: ast.Expr
    made: Made
    forward: str
    targets: tuple[str, ...]
    gradients: str


class CalledReader(AroundReading):
    """Reads one training step around an `optimizer(grads)`."""

    def __init__(
        self, source: Source, finder: Finder, events: Sequence[Event], event: Event, target: Framework
    ) -> None:
        super().__init__(source, finder, events, event)
        self.own = event.site.api.framework
        self.recorded = target.facts.steps.gradients is Gradients.RECORDED

    def read(self) -> Called:
        """Raises NotPlain."""
        step = self._step()
        statement, gradients = self._taken(step)
        call = statement.value
        assert isinstance(call, ast.Call)
        made = self._made(call)
        targets, aux = self._targets(statement)
        function, forward = self._function(made, self._given(made, aux), len(targets) if aux else 0)
        self._layout([statement, step, *([made.statement] if made.statement is not None else [])])
        if comments_in(self.source, self.source.start(statement), self.source.end(call.func)):
            raise NotPlain(f"there is a comment inside line {statement.lineno}")
        place = self.block.index
        for item in self.block[place(statement) + 1 : place(step)]:
            self._check_harmless(item, may_jump=True)
        self._check_history(call, function, targets)
        return Called(statement, call, step, made, forward, targets, gradients)

    def _step(self) -> ast.Expr:
        statement = self.event.ancestors[-1] if self.event.ancestors else None
        if self.holder.doubt is not None:
            raise NotPlain(self.holder.doubt)
        if not isinstance(statement, ast.Expr) or statement.value is not self.event.call:
            raise NotPlain("the result of the update is used")
        if isinstance(self.function, ast.Lambda | ast.ClassDef | ast.AsyncFunctionDef):
            raise NotPlain("the step stands in a lambda, an async function, or directly in a class")
        parent = self.event.ancestors[-2] if len(self.event.ancestors) > 1 else self.source.tree
        self.block = block_of(parent, statement)
        return statement

    def _taken(self, step: ast.Expr) -> tuple[ast.Assign, str]:
        """The statement `loss, grads = grad_fn(...)`, and the variable of the gradients, which only the update reads."""
        name = _gradients(self.event)
        found = _nearest(self.event, name) if name is not None else None
        if name is None or found is None:
            raise NotPlain("the update is not plainly given a variable that a gradient function sets in the same block")
        if not isinstance(found, ast.Assign) or not isinstance(found.value, ast.Call) or len(found.targets) != 1:
            raise NotPlain(f"{name} is changed before the update (line {found.lineno})")
        target = found.targets[0]
        last = target.elts[1] if isinstance(target, ast.Tuple) and len(target.elts) == 2 else None
        if not isinstance(last, ast.Name) or last.id != name:
            raise NotPlain(f"line {found.lineno} is not plainly `loss, {name} = ...` of a gradient function")
        if (line := deleted(self.function, name)) is not None:
            raise NotPlain(f"{name} is used for something else, too (line {line})")
        owner = self._owner(name)
        updates = {id(event.call.args[0]): event for event in self.events if _gradients(event) == name}
        for node, scope in self.names.uses.get(name, ()):
            if scope.owner(name) is owner and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                event = updates.get(id(node))
                if event is None or (event is not self.event and _nearest(event, name) in (None, found)):
                    raise NotPlain(f"{name} is used for something else, too (line {node.lineno})")
        return found, name

    def _made(self, call: ast.Call) -> Made:
        """What made the gradient function that is called."""
        if isinstance(call.func, ast.Call):
            return self._checked(Made(call.func, self.finder.scopes[id(self.function)], None))
        chain = chain_of(call.func)
        owner = self._owner(chain[0]) if chain is not None and len(chain) == 1 else None
        values: list[ast.expr | None] = []
        if owner is not None and chain is not None:
            values = [binding.value for binding in owner.bindings[chain[0]]]
        elif chain is not None and len(chain) == 2 and chain[0] == "self":
            place = class_of(self.event.ancestors)
            values = list(assigned(place, chain)) if place is not None else []
        value = values[0] if len(values) == 1 else None
        if not isinstance(value, ast.Call):
            raise NotPlain(f"{shown(call.func)} is not plainly the result of value_and_grad in this file")
        parents = self._parents(value)
        statement = parents[-1] if parents else None
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or statement.value is not value:
            raise NotPlain(f"{shown(call.func)} is not plainly the result of value_and_grad in this file")
        around = next((node for node in reversed(parents) if isinstance(node, (*FUNCTIONS, ast.ClassDef))), None)
        return self._checked(Made(value, self.finder.scopes[id(around or self.source.tree)], statement))

    def _parents(self, wanted: ast.AST) -> list[ast.AST]:
        """The nodes around a node, outermost first."""

        def search(node: ast.AST) -> list[ast.AST] | None:
            for child in ast.iter_child_nodes(node):
                inner = [] if child is wanted else search(child)
                if inner is not None:
                    return [node, *inner]
            return None

        return search(self.source.tree) or []

    def _checked(self, made: Made) -> Made:
        chain = chain_of(made.call.func)
        if chain is None or self._path(chain, made.scope) not in self.own.facts.steps.functions:
            raise NotPlain(
                f"{shown(made.call.func)} (line {made.call.lineno}) is not {self.own.facts.title}'s value_and_grad"
            )
        return made

    def _path(self, chain: tuple[str, ...], scope: Scope) -> str | None:
        """The one dotted path that a chain stands for."""
        owner = scope.owner(chain[0])
        paths = {binding.path for binding in owner.bindings[chain[0]]} if owner is not None else set()
        path = paths.pop() if len(paths) == 1 else None
        return ".".join((path, *chain[1:])) if path is not None else None

    def _targets(self, statement: ast.Assign) -> tuple[tuple[str, ...], bool]:
        """What the results of the forward function are assigned to, and whether there are others than the loss."""
        target = statement.targets[0]
        assert isinstance(target, ast.Tuple)
        first = target.elts[0]
        parts = first.elts if isinstance(first, ast.Tuple) else [first]
        names = tuple(item.id for item in parts if isinstance(item, ast.Name))
        if len(names) != len(parts) or not names:
            raise NotPlain(
                f"line {statement.lineno} assigns the results of the forward function to more than variables"
            )
        if len(names) != len(set(names)) and names.count(names[0]) > 1:
            raise NotPlain(f"line {statement.lineno} assigns several results to {names[0]}")
        return names, isinstance(first, ast.Tuple)

    def _given(self, made: Made, aux: bool) -> ast.expr:
        """The forward function that value_and_grad is given; everything else must be plain."""
        call, line = made.call, made.call.lineno
        if any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords):
            raise NotPlain(f"value_and_grad on line {line} is given unpacked arguments")
        given: dict[str, ast.expr] = dict(zip(_PARAMETERS, call.args, strict=False))
        given |= {str(item.arg): item.value for item in call.keywords}
        position, weights = given.get("grad_position"), given.get("weights")
        if not isinstance(position, ast.Constant) or position.value is not None or weights is None:
            raise NotPlain(f"value_and_grad on line {line} does not differentiate with respect to weights alone")
        for name, wanted in (("has_aux", aux), ("return_ids", False)):
            value = given.get(name, ast.Constant(False))
            if not isinstance(value, ast.Constant) or value.value is not wanted:
                found = shown(value) if name in given else "no has_aux"
                raise NotPlain(f"value_and_grad on line {line} is given {name + '=' if name in given else ''}{found}")
        if "fn" not in given:
            raise NotPlain(f"value_and_grad on line {line} is given no function")
        self._check_weights(weights, made.scope)
        return given["fn"]

    def _check_weights(self, weights: ast.expr, scope: Scope) -> None:
        """The gradients must be those of the parameters that the optimizer has, in whatever order."""
        chain = chain_of(weights)
        if chain == (*self.holder.chain, "parameters") and (
            chain[0] == "self" or scope.owner(chain[0]) is self._owner(chain[0])
        ):
            return
        mine = _resolved(weights, scope, self.own)
        for site in self.holder.sites:
            there = next((item for item in self.names.scopes if item.node is site.scope.node), None)
            passed = given_parameters(site.node, site.api.parameters_argument)
            if there is None or passed is None or mine is None or mine != _resolved(passed, there, self.own):
                raise NotPlain(f"{shown(weights)} may be other parameters than those of {self.holder.text}")

    def _function(self, made: Made, node: ast.expr, results: int) -> tuple[ast.FunctionDef, str]:
        """The forward function, of the file, that gives back the loss alone or `results` results."""
        chain = chain_of(node)
        function: ast.AST | None = None
        if chain is not None and len(chain) == 1:
            owner = made.scope.owner(chain[0])
            bound = owner.bindings[chain[0]] if owner is not None else []
            function = bound[0].node if len(bound) == 1 and owner is self._owner(chain[0]) else None
        elif chain is not None and len(chain) == 2 and chain[0] == "self":
            place = class_of(self.event.ancestors)
            methods = [item for item in place.body if isinstance(item, Function)] if place is not None else []
            named = [item for item in methods if item.name == chain[1]]
            inside = place is not None and made.call in ast.walk(place) and not list(assigned(place, chain))
            function = named[0] if len(named) == 1 and inside else None
        if not isinstance(function, ast.FunctionDef):
            raise NotPlain(f"{shown(node)} is not plainly a function of this file that can be called where the step is")
        for decorator in function.decorator_list:
            inner = chain_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
            path = self._path(inner, self.finder.scopes[id(function)]) if inner is not None else None
            if path is None or not path.startswith(f"{self.own}."):
                raise NotPlain(f"{function.name} has the decorator {shown(decorator)}")
        self._check_results(function, results)
        return function, shown(node)

    def _check_results(self, function: ast.FunctionDef, results: int) -> None:
        found = [item for item in same_scope(function.body) if isinstance(item, ast.Return)]
        for item in found:
            count = len(item.value.elts) if isinstance(item.value, ast.Tuple) else 0
            other = item.value is None or isinstance(item.value, ast.List | ast.Dict | ast.Starred)
            if other or count != results or (results and any(isinstance(n, ast.Starred) for n in ast.walk(item))):
                raise NotPlain(f"{function.name} does not plainly return what the step expects (line {item.lineno})")
        if not found or any(isinstance(item, ast.Yield | ast.YieldFrom) for item in ast.walk(function)):
            raise NotPlain(f"{function.name} does not plainly return a loss")

    def _check_history(self, call: ast.Call, function: ast.FunctionDef, targets: tuple[str, ...]) -> None:
        carried = Carried(self, targets, recorded=self.recorded)
        for item in (*call.args, *(word.value for word in call.keywords)):
            carried.check(item)
        if not self.recorded:
            return  # a tape records nothing that is computed before
        passed = {item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg)}
        carried.body(function.body, self.finder.scopes[id(function)], passed)


def given_parameters(call: ast.Call, parameter: object) -> ast.expr | None:
    """What a constructor is given as its parameters."""
    name = getattr(parameter, "name", None)
    return next((item.value for item in call.keywords if item.arg == name), call.args[0] if call.args else None)


def bare_accessor(node: ast.expr, framework: Framework) -> bool:
    """`net.trainable_params()`, `net.parameters()`."""
    chain = chain_of(node.func) if isinstance(node, ast.Call) and not node.args and not node.keywords else None
    return chain is not None and len(chain) > 1 and chain[-1] == framework.facts.parameters.trainable


def _resolved(node: ast.expr, scope: Scope, framework: Framework) -> tuple[str, int] | None:
    """`net.trainable_params()`, directly or by a name that is bound to it alone, and whose variable `net` is."""
    if isinstance(node, ast.Name):
        owner = scope.owner(node.id)
        values = [binding.value for binding in owner.bindings[node.id]] if owner is not None else []
        if owner is None or len(values) != 1 or values[0] is None or isinstance(values[0], ast.Name):
            return None
        return _resolved(values[0], owner, framework)
    chain = chain_of(node.func) if isinstance(node, ast.Call) else None
    if chain is None or not bare_accessor(node, framework):
        return None
    owner = scope.owner(chain[0]) if chain[0] != "self" else None
    return ".".join(chain), id(owner)


def _gradients(event: Event) -> str | None:
    """`grads` in `optimizer(grads)`."""
    call = event.call
    alone = event.kind is Kind.CALL and len(call.args) == 1 and not call.keywords
    return call.args[0].id if alone and isinstance(call.args[0], ast.Name) else None


def _nearest(event: Event, name: str) -> ast.stmt | None:
    """The last statement before the update, in its block, that binds the name."""
    statement = event.ancestors[-1] if event.ancestors else None
    if not isinstance(statement, ast.stmt) or len(event.ancestors) < 2:
        return None
    try:
        block = block_of(event.ancestors[-2], statement)
    except NotPlain:
        return None
    at = next(index for index, item in enumerate(block) if item is statement)
    return next((item for item in reversed(block[:at]) if name in binds(item)), None)
