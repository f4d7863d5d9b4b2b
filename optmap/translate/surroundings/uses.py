"""How an attribute of an object is used: called, read, written, or written through a dictionary of its groups."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from optmap.source.scopes import Reference

_GROUP = "group"


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


def uses_of(reference: Reference, depth: int) -> list[MemberUse]:
    """Return how the attribute that the first `depth` names of the reference lead to is used, once for each key."""
    parents = list(reference.ancestors)
    parent = parents[-1] if parents else None
    if depth < len(reference.chain):
        return [MemberUse("read", reference.node)]
    if isinstance(parent, ast.Call) and parent.func is reference.node:
        return [MemberUse("call", parent, call=parent)]
    if not isinstance(getattr(reference.node, "ctx", ast.Load()), ast.Load):
        return [_written(reference.node, parent, "write")]
    items = list(_items(reference.node, parents))
    return items or [MemberUse("read", reference.node)]


def _written(node: ast.expr, parent: ast.AST | None, kind: str, key: str | None = None) -> MemberUse:
    """The assignment of an expression; without a value where it is deleted or bound by a loop."""
    if isinstance(parent, ast.Assign) and node in parent.targets:
        return MemberUse(kind, parent, key=key, target=node, value=parent.value)
    if isinstance(parent, ast.AnnAssign | ast.AugAssign) and parent.target is node and parent.value is not None:
        operator = parent.op if isinstance(parent, ast.AugAssign) else None
        return MemberUse(kind, parent, key=key, target=node, value=parent.value, operator=operator)
    return MemberUse(kind, node, key=key, target=node)


def _items(node: ast.expr, parents: Sequence[ast.AST]) -> Iterator[MemberUse]:
    """Uses of keys: `groups[0]["lr"]`, and `group["lr"]` in a loop or comprehension over the groups."""
    parent, rest = parents[-1] if parents else None, parents[:-1]
    if isinstance(parent, ast.Subscript) and parent.value is node:
        outer, above = rest[-1] if rest else None, rest[-2] if len(rest) > 1 else None
        if isinstance(outer, ast.Subscript) and outer.value is parent and (key := _key(outer)) is not None:
            yield _item(outer, above, key, parent.slice)
        return
    if isinstance(parent, ast.Call) and parent.args[:1] == [node] and getattr(parent.func, "id", "") == "enumerate":
        node, parent, rest = parent, rest[-1] if rest else None, rest[:-1]
    if isinstance(parent, ast.For) and parent.iter is node:
        yield from _in_loop(_last_name(parent.target), parent.body)
    elif isinstance(parent, ast.comprehension) and parent.iter is node:
        yield from _in_loop(_last_name(parent.target), rest[-1:])
    elif parent is not None and isinstance(parent, ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp):
        for generator in parent.generators:
            if generator.iter is node:
                yield from _in_loop(_last_name(generator.target), [parent])


def _last_name(target: ast.expr) -> str | None:
    """The name of the group: the target itself, or the last of `i, group`."""
    last = target.elts[-1] if isinstance(target, ast.Tuple) and target.elts else target
    return last.id if isinstance(last, ast.Name) else None


def _in_loop(name: str | None, body: Sequence[ast.AST]) -> Iterator[MemberUse]:
    """Every `name["key"]` below: what is written, and what is read anywhere but in what is written to the same key."""
    written: dict[str, MemberUse] = {}
    read: dict[str, MemberUse] = {}
    for top in body:
        for parent in ast.walk(top):
            for child in ast.iter_child_nodes(parent):
                if not isinstance(child, ast.Subscript) or getattr(child.value, "id", None) != name:
                    continue
                key = _key(child)
                if key is None:
                    continue
                use = _item(child, parent, key, None)
                (written if use.kind == "item" else read).setdefault(key, use)
    yield from written.values()
    yield from (use for key, use in read.items() if key not in written)


def _item(node: ast.Subscript, parent: ast.AST | None, key: str, index: ast.expr | None) -> MemberUse:
    if isinstance(node.ctx, ast.Load):
        return MemberUse("read", node, key=key, index=index)
    return _written(node, parent, "item", key)._replace(index=index)


def _key(node: ast.Subscript) -> str | None:
    key = node.slice
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
