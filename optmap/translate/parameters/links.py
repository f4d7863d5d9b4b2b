"""Names, functions and loops on the way from an optimizer to its parameters, followed to their definitions.

Whether they may be changed, which they may not where something else uses them, is decided in `sharing`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from optmap.source.model import Binding, How, Variable
from optmap.translate.parameters.account import Link, Walk
from optmap.translate.parameters.functions import FunctionLinks, Reads, called_by, key_of
from optmap.translate.parameters.groups import (
    LOOP_ONLY,
    PASS_ON,
    GroupEntry,
    Role,
    dict_inside,
    is_lazy,
)
from optmap.translate.parameters.loops import collectors, picks_by_name, unplain_statement
from optmap.translate.parameters.uses import Added, effects, is_sum, one_value


class Links:
    """Follows the links of one walk."""

    def __init__(self, walk: Walk, reader: Reads) -> None:
        self.walk = walk
        self.module = walk.module
        self.reader = reader
        self.functions = FunctionLinks(walk, reader)

    def _variable(self, node: ast.expr) -> Variable | None:
        variable = self.module.variable(node) if isinstance(node, ast.Name | ast.Attribute) else None
        body = variable is not None and isinstance(variable.scope, ast.ClassDef) and len(variable.chain) == 1
        return None if body else variable

    def is_blocked_iterator(self, node: ast.expr) -> bool:
        """A name that is not followed, but is bound to an iterator."""
        variable = self._variable(node) if isinstance(node, ast.Name) else None
        if variable is None or key_of(variable) not in self.walk.blocked:
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
        link = self.walk.enter(key_of(variable), variable.text, node)
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
            return id(variable.scope) in self.functions.calls
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
            self.functions.parameter(variable, role, in_loop)
        elif binding.value is not None:
            self.functions.assigned(binding.value, binding.element, role, in_loop)

    def _uses(self, link: Link, variable: Variable, binding: Binding, role: Role) -> None:
        """Read what is done to the value of a definition."""
        uses = self.walk.account.definition(self.module, link, variable, binding)
        for use in uses if self.walk.first("uses", id(uses), role) else ():
            found = effects(self.module, use, role) if self.walk.first("use", id(use), role) else None
            if found is not None:
                self._changed(use, found)

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
            if isinstance(item, ast.Call) and (name := called_by(self.module, item)):
                passes = name in (*PASS_ON, *LOOP_ONLY, "filter") and item.args
                pairs = None if passes else dict_inside(item)
                inner = item.args if passes else [pairs] if pairs is not None else []
            elif isinstance(item, ast.List | ast.Tuple) and item.elts:
                if all(self.reader.accessor(each) is not None for each in item.elts):
                    return True
            elif isinstance(item, ast.ListComp | ast.GeneratorExp):
                inner = [part.iter for part in item.generators]
            elif (variable := self._variable(item)) is not None and key_of(variable) not in self.walk.blocked:
                bindings = self.module.in_force(variable, item)
                inner = [value for binding in bindings for value in self._given(variable, binding)]
            stack += (each for each in inner if id(each) not in seen)
            seen.update(map(id, inner))
        return False

    def _given(self, variable: Variable, binding: Binding) -> Collection[ast.expr]:
        """The values that a binding may give as they are."""
        if binding.how is How.PARAMETER:
            return self.functions.arguments(variable)
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
