"""Where the forward function goes, what it is given, and what it must give back."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.source.flow import Loop, Use, binds, flow, same_scope
from optmap.source.names import Function
from optmap.source.scopes import chain_of
from optmap.translate.steps.read.isolation import AroundReading
from optmap.translate.steps.read.plan import FIELDS, NotPlain, changes, heads, in_order

_NOT_TENSORS: Final = frozenset(
    {"len", "int", "float", "str", "range", "size", "item", "tolist", "numpy", "dim", "numel", "time", "bool", "sum", "max",
     "min"}
)  # fmt: skip
"""Functions and methods whose results may be no tensors: value_and_grad takes nothing else alone beside the loss."""


class InterfaceReading(AroundReading):
    """Chooses the interface of the forward function."""

    def _interface(self) -> ast.stmt:
        """Choose where the forward function goes, what it is given and what it must give back."""
        assert self.backward is not None
        body: list[ast.stmt] = [*self.region, *([] if self.loss else [self.backward])]
        needed = flow(body).needed
        sure = flow(body).sure
        bound = {name for item in self.region for name in binds(item)}
        scope = self.finder.scopes[id(self.function)]
        for name in bound:
            if name in scope.elsewhere:
                raise NotPlain(f"{name} is global or nonlocal")
        self._foreign(needed)
        changed = {name for item in self.region for name in changes(item) - binds(item) if "." not in name}
        if grown := sorted((changed & {use.name for use in needed if not use.called}) - {"self"}):
            raise NotPlain(f"{grown[0]} is changed in the forward part, but made outside of it")
        hoist, over = self._hoist(needed)
        outside = hoist is self.function
        local = {use.name for use in needed if scope.owner(use.name) is scope}
        for use in needed:
            plain = use.name in local and not use.called and self._is_variable(use.name) and not over
            if use.name in over or use.name in bound or plain or (outside and use.name in local):
                if self._has_value(use.name):
                    self._add(self.arguments, use.name)
                elif outside or use.name in bound:
                    raise NotPlain(f"{use.name} may have no value before the step")
        wanted = self._used_outside(bound)
        carried = {use.name for use in needed} & bound
        for item in self.region:
            for name in in_order(item, bound):
                keep = name in wanted or name in carried or (self.function is self.source.tree and name in sure)
                if name != self.loss and keep:
                    if name not in sure and name not in self.arguments:
                        raise NotPlain(f"{name} is used after the step, but not always bound in it")
                    self._add(self.returned, name)
        if self.returned and not any(self._is_tensor(name) for name in self.returned):
            raise NotPlain(
                f"{', '.join(self.returned)} would have to be given back beside the loss, and none of them is surely a "
                "tensor, which value_and_grad insists on"
            )
        return hoist

    def _has_value(self, name: str) -> bool:
        """Tell whether the name is surely bound where the step begins: passing it on must not be an error."""
        scope = self.finder.scopes[id(self.function)]
        if any(isinstance(binding.node, ast.arg) for binding in scope.bindings.get(name, ())):
            return True
        path = self.event.ancestors[self._depth() : -1]
        if any(isinstance(node, ast.For | ast.With) and name in heads(node) for node in path):
            return True
        assert self.backward is not None
        first = self.head or (self.region[0] if self.region else self.backward)
        blocks = [self.function.body, *(getattr(node, field, []) for node in path for field in FIELDS)]  # type: ignore[attr-defined]
        around = {id(node) for node in path}
        for block in blocks:
            holds = [item for item in block if id(item) in around or item is first]
            before = block[: block.index(holds[0])] if holds else []
            if name in flow(before).sure or any(
                isinstance(item, Function | ast.ClassDef | ast.Import | ast.ImportFrom) and name in binds(item)
                for item in before
            ):
                return True
        return False

    @staticmethod
    def _add(found: list[str], name: str) -> None:
        if name not in found:
            found.append(name)

    def _is_variable(self, name: str) -> bool:
        owner = self._owner(name)
        nodes = [binding.node for binding in owner.bindings[name]] if owner else []
        return not any(isinstance(node, Function | ast.ClassDef | ast.Import | ast.ImportFrom) for node in nodes)

    def _is_tensor(self, name: str, seen: frozenset[str] = frozenset()) -> bool:
        """Tell whether a name that the forward part binds surely holds a tensor, or tensors."""
        values = [item.value for item in self.region if isinstance(item, ast.Assign) and name in binds(item)]
        return name not in seen and any(self._makes_tensor(value, seen | {name}) for value in values)

    def _makes_tensor(self, node: ast.expr, seen: frozenset[str]) -> bool:
        if isinstance(node, ast.Call):
            return self._gives_tensor(node, seen)
        if isinstance(node, ast.BinOp):
            return self._makes_tensor(node.left, seen) or self._makes_tensor(node.right, seen)
        if isinstance(node, ast.Subscript):
            return self._makes_tensor(node.value, seen)
        return isinstance(node, ast.Name) and self._is_tensor(node.id, seen)

    def _gives_tensor(self, call: ast.Call, seen: frozenset[str]) -> bool:
        """Models do, the framework's functions, methods of tensors, and objects that are given tensors, as losses are."""
        chain = chain_of(call.func)
        word = call.func.attr if isinstance(call.func, ast.Attribute) else chain[-1] if chain else ""
        if word in _NOT_TENSORS:
            return False
        if chain is not None and any(chain[: len(model)] == model for model in self.holder.models or ()):
            return True
        if isinstance(call.func, ast.Attribute) and self._makes_tensor(call.func.value, seen):
            return True
        owner = self._owner(chain[0]) if chain is not None else None
        bindings = owner.bindings[chain[0]] if owner is not None and chain is not None else []
        if bindings and all(item.path is not None and item.path.startswith("torch") for item in bindings):
            return True
        own = any(isinstance(item.node, Function | ast.ClassDef) for item in bindings)
        method = chain is not None and len(chain) == 2 and chain[0] == "self" and self._is_method(chain[1])
        given = any(self._makes_tensor(item, seen) for item in call.args)
        return bool(chain) and given and not own and not method

    def _is_method(self, name: str) -> bool:
        return any(isinstance(node, Function) and node.name == name for node in self.source.nodes)

    def _foreign(self, needed: Sequence[Use]) -> None:
        """Refuse where a value that the loss depends on is computed nearby, but outside the block."""
        loop = next((node for node in reversed(self.event.ancestors[self._depth() :]) if isinstance(node, Loop)), None)
        around: Sequence[ast.stmt] = loop.body if loop is not None else self.function.body  # type: ignore[attr-defined]
        values = {use.name for use in needed if not use.called}
        for statement in same_scope(around):
            simple = isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign)
            if not simple or statement in self.region or statement in self.block:
                continue
            names = binds(statement) & values
            assert isinstance(statement, ast.stmt)
            before = statement.lineno < self.block[0].lineno
            if names and before and loop is not None and not self._prepares(statement):
                raise NotPlain(f"{min(names)} is computed on line {statement.lineno}, outside the step's block")
            if (
                names
                and before
                and loop is None
                and self.function is not self.source.tree
                and not self._prepares(statement)
            ):
                raise NotPlain(f"{min(names)} is computed on line {statement.lineno}, outside the step's block")

    def _hoist(self, needed: Sequence[Use]) -> tuple[ast.stmt, set[str]]:
        """The statement before which the function is defined, and the names that are bound between there and the step."""
        assert self.backward is not None
        hoist: ast.stmt = self.region[0] if self.region else self.backward
        over: set[str] = set()
        called = {use.name for use in needed if use.called}
        fixed = {self.holder.chain[0], *(model[0] for model in self.holder.models or ())}
        for node in reversed(self.event.ancestors[self._depth() :]):
            if isinstance(node, Loop):
                inside = binds(node)
                if inside & fixed or self._sets_attributes(node):
                    return hoist, over
                hoist, over = node, inside
        if isinstance(self.function, ast.FunctionDef) and self._can_leave(needed, called):
            return self.function, over
        return hoist, over

    def _sets_attributes(self, node: ast.AST) -> bool:
        chains = {self.holder.chain, *(self.holder.models or ())}
        return any(
            isinstance(item, ast.Attribute) and not isinstance(item.ctx, ast.Load) and chain_of(item) in chains
            for item in ast.walk(node)
        )

    def _can_leave(self, needed: Sequence[Use], called: set[str]) -> bool:
        """Tell whether the forward function can stand before the function that steps, as a sibling of it."""
        function = self.function
        scope = self.finder.scopes[id(function)]
        if (
            function not in self.source.tree.body
            or len(self.holder.chain) != 1
            or self.holder.place is not self.source.tree
        ):
            return False
        top = {id(item): index for index, item in enumerate(self.source.tree.body)}
        here = top[id(function)]
        for site in self.holder.sites:
            if top.get(id(site.ancestors[0]), here) >= here or not isinstance(
                site.ancestors[0], ast.Assign | ast.AnnAssign
            ):
                return False
        first = {name: min(self._lines(name), default=0) for model in self.holder.models or () for name in model[:1]}
        if any(line >= getattr(function, "lineno", 0) for line in first.values()):
            return False
        return not any(scope.owner(use.name) is scope for use in needed if use.name in called)

    def _lines(self, name: str) -> Iterator[int]:
        owner = self._owner(name)
        for binding in owner.bindings[name] if owner else ():
            yield getattr(binding.node, "lineno", 0)

    def _used_outside(self, bound: set[str]) -> set[str]:
        """Those of the names that something outside the forward part reads, in this scope or in one inside it."""
        scope = self.finder.scopes[id(self.function)]
        inside = {id(node) for item in self.region for node in ast.walk(item)}
        assert self.backward is not None
        inside |= {id(node) for node in ast.walk(self.backward)}
        found = set()
        for name in bound:
            owner = scope.owner(name)
            for node, place in self.names.uses.get(name, ()):
                if id(node) not in inside and place.owner(name) is owner:
                    found.add(name)
            for item in ast.walk(self.function):
                grows = isinstance(item, ast.AugAssign) and isinstance(item.target, ast.Name) and item.target.id == name
                if grows and id(item) not in inside:
                    found.add(name)
        return found
