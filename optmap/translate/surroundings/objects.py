"""Which names and attributes of a file are optimizers, scalers or averaged models, and how are their attributes used?"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from optmap.source.bindings import position
from optmap.source.model import Module
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of
from optmap.values import NamedTuple


class ObjectRole(NamedTuple):
    """What an object is: `optimizer`, or the name of the pattern of its class; `target` names a translated optimizer's class."""

    kind: str
    target: str | None = None


class KnownObject(NamedTuple):
    """What an expression surely holds, one role for each object that it may be, and what to call the optimizer in code."""

    roles: tuple[ObjectRole, ...]
    text: str
    assumed: bool = False
    """Only its name says that it is an optimizer: it comes from another file, or from a model that is not seen."""

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(role.kind for role in self.roles)


class Objects:
    """Answers what expressions hold, given the calls (by id) that construct known objects."""

    def __init__(
        self,
        module: Module,
        calls: Mapping[int, ObjectRole],
        places: Mapping[int, tuple[ObjectRole, ...]],
        assumed: tuple[ObjectRole, ...],
    ) -> None:
        self.module = module
        self.calls = calls
        self.places = places
        """What places may hold, by their ids, as far as it was followed from where it is constructed."""
        self.assumed = assumed
        """What an optimizer is that comes from elsewhere."""

    def at(self, node: ast.expr) -> KnownObject | None:
        """The object that a name or attribute stands for; None where it may be something else, but for None."""
        chain = chain_of(node)
        if chain is None:
            held = self.places.get(id(node))
            return KnownObject(held, ast.unparse(node)) if held else None
        if isinstance(node, ast.Attribute) and node.attr == "optimizer":
            found = self._compiled.get(self._model(node.value))
            if found is not None:
                return found
        roles = self.places.get(id(node)) or (self._roles(node) if self.module.variable(node) is not None else ())
        if not roles and chain[-1] == "optimizer" and self._is_unseen(node):
            return KnownObject(self.assumed, ".".join(chain), assumed=True)
        return KnownObject(roles, ".".join(chain)) if roles else None

    def _is_unseen(self, node: ast.expr) -> bool:
        """Tell whether nothing in the file says what an expression holds."""
        if isinstance(node, ast.Attribute) and self.module.variable(node) is None:
            return not any(self.module.paths(node))
        values, complete, _ = self.module.reaching(node)
        return not complete and not values

    def _roles(self, node: ast.expr) -> tuple[ObjectRole, ...]:
        """The roles of what an expression may hold; none as soon as one of its values is unknown."""
        values, complete, _ = self.module.reaching(node)
        objects = [item for item in values if not (isinstance(item, ast.Constant) and item.value is None)]
        if not complete or not all(id(item) in self.calls for item in objects):
            return ()
        return tuple(dict.fromkeys(self.calls[id(item)] for item in objects))

    @cached_property
    def _compiled(self) -> Mapping[object, KnownObject | None]:
        """The optimizer that `model.optimizer` is after `model.compile(optimizer)`; None where there are several."""
        found: dict[object, KnownObject | None] = {}
        for callee in self.module.attributes("compile"):
            call, model = self.module.call_of(callee), self._model(callee.value)
            if call is None or model is None:
                continue
            given = [*call.args[:1], *(item.value for item in call.keywords if item.arg == "optimizer")]
            roles = self._roles(given[0]) if given else ()
            known = KnownObject(roles, ".".join(chain_of(given[0]) or ("optimizer",))) if roles else None
            before = found.setdefault(model, known)
            if before is None or known is None or before.roles != known.roles:
                found[model] = None
        return found

    def _model(self, node: ast.expr) -> object:
        """What tells a model from others: its names, the first one with what it stands for."""
        root = root_of(node)
        if root is None:
            return None
        return self.module.self_class(root) or self.module.variable(root), *(chain_of(node) or ())


class MemberUse(NamedTuple):
    """One use. `node` is what to show and replace; `target` what is written, `value` what is assigned to it.

    `operator` is that of `+=` and the like; `key` the key of the group, `index` the node that picks the group.
    """

    kind: str
    node: ast.expr | ast.stmt
    call: ast.Call | None = None
    key: str | None = None
    index: ast.expr | None = None  # type: ignore[assignment]
    target: ast.expr | None = None
    value: ast.expr | None = None
    operator: ast.operator | None = None


