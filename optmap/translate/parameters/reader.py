"""Down from a parameters argument to what it holds: model methods, groups and their keys, and what is neither."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from optmap.mapping.model import Framework
from optmap.source.text import Source
from optmap.translate.parameters.groups import (
    LOOP_ONLY,
    PASS_ON,
    GroupEntry,
    Key,
    Lost,
    Role,
    called,
    dict_inside,
    group_entries,
    is_group,
    is_lazy,
    is_values,
    makes_tensor,
)

if TYPE_CHECKING:
    from optmap.source.variables import Variables
    from optmap.translate.parameters.trail import Trail


class Reader:
    """One walk down the expressions whose value ends up in one optimizer; `trail` has the variables on the way.

    `variables` gives the file's variables once they are asked for, which most calls never do.
    """

    def __init__(
        self,
        source: Source,
        framework: Framework,
        variables: Callable[[], Variables],
        blocked: Mapping[Key, Lost] | None = None,
    ) -> None:
        self.source = source
        self.framework = framework
        self.names = framework.facts.parameters
        self.variables = variables
        self.blocked = blocked or {}
        self.entries: list[GroupEntry] = []
        self.displays: set[int] = set()
        self.accessors: list[ast.Call] = []
        self.unnamed: list[ast.Call] = []
        self.single: list[ast.expr] = []
        self.lazy: list[ast.expr] = []
        self.filters: list[ast.Call] = []
        self.opaque: list[ast.expr] = []
        self.unreadable: ast.expr | None = None
        self.literals: list[str] = []
        self.picks = False
        self.name_attribute = False

    @cached_property
    def trail(self) -> Trail:
        from optmap.translate.parameters.trail import Trail

        return Trail(self, self.source, self.variables(), self.blocked)

    @property
    def follows(self) -> bool:
        """Whether any variable was followed."""
        return "trail" in self.__dict__ and bool(self.trail.followed)

    @property
    def lost(self) -> tuple[Lost, ...]:
        """Why variables were not followed."""
        return tuple(self.trail.lost) if "trail" in self.__dict__ else ()

    def run(self, node: ast.expr) -> None:
        self.read(node)
        self.look_for_hidden_groups(node)

    def value(self, node: ast.expr, role: Role, in_loop: bool = False) -> None:
        if role is Role.WHOLE:
            self.read(node, in_loop=in_loop)
        elif role is Role.ITEM:
            self.item(node)
        elif role is Role.PARAMS:
            self._group_parameters(node)
        else:
            self._mapping(node)

    def _mapping(self, node: ast.expr) -> None:
        """A dict whose values are elements."""
        if isinstance(node, ast.Dict) and None not in node.keys:
            for item in node.values:
                self.item(item)
        elif not isinstance(node, ast.Call) or node.args or node.keywords:
            self._give_up(node)

    def read(self, node: ast.expr, *, in_loop: bool = False, role: Role = Role.WHOLE) -> None:
        """Classify an expression; `in_loop` says that it is iterated over, names included."""
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            for item in node.elts:
                self.item(item)
        elif isinstance(node, ast.Starred | ast.NamedExpr):
            self.read(node.value, in_loop=in_loop, role=role)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            self.read(node.left, in_loop=in_loop, role=role)
            self.read(node.right, in_loop=in_loop, role=role)
        elif isinstance(node, ast.IfExp):
            self.read(node.body, in_loop=in_loop, role=role)
            self.read(node.orelse, in_loop=in_loop, role=role)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            self.read(node.value, in_loop=in_loop, role=role)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            self._comprehension(node)
        elif isinstance(node, ast.Call):
            self._call(node, in_loop, role)
        elif isinstance(node, ast.Constant) and node.value is None:
            return
        elif not self.trail.follow(node, role, in_loop):
            self._give_up(node)

    def _give_up(self, node: ast.expr) -> None:
        """Note what says nothing about what it holds; groups that it is visibly made of cannot be left as they are."""
        self.opaque.append(node)
        parts: list[ast.expr] = []
        if isinstance(node, ast.Call):
            parts = [*node.args, *(item.value for item in node.keywords), node.func]
            if isinstance(node.func, ast.Attribute):
                parts.append(node.func.value)
        elif isinstance(node, ast.Subscript) and not isinstance(getattr(node.slice, "value", None), str):
            parts = [node.value]
        for part in parts:
            if any(is_group(inner) for value in self.variables().values(part) for inner in ast.walk(value)):
                self.trail.lost.append(
                    Lost(f"what line {node.lineno} makes of {ast.unparse(part)} cannot be seen", True)
                )
                return

    def item(self, node: ast.expr) -> None:
        """An element of a list: a group, or something that is a parameter."""
        if is_group(node) or isinstance(node, ast.Dict):
            self._group(node)
        elif (name := self.accessor(node)) is not None and isinstance(node, ast.Call):
            self._add_accessor(node, name, False)  # a list of such lists is run over
        elif isinstance(node, ast.Starred):
            self.read(node.value)
        elif isinstance(node, ast.IfExp):
            self.item(node.body)
            self.item(node.orelse)
        elif isinstance(node, ast.Call) and self.trail.helper(node, Role.ITEM, False):
            return
        elif not self.trail.follow(node, Role.ITEM, False):
            self._give_up(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> None:
        self.note_names(node)
        own = {inner.id for part in node.generators for inner in ast.walk(part.target) if isinstance(inner, ast.Name)}
        for part in node.generators:
            if not (isinstance(part.iter, ast.Name) and part.iter.id in own and len(node.generators) > 1):
                self._iterated(part.iter)
            self.note_tests(part.ifs)
            self.picks = self.picks or self._picks(part.target, node)
        if is_group(node.elt):
            self._group(node.elt)

    def _iterated(self, node: ast.expr) -> None:
        """What a comprehension runs over: parameters with or without names, or models, which say nothing yet."""
        calls = [inner for inner in ast.walk(node) if self.accessor(inner) is not None]
        if calls or isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            self.read(node, in_loop=True)

    def note_tests(self, tests: Collection[ast.expr]) -> None:
        if tests:
            from optmap.translate.parameters.loops import name_literals

            self.literals += [text for text in name_literals(tests, self.variables()) if text not in self.literals]

    def _picks(self, target: ast.expr, node: ast.AST) -> bool:
        from optmap.translate.parameters.loops import picks_by_name

        return picks_by_name(target, node)

    def note_names(self, node: ast.expr) -> None:
        """MindSpore's parameters carry their name as an attribute, torch's do not."""
        if self.names.own_names:
            self.name_attribute |= any(
                isinstance(item, ast.Attribute) and item.attr == "name" for item in ast.walk(node)
            )
            self.note_tests([node] if self.name_attribute else [])

    def accessor(self, node: ast.AST) -> str | None:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        known = (self.names.trainable, self.names.named, *self.names.also)
        return node.func.attr if node.func.attr in known else None

    def _call(self, node: ast.Call, in_loop: bool, role: Role = Role.WHOLE) -> None:
        name = self.accessor(node)
        if name is not None:
            self._add_accessor(node, name, in_loop)
            return
        function = called(node)
        if function == "filter" and len(node.args) == 2:
            self.filters.append(node)
            self.note_names(node.args[0])
            self.read(node.args[1], in_loop=in_loop)
        elif function in PASS_ON and not node.keywords:
            for argument in node.args:
                self.read(argument, in_loop=in_loop)
        elif in_loop and function in LOOP_ONLY:
            for argument in node.args:
                self.read(argument, in_loop=True)
        elif (inner := dict_inside(node)) is not None and in_loop:
            self.read(inner, in_loop=True)
        elif is_values(node) and isinstance(node.func, ast.Attribute):
            if not self.trail.follow(node.func.value, Role.MAPPING, False):
                self._give_up(node)
        elif not self.trail.helper(node, role, in_loop):
            self._give_up(node)

    def _add_accessor(self, node: ast.Call, name: str, in_loop: bool) -> None:
        if name == self.names.named and (node.args or node.keywords):
            self.opaque.append(node)
            return
        kept = self.accessors if name != self.names.named or in_loop else self.unnamed
        if not any(node is other for other in kept):
            kept.append(node)

    def _group(self, display: ast.expr) -> None:
        entries = group_entries(self.source, display)
        if entries is None:
            self.unreadable = self.unreadable or display
            return
        if id(display) in self.displays:
            return
        self.displays.add(id(display))
        for entry in entries:
            self.entry(entry)

    def entry(self, entry: GroupEntry) -> None:
        self.entries.append(entry)
        if "trail" in self.__dict__:
            self.trail.grouped |= set(self.trail.stack[-1:])
        if entry.key != "params":
            return
        before = len(self.opaque)
        self._group_parameters(entry.value)
        unknown = any(item is entry.value for item in self.opaque[before:])
        if unknown and isinstance(entry.value, ast.Call) and not makes_tensor(entry.value):
            self.lazy.append(entry.value)

    def _group_parameters(self, node: ast.expr) -> None:
        if isinstance(node, ast.Attribute) and node.attr in ("weight", "bias"):
            self.single.append(node)
            return
        if is_lazy(node) or (isinstance(node, ast.Name) and self.trail.is_lazy(node)):
            self.lazy.append(node)
        self.read(node, role=Role.PARAMS)

    def look_for_hidden_groups(self, node: ast.expr) -> None:
        """A group in a place that was not followed cannot be translated key by key."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.expr) and is_group(inner) and id(inner) not in self.displays:
                self.unreadable = self.unreadable or inner
