"""Down from a parameters argument to what it holds: model methods, groups and their keys, and what is neither.

Variables, attributes of `self` and helper functions of the file are followed to every value that they can have. Whether
that is allowed, which it is not where something else uses them, is decided in `flows.py` from what is noted here.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from optmap.mapping.model import Framework
from optmap.source.calls import Span
from optmap.source.scopes import chain_of
from optmap.source.text import Source
from optmap.source.variables import Helper, Slot, Variable, Variables
from optmap.translate.loops import collectors, harmless_use, name_literals, picks_by_name, unplain_statement


class Accessors(NamedTuple):
    """The methods of a model that give its trainable parameters, with or without names; `also` are read as the first."""

    trainable: str
    named: str | None
    also: tuple[str, ...] = ()


ACCESSORS: Final = {
    Framework.TORCH: Accessors("parameters", "named_parameters"),
    Framework.MINDSPORE: Accessors("trainable_params", "parameters_and_names", ("get_parameters",)),
    Framework.TENSORFLOW: Accessors("trainable_variables", None, ("trainable_weights",)),
}
_PASS_ON: Final = ("list", "tuple", "iter", "chain", "reversed", "from_iterable")
"""Functions whose arguments are, or hold, what they return."""
_LOOP_ONLY: Final = ("enumerate", "sorted", "zip")
"""The same, as long as what they return is only run over."""
_LAZY: Final = ("filter", "map", "iter", "chain", "reversed", "from_iterable", "zip")
"""Functions that return something which can be run over once."""

Key = tuple[int, str]


class Role(Enum):
    """What a value stands for: the whole argument, one element of it, the `params` of a group, or a dict of elements."""

    WHOLE = auto()
    ITEM = auto()
    PARAMS = auto()
    MAPPING = auto()


class GroupEntry(NamedTuple):
    """One key of a group, with the span of the key, and whether it is a keyword of dict(...); `sets` unless it is only read."""

    key: str
    span: Span
    quoted: bool
    value: ast.expr
    sets: bool = True


class Lost(NamedTuple):
    """Why a variable cannot be followed: a clause, and whether the variable holds groups."""

    reason: str
    groups: bool


class Reader:
    """One walk down the expressions whose value ends up in one optimizer.

    `blocked` holds the variables that must not be followed. Afterwards `reached` has the ids of the uses of variables that
    were understood, `regions` the values that were read for each, `inner` which variables a variable leads to.
    """

    def __init__(
        self, source: Source, framework: Framework, variables: Variables, blocked: Mapping[Key, Lost] | None = None
    ) -> None:
        self.source = source
        self.names = ACCESSORS[framework]
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
        self.lost: list[Lost] = []
        self.literals: list[str] = []
        self.picks = False
        self.reached: set[int] = set()
        self.followed: dict[Key, Variable | Helper] = {}
        self.regions: dict[Key, list[ast.expr]] = {}
        self.inner: dict[Key, set[Key]] = {}
        self.grouped: set[Key] = set()
        self.broken: dict[Key, str] = {}
        self.stack: list[Key] = []
        self.seen: set[tuple[Key, Role, bool]] = set()

    def run(self, node: ast.expr) -> None:
        self.read(node)
        self.look_for_hidden_groups(node)

    def value(self, node: ast.expr, role: Role, in_loop: bool = False) -> None:
        if role is Role.WHOLE:
            self.read(node, in_loop=in_loop)
        elif role is Role.ITEM:
            self._item(node)
        elif role is Role.PARAMS:
            self._group_parameters(node)
        else:
            self._mapping(node)

    def _mapping(self, node: ast.expr) -> None:
        """A dict whose values are elements."""
        if isinstance(node, ast.Dict) and None not in node.keys:
            for item in node.values:
                self._item(item)
        elif not isinstance(node, ast.Call) or node.args or node.keywords:
            self._give_up(node)

    def read(self, node: ast.expr, *, in_loop: bool = False, role: Role = Role.WHOLE) -> None:
        """Classify an expression; `in_loop` says that it is iterated over, names included."""
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            for item in node.elts:
                self._item(item)
        elif isinstance(node, ast.Starred | ast.NamedExpr):
            self.read(node.value, in_loop=in_loop, role=role)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            self.read(node.left, in_loop=in_loop, role=role)
            self.read(node.right, in_loop=in_loop, role=role)
        elif isinstance(node, ast.IfExp):
            self.read(node.body, in_loop=in_loop, role=role)
            self.read(node.orelse, in_loop=in_loop, role=role)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            self._comprehension(node)
        elif isinstance(node, ast.Call):
            self._call(node, in_loop, role)
        elif isinstance(node, ast.Constant) and node.value is None:
            return
        elif not self._follow(node, role, in_loop):
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
            if any(_is_group(inner) for value in self.variables.values(part) for inner in ast.walk(value)):
                self.lost.append(Lost(f"what line {node.lineno} makes of {ast.unparse(part)} cannot be seen", True))
                return

    def _item(self, node: ast.expr) -> None:
        """An element of a list: a group, or something that is a parameter."""
        if _is_group(node) or (isinstance(node, ast.Dict) and self.stack):
            self._group(node)
        elif (name := self._accessor(node)) is not None and isinstance(node, ast.Call):
            self._add_accessor(node, name, False)  # a list of such lists is run over
        elif isinstance(node, ast.Starred):
            self.read(node.value)
        elif isinstance(node, ast.IfExp):
            self._item(node.body)
            self._item(node.orelse)
        elif isinstance(node, ast.Call) and self._helper(node, Role.ITEM, False):
            return
        elif not self._follow(node, Role.ITEM, False):
            self._give_up(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> None:
        own = {inner.id for part in node.generators for inner in ast.walk(part.target) if isinstance(inner, ast.Name)}
        for part in node.generators:
            if not (isinstance(part.iter, ast.Name) and part.iter.id in own and len(node.generators) > 1):
                self._iterated(part.iter)
            self._tests(part.ifs)
            self.picks = self.picks or picks_by_name(part.target, node)
        if _is_group(node.elt):
            self._group(node.elt)

    def _iterated(self, node: ast.expr) -> None:
        """What a comprehension runs over: parameters with or without names, or models, which say nothing yet."""
        calls = [inner for inner in ast.walk(node) if self._accessor(inner) is not None]
        if calls or isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            self.read(node, in_loop=True)

    def _tests(self, tests: Collection[ast.expr]) -> None:
        self.literals += [text for text in name_literals(tests, self.variables) if text not in self.literals]

    def _accessor(self, node: ast.AST) -> str | None:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        known = (self.names.trainable, self.names.named, *self.names.also)
        return node.func.attr if node.func.attr in known else None

    def _call(self, node: ast.Call, in_loop: bool, role: Role = Role.WHOLE) -> None:
        name = self._accessor(node)
        if name is not None:
            self._add_accessor(node, name, in_loop)
            return
        function = called(node)
        if function == "filter" and len(node.args) == 2:
            self.filters.append(node)
            self.read(node.args[1], in_loop=in_loop)
        elif function in _PASS_ON and not node.keywords:
            for argument in node.args:
                self.read(argument, in_loop=in_loop)
        elif in_loop and function in _LOOP_ONLY:
            for argument in node.args:
                self.read(argument, in_loop=True)
        elif (inner := _dict_inside(node)) is not None and in_loop:
            self.read(inner, in_loop=True)
        elif _is_values(node) and isinstance(node.func, ast.Attribute):
            if not self._follow(node.func.value, Role.MAPPING, False):
                self._give_up(node)
        elif not self._helper(node, role, in_loop):
            self._give_up(node)

    def _add_accessor(self, node: ast.Call, name: str, in_loop: bool) -> None:
        if name == self.names.named and (node.args or node.keywords):
            self.opaque.append(node)
            return
        kept = self.accessors if name != self.names.named or in_loop else self.unnamed
        if not any(node is other for other in kept):
            kept.append(node)

    def _group(self, display: ast.expr) -> None:
        entries = _group_entries(self.source, display)
        if entries is None:
            self.unreadable = self.unreadable or display
            return
        if id(display) in self.displays:
            return
        self.displays.add(id(display))
        for entry in entries:
            self._entry(entry)

    def _entry(self, entry: GroupEntry) -> None:
        self.entries.append(entry)
        self.grouped |= set(self.stack[-1:])
        if entry.key != "params":
            return
        before = len(self.opaque)
        self._group_parameters(entry.value)
        unknown = any(item is entry.value for item in self.opaque[before:])
        if unknown and isinstance(entry.value, ast.Call) and not _makes_tensor(entry.value):
            self.lazy.append(entry.value)

    def _group_parameters(self, node: ast.expr) -> None:
        if isinstance(node, ast.Attribute) and node.attr in ("weight", "bias"):
            self.single.append(node)
            return
        if _is_lazy(node) or (isinstance(node, ast.Name) and self._is_lazy_elsewhere(node)):
            self.lazy.append(node)
        self.read(node, role=Role.PARAMS)

    def _is_lazy_elsewhere(self, node: ast.Name) -> bool:
        """A name that is not followed, but is bound to something that can be run over once."""
        variable = self.variables.variable(node)
        if variable is None or variable.key not in self.blocked:
            return False
        return any(slot.loop is None and _is_lazy(slot.value) for slot in variable.slots)

    def _follow(self, node: ast.expr, role: Role, in_loop: bool) -> bool:
        """Follow a variable to its values; False where it is none or must not be followed."""
        variable = self.variables.variable(node)
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

    def _enter(self, thing: Variable | Helper, node: ast.expr, role: Role, in_loop: bool) -> bool:
        """Note that a variable is used here; True where its values have yet to be read."""
        lost = self.blocked.get(thing.key)
        if lost is not None:
            self.lost.append(lost)
            return False
        self.reached.add(id(node))
        self.followed[thing.key] = thing
        if self.stack:
            self.inner.setdefault(self.stack[-1], set()).add(thing.key)
        if (thing.key, role, in_loop) in self.seen:
            return False
        self.seen.add((thing.key, role, in_loop))
        self.stack.append(thing.key)
        return True

    def _slot(self, variable: Variable, slot: Slot, role: Role, in_loop: bool) -> None:
        if slot.loop is not None:
            self.broken.setdefault(variable.key, f"a loop runs it over something on line {slot.value.lineno}")
            return
        value = slot.value
        if slot.element is not None:
            if isinstance(value, ast.Call):
                if not self._helper(value, role, in_loop, slot.element):
                    self.opaque.append(value)
                return
            if not isinstance(value, ast.Tuple | ast.List) or slot.element >= len(value.elts):
                self.opaque.append(value)
                return
            value = value.elts[slot.element]
        self._region(value)
        self.value(value, role, in_loop)
        self.look_for_hidden_groups(value)

    def _region(self, node: ast.expr) -> None:
        self.regions.setdefault(self.stack[-1], []).append(node)

    def _element(self, node: ast.expr, variable: Variable, role: Role) -> bool:
        """A loop's variable: one parameter of those that the loop runs over."""
        slots = self._around(node, variable) or variable.slots
        if not all(self._runs_over_parameters(slot.value) for slot in slots):
            return False
        self.reached.add(id(node))
        lists = all(isinstance(slot.value, ast.List | ast.Tuple) for slot in slots)
        if role is Role.PARAMS and not lists:
            self.single.append(node)
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
        if self._accessor(node) is not None:
            return True
        if isinstance(node, ast.Call) and (called(node) in (*_PASS_ON, *_LOOP_ONLY, "filter")) and node.args:
            return any(self._runs_over_parameters(item, seen) for item in node.args)
        if isinstance(node, ast.Call) and (inner := _dict_inside(node)) is not None:
            return self._runs_over_parameters(inner, seen)
        if isinstance(node, ast.List | ast.Tuple) and node.elts:
            return all(self._accessor(item) is not None for item in node.elts)
        if isinstance(node, ast.ListComp | ast.GeneratorExp):
            return any(self._runs_over_parameters(part.iter, seen) for part in node.generators)
        variable = self.variables.variable(node)
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
        self.read(loop.iter, in_loop=True)
        tests = [item.test for item in ast.walk(loop) if isinstance(item, ast.If | ast.IfExp)]
        self._tests(tests)
        self.picks = self.picks or picks_by_name(loop.target, loop)
        self.stack.pop()
        return True

    def _helper(self, call: ast.Call, role: Role, in_loop: bool, element: int | None = None) -> bool:
        """Follow a call of a function of the file to what it returns."""
        helper = self.variables.helper(call)
        if helper is None or not self._enter(helper, call.func, role, in_loop):
            return helper is not None and helper.key not in self.blocked
        for returned in helper.returns:
            value = returned
            if element is not None:
                if not isinstance(returned, ast.Tuple) or element >= len(returned.elts):
                    self.opaque.append(returned)
                    continue
                value = returned.elts[element]
            self._region(value)
            self.value(value, role, in_loop)
            self.look_for_hidden_groups(value)
        if helper.generates:
            self._generator(helper, call, role, element)
        self.stack.pop()
        return True

    def _generator(self, helper: Helper, call: ast.Call, role: Role, element: int | None) -> None:
        if role is Role.ITEM or element is not None:
            self.opaque.append(call)
            return
        if role is Role.PARAMS:
            self.lazy.append(call)
        for value in helper.yields:
            self._region(value)
            self._item(value)
        for value in helper.runs:
            self._region(value)
            self.read(value)
        for value in (*helper.yields, *helper.runs):
            self.look_for_hidden_groups(value)

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
            self.value(call.args[place], role)
            self.look_for_hidden_groups(call.args[place])
        else:
            self._added(call.args[place])
        return True

    def _added(self, node: ast.expr) -> None:
        self._region(node)
        self._item(node)
        self.look_for_hidden_groups(node)

    def _keyed(self, node: ast.Subscript) -> bool:
        """`group["key"]`, set or read; False where the key cannot be seen."""
        index = node.slice
        if not isinstance(index, ast.Constant) or not isinstance(index.value, str):
            return False
        span = Span(self.source.start(index), self.source.end(index))
        self._region(index)
        parent = self.source.parents[id(node)]
        sets = isinstance(node.ctx, ast.Store)
        if sets and isinstance(parent, ast.Assign | ast.AugAssign | ast.AnnAssign) and parent.value is not None:
            self._region(parent.value)
            self._entry(GroupEntry(index.value, span, True, parent.value))
            return True
        if sets or isinstance(node.ctx, ast.Del):
            return False
        call = self.source.parents.get(id(parent))
        if isinstance(parent, ast.Attribute) and isinstance(call, ast.Call):
            return index.value == "params" and self._method(parent.attr, call, Role.PARAMS)
        if index.value != "params":
            self.entries.append(GroupEntry(index.value, span, True, node, sets=False))
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

    def look_for_hidden_groups(self, node: ast.expr) -> None:
        """A group in a place that was not followed cannot be translated key by key."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.expr) and _is_group(inner) and id(inner) not in self.displays:
                self.unreadable = self.unreadable or inner

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


def called(node: ast.Call) -> str:
    """The last name of what is called, empty where it has none."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _makes_tensor(call: ast.Call) -> bool:
    """`torch.zeros(3)`, `nn.Parameter(w)`: one tensor, rather than a function that may yield parameters."""
    chain = chain_of(call.func) or ("",)
    return chain[0] == "torch" or chain[-1][:1].isupper()


