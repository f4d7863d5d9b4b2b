"""The parameters argument: what the source framework calls it becomes what the target calls it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from optmap.mapping.model import Framework
from optmap.mapping.plan import Plan, group_key
from optmap.source.calls import Span, comments_in
from optmap.source.edits import Edit, apply_edits
from optmap.source.text import Source
from optmap.translate.constructors.resolve import Groups
from optmap.translate.parameters.groups import ACCESSORS, GroupEntry, Lost
from optmap.translate.parameters.reader import Reader
from optmap.translate.verify import EditedNode

_Node = TypeVar("_Node", bound=ast.expr)


class ParametersArgument(NamedTuple):
    """What the parameters argument holds.

    `accessors` are calls such as `net.parameters()`, `unnamed` those of the named kind that stand for parameters alone,
    `single` tensors that need a list around them, `lazy` parameters of a group that can be run over once. `opaque` are parts
    that say nothing about what they hold, `lost` why some of them were not followed, `unreadable` a group whose keys cannot
    be read. `literals` are the strings that parameters' names are compared with, `picks` whether names are looked at at all,
    and `name_attribute` whether the parameters are asked for their own.
    """

    groups: Groups | None
    entries: tuple[GroupEntry, ...]
    accessors: tuple[ast.Call, ...]
    unnamed: tuple[ast.Call, ...]
    single: tuple[ast.expr, ...]
    lazy: tuple[ast.expr, ...]
    filters: tuple[ast.Call, ...]
    opaque: tuple[ast.expr, ...]
    unreadable: ast.expr | None
    lost: tuple[Lost, ...] = ()
    literals: tuple[str, ...] = ()
    picks: bool = False
    name_attribute: bool = False


class ParameterEdits(NamedTuple):
    """The edits of what a parameters argument holds, and the nodes that they turn into something else."""

    edits: tuple[Edit, ...] = ()
    nodes: tuple[EditedNode, ...] = ()


def read_parameters(source: Source, node: ast.expr, framework: Framework) -> ParametersArgument:
    """Follow the argument's expression down to model methods, groups, and what is neither."""
    from optmap.source.variables import Variables

    reader = Reader(source, framework, lambda: Variables(source))
    reader.run(node)
    return gathered(reader)


def gathered(reader: Reader) -> ParametersArgument:
    """What one walk has found."""
    keys = tuple(entry.key for entry in reader.entries if entry.key != "params" and entry.sets)
    return ParametersArgument(
        Groups(keys) if reader.entries else None, tuple(reader.entries), tuple(reader.accessors),
        tuple(reader.unnamed), tuple(reader.single), tuple(reader.lazy), tuple(reader.filters), tuple(reader.opaque),
        reader.unreadable, reader.lost, tuple(reader.literals), reader.picks, reader.name_attribute,
    )  # fmt: skip


def parameter_edits(source: Source, found: ParametersArgument, plan: Plan, optimizer: ast.Call) -> ParameterEdits:
    """Return the edits of what an optimizer's parameters argument holds, and the nodes that they turn into something else."""
    made = _Edits(source, found, plan, optimizer)
    made.run()
    nodes = []
    for node in made.nodes:
        start, end = source.start(node), source.end(node)
        inside = [edit._replace(start=edit.start - start, end=edit.end - start)
                  for edit in made.edits if start <= edit.start and edit.end <= end]  # fmt: skip
        nodes.append(EditedNode(start, end, apply_edits(source.body[start:end], inside).decode()))
    keys = [EditedNode(span.start, span.end, text) for span, text in made.keywords]
    return ParameterEdits(tuple(made.edits), (*nodes, *keys))


