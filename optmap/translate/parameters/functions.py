"""Functions of the file on the way from an optimizer to its parameters: what they return, and what calls pass to them."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Protocol

from optmap.source.model import How, Module, Variable
from optmap.source.syntax import called, chain_of
from optmap.translate.parameters.account import Walk
from optmap.translate.parameters.groups import GroupEntry, Key, Role


class Reads(Protocol):
    """What reads the values that links lead to."""

    def value(self, node: ast.expr, role: Role, in_loop: bool = False) -> None: ...
    def entry(self, entry: GroupEntry) -> None: ...
    def accessor(self, node: ast.AST | None) -> str | None: ...
    def note_tests(self, tests: Collection[ast.expr]) -> None: ...
    def note_names(self, node: ast.expr) -> None: ...


class FunctionLinks:
    """Follows functions for one walk; `calls` are the calls of the file's functions that were followed."""

    def __init__(self, walk: Walk, reader: Reads) -> None:
        self.walk = walk
        self.module = walk.module
        self.reader = reader
        self.calls: dict[int, list[ast.Call]] = {}
        self.passed: dict[int, list[tuple[Variable, Role, bool]]] = {}

    def assigned(self, value: ast.expr, element: int | None, role: Role, in_loop: bool) -> None:
        """The value of a variable, or the element of it that a variable gets."""
        if element is None:
            self.reader.value(value, role, in_loop)
        elif isinstance(value, ast.Tuple | ast.List) and element < len(value.elts):
            self.reader.value(value.elts[element], role, in_loop)
        elif not (isinstance(value, ast.Call) and self.call(value, role, in_loop, element)):
            self.walk.found.opaque.append(value)

    def call(self, call: ast.Call, role: Role, in_loop: bool, element: int | None = None) -> bool:
        """Follow a call of a function of the file to what it returns; False where it is none or must not be followed."""
        function = self.module.function(call)
        if function is None:
            return False
        returns, runs = self.module.returns(function), self.module.runs(function)
        yields = self.module.yields(function)
        if bool(returns) == bool(yields or runs):
            return False
        text = ".".join(chain_of(call.func) or (function.name,))
        link = self.walk.enter((id(function), f"{text}()"), text, call.func)
        if link is None:
            return False
        self.walk.account.count(link, function, lambda: self._mentions(function))
        self._called_with(call, function)
        if self.walk.first("function", id(function), role, in_loop, element):
            for value in returns:
                if element is None or (isinstance(value, ast.Tuple) and element < len(value.elts)):
                    self.assigned(value, element, role, in_loop)
                else:
                    self.walk.found.opaque.append(value)
            if yields or runs:
                self._generator(call, (*yields,), (*runs,), role if element is None else Role.ITEM)
        self.walk.leave()
        return True

    def _generator(self, call: ast.Call, yields: Collection[ast.expr], runs: Collection[ast.expr], role: Role) -> None:
        if role is Role.ITEM:
            self.walk.found.opaque.append(call)
            return
        if role is Role.PARAMS:
            self.walk.found.lazy.append(call)
        for value in yields:
            self.reader.value(value, Role.ITEM)
        for value in runs:
            self.reader.value(value, Role.WHOLE)

    def _mentions(self, function: ast.FunctionDef) -> Collection[ast.expr]:
        """Every place that uses a function, but those that ask models for parameters where it is called like that."""
        variable, owner = self.module.variable(function), self.module.scope(function)
        uses = list(variable.uses) if variable is not None else []
        attribute = self.module.attribute_of(owner, function.name) if isinstance(owner, ast.ClassDef) else None
        uses += attribute.uses if attribute is not None else ()
        return [use for use in uses if self.reader.accessor(self.module.parent(use)) is None]

    def _called_with(self, call: ast.Call, function: ast.FunctionDef) -> None:
        """Read what a further call passes for the parameters that were followed before."""
        if self.walk.first("call", id(call)):
            self.calls.setdefault(id(function), []).append(call)
            for variable, role, in_loop in self.passed.get(id(function), ()):
                if self.walk.enter(key_of(variable), variable.text, call.func) is not None:
                    self._pass(call, variable, role, in_loop)
                    self.walk.leave()

    def parameter(self, variable: Variable, role: Role, in_loop: bool) -> None:
        """A parameter of a function that is followed: what the calls that were followed pass for it."""
        function = id(variable.scope)
        self.passed.setdefault(function, []).append((variable, role, in_loop))
        for call in tuple(self.calls[function]):
            self._pass(call, variable, role, in_loop)

    def _pass(self, call: ast.Call, variable: Variable, role: Role, in_loop: bool) -> None:
        value = self._argument(call, variable)
        if value is None:
            self.walk.found.opaque.append(call)
        else:
            self.reader.value(value, role, in_loop)

    def _argument(self, call: ast.Call, variable: Variable) -> ast.expr | None:
        """What a call passes for a parameter of the function that it runs."""
        assert isinstance(variable.scope, ast.FunctionDef)
        given = self.module.arguments(call, variable.scope).get(variable.text)
        return given.value if given is not None and isinstance(given.value, ast.expr) else None

    def arguments(self, variable: Variable) -> list[ast.expr]:
        """What the calls that were followed pass for a parameter."""
        calls = self.calls.get(id(variable.scope), ())
        return [value for call in calls if (value := self._argument(call, variable)) is not None]


def called_by(module: Module, node: ast.Call) -> str:
    """The last name of what is called; empty for what the file defines itself."""
    variable = module.variable(node.func) if isinstance(node.func, ast.Name) else None
    own = variable is not None and any(item.how is not How.IMPORT for item in variable.bindings)
    return "" if own or module.function(node) is not None else called(node)


def key_of(variable: Variable) -> Key:
    return id(variable.scope), variable.text
