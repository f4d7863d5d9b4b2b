"""May a value that comes into a step carry gradients? torch records every computation, the others only the step's own.

What a gradient function is given, or what a tape finds, has no history there. In torch it has one where it was computed
with a model, so that the backward pass would go further than it did.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import Final

from optmap.source.bindings import Binding
from optmap.source.flow import flow
from optmap.source.model import How, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import inner
from optmap.translate.steps.read.detached import DATA_METHODS
from optmap.translate.steps.read.step import Step, shown
from optmap.translate.steps.reasons import NotPlain, Why

_METHODS: Final = DATA_METHODS | {"asnumpy", "item", "tolist", "read", "keys", "batch", "shuffle", "split", "copy"}
_MADE_ONCE: Final = ("__init__", "build")


class History:
    """Looks for values with a history. `own` are the names that the step itself binds, in its function.

    Where nothing is `recorded` of what comes before, variables have none.
    """

    def __init__(self, step: Step, own: Collection[str], *, recorded: bool = True) -> None:
        self.step = step
        self.module = step.module
        self.own = own
        self.recorded = recorded
        self.seen: set[Variable | ast.AST] = set()

    def check(self, node: ast.AST) -> None:
        """Raises NotPlain where a value that the expression computes, or reads, may carry gradients."""
        for item in inner(node):
            if isinstance(item, ast.Call):
                self._call(item)
            elif isinstance(item, ast.Name | ast.Attribute) and self.module.call_of(item) is None:
                self._read(item)

    def body(self, statements: Sequence[ast.stmt], passed: Collection[str] = ()) -> None:
        """Check what statements find in their scope, or around it: the models and functions that they call are theirs.

        What is `passed` to them has been looked at.
        """
        nodes = [node for statement in statements for node in inner(statement)]
        called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        roots = {model[0] for model in self.step.models} | {"self"}
        for use in flow(statements).needed:
            if use.name not in passed and not (use.called and use.name in called | roots):
                self._name(next(node for node in nodes if isinstance(node, ast.Name) and node.id == use.name))
        for node in nodes:
            if isinstance(node, ast.Attribute) and self.module.call_of(node) is None:
                self._read(node)

    def _read(self, node: ast.Name | ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            self._name(node) if isinstance(node, ast.Name) else self._attribute(node)

    def _name(self, node: ast.Name) -> None:
        """Check every value that the file gives a name."""
        variable = self.module.variable(node)
        if not self.recorded or variable is None or variable in self.seen:
            return
        self.seen.add(variable)
        bindings: Sequence[Binding] = variable.bindings
        if node.id in self.own and variable is self.step.variable(node.id):
            bindings = self.module.in_force(variable, node)
            if not all(item.loop is not None or item.how is How.PARAMETER for item in bindings):
                raise NotPlain(Why.FROM_EARLIER_STEP, name=node.id, line=node.lineno)
        for binding in bindings:
            if binding.loop is not None and binding.value is not None:
                self._models(binding.value)
            elif binding.value is not None and binding.how is not How.WITH:
                self.check(binding.value)

    def _attribute(self, node: ast.Attribute) -> None:
        """`self.x` that a method gives a new value may hold what an earlier step computed."""
        if not self.recorded or self.module.self_class(node.value) is None:
            return
        variable = self.module.variable(node)
        for binding in variable.bindings if variable is not None else ():
            method = self.module.function_of(binding.target)
            if isinstance(binding.target, ast.Attribute) and method is not None and method.name not in _MADE_ONCE:
                line = binding.target.lineno
                raise NotPlain(Why.SET_ON_SELF, attribute=f"self.{node.attr}", line=line)

    def _call(self, call: ast.Call) -> None:
        self._models(call.func)
        root = root_of(call.func)
        variable = self.module.variable(root) if root is not None else None
        if variable is not None and all(item.how is How.IMPORT for item in variable.bindings):
            return
        if isinstance(call.func, ast.Name) and self.step.is_harmless(call.func):
            return
        if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
            if root is not None and self.module.self_class(root) is None:
                self._name(root)
            return  # what it is a method of is looked at like any other part
        made = self.module.definition(call.func) if isinstance(call.func, ast.Name) else None
        if isinstance(made, ast.FunctionDef):
            self._function(made)
        elif not isinstance(made, ast.ClassDef):
            raise NotPlain(Why.MAY_COMPUTE, call=shown(call), line=call.lineno)

    def _function(self, function: ast.FunctionDef) -> None:
        """A function of the file gives back no gradients where nothing that it calls does."""
        if function not in self.seen:
            self.seen.add(function)
            for node in inner(function):
                if isinstance(node, ast.Call):
                    self._call(node)

    def _models(self, node: ast.AST) -> None:
        for item in inner(node):
            model = self.step.model_of(item) if isinstance(item, ast.Attribute | ast.Name) else None
            if model is not None:
                raise NotPlain(Why.MODEL_COMPUTES, model=".".join(model), line=getattr(item, "lineno", 0))
