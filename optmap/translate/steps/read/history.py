"""May a value that comes into a step carry gradients? torch records every computation, the others only the step's own.

What a gradient function is given, or what a tape finds, has no history there. In torch it has one where it was computed
with a model, so that the backward pass would go further than it did.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import Final

from optmap.source.flow import binds, flow, same_scope
from optmap.source.names import Function
from optmap.source.scopes import Scope, chain_of
from optmap.translate.steps.read.forward import DATA_METHODS
from optmap.translate.steps.read.plan import HARMLESS, NotPlain, Reading, shown

_METHODS: Final = DATA_METHODS | {"asnumpy", "item", "tolist", "read", "keys", "batch", "shuffle", "split", "copy"}
_MADE_ONCE: Final = ("__init__", "build")


class Carried:
    """Looks for values with a history. `own` are the names that the step itself binds, in the scope of its function.

    Where nothing is `recorded` of what comes before, variables have none.
    """

    def __init__(self, reading: Reading, own: Collection[str], *, recorded: bool = True) -> None:
        self.recorded = recorded
        self.reading = reading
        self.scopes = reading.finder.scopes
        self.own = own
        self.scope = self.scopes[id(reading.function)]
        self.seen: set[tuple[int, str]] = set()

    def check(self, node: ast.AST, scope: Scope | None = None) -> None:
        """Raises NotPlain where a value that the expression computes, or reads, may carry gradients."""
        scope = scope or self.scope
        called = {id(item.func) for item in ast.walk(node) if isinstance(item, ast.Call)}
        for item in ast.walk(node):
            if isinstance(item, ast.Call):
                self._call(item, scope)
            elif isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load) and id(item) not in called:
                self.name(item.id, scope, item)
            elif isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Load) and id(item) not in called:
                self._attribute(item)

    def body(self, statements: Sequence[ast.stmt], scope: Scope, passed: Collection[str] = ()) -> None:
        """Check what statements find in their scope, or around it: the models and functions that they call are theirs.

        What is `passed` to them has been looked at.
        """
        nodes = [node for statement in statements for node in ast.walk(statement)]
        called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        roots = {model[0] for model in self.reading.holder.models or ()} | {"self"}
        for use in flow(statements).needed:
            if use.name not in passed and not (use.called and use.name in called | roots):
                at = next(node for node in nodes if isinstance(node, ast.Name) and node.id == use.name)
                self.name(use.name, scope, at)
        functions = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in functions:
                self._attribute(node)

    def name(self, name: str, scope: Scope, at: ast.AST) -> None:
        """Check every value that the file gives a name."""
        owner = scope.owner(name)
        if not self.recorded or owner is None or (id(owner), name) in self.seen:
            return
        self.seen.add((id(owner), name))
        if name in self.own and owner is self.scope.owner(name):
            raise NotPlain(f"{name} (line {_line(at)}) comes from an earlier step and may carry its gradients in torch")
        bindings = [binding for binding in owner.bindings[name] if not binding.harmless]
        if all(binding.path is not None or isinstance(binding.node, Function | ast.ClassDef) for binding in bindings):
            return
        for statement in same_scope(getattr(owner.node, "body", [])):
            if not isinstance(statement, ast.stmt) or name not in binds(statement):
                continue
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign) and statement.value is not None:
                self.check(statement.value, owner)
            elif isinstance(statement, ast.For) and name in binds(statement.target):
                self._models(statement.iter)

    def _attribute(self, node: ast.Attribute) -> None:
        """`self.x` that a method gives a new value may hold what an earlier step computed."""
        chain = chain_of(node)
        if not self.recorded or chain is None or chain[0] != "self" or len(chain) < 2:
            return
        for place in (item for item in self.reading.source.nodes if isinstance(item, ast.ClassDef)):
            for method in (item for item in place.body if isinstance(item, Function) and item.name not in _MADE_ONCE):
                for inner in ast.walk(method):
                    stored = isinstance(inner, ast.Attribute) and not isinstance(inner.ctx, ast.Load)
                    if stored and isinstance(inner, ast.Attribute) and chain_of(inner) == chain[:2]:
                        raise NotPlain(
                            f"{'.'.join(chain[:2])} is set on line {inner.lineno} and may carry gradients in torch"
                        )

    def _call(self, call: ast.Call, scope: Scope) -> None:
        self._models(call.func)
        chain = chain_of(call.func)
        owner = scope.owner(chain[0]) if chain is not None else None
        nodes = (
            [binding.node for binding in owner.bindings[chain[0]]] if owner is not None and chain is not None else []
        )
        imported = owner is not None and chain is not None and None not in {b.path for b in owner.bindings[chain[0]]}
        if imported or (chain is not None and owner is None and chain[0] in HARMLESS):
            return
        if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
            if chain is not None and chain[0] != "self":
                self.name(chain[0], scope, call)
            return  # what it is a method of is looked at like any other part
        if chain is not None and len(chain) == 1 and len(nodes) == 1 and isinstance(nodes[0], ast.ClassDef):
            return
        if chain is not None and len(chain) == 1 and len(nodes) == 1 and isinstance(nodes[0], ast.FunctionDef):
            self._function(nodes[0])
            return
        raise NotPlain(f"{shown(call)} (line {call.lineno}) may compute with a model: it would be recorded, too")

    def _function(self, function: ast.FunctionDef) -> None:
        """A function of the file gives back no gradients where nothing that it calls does."""
        key = (id(function), "")
        if key not in self.seen:
            self.seen.add(key)
            for node in ast.walk(function):
                if isinstance(node, ast.Call):
                    self._call(node, self.scopes[id(function)])

    def _models(self, node: ast.AST) -> None:
        for item in ast.walk(node):
            chain = chain_of(item) if isinstance(item, ast.Attribute | ast.Name) else None
            for model in self.reading.holder.models or ():
                if chain is not None and chain[: len(model)] == model:
                    raise NotPlain(f"{'.'.join(model)} computes on line {_line(item)}: it would be recorded, too")


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)
