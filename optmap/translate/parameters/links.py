"""Names, functions and loops on the way from an optimizer to its parameters, followed to their definitions.

Whether they may be changed, which they may not where something else uses them, is decided in `sharing`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Protocol

from optmap.source.model import Binding, How, Variable
from optmap.source.syntax import chain_of
from optmap.translate.parameters.account import Link, Walk
from optmap.translate.parameters.groups import (
    LOOP_ONLY,
    PASS_ON,
    GroupEntry,
    Key,
    Role,
    called,
    dict_inside,
    is_lazy,
)
from optmap.translate.parameters.loops import collectors, picks_by_name, unplain_statement
from optmap.translate.parameters.uses import Added, effects, is_sum, one_value


class Reads(Protocol):
    """What reads the values that links lead to."""

    def value(self, node: ast.expr, role: Role, in_loop: bool = False) -> None: ...
    def entry(self, entry: GroupEntry) -> None: ...
    def accessor(self, node: ast.AST | None) -> str | None: ...
    def note_tests(self, tests: Collection[ast.expr]) -> None: ...
    def note_names(self, node: ast.expr) -> None: ...


class Links:
    """Follows links for one walk; `calls` are the calls of the file's functions that were followed."""

    def __init__(self, walk: Walk, reader: Reads) -> None:
        self.walk = walk
        self.module = walk.module
        self.reader = reader
        self.calls: dict[int, list[ast.Call]] = {}
        self.passed: dict[int, list[tuple[Variable, Role, bool]]] = {}

    def _variable(self, node: ast.expr) -> Variable | None:
        variable = self.module.variable(node) if isinstance(node, ast.Name | ast.Attribute) else None
        body = variable is not None and isinstance(variable.scope, ast.ClassDef) and len(variable.chain) == 1
        return None if body else variable

    def is_blocked_iterator(self, node: ast.expr) -> bool:
        """A name that is not followed, but is bound to an iterator."""
        variable = self._variable(node) if isinstance(node, ast.Name) else None
        if variable is None or _key(variable) not in self.walk.blocked:
            return False
        values = (item.value for item in self.module.in_force(variable, node) if item.how is How.ASSIGNED)
        return any(value is not None and is_lazy(value) for value in values)

    def follow(self, node: ast.expr, role: Role, in_loop: bool) -> bool:
        """Follow a variable to its values; False where it is none or must not be followed."""
        variable = self._variable(node)
        bindings = one_value(self.module, variable, node) if variable is not None else ()
        if variable is None or not any(self._is_seen(variable, item) for item in bindings):
            return False
        if all(item.loop is not None for item in bindings):
            return self._element(node, variable, bindings, role)
        link = self.walk.enter(_key(variable), variable.text, node)
        if link is None:
            return False
        new = [item for item in bindings if self.walk.first(id(item.target), role, in_loop)]
        for binding in new:
            self._definition(link, variable, binding, role, in_loop)
        for binding in new:
            self._uses(link, variable, binding, role)
        self.walk.leave()
        return True

    def _is_seen(self, variable: Variable, binding: Binding) -> bool:
        """Tell whether it can be seen what a binding gives."""
        if binding.how is How.PARAMETER:
            return id(variable.scope) in self.calls
        replaced = isinstance(variable.scope, ast.ClassDef) and isinstance(binding.target, ast.Name)
        if replaced and variable.scope.decorator_list:  # type: ignore[attr-defined]
            return False
        return binding.loop is not None or binding.how in (How.ASSIGNED, How.UNPACKED) or is_sum(self.module, binding)

    def _definition(self, link: Link, variable: Variable, binding: Binding, role: Role, in_loop: bool) -> None:
        if not self._is_seen(variable, binding):
            line = getattr(binding.target, "lineno", 0)
            link.hidden = link.hidden or f"it gets a value that cannot be seen on line {line}"
        elif binding.loop is not None and binding.value is not None:
            link.hidden = link.hidden or f"it is the variable of a loop on line {binding.value.lineno}"
        elif binding.how is How.PARAMETER:
            self._parameter(variable, role, in_loop)
        elif binding.value is not None:
            self._assigned(binding.value, binding.element, role, in_loop)

    def _uses(self, link: Link, variable: Variable, binding: Binding, role: Role) -> None:
        """Read what is done to the value of a definition."""
        uses = self.walk.account.definition(self.module, link, variable, binding)
        for use in uses if self.walk.first("uses", id(uses), role) else ():
            found = effects(self.module, use, role) if self.walk.first("use", id(use), role) else None
            if found is not None:
                self._changed(use, found)

    def _assigned(self, value: ast.expr, element: int | None, role: Role, in_loop: bool) -> None:
        """The value of a variable, or the element of it that a variable gets."""
        if element is None:
            self.reader.value(value, role, in_loop)
        elif isinstance(value, ast.Tuple | ast.List) and element < len(value.elts):
            self.reader.value(value.elts[element], role, in_loop)
        elif not (isinstance(value, ast.Call) and self.call(value, role, in_loop, element)):
            self.walk.found.opaque.append(value)

    def _changed(self, use: ast.expr, found: Collection[Added | GroupEntry]) -> None:
        """More elements, and other values of keys."""
        self.walk.account.understood.add(id(use))
        for item in found:
            if isinstance(item, Added):
                self.reader.value(item.node, item.role)
            elif item.sets:
                self.walk.take(item.node, item.value)
                self.reader.entry(item)
            else:
                self.walk.take(item.node)
                self.walk.found.entries.append(item)

    def _element(self, node: ast.expr, variable: Variable, bindings: Collection[Binding], role: Role) -> bool:
        """A loop's variable: one parameter of those that the loop iterates over."""
        values = [item.value for item in bindings if item.value is not None]
        if not all(self._gives_parameters(value) for value in values):
            return False
        self.walk.account.understood.add(id(node))
        if role is Role.PARAMS and not all(isinstance(value, ast.List | ast.Tuple) for value in values):
            self.walk.found.single.append(node)
        loops = [self._loop(item.loop, variable) for item in bindings if isinstance(item.loop, ast.For)]
        return all(loops)

    def _gives_parameters(self, node: ast.expr) -> bool:
        """Tell whether each element is a parameter, or a tuple that holds one."""
        stack, seen = [node], {id(node)}
        while stack:
            item = stack.pop()
            inner: list[ast.expr] = []
            if self.reader.accessor(item) is not None:
                return True
            if isinstance(item, ast.Call) and (name := self.called(item)):
                passes = name in (*PASS_ON, *LOOP_ONLY, "filter") and item.args
                pairs = None if passes else dict_inside(item)
                inner = item.args if passes else [pairs] if pairs is not None else []
            elif isinstance(item, ast.List | ast.Tuple) and item.elts:
                if all(self.reader.accessor(each) is not None for each in item.elts):
                    return True
            elif isinstance(item, ast.ListComp | ast.GeneratorExp):
                inner = [part.iter for part in item.generators]
            elif (variable := self._variable(item)) is not None and _key(variable) not in self.walk.blocked:
                bindings = self.module.in_force(variable, item)
                inner = [value for binding in bindings for value in self._given(variable, binding)]
            stack += (each for each in inner if id(each) not in seen)
            seen.update(map(id, inner))
        return False

    def _given(self, variable: Variable, binding: Binding) -> Collection[ast.expr]:
        """The values that a binding may give as they are."""
        if binding.how is How.PARAMETER:
            calls = self.calls.get(id(variable.scope), ())
            return [value for call in calls if (value := self._argument(call, variable)) is not None]
        whole = binding.value is not None and (binding.how is How.ASSIGNED or is_sum(self.module, binding))
        return [binding.value] if whole and binding.value is not None else []

    def _loop(self, loop: ast.For, variable: Variable) -> bool:
        """A for statement whose variable ends up in the optimizer: what it iterates over is translated with the groups."""
        link = self.walk.enter((id(loop), variable.text), f"the loop's {variable.text}", loop.iter)
        if link is None:
            return False
        if self.walk.first("loop", id(loop), variable):
            self.walk.account.count(link, loop, lambda: collectors(self.module, loop))
            other = unplain_statement(self.module, loop)
            if other is not None:
                link.hidden = f"the loop does something else with its parameters on line {other.lineno}"
            self.reader.value(loop.iter, Role.WHOLE, True)
            inside = list(ast.walk(loop))
            tests = [item.test for item in inside if isinstance(item, ast.If | ast.IfExp)]
            self.reader.note_tests(tests)
            for node in (*tests, *(item.value for item in inside if isinstance(item, ast.Assign | ast.NamedExpr))):
                self.reader.note_names(node)
            self.walk.found.picks = self.walk.found.picks or picks_by_name(self.module, loop.target, loop)
        self.walk.leave()
        return True

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
                    self._assigned(value, element, role, in_loop)
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
                if self.walk.enter(_key(variable), variable.text, call.func) is not None:
                    self._pass(call, variable, role, in_loop)
                    self.walk.leave()

    def _parameter(self, variable: Variable, role: Role, in_loop: bool) -> None:
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

    def called(self, node: ast.Call) -> str:
        """The last name of what is called; empty for what the file defines itself."""
        variable = self.module.variable(node.func) if isinstance(node.func, ast.Name) else None
        own = variable is not None and any(item.how is not How.IMPORT for item in variable.bindings)
        return "" if own or self.module.function(node) is not None else called(node)


def _key(variable: Variable) -> Key:
    return id(variable.scope), variable.text