def uses_of(module: Module, node: ast.expr) -> list[MemberUse]:
    """How an attribute is used, once for each key."""
    parent = module.parent(node)
    if isinstance(parent, ast.Attribute):
        return [MemberUse("read", _whole(module, parent))]
    if (call := module.call_of(node)) is not None:
        return [MemberUse("call", call, call=call)]
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return [_written(module, node, "write")]
    return list(_items(module, node)) or [MemberUse("read", node)]


def _whole(module: Module, node: ast.expr) -> ast.expr:
    """The chain of attributes that begins with a node, as long as it goes."""
    while isinstance(parent := module.parent(node), ast.Attribute):
        node = parent
    return node


def _written(module: Module, node: ast.expr, kind: str, key: str | None = None) -> MemberUse:
    """The assignment of an expression; without a value where it is deleted or bound by a loop."""
    parent = module.parent(node)
    if isinstance(parent, ast.Assign) and node in parent.targets:
        return MemberUse(kind, parent, key=key, target=node, value=parent.value)
    if isinstance(parent, ast.AnnAssign | ast.AugAssign) and parent.target is node and parent.value is not None:
        operator = parent.op if isinstance(parent, ast.AugAssign) else None
        return MemberUse(kind, parent, key=key, target=node, value=parent.value, operator=operator)
    return MemberUse(kind, node, key=key, target=node)


def _items(module: Module, node: ast.expr) -> Iterator[MemberUse]:
    """Uses of keys: `groups[0]["lr"]`, and `group["lr"]` in a loop or comprehension over the groups."""
    parent = module.parent(node)
    if isinstance(parent, ast.Subscript) and parent.value is node:
        outer = module.parent(parent)
        if isinstance(outer, ast.Subscript) and outer.value is parent and (key := _key(outer)) is not None:
            yield _item(module, outer, key, parent.slice)
        return
    if isinstance(parent, ast.Call) and parent.args[:1] == [node] and getattr(parent.func, "id", "") == "enumerate":
        node, parent = parent, module.parent(parent)
    if isinstance(parent, ast.For) and parent.iter is node:
        yield from _in_loop(module, _last_name(parent.target), parent)
    elif isinstance(parent, ast.comprehension) and parent.iter is node:
        whole = module.parent(parent)
        assert isinstance(whole, ast.expr)
        yield from _in_loop(module, _last_name(parent.target), whole)


def _last_name(target: ast.expr) -> ast.Name | None:
    """The name of the group: the target itself, or the last of `i, group`."""
    last = target.elts[-1] if isinstance(target, ast.Tuple) and target.elts else target
    return last if isinstance(last, ast.Name) else None


def _in_loop(module: Module, target: ast.Name | None, loop: ast.For | ast.expr) -> Iterator[MemberUse]:
    """Every `name["key"]` inside: what is written, and what is read anywhere but in what is written to the same key."""
    variable = module.variable(target) if target is not None else None
    written: dict[str, MemberUse] = {}
    read: dict[str, MemberUse] = {}
    for use in _within(variable.uses, loop) if variable is not None else ():
        item = module.parent(use)
        key = _key(item) if isinstance(item, ast.Subscript) and item.value is use else None
        if key is None or not isinstance(item, ast.Subscript):
            continue
        found = _item(module, item, key, None)
        (written if found.kind == "item" else read).setdefault(key, found)
    yield from written.values()
    yield from (use for key, use in read.items() if key not in written)


def _within(uses: Sequence[ast.expr], node: ast.For | ast.expr) -> Sequence[ast.expr]:
    """Of places in the order of the text, those inside a node."""
    last = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    first = bisect_left(uses, position(node), key=position)
    return uses[first : bisect_left(uses, last, lo=first, key=position)]


def _item(module: Module, node: ast.Subscript, key: str, index: ast.expr | None) -> MemberUse:
    if isinstance(node.ctx, ast.Load):
        return MemberUse("read", node, key=key, index=index)
    return _written(module, node, "item", key)._replace(index=index)


def _key(node: ast.Subscript) -> str | None:
    key = node.slice
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
