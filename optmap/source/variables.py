"""What a variable, an attribute of `self` or a helper function of the file may hold, and every place that uses it.

Flow-insensitive: all values that are ever assigned count, wherever they are assigned.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from optmap.source.names import Function, Interest, collect, statements
from optmap.source.scopes import Binding, Names, Scope, ScopeKind
from optmap.source.syntax import default_of
from optmap.source.text import Source


class Slot(NamedTuple):
    """One way a variable gets its value: `value` is the expression, `element` the place in it that a tuple target takes.

    `loop` is the statement or the part of a comprehension that makes the variable run over the value.
    """

    value: ast.expr
    element: int | None = None
    loop: ast.For | ast.comprehension | None = None


class Variable(NamedTuple):
    """A variable of one scope. `key` identifies it, `text` is how it is written.

    `uses` are the places that read it, `self.name` as a whole for an attribute. `blocker` is a place that binds it in a way
    that cannot be followed.
    """

    key: tuple[int, str]
    text: str
    slots: tuple[Slot, ...]
    uses: tuple[ast.expr, ...]
    blocker: ast.AST | None


class Helper(NamedTuple):
    """A function of the file: what it returns or yields (`runs` what it yields from), and every place that mentions it."""

    key: tuple[int, str]
    text: str
    node: ast.FunctionDef
    returns: tuple[ast.expr, ...]
    yields: tuple[ast.expr, ...]
    runs: tuple[ast.expr, ...]
    uses: tuple[ast.expr, ...]

    @property
    def generates(self) -> bool:
        return bool(self.yields or self.runs)


class Variables:
    """Looks variables up by the places that mention them; each name is collected once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.collected: dict[str, Names] = {}
        self.scopes: dict[str, dict[int, Scope]] = {}
        self.found: dict[tuple[int, str], Variable | None] = {}

    def variable(self, node: ast.expr) -> Variable | None:
        """Return the variable that a name, or an attribute of self, stands for; None for what nothing here assigns."""
        if isinstance(node, ast.Name):
            return self._local(node)
        if _is_self_attribute(node):
            return self._attribute(node)  # type: ignore[arg-type]
        return None

    def argument(self, node: ast.expr, helper: Helper) -> Variable | None:
        """Return the variable behind a parameter of a helper function, which holds what the file's calls pass for it."""
        if not isinstance(node, ast.Name):
            return None
        names, scope = self._scope(node)
        owner = scope.owner(node.id) if scope is not None else None
        bindings = owner.bindings[node.id] if owner is not None else []
        if owner is None or owner.node is not helper.node or not isinstance(bindings[0].node, ast.arg):
            return None
        slots = [self._passed(helper, use, node.id) for use in helper.uses]
        if len(bindings) > 1 or None in slots:
            return None
        uses = tuple(use for use, place in names.uses[node.id] if place.owner(node.id) is owner)
        given = tuple(Slot(value) for value in slots if value is not None)
        return Variable((id(helper.node), node.id), node.id, given, uses, None)

    def _passed(self, helper: Helper, use: ast.expr, name: str) -> ast.expr | None:
        """What one call passes for a parameter, or its default; None where that cannot be seen."""
        call = self.source.parents[id(use)]
        if not isinstance(call, ast.Call) or call.func is not use:
            return None
        hidden = any(isinstance(item, ast.Starred) for item in call.args) or any(not item.arg for item in call.keywords)
        arguments = helper.node.args
        positional = [item.arg for item in (*arguments.posonlyargs, *arguments.args)]
        bound = isinstance(use, ast.Attribute) and not helper.node.decorator_list
        place = positional.index(name) - bound if name in positional else None
        if hidden or (place is None and name not in [item.arg for item in arguments.kwonlyargs]):
            return None
        if place is not None and place < len(call.args):
            return call.args[place] if place >= 0 else None
        keyword = next((item.value for item in call.keywords if item.arg == name), None)
        return keyword or default_of(arguments, name)

    def values(self, node: ast.expr) -> list[ast.AST]:
        """What may be seen of what an expression holds: values of a variable, what its methods are given, a function."""
        variable = self.variable(node)
        if variable is not None:
            given = [
                argument
                for use in variable.uses
                if isinstance(call := self.source.parents.get(id(self.source.parents[id(use)])), ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.value is use
                for argument in call.args
            ]
            return [*(slot.value for slot in variable.slots), *given]
        if not isinstance(node, ast.Name):
            return []
        scope = self._scope(node)[1]
        owner = scope.owner(node.id) if scope is not None else None
        nodes = [binding.node for binding in owner.bindings[node.id]] if owner is not None else []
        return [item for item in nodes if isinstance(item, Function)]

    def _scope(self, node: ast.Name) -> tuple[Names, Scope | None]:
        names = self.collected.get(node.id)
        if names is None:
            interest = Interest(frozenset(), (), string_hint="\0")
            names = self.collected[node.id] = collect(self.source, interest, {node.id})
            self.scopes[node.id] = {id(use): scope for use, scope in names.uses.get(node.id, ())}
        return names, self.scopes[node.id].get(id(node))

    def _local(self, node: ast.Name) -> Variable | None:
        names, scope = self._scope(node)
        owner = scope.owner(node.id) if scope is not None else None
        if owner is None or owner.kind is ScopeKind.CLASS:
            return None
        key = (id(owner.node), node.id)
        if key not in self.found:
            uses = tuple(use for use, place in names.uses[node.id] if place.owner(node.id) is owner)
            self.found[key] = self._made(key, node.id, owner.bindings[node.id], uses)
        return self.found[key]

    def _made(
        self, key: tuple[int, str], text: str, bindings: list[Binding], uses: tuple[ast.expr, ...]
    ) -> Variable | None:
        slots: list[Slot] = []
        blocker: ast.AST | None = None
        for binding in bindings:
            if self._binds_nothing(binding.node):
                continue
            slot = self._slot(binding.node)
            if slot is None:
                blocker = blocker or binding.node
            else:
                slots.append(slot)
        return Variable(key, text, tuple(slots), uses, blocker) if slots else None

    def _binds_nothing(self, node: ast.AST) -> bool:
        """A bare annotation, and `del`."""
        outer = node if isinstance(node, ast.AnnAssign) else self.source.parents.get(id(node))
        return isinstance(outer, ast.Delete) or (isinstance(outer, ast.AnnAssign) and outer.value is None)

    def _slot(self, node: ast.AST) -> Slot | None:
        """What a binding gives: the statement of a plain assignment, or the target inside any other."""
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            return Slot(node.value) if node.value is not None else None
        parent = self.source.parents.get(id(node))
        if isinstance(parent, ast.Assign | ast.AnnAssign):
            return Slot(parent.value) if parent.value is not None else None
        if isinstance(parent, ast.AugAssign):
            return Slot(parent.value) if isinstance(parent.op, ast.Add) else None
        if isinstance(parent, ast.For | ast.comprehension):
            return Slot(parent.iter, loop=parent)
        if isinstance(parent, ast.Tuple | ast.List):
            outer = self.source.parents.get(id(parent))
            if isinstance(outer, ast.For | ast.comprehension):
                return Slot(outer.iter, _index(parent.elts, node), outer)
            starred = any(isinstance(item, ast.Starred) for item in parent.elts)
            if isinstance(outer, ast.Assign) and not starred:
                return Slot(outer.value, element=_index(parent.elts, node))
            if isinstance(outer, ast.Tuple | ast.List):
                loop = self.source.parents.get(id(outer))
                return Slot(loop.iter, loop=loop) if isinstance(loop, ast.For | ast.comprehension) else None
        return None

    def _attribute(self, node: ast.Attribute) -> Variable | None:
        owner = self._class(node)
        if owner is None:
            return None
        key = (id(owner), f"self.{node.attr}")
        if key not in self.found:
            self.found[key] = self._made_attribute(key, node.attr, owner)
        return self.found[key]

    def _made_attribute(self, key: tuple[int, str], name: str, owner: ast.ClassDef) -> Variable | None:
        """An attribute that only methods of one class of the file mention, through self."""
        uses: list[ast.expr] = []
        bindings: list[Binding] = []
        blocker: ast.AST | None = None
        for item in self.source.nodes:
            if isinstance(item, ast.FunctionDef) and item.name == name and self._class(item) is owner:
                return None
            if not isinstance(item, ast.Attribute) or item.attr != name:
                continue
            own = _is_self_attribute(item) and self._class(item) is owner
            if isinstance(item.ctx, ast.Load):
                uses.append(item)
            elif own:
                bindings.append(Binding(item))
            else:
                blocker = blocker or item
        made = self._made(key, f"self.{name}", bindings, tuple(uses))
        return made if made is None or blocker is None else made._replace(blocker=blocker)

    def _class(self, node: ast.AST) -> ast.ClassDef | None:
        """The class whose method the node stands in."""
        inner: ast.AST | None = node
        while inner is not None and not isinstance(inner, ast.ClassDef):
            inner = self.source.parents.get(id(inner))
        return inner

    def helper(self, call: ast.Call) -> Helper | None:
        """Return the function of the file that a call runs: its only binding, and undecorated."""
        if isinstance(call.func, ast.Name):
            names, scope = self._scope(call.func)
            owner = scope.owner(call.func.id) if scope is not None else None
            if owner is None or owner.kind is ScopeKind.CLASS:
                return None
            nodes = [binding.node for binding in owner.bindings[call.func.id]]
            uses = tuple(use for use, place in names.uses[call.func.id] if place.owner(call.func.id) is owner)
            return _helper(call.func.id, nodes, uses)
        if _is_self_attribute(call.func):
            return self._method(call.func)  # type: ignore[arg-type]
        return None

    def _method(self, node: ast.Attribute) -> Helper | None:
        owner = self._class(node)
        if owner is None:
            return None
        nodes: list[ast.AST] = [
            item
            for item in self.source.nodes
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and item.name == node.attr
        ]
        uses = tuple(item for item in self.source.nodes if isinstance(item, ast.Attribute) and item.attr == node.attr)
        inside = len(nodes) == 1 and any(nodes[0] is item for item in owner.body)
        return _helper(f"self.{node.attr}", nodes, uses) if inside else None


def _helper(text: str, nodes: list[ast.AST], uses: tuple[ast.expr, ...]) -> Helper | None:
    if len(nodes) != 1 or not isinstance(nodes[0], ast.FunctionDef):
        return None
    node = nodes[0]
    plain = [item for item in node.decorator_list if not (isinstance(item, ast.Name) and item.id == "staticmethod")]
    if plain:
        return None
    returns = [item.value for item in statements(node.body, same_scope=True) if isinstance(item, ast.Return)]
    given = tuple(value for value in returns if value is not None)
    yields, runs = _yields(node)
    if not (given or yields or runs) or (given and (yields or runs)):
        return None
    return Helper((id(node), text), text, node, given, tuple(yields), tuple(runs), uses)


def _yields(function: ast.FunctionDef) -> tuple[list[ast.expr], list[ast.expr]]:
    """What a function yields, and what it yields from."""
    yields: list[ast.expr] = []
    runs: list[ast.expr] = []
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Yield) and node.value is not None:
            yields.append(node.value)
        elif isinstance(node, ast.YieldFrom):
            runs.append(node.value)
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            stack.extend(ast.iter_child_nodes(node))
    return yields, runs


def _is_self_attribute(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _index(nodes: list[ast.expr], node: ast.AST) -> int:
    return next(index for index, item in enumerate(nodes) if item is node)
