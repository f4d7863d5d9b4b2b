"""The parameters argument: what the source framework calls it becomes what the target calls it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from optmap.mapping.model import Api, Framework
from optmap.source.calls import Span, comments_in
from optmap.source.text import Source
from optmap.translate.edits import Edit
from optmap.translate.resolve import Groups, group_key


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


class GroupEntry(NamedTuple):
    """One key of a group written at the call, with the span of the key, and whether it is a keyword of dict(...)."""

    key: str
    span: Span
    quoted: bool


@dataclass
class ParametersArgument:
    """What the parameters argument holds: accessor calls, and groups where it is a list of dicts."""

    groups: Groups | None = None
    entries: list[GroupEntry] = field(default_factory=list)
    opaque: bool = False
    unreadable_group: ast.expr | None = None


def read_parameters(source: Source, node: ast.expr, framework: Framework) -> ParametersArgument:
    """Look for parameter groups and accessor calls in the argument's expression."""
    found = ParametersArgument()
    displays = list(_group_displays(node))
    for display in displays:
        entries = _group_entries(source, display)
        if entries is None:
            found.unreadable_group = display
            return found
        found.entries += entries
    if displays:
        found.groups = Groups(tuple(entry.key for entry in found.entries if entry.key != "params"))
    found.opaque = not any(_accessor_calls(node, framework))
    return found


def _group_displays(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the dicts that are parameter groups: items of a list display or the element of a comprehension."""
    if isinstance(node, ast.List | ast.Tuple):
        candidates: list[ast.expr] = list(node.elts)
    elif isinstance(node, ast.ListComp | ast.GeneratorExp):
        candidates = [node.elt]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _group_displays(node.left)
        yield from _group_displays(node.right)
        return
    else:
        candidates = []
    for item in candidates:
        if isinstance(item, ast.Dict) or (
            isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id == "dict"
        ):
            yield item


def _group_entries(source: Source, display: ast.expr) -> list[GroupEntry] | None:
    """Return the keys of a group; None where one of them is hidden by unpacking or computed."""
    entries = []
    if isinstance(display, ast.Dict):
        for key in display.keys:
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                return None
            entries.append(GroupEntry(key.value, Span(source.start(key), source.end(key)), True))
        return entries
    assert isinstance(display, ast.Call)
    if display.args:
        return None
    for keyword in display.keywords:
        if keyword.arg is None:
            return None
        start = source.start(keyword)
        entries.append(GroupEntry(keyword.arg, Span(start, start + len(keyword.arg.encode())), False))
    return entries


def _accessor_calls(node: ast.expr, framework: Framework) -> Iterator[tuple[ast.Call, ast.Attribute]]:
    accessors = ACCESSORS[framework]
    names = {accessors.trainable, accessors.named, *accessors.also}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in names:
            yield inner, inner.func


def parameter_edits(source: Source, node: ast.expr, found: ParametersArgument, api: Api, target: Api) -> list[Edit]:
    """Return the edits inside the parameters argument: accessor names and group keys."""
    old, new = ACCESSORS[api.framework], ACCESSORS[target.framework]
    edits = list(_filter_edits(source, node, api.framework))
    for _, function in _accessor_calls(node, api.framework):
        wanted = new.named if function.attr == old.named else new.trainable
        end = source.end(function)
        if wanted is not None:
            edits.append(Edit(end - len(function.attr.encode()), end, wanted))
    for entry in found.entries:
        name = entry.key if entry.key == "params" else group_key(api, target, entry.key)
        if name is not None and name != entry.key:
            text = source.text(entry.span.start, entry.span.end)
            edits.append(
                Edit(entry.span.start, entry.span.end, text.replace(entry.key, name) if entry.quoted else name)
            )
    return edits


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
