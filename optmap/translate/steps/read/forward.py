"""Where gradients are cleared, where they are computed, and which statements compute the loss."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from optmap.mapping.frameworks import Kind
from optmap.source.flow import binds, reads
from optmap.source.names import Function
from optmap.source.scopes import chain_of
from optmap.translate.discover.events import Event
from optmap.translate.steps.read.plan import (
    GROUND,
    HARMLESS,
    Accumulates,
    NotPlain,
    Reading,
    changes,
    function_of,
    is_backward,
    receiver,
    shown,
    wants,
)

DATA_METHODS: Final = frozenset(
    {"to", "cuda", "cpu", "float", "double", "half", "int", "long", "bool", "type", "type_as", "view", "reshape", "flatten",
     "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "clone", "detach", "repeat", "expand", "t", "size", "dim",
     "astype", "numpy", "get", "pop", "items", "keys", "values", "requires_grad_"}
)  # fmt: skip
"""Methods of tensors, arrays and batches that hold no parameters."""
_PARAMETERS: Final = ("weight", "bias", "training")


class ForwardReading(Reading):
    """Finds the forward part of a step."""

    def _zeros(self, step: ast.Expr) -> list[ast.Expr]:
        """The statements of the block that clear the gradients."""
        mine = [e for e in self.events if e.kind is Kind.ZERO_GRAD and e.holder == self.holder and self._concerns(e)]
        calls = {id(event.call): event.call for event in mine}
        found = []
        for statement in self.block:
            call = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(statement, ast.Expr) and isinstance(call, ast.Call) and (
                id(call) in calls or self._clears_model(call)
            ):  # fmt: skip
                if any(not isinstance(item.value, ast.Constant) for item in call.keywords) or call.args:
                    raise NotPlain(f"zero_grad on line {call.lineno} has arguments that are not constants")
                found.append(statement)
                calls.pop(id(call), None)
        if calls:
            line = next(iter(calls.values())).lineno
            raise Accumulates(
                f"the gradients are cleared elsewhere (line {line}): they may be accumulated over several steps"
            )
        if not found:
            raise Accumulates("nothing clears the gradients beside the step: they are accumulated")
        return found

    def _concerns(self, zero: Event) -> bool:
        """Gradients that are cleared in another function belong to the step there, if there is one."""
        there = function_of(zero, self.source)
        if there is self.function:
            return True
        steps = [e for e in self.events if e.kind in (Kind.STEP, Kind.SCALED_STEP) and e.holder == self.holder]
        return not any(function_of(event, self.source) is there for event in steps)

    def _clears_model(self, call: ast.Call) -> bool:
        chain = chain_of(call.func)
        models = self.holder.models
        return chain is not None and chain[-1] == "zero_grad" and models is not None and (chain[:-1],) == models

    def _forward(self, step: ast.Expr, zeros: Sequence[ast.stmt]) -> None:
        """Find the backward pass and, going back from it, the statements that compute the loss."""
        at = self.block.index(step)
        places = [index for index, item in enumerate(self.block[:at]) if is_backward(item)]
        if not places:
            raise Accumulates("no backward pass stands before the step in its block: gradients may be accumulated")
        if len(places) > 1:
            raise NotPlain(f"there are {len(places)} backward passes before the step")
        back = self.block[places[0]]
        assert isinstance(back, ast.Expr)
        self.backward = back
        assert isinstance(back.value, ast.Call)
        value = receiver(back)
        self.loss = value.id if isinstance(value, ast.Name) else None
        slice_ = self._slice(places[0], value, zeros)
        if slice_:
            extent = self.block[min(slice_) : max(slice_) + 1]
            self.region = [item for item in extent if item not in zeros]
        if back.value.args or back.value.keywords:
            given = ast.unparse(back.value.keywords[0]) if back.value.keywords else ast.unparse(back.value.args[0])
            raise NotPlain(f"backward() is given {given}")
        if any(places[0] < self.block.index(zero) < at for zero in zeros):
            raise NotPlain("the gradients are cleared between backward() and the step")
        self._check_left(places[0], zeros)
        if self.loss is not None and not any(self.loss in binds(item) for item in self.region):
            raise NotPlain(f"{self.loss} is not computed in the same block")
        self._check_region()
        self._check_called()

    def _check_left(self, back: int, zeros: Sequence[ast.stmt]) -> None:
        """Where gradients are cleared after the step, another backward pass may add to them before the next."""
        if any(self.block.index(zero) < back for zero in zeros):
            return
        for node in self.source.nodes:
            if is_backward(node) and node is not self.backward and isinstance(node, ast.Expr):
                raise Accumulates(
                    f"the gradients are cleared after the step, and line {node.lineno} may add to them before the next one"
                )

    def _slice(self, end: int, value: ast.expr, zeros: Sequence[ast.stmt]) -> list[int]:
        """Indices of the statements before the backward pass that the loss depends on, data preparation left out."""
        wanted = wants(value)
        found: list[int] = []
        for index in range(end - 1, -1, -1):
            statement = self.block[index]
            if statement in zeros or isinstance(statement, Function | ast.ClassDef | ast.Import | ast.ImportFrom):
                continue
            if _sets_mode(statement):
                continue
            changed = changes(statement)
            if changed & wanted or ("self" in changed and any(name.startswith("self.") for name in wanted)):
                found.insert(0, index)
                wanted |= wants(statement)
        while found and self._prepares(self.block[found[0]]) and not self._grows(found):
            found.pop(0)
        return found

    def _grows(self, found: Sequence[int]) -> bool:
        """Tell whether the first statement makes an object that the following ones change: it must move with them."""
        later = [self.block[index] for index in found[1:]]
        return bool(binds(self.block[found[0]]) & {name for item in later for name in changes(item) - binds(item)})

    def _prepares(self, statement: ast.stmt) -> bool:
        """Tell whether a statement only takes a batch apart or moves it: nothing that holds parameters is called."""
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            chain = chain_of(statement.value.func)
            return chain is not None and chain[-1] == "train" and chain[:-1] in (self.holder.models or ())
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            return False
        if binds(statement) & {self.loss}:
            return False
        if any(self._mentions(statement.value, model) for model in self.holder.models or ()):
            return False
        for node in ast.walk(statement.value):
            if isinstance(node, ast.Call):
                root: ast.expr = node.func
                while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
                    root = root.func if isinstance(root, ast.Call) else root.value
                if not isinstance(root, ast.Name) or not self._is_data(root.id, node.func, statement):
                    return False
        return True

    def _is_data(self, name: str, function: ast.expr, statement: ast.stmt) -> bool:
        if isinstance(function, ast.Name):
            return name in HARMLESS and self._owner(name) is None
        if any(model[0] == name for model in self.holder.models or ()) or name in ("self", self.holder.chain[0]):
            return False
        owner = self._owner(name)
        if owner is None:
            return False
        plain = isinstance(function, ast.Attribute) and function.attr in DATA_METHODS
        paths = [binding.path for binding in owner.bindings[name]]
        if all(path is not None and path.partition(".")[0] in ("torch", "numpy") for path in paths):
            return True
        if not plain:
            return False
        loops = [node for node in self.event.ancestors if isinstance(node, ast.For)]
        if any(name in binds(node.target) for node in loops):
            return True
        own = set(ast.walk(statement))  # `x = x.to(device)` leaves x what it is
        nodes = [binding.node for binding in owner.bindings[name] if binding.node not in own]
        if nodes and all(isinstance(node, ast.arg) for node in nodes):
            called = {use.name for item in self.block for use in reads(item) if use.called}
            return name not in called or not self._is_called(name)
        return False

    def _is_called(self, name: str) -> bool:
        calls = (node for node in ast.walk(self.function) if isinstance(node, ast.Call))
        return any(isinstance(call.func, ast.Name) and call.func.id == name for call in calls)

    def _check_memory(self, statement: ast.stmt) -> None:
        """What a model has kept of earlier calls may carry gradients, which only a forward function's own calls have."""
        called = {id(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)}
        deeper = {id(node.value) for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
        for node in ast.walk(statement):
            if not isinstance(node, ast.Attribute):
                continue
            chain = chain_of(node)
            if chain is None or id(node) in called or id(node) in deeper or not isinstance(node.ctx, ast.Load):
                continue
            kept = any(chain[: len(model)] == model and len(chain) > len(model) for model in self.holder.models or ())
            if kept and chain[-1] not in _PARAMETERS:
                raise NotPlain(
                    f"the forward part reads {'.'.join(chain)} (line {node.lineno}), which may carry gradients"
                )

    def _check_called(self) -> None:
        """The forward part must run the model, or something that may: gradients of earlier calls would be lost."""
        assert self.backward is not None
        for node in (node for item in (*self.region, self.backward) for node in ast.walk(item)):
            if not isinstance(node, ast.Call) or (node is self.backward.value):
                continue
            chain = chain_of(node.func)
            if chain is None:
                continue
            own_method = chain[0] == "self" and len(chain) == 2
            if own_method or any(chain[: len(model)] == model for model in self.holder.models or ()):
                return
            owner = self._owner(chain[0])
            bindings = owner.bindings[chain[0]] if owner is not None else []
            framework = any(
                binding.path is not None and binding.path.startswith(("torch", "numpy")) for binding in bindings
            )
            if bindings and not framework and len(chain) == 1:
                return
        raise NotPlain("the forward part does not call the model")

    def _check_region(self) -> None:
        for statement in self.region:
            for node in ast.walk(statement):
                if isinstance(node, ast.stmt) and not isinstance(node, GROUND):
                    raise NotPlain(f"line {node.lineno} of the forward part cannot stand in a function of its own")
                if isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
                    raise NotPlain(
                        f"line {node.lineno} of the forward part assigns, awaits or yields inside an expression"
                    )
                if isinstance(node, ast.With):
                    for item in node.items:
                        raise NotPlain(f"the forward part runs under {shown(item.context_expr)} (line {node.lineno})")
                word = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
                if word == "backward":
                    raise NotPlain(f"line {node.lineno} makes another backward pass")  # type: ignore[attr-defined]
                if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno:
                    raise NotPlain(f"a string on line {node.lineno} goes over several lines")
            self._check_memory(statement)
            if any(use.name == self.holder.text for use in reads(statement)) or self._mentions(
                statement, self.holder.chain
            ):
                raise NotPlain(f"the forward part uses {self.holder.text} (line {statement.lineno})")


def _sets_mode(statement: ast.stmt) -> bool:
    """`model.train()` and `model.eval()` compute nothing."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr in ("train", "eval")
