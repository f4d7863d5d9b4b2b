"""Variables and helper functions on the way from an optimizer to its parameters: their values, and what is done to them.

Whether a variable may be followed, which it may not where something else uses it, is decided in `flows.py` from what is
noted here.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from optmap.source.text import Source
from optmap.source.variables import Helper, Slot, Variable, Variables
from optmap.translate.parameters.groups import (
    LOOP_ONLY,
    PASS_ON,
    GroupEntry,
    Key,
    Lost,
    Role,
    called,
    dict_inside,
    is_lazy,
)
from optmap.translate.parameters.loops import collectors, harmless_use, picks_by_name, unplain_statement

if TYPE_CHECKING:
    from optmap.translate.parameters.reader import Reader


class Trail:
    """The variables that one optimizer's parameters come through. `blocked` holds those that must not be followed.

    Afterwards `reached` has the ids of the uses of variables that were understood, `regions` the values that were read for
    each variable, `inner` the variables that each leads to, `grouped` those in which groups are built, and `broken` why
    some cannot be followed at all. `lost` are the reasons why variables were not.
    """

    def __init__(self, reader: Reader, source: Source, variables: Variables, blocked: Mapping[Key, Lost]) -> None:
        self.reader = reader
        self.source = source
        self.variables = variables
        self.blocked = blocked
        self.lost: list[Lost] = []
        self.reached: set[int] = set()
        self.followed: dict[Key, Variable | Helper] = {}
        self.regions: dict[Key, list[ast.expr]] = {}
        self.inner: dict[Key, set[Key]] = {}
        self.grouped: set[Key] = set()
        self.broken: dict[Key, str] = {}
        self.stack: list[Key] = []
        self.seen: set[tuple[Key, Role, bool, int | None]] = set()

    def is_lazy(self, node: ast.Name) -> bool:
        """A name that is not followed, but is bound to something that can be run over once."""
        variable = self.variables.variable(node)
        if variable is None or variable.key not in self.blocked:
            return False
        return any(slot.loop is None and is_lazy(slot.value) for slot in variable.slots)

    def follow(self, node: ast.expr, role: Role, in_loop: bool) -> bool:
        """Follow a variable to its values; False where it is none or must not be followed."""
        variable = self.variables.variable(node) or self._argument(node)
        if variable is None:
            return False
        if variable.slots and all(slot.loop is not None for slot in variable.slots):
            return self._element(node, variable, role)
        if not self._enter(variable, node, role, in_loop):
            return variable.key not in self.blocked
        for slot in variable.slots:
            self._slot(variable, slot, role, in_loop)
        for use in variable.uses:
            self._use(use, role)
        self.stack.pop()
        return True

    def _argument(self, node: ast.expr) -> Variable | None:
        """A parameter of a function that is followed: every call of it is known."""
        helpers = [thing for thing in self.followed.values() if isinstance(thing, Helper)]
        found = (self.variables.argument(node, helper) for helper in helpers)
        return next((variable for variable in found if variable is not None), None)

    def _enter(
        self, thing: Variable | Helper, node: ast.expr, role: Role, in_loop: bool, element: int | None = None
    ) -> bool:
        """Note that a variable is used here; True where its values have yet to be read."""
        lost = self.blocked.get(thing.key)
        if lost is not None:
            self.lost.append(lost)
            return False
        self.reached.add(id(node))
        self.followed[thing.key] = thing
        if self.stack:
            self.inner.setdefault(self.stack[-1], set()).add(thing.key)
        if (thing.key, role, in_loop, element) in self.seen:
            return False
        self.seen.add((thing.key, role, in_loop, element))
        self.stack.append(thing.key)
        return True

    def _slot(self, variable: Variable, slot: Slot, role: Role, in_loop: bool) -> None:
        if slot.loop is not None:
            self.broken.setdefault(variable.key, f"a loop runs it over something on line {slot.value.lineno}")
            return
        value = slot.value
        if slot.element is not None:
            if isinstance(value, ast.Call):
                if not self.helper(value, role, in_loop, slot.element):
                    self.reader.opaque.append(value)
                return
            if not isinstance(value, ast.Tuple | ast.List) or slot.element >= len(value.elts):
                self.reader.opaque.append(value)
                return
            value = value.elts[slot.element]
        self._region(value)
        self.reader.value(value, role, in_loop)
        self.reader.look_for_hidden_groups(value)

    def _region(self, node: ast.expr) -> None:
        self.reached.add(id(node))
        self.regions.setdefault(self.stack[-1], []).append(node)

    def _element(self, node: ast.expr, variable: Variable, role: Role) -> bool:
        """A loop's variable: one parameter of those that the loop runs over."""
        slots = self._around(node, variable) or variable.slots
        if not all(self._runs_over_parameters(slot.value) for slot in slots):
            return False
        self.reached.add(id(node))
        lists = all(isinstance(slot.value, ast.List | ast.Tuple) for slot in slots)
        if role is Role.PARAMS and not lists:
            self.reader.single.append(node)
        loops = [self._loop(slot.loop, variable) for slot in slots if isinstance(slot.loop, ast.For)]
        return all(loops)

    def _around(self, node: ast.AST, variable: Variable) -> tuple[Slot, ...]:
        """The innermost loop around a place that binds the variable."""
        parents = self.source.parents
        inner: ast.AST | None = node
        while inner is not None:
            for slot in variable.slots:
                if slot.loop is inner or (isinstance(slot.loop, ast.comprehension) and parents[id(slot.loop)] is inner):
                    return (slot,)
            inner = parents.get(id(inner))
        return ()

    def _runs_over_parameters(self, node: ast.expr, seen: frozenset[Key] = frozenset()) -> bool:
        """Tell whether each element is a parameter, or a tuple that holds one."""
        if self.reader.accessor(node) is not None:
            return True
        if isinstance(node, ast.Call) and (called(node) in (*PASS_ON, *LOOP_ONLY, "filter")) and node.args:
            return any(self._runs_over_parameters(item, seen) for item in node.args)
        if isinstance(node, ast.Call) and (inner := dict_inside(node)) is not None:
            return self._runs_over_parameters(inner, seen)
        if isinstance(node, ast.List | ast.Tuple) and node.elts:
            return all(self.reader.accessor(item) is not None for item in node.elts)
        if isinstance(node, ast.ListComp | ast.GeneratorExp):
            return any(self._runs_over_parameters(part.iter, seen) for part in node.generators)
        variable = self.variables.variable(node) or self._argument(node)
        if variable is None or variable.key in seen or variable.key in self.blocked:
            return False
        return any(
            slot.loop is None and self._runs_over_parameters(slot.value, seen | {variable.key})
            for slot in variable.slots
        )

    def _loop(self, loop: ast.For, variable: Variable) -> bool:
        """A for statement whose variable ends up in the optimizer: what it runs over is translated with the groups."""
        key = (id(loop), variable.text)
        thing = Variable(key, f"the loop's {variable.text}", (), collectors(loop), None)
        if not self._enter(thing, loop.iter, Role.ITEM, True):
            return key not in self.blocked
        other = unplain_statement(loop)
        if other is not None:
            self.broken[key] = f"the loop does something else with its parameters on line {other.lineno}"
        self._region(loop.iter)
        self.reader.read(loop.iter, in_loop=True)
        tests = [item.test for item in ast.walk(loop) if isinstance(item, ast.If | ast.IfExp)]
        self.reader.note_tests(tests)
        for node in (*tests, *(item.value for item in ast.walk(loop) if isinstance(item, ast.Assign | ast.NamedExpr))):
            self.reader.note_names(node)
        self.reader.picks = self.reader.picks or picks_by_name(loop.target, loop)
        self.stack.pop()
        return True

    def helper(self, call: ast.Call, role: Role, in_loop: bool, element: int | None = None) -> bool:
        """Follow a call of a function of the file to what it returns."""
        helper = self.variables.helper(call)
        if helper is None or not self._enter(helper, call.func, role, in_loop, element):
            return helper is not None and helper.key not in self.blocked
        for returned in helper.returns:
            value = returned
            if element is not None:
                if not isinstance(returned, ast.Tuple) or element >= len(returned.elts):
                    self.reader.opaque.append(returned)
                    continue
                value = returned.elts[element]
            self._region(value)
            self.reader.value(value, role, in_loop)
            self.reader.look_for_hidden_groups(value)
        if helper.generates:
            self._generator(helper, call, role, element)
        self.stack.pop()
        return True

    def _generator(self, helper: Helper, call: ast.Call, role: Role, element: int | None) -> None:
        if role is Role.ITEM or element is not None:
            self.reader.opaque.append(call)
            return
        if role is Role.PARAMS:
            self.reader.lazy.append(call)
        for value in helper.yields:
            self._region(value)
            self.reader.item(value)
        for value in helper.runs:
            self._region(value)
            self.reader.read(value)
        for value in (*helper.yields, *helper.runs):
            self.reader.look_for_hidden_groups(value)

    def _use(self, use: ast.expr, role: Role) -> None:
        """What is done to a variable that is followed: more elements, other values of keys."""
        parents = self.source.parents
        parent = parents[id(use)]
        outer = parents.get(id(parent))
        if isinstance(parent, ast.Attribute) and isinstance(outer, ast.Call) and outer.func is parent:
            if isinstance(parents.get(id(outer)), ast.Expr) and self._method(parent.attr, outer, role):
                self.reached.add(id(use))
        elif isinstance(parent, ast.Subscript) and parent.value is use and role is Role.ITEM:
            if self._keyed(parent):
                self.reached.add(id(use))
        elif isinstance(parent, ast.Subscript) and parent.value is use and role in (Role.WHOLE, Role.MAPPING):
            if isinstance(outer, ast.Subscript) and outer.value is parent and self._keyed(outer):
                self.reached.add(id(use))
            elif isinstance(outer, ast.Assign) and outer.targets == [parent]:
                self.reached.add(id(use))
                self._added(outer.value)
        elif (
            isinstance(parent, ast.For | ast.comprehension)
            and parent.iter is use
            and role is Role.WHOLE
            and self._loop_over_groups(parent)
        ):
            self.reached.add(id(use))

    def _method(self, name: str, call: ast.Call, role: Role) -> bool:
        """`append`, `insert` and `extend`; False for any other method."""
        place = {"append": 0, "extend": 0, "insert": 1}.get(name)
        if place is None or role in (Role.ITEM, Role.MAPPING) or call.keywords or len(call.args) != place + 1:
            return False
        if name == "extend":
            self._region(call.args[place])
            self.reader.value(call.args[place], role)
            self.reader.look_for_hidden_groups(call.args[place])
        else:
            self._added(call.args[place])
        return True

    def _added(self, node: ast.expr) -> None:
        self._region(node)
        self.reader.item(node)
        self.reader.look_for_hidden_groups(node)

    def _keyed(self, node: ast.Subscript) -> bool:
        """`group["key"]`, set or read; False where the key cannot be seen."""
        index = node.slice
        if not isinstance(index, ast.Constant) or not isinstance(index.value, str):
            return False
        self._region(index)
        parent = self.source.parents[id(node)]
        sets = isinstance(node.ctx, ast.Store)
        if sets and isinstance(parent, ast.Assign | ast.AugAssign | ast.AnnAssign) and parent.value is not None:
            self._region(parent.value)
            self.reader.entry(GroupEntry(index.value, index, parent.value))
            return True
        if sets or isinstance(node.ctx, ast.Del):
            return False
        call = self.source.parents.get(id(parent))
        if isinstance(parent, ast.Attribute) and isinstance(call, ast.Call):
            return index.value == "params" and self._method(parent.attr, call, Role.PARAMS)
        if index.value != "params":
            self.reader.entries.append(GroupEntry(index.value, index, node, sets=False))
        return True

    def _loop_over_groups(self, loop: ast.For | ast.comprehension) -> bool:
        """A loop over the groups whose variable is only asked for, or given, keys."""
        if not isinstance(loop.target, ast.Name):
            return False
        name = loop.target.id
        body: ast.AST = loop if isinstance(loop, ast.For) else self.source.parents[id(loop)]
        uses = [
            item
            for item in ast.walk(body)
            if isinstance(item, ast.Name) and item.id == name and isinstance(item.ctx, ast.Load)
        ]
        variable = self.variables.variable(uses[0]) if uses else None
        if variable is None or len(variable.uses) != len(uses) or len(variable.slots) != 1:
            return not uses
        subscripts = [self.source.parents[id(use)] for use in uses]
        return all(
            isinstance(item, ast.Subscript) and item.value is use and self._keyed(item)
            for item, use in zip(subscripts, uses, strict=True)
        )

    def unaccounted(self, thing: Variable | Helper, reached: Collection[int]) -> str | None:
        """Say what keeps a variable from being followed, given the uses that all optimizers together have reached."""
        if thing.key in self.broken:
            return self.broken[thing.key]
        if isinstance(thing, Variable) and thing.blocker is not None:
            return f"it gets a value that cannot be seen on line {_line(self.source, thing.blocker)}"
        for use in thing.uses:
            if id(use) not in reached and not harmless_use(self.source, use):
                return f"it is also used on line {use.lineno}"
        return None


def _line(source: Source, node: ast.AST) -> int:
    while not hasattr(node, "lineno"):
        node = source.parents[id(node)]
    return int(node.lineno)
