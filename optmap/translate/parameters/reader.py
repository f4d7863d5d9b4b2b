"""From a parameters argument to what it holds: model methods, groups and their keys, and what is neither."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from weakref import proxy

from optmap.mapping.framework import Framework
from optmap.source.model import Module
from optmap.source.syntax import argument_values
from optmap.source.text import Source
from optmap.translate.parameters.account import Account, Walk
from optmap.translate.parameters.functions import called_by
from optmap.translate.parameters.groups import (
    LOOP_ONLY,
    PASS_ON,
    GroupEntry,
    Key,
    Lost,
    ParametersArgument,
    Role,
    dict_inside,
    group_entries,
    is_group,
    is_lazy,
    makes_tensor,
    values_of,
)
from optmap.translate.parameters.links import Links
from optmap.translate.parameters.loops import name_literals, picks_by_name
from optmap.translate.parameters.uses import defined, groups_inside, shows_groups


class Reader:
    """One walk over the expressions whose value ends up in one optimizer."""

    def __init__(
        self, source: Source, framework: Framework, account: Account, blocked: Mapping[Key, Lost] | None = None
    ) -> None:
        self.source = source
        self.module = Module.of(source)
        self.framework = framework
        self.names = framework.facts.parameters
        self.walk = Walk(self.module, account, blocked or {})
        self.found = self.walk.found
        self.links = Links(self.walk, proxy(self))  # no cycle, which would keep the tree
        accessors = (self.names.trainable, self.names.named, *self.names.also)
        self.accessors = frozenset(name for name in accessors if name)
        self.own = not self.accessors.isdisjoint(defined(self.module))

    def run(self, node: ast.expr) -> ParametersArgument:
        self.read(node)
        self._look_for_hidden_groups(node)
        return self.found

    def value(self, node: ast.expr, role: Role, in_loop: bool = False) -> None:
        """Read an expression that plays a role; it belongs to the link that is followed, if one is."""
        self.walk.take(node)
        if role is Role.WHOLE:
            self.read(node, in_loop=in_loop)
        elif role is Role.ITEM:
            self.item(node)
        elif role is Role.PARAMS:
            self._group_parameters(node)
        else:
            self._mapping(node)
        self._look_for_hidden_groups(node)

    def _mapping(self, node: ast.expr) -> None:
        """A dict whose values are elements."""
        if isinstance(node, ast.Dict) and None not in node.keys:
            for item in node.values:
                self.item(item)
        elif isinstance(node, ast.DictComp):
            self._comprehension(node)
        elif isinstance(node, ast.Call) and called_by(self.module, node) and (inner := dict_inside(node)) is not None:
            self.read(inner, in_loop=True)
        elif not isinstance(node, ast.Call) or node.args or node.keywords:
            self._give_up(node)

    def read(self, node: ast.expr, *, in_loop: bool = False, role: Role = Role.WHOLE) -> None:
        """Classify an expression; `in_loop` says that it is iterated over, names included."""
        stack = [node]
        while stack:
            item = stack.pop()
            if isinstance(item, ast.BinOp) and isinstance(item.op, ast.Add):
                stack += (item.right, item.left)
                if self.names.one_pass and not self.own and any(map(self._is_iterator, (item.left, item.right))):
                    self.found.sums.append(item)
            elif isinstance(item, ast.IfExp):
                stack += (item.orelse, item.body)
            elif isinstance(item, ast.Starred | ast.NamedExpr) or (
                isinstance(item, ast.Subscript) and isinstance(item.slice, ast.Slice)
            ):
                stack.append(item.value)
            else:
                self._read_one(item, in_loop, role)

    def _is_iterator(self, node: ast.expr) -> bool:
        return is_lazy(node) or self.accessor(node) is not None

    def _read_one(self, node: ast.expr, in_loop: bool, role: Role) -> None:
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            for item in node.elts:
                self.item(item)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp) or (
            in_loop and isinstance(node, ast.DictComp)
        ):
            self._comprehension(node)
        elif isinstance(node, ast.Call):
            self._call(node, in_loop, role)
        elif not (isinstance(node, ast.Constant) and node.value is None) and not self.links.follow(node, role, in_loop):
            self._give_up(node)

    def item(self, node: ast.expr) -> None:
        """An element of a list: a group, or something that is a parameter."""
        while isinstance(node, ast.IfExp):
            self.item(node.body)
            node = node.orelse
        if is_group(node) or isinstance(node, ast.Dict):
            self._group(node)
        elif (name := self.accessor(node)) is not None and isinstance(node, ast.Call):
            self._add_accessor(node, name, False)  # a list of such lists is iterated over
        elif isinstance(node, ast.Starred):
            self.read(node.value)
        elif isinstance(node, ast.Call) and self.links.functions.call(node, Role.ITEM, False):
            return
        elif not self.links.follow(node, Role.ITEM, False):
            self._give_up(node)

    def _give_up(self, node: ast.expr) -> None:
        """Note what says nothing about what it holds; groups that it is visibly made of cannot be left as they are."""
        self.found.opaque.append(node)
        parts: list[ast.expr] = []
        if isinstance(node, ast.Call):
            parts = [*argument_values(node), node.func]
            if isinstance(node.func, ast.Attribute):
                parts.append(node.func.value)
        elif isinstance(node, ast.Subscript) and not isinstance(getattr(node.slice, "value", None), str):
            parts = [node.value]
        part = next((item for item in parts if shows_groups(self.module, item)), None)
        if part is not None:
            why = f"what line {node.lineno} makes of {ast.unparse(part)} cannot be seen"
            self.found.lost.append(Lost(why, True))

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp) -> None:
        self.note_names(node)
        for part in node.generators:
            variable = self.module.variable(part.iter) if isinstance(part.iter, ast.Name) else None
            if variable is None or variable.scope is not node:
                self._iterated(part.iter)
            self.note_tests(part.ifs)
            self.found.picks = self.found.picks or picks_by_name(self.module, part.target, node)
        if not isinstance(node, ast.DictComp) and is_group(node.elt):
            self._group(node.elt)

    def _iterated(self, node: ast.expr) -> None:
        """What a comprehension iterates over: parameters with or without names, or models, which say nothing yet."""
        inner = (dict_inside(node) or values_of(node)) if isinstance(node, ast.Call) else None
        named = isinstance(inner or node, ast.Name | ast.Attribute | ast.Subscript)
        if named or any(self.accessor(inner) is not None for inner in ast.walk(node)):
            self.read(node, in_loop=True)

    def note_tests(self, tests: Collection[ast.expr]) -> None:
        self.found.literals.update(dict.fromkeys(name_literals(self.module, tests)))
        self._note_asked(tests)

    def _note_asked(self, tests: Collection[ast.expr]) -> None:
        """`id(p) not in ignored` asks for the parameters that `ignored = list(map(id, net.fc.parameters()))` is made of."""
        names = (node for test in tests for node in ast.walk(test) if isinstance(node, ast.Name))
        for node in names:
            variable = self.module.variable(node)
            for binding in self.module.in_force(variable, node) if variable is not None else ():
                value = binding.value if binding.loop is None else None
                inside = ast.walk(value) if value is not None else ()
                self.found.asked += [item for item in inside if isinstance(item, ast.Call) and self.accessor(item)]

    def note_names(self, node: ast.expr) -> None:
        """MindSpore's parameters carry their name as an attribute, torch's do not."""
        if self.names.own_names:
            named = any(isinstance(item, ast.Attribute) and item.attr == "name" for item in ast.walk(node))
            self.found.name_attribute = self.found.name_attribute or named
            self.note_tests([node] if self.found.name_attribute else [])

    def accessor(self, node: ast.AST | None) -> str | None:
        """The name of the model's method that a call asks for parameters; None for a function of the file."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        if node.func.attr not in self.accessors or (self.own and self.module.function(node) is not None):
            return None
        return node.func.attr

    def _call(self, node: ast.Call, in_loop: bool, role: Role) -> None:
        name = self.accessor(node)
        if name is not None:
            self._add_accessor(node, name, in_loop)
        elif self.links.functions.call(node, role, in_loop):
            return
        elif (function := called_by(self.module, node)) == "filter" and len(node.args) == 2:
            self.found.filters.append(node)
            self.note_names(node.args[0])
            self._note_asked([node.args[0]])
            self.read(node.args[1], in_loop=in_loop)
        elif (function in PASS_ON and not node.keywords) or (in_loop and function in LOOP_ONLY):
            for argument in node.args:
                self.read(argument, in_loop=in_loop)
        elif in_loop and function and (inner := dict_inside(node)) is not None:
            self.read(inner, in_loop=True)
        elif (values := values_of(node)) is None or not self.links.follow(values, Role.MAPPING, False):
            self._give_up(node)

    def _add_accessor(self, node: ast.Call, name: str, in_loop: bool) -> None:
        if name == self.names.named and (node.args or node.keywords):
            self.found.opaque.append(node)
            return
        named = name == self.names.named and not in_loop
        if self.walk.first("accessor", id(node), named):
            (self.found.unnamed if named else self.found.accessors).append(node)

    def _group(self, display: ast.expr) -> None:
        entries = group_entries(display)
        if entries is None:
            self.found.unreadable = self.found.unreadable or display
        elif self.walk.first("group", id(display)):
            if self._is_idle(display, entries):
                self.found.idle.append(display)  # type: ignore[arg-type]
                entries = []
            for entry in entries:
                self.entry(entry)

    def _is_idle(self, display: ast.expr, entries: Sequence[GroupEntry]) -> bool:
        """Tell whether a group trains nothing and can go from among others."""
        around = self.module.parent(display)
        alone = not isinstance(display, ast.Dict) or not isinstance(around, ast.List) or len(around.elts) < 2
        return not alone and [entry.key in self.names.idle_groups for entry in entries] == [True]

    def entry(self, entry: GroupEntry) -> None:
        known = isinstance(entry.value, ast.Constant) and entry.sets and entry.key in self.names.idle_keys
        if known and isinstance(entry.value, ast.Constant) and entry.value.value is self.names.idle_keys[entry.key]:
            self.found.idle.append(entry)
        else:
            self.found.entries.append(entry)
        if (link := self.walk.link) is not None:
            link.grouped = True
        if entry.key != "params" or not entry.sets:
            return
        before = len(self.found.opaque)
        self._group_parameters(entry.value)
        unknown = any(item is entry.value for item in self.found.opaque[before:])
        if unknown and isinstance(entry.value, ast.Call) and not makes_tensor(entry.value, self.framework):
            self.found.lazy.append(entry.value)

    def _group_parameters(self, node: ast.expr) -> None:
        if isinstance(node, ast.Attribute) and node.attr in ("weight", "bias"):
            self.found.single.append(node)
            return
        if is_lazy(node) or self.links.is_blocked_iterator(node):
            self.found.lazy.append(node)
        self.read(node, role=Role.PARAMS)

    def _look_for_hidden_groups(self, node: ast.expr) -> None:
        """A group in a place that was not followed cannot be translated key by key."""
        for group in groups_inside(self.module, node):
            if ("group", id(group)) not in self.walk.seen:
                self.found.unreadable = self.found.unreadable or group


def read_parameters(source: Source, node: ast.expr, framework: Framework) -> ParametersArgument:
    """Follow one argument's expression down to model methods, groups, and what is neither."""
    return Reader(source, framework, Account()).run(node)
