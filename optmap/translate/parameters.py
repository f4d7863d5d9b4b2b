"""The parameters argument: what the source framework calls it becomes what the target calls it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

from optmap.mapping.model import Framework
from optmap.mapping.plan import Plan, group_key
from optmap.source.calls import Span, comments_in
from optmap.source.text import Source
from optmap.translate.edits import Edit
from optmap.translate.resolve import Groups


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


class GroupEntry(NamedTuple):
    """One key of a group written at the call, with the span of the key, and whether it is a keyword of dict(...)."""

    key: str
    span: Span
    quoted: bool
    value: ast.expr


class ParametersArgument(NamedTuple):
    """What the parameters argument holds.

    `accessors` are calls such as `net.parameters()`, `unnamed` those of the named kind that stand for parameters alone,
    `single` tensors that need a list around them. `opaque` are parts that say nothing about what they hold,
    `unreadable` a group whose keys cannot be read.
    """

    groups: Groups | None
    entries: tuple[GroupEntry, ...]
    accessors: tuple[ast.Call, ...]
    unnamed: tuple[ast.Call, ...]
    single: tuple[ast.expr, ...]
    opaque: tuple[ast.expr, ...]
    unreadable: ast.expr | None


def read_parameters(source: Source, node: ast.expr, framework: Framework) -> ParametersArgument:
    """Follow the argument's expression down to model methods, groups, and what is neither."""
    reader = _Reader(source, framework)
    reader.read(node)
    reader.look_for_hidden_groups(node)
    keys = tuple(entry.key for entry in reader.entries if entry.key != "params")
    return ParametersArgument(
        Groups(keys) if reader.entries else None, tuple(reader.entries), tuple(reader.accessors),
        tuple(reader.unnamed), tuple(reader.single), tuple(reader.opaque), reader.unreadable,
    )  # fmt: skip