class _Edits:
    """Accessors, group keys, and brackets around single tensors and around what can be run over once."""

    def __init__(self, source: Source, found: ParametersArgument, plan: Plan, optimizer: ast.Call) -> None:
        self.source = source
        self.found = found
        self.plan = plan
        self.optimizer = optimizer
        self.edits: list[Edit] = []
        self.nodes: list[ast.expr] = []
        self.keywords: list[tuple[Span, str]] = []

    def run(self) -> None:
        rewritten = [call for call in self.found.filters if self._filter(call)]
        if self.plan.target.framework is Framework.MINDSPORE:
            for node in _different(self.found.lazy):
                if isinstance(node, ast.GeneratorExp):
                    self._listed(node)
                elif not any(node is call for call in rewritten):
                    self._wrap(node, "[*", "]")
        for node in _different(self.found.single):
            self._wrap(node, "[", "]")
        for call in _different((*self.found.accessors, *self.found.unnamed)):
            if self._must_stay_list(call):
                self._wrap(call, "[*", "]")
            self._accessor(call)
        for entry in self.found.entries:
            self._key(entry)

    def _wrap(self, node: ast.expr, before: str, behind: str) -> None:
        start, end = self.source.start(node), self.source.end(node)
        self.edits += [Edit(start, start, before), Edit(end, end, behind)]
        self.nodes.append(node)

    def _must_stay_list(self, call: ast.Call) -> bool:
        """MindSpore's `trainable_params()` is a list, torch's `parameters()` can be run over once."""
        between = (self.plan.source.framework, self.plan.target.framework)
        if between != (Framework.MINDSPORE, Framework.TORCH) or self.source.parents[id(call)] is self.optimizer:
            return False
        from optmap.source.variables import Variables
        from optmap.translate.parameters.one_pass import needs_list

        listed = isinstance(call.func, ast.Attribute) and call.func.attr == ACCESSORS[Framework.MINDSPORE].trainable
        return listed and needs_list(self.source, call, lambda: Variables(self.source), self.optimizer)

    def _listed(self, node: ast.GeneratorExp) -> None:
        """Make a generator expression a list; where it is a call's only argument, its brackets are those of the call."""
        start, end = self.source.start(node), self.source.end(node)
        outer = self.source.parents[id(node)]
        own = not (isinstance(outer, ast.Call) and self.source.end(outer) == end)
        self.edits += [Edit(start + (not own), start + 1, "["), Edit(end - 1, end - (not own), "]")]
        self.nodes.append(node)

    def _accessor(self, call: ast.Call) -> None:
        old, new = ACCESSORS[self.plan.source.framework], ACCESSORS[self.plan.target.framework]
        assert isinstance(call.func, ast.Attribute)
        end = self.source.end(call.func)
        name = call.func.attr
        named = name == old.named and any(call is other for other in self.found.accessors)
        self.nodes.append(call)
        if named and self.plan.target.framework is Framework.MINDSPORE:
            start = self.source.start(call)
            self.edits.append(Edit(start, start, "((parameter.name, parameter) for parameter in "))
            self.edits.append(Edit(end - len(name.encode()), self.source.end(call), f"{new.trainable}())"))
        else:
            wanted = new.named if named and new.named is not None else new.trainable
            self.edits.append(Edit(end - len(name.encode()), end, wanted))

    def _key(self, entry: GroupEntry) -> None:
        key = entry.key
        if key != "params":
            key = group_key(self.plan.source, self.plan.target, key, self.plan.switched) or key
        if key == entry.key:
            return
        text = self.source.text(entry.span.start, entry.span.end)
        new = text.replace(entry.key, key) if entry.quoted else key
        self.edits.append(Edit(entry.span.start, entry.span.end, new))
        self.keywords.append((entry.span, new))

    def _filter(self, call: ast.Call) -> bool:
        """`filter(lambda p: p.requires_grad, X.parameters())` asks for what trainable_params() returns: keep X's call."""
        if self.plan.source.framework is not Framework.TORCH or not _is_trainable_filter(call):
            return False
        kept = call.args[1]
        start, end = self.source.start(call), self.source.end(call)
        if comments_in(self.source, start, end):
            return False
        self.edits += [Edit(start, self.source.start(kept), ""), Edit(self.source.end(kept), end, "")]
        self.nodes.append(call)
        return True


def _different(nodes: Iterable[_Node]) -> list[_Node]:
    return list({id(node): node for node in nodes}.values())


def uses_names(found: ParametersArgument, framework: Framework) -> bool:
    """Tell whether parameters are picked by name, which differs between frameworks."""
    named = ACCESSORS[framework].named
    named_calls = (call for call in found.accessors if isinstance(call.func, ast.Attribute) and call.func.attr == named)
    return found.name_attribute or (found.picks and any(named_calls))


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