def _is_lazy(node: ast.expr) -> bool:
    return isinstance(node, ast.GeneratorExp) or (isinstance(node, ast.Call) and called(node) in _LAZY)


def _dict_inside(node: ast.Call) -> ast.expr | None:
    """`dict(pairs)` and `pairs.items()`, which run over the same pairs as what is inside."""
    if isinstance(node.func, ast.Attribute) and node.func.attr == "items" and not node.args and not node.keywords:
        return node.func.value
    if called(node) in ("dict", "OrderedDict") and len(node.args) == 1 and not node.keywords:
        return node.args[0]
    return None


def _is_values(node: ast.Call) -> bool:
    return called(node) == "values" and not node.args and not node.keywords


def _is_group(node: ast.AST) -> bool:
    if isinstance(node, ast.Dict):
        return any(isinstance(key, ast.Constant) and key.value == "params" for key in node.keys) or None in node.keys
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return any(keyword.arg in ("params", None) for keyword in node.keywords)
    return False


def _group_entries(source: Source, display: ast.expr) -> list[GroupEntry] | None:
    """Return the keys of a group; None where one of them is hidden by unpacking or computed."""
    entries = []
    if isinstance(display, ast.Dict):
        for key, value in zip(display.keys, display.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                return None
            entries.append(GroupEntry(key.value, Span(source.start(key), source.end(key)), True, value))
        return entries
    assert isinstance(display, ast.Call)
    if display.args:
        return None
    for keyword in display.keywords:
        if keyword.arg is None:
            return None
        start = source.start(keyword)
        span = Span(start, start + len(keyword.arg.encode()))
        entries.append(GroupEntry(keyword.arg, span, False, keyword.value))
    return entries