class _Reader:
    """One walk down the expressions whose value ends up in the optimizer."""

    def __init__(self, source: Source, framework: Framework) -> None:
        self.source = source
        self.names = ACCESSORS[framework]
        self.entries: list[GroupEntry] = []
        self.displays: set[int] = set()
        self.accessors: list[ast.Call] = []
        self.unnamed: list[ast.Call] = []
        self.single: list[ast.expr] = []
        self.opaque: list[ast.expr] = []
        self.unreadable: ast.expr | None = None
        self.elements: set[str] = set()

    def read(self, node: ast.expr, *, in_loop: bool = False) -> None:
        """Classify an expression; `in_loop` says that it is iterated over by a comprehension, names included."""
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            for item in node.elts:
                self._item(item)
        elif isinstance(node, ast.Starred | ast.NamedExpr):
            self.read(node.value, in_loop=in_loop)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            self.read(node.left)
            self.read(node.right)
        elif isinstance(node, ast.IfExp):
            self.read(node.body)
            self.read(node.orelse)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            self._comprehension(node)
        elif isinstance(node, ast.Call):
            self._call(node, in_loop)
        else:
            self.opaque.append(node)

    def _item(self, node: ast.expr) -> None:
        """An element of a list: a group, or something that is a parameter."""
        if _is_group(node):
            self._group(node)
        elif isinstance(node, ast.Starred | ast.IfExp):
            self.read(node)
        else:
            self.opaque.append(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> None:
        targets = {
            inner.id for part in node.generators for inner in ast.walk(part.target) if isinstance(inner, ast.Name)
        }
        self.elements |= targets
        for part in node.generators:
            if not (isinstance(part.iter, ast.Name) and part.iter.id in targets):
                self._iterated(part.iter)
        if _is_group(node.elt):
            self._group(node.elt)

    def _iterated(self, node: ast.expr) -> None:
        """What a comprehension runs over: parameters with or without names, or models, which say nothing yet."""
        calls = [inner for inner in ast.walk(node) if self._accessor(inner) is not None]
        if calls or isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            self.read(node, in_loop=True)

    def _accessor(self, node: ast.AST) -> str | None:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        known = (self.names.trainable, self.names.named, *self.names.also)
        return node.func.attr if node.func.attr in known else None

    def _call(self, node: ast.Call, in_loop: bool) -> None:
        name = self._accessor(node)
        if name is not None:
            arguments = bool(node.args or node.keywords)
            if name == self.names.named and arguments:
                self.opaque.append(node)
            elif name == self.names.named and not in_loop:
                self.unnamed.append(node)
            else:
                self.accessors.append(node)
            return
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function == "filter" and len(node.args) == 2:
            self.read(node.args[1], in_loop=in_loop)
        elif function in _PASS_ON and node.args and not node.keywords:
            for argument in node.args:
                self.read(argument, in_loop=in_loop)
        else:
            self.opaque.append(node)

    def _group(self, display: ast.expr) -> None:
        entries = _group_entries(self.source, display)
        if entries is None:
            self.unreadable = self.unreadable or display
            return
        self.displays.add(id(display))
        self.entries += entries
        for entry in entries:
            if entry.key == "params":
                self._group_parameters(entry.value)

    def _group_parameters(self, node: ast.expr) -> None:
        is_element = isinstance(node, ast.Name) and node.id in self.elements
        if is_element or (isinstance(node, ast.Attribute) and node.attr in ("weight", "bias")):
            self.single.append(node)
        else:
            self.read(node)

    def look_for_hidden_groups(self, node: ast.expr) -> None:
        """A group in a place that was not followed cannot be translated key by key."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.expr) and _is_group(inner) and id(inner) not in self.displays:
                self.unreadable = self.unreadable or inner


def _is_group(node: ast.AST) -> bool:
    if isinstance(node, ast.Dict):
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        return "params" in keys or "order_params" in keys or None in node.keys
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


def parameter_edits(source: Source, node: ast.expr, found: ParametersArgument, plan: Plan) -> list[Edit]:
    """Return the edits inside the parameters argument: accessors, group keys, brackets around single tensors."""
    old, new = ACCESSORS[plan.source.framework], ACCESSORS[plan.target.framework]
    edits = list(_filter_edits(source, node, plan.source.framework))
    for call in (*found.accessors, *found.unnamed):
        assert isinstance(call.func, ast.Attribute)
        end = source.end(call.func)
        name = call.func.attr
        named = name == old.named and call in found.accessors
        if named and plan.target.framework is Framework.MINDSPORE:
            start = source.start(call)
            edits.append(Edit(start, start, "((parameter.name, parameter) for parameter in "))
            edits.append(Edit(end - len(name.encode()), source.end(call), f"{new.trainable}())"))
        else:
            wanted = new.named if named and new.named is not None else new.trainable
            edits.append(Edit(end - len(name.encode()), end, wanted))
    for tensor in found.single:
        edits += [
            Edit(source.start(tensor), source.start(tensor), "["),
            Edit(source.end(tensor), source.end(tensor), "]"),
        ]
    for entry in found.entries:
        key = entry.key if entry.key == "params" else group_key(plan.source, plan.target, entry.key, plan.switched)
        if key is not None and key != entry.key:
            text = source.text(entry.span.start, entry.span.end)
            edits.append(Edit(entry.span.start, entry.span.end, text.replace(entry.key, key) if entry.quoted else key))
    return edits


def uses_names(found: ParametersArgument, framework: Framework) -> bool:
    """Tell whether parameters are picked by name, which differs between frameworks."""
    named = ACCESSORS[framework].named
    return any(isinstance(call.func, ast.Attribute) and call.func.attr == named for call in found.accessors)


def _filter_edits(source: Source, node: ast.expr, framework: Framework) -> Iterator[Edit]:
    """`filter(lambda p: p.requires_grad, X.parameters())` asks for what trainable_params() returns: keep only X's call."""
    if framework is not Framework.TORCH:
        return
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and _is_trainable_filter(inner):
            kept = inner.args[1]
            start, end = source.start(inner), source.end(inner)
            if not comments_in(source, start, end):
                yield Edit(start, source.start(kept), "")
                yield Edit(source.end(kept), end, "")


def _is_trainable_filter(call: ast.Call) -> bool:
    if not (isinstance(call.func, ast.Name) and call.func.id == "filter" and len(call.args) == 2 and not call.keywords):
        return False
    test, items = call.args
    if not (
        isinstance(test, ast.Lambda) and isinstance(test.body, ast.Attribute) and test.body.attr == "requires_grad"
    ):
        return False
    names = [argument.arg for argument in test.args.args]
    is_item = isinstance(test.body.value, ast.Name) and names == [test.body.value.id]
    is_accessor = (
        isinstance(items, ast.Call) and isinstance(items.func, ast.Attribute) and items.func.attr == "parameters"
    )
    return is_item and is_accessor
