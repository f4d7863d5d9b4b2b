"""Is a torch training step plain: cleared gradients, one forward part, one backward pass, one step, nothing in between?

Only then can it become a forward function whose value and gradients are taken together. What makes a step anything else is
raised as NotPlain with its reason.
"""

from __future__ import annotations

import ast
from contextlib import suppress

from optmap.mapping.frameworks import Kind
from optmap.source.flow import binds
from optmap.source.scopes import chain_of
from optmap.translate.steps.read.interface import InterfaceReading
from optmap.translate.steps.read.plan import FIELDS, NotPlain, Plan, block_of, is_backward, receiver


class StepReader(InterfaceReading):
    """Reads one training step around an `optimizer.step()`.

    What has been found so far can be shown even where the step turns out not to be plain.
    """

    def read(self) -> Plan:
        """Raises NotPlain."""
        step = self._step()
        zeros = self._zeros(step)
        self._forward(step, zeros)
        assert self.backward is not None
        self._surroundings(step)
        self._layout([*self.region, *zeros, self.backward, step])
        self._between(step, zeros)
        hoist = self._interface()
        training = self._training()
        gone = tuple(zeros) if not self.region else (*zeros, self.backward)
        return Plan(
            self.holder, tuple(self.region), gone, self.backward, step, hoist, self.loss, receiver(self.backward),
            tuple(self.arguments), tuple(self.returned), training, tuple(self.ready),
            tuple(self.clips),
        )  # fmt: skip

    def sketch(self) -> None:
        """Fill in what a step that is not plain would be given and give back, as far as that can be told."""
        before = [
            item for item in self._own_statements() if is_backward(item) and item.lineno <= self.event.call.lineno
        ]
        if self.backward is None and before and isinstance(before[-1], ast.Expr):
            self.backward = before[-1]
            value = self._summed([item for item in before if isinstance(item, ast.Expr)])
            self.loss = value.id if isinstance(value, ast.Name) else None
            self.block = self._block_of(self.backward)
            clears = [item for item in self.block if "zero_grad" in ast.unparse(item)]
            at: ast.stmt | None = self.backward
            while self.block and at is not None:
                found = [self.block[index] for index in self._slice(self.block.index(at), value, clears)]
                self.region = [item for item in found if not is_backward(item)]
                if self.loss is None or any(self.loss in binds(item) for item in self.region):
                    break
                at = next(
                    (n for n in ast.walk(self.function) if isinstance(n, ast.stmt) and _holds(n, self.block)), None
                )
                scaled = _scaled(at, self.loss)
                value, self.loss = (value, self.loss) if scaled is None else (scaled, scaled.id)
                outer = self._block_of(at)
                if not outer:
                    break
                self.block = outer
        if self.backward is not None and not self.arguments:
            with suppress(NotPlain):
                self._interface()

    def _summed(self, passes: list[ast.Expr]) -> ast.expr:
        """The loss of the last backward pass; where several stand between clearing and step, the sum of their losses."""
        cleared = max(
            (item.lineno for item in self._own_statements()
             if isinstance(item, ast.Expr) and item.lineno < self.event.call.lineno and "zero_grad" in ast.unparse(item)),
            default=0,
        )  # fmt: skip
        last = [item for item in passes if item.lineno > cleared]
        block = self._block_of(passes[-1])
        if len(last) < 2 or not all(item in block for item in last):
            return receiver(passes[-1])
        texts = [
            f"({ast.unparse(item)})" if isinstance(item, ast.IfExp) else ast.unparse(item)
            for item in map(receiver, last)
        ]
        self.total = ast.parse(" + ".join(texts), mode="eval").body
        return self.total

    def _block_of(self, statement: ast.stmt | None) -> list[ast.stmt]:
        """The statements among which one stands in the function; empty where it is none of them."""
        blocks = (getattr(node, name, None) for node in ast.walk(self.function) for name in FIELDS)
        return next((block for block in blocks if isinstance(block, list) and statement in block), [])

    def _step(self) -> ast.Expr:
        statement = self.event.ancestors[-1] if self.event.ancestors else None
        if self.holder.doubt is not None:
            raise NotPlain(self.holder.doubt)
        if self.event.kind is Kind.SCALED_STEP:
            raise NotPlain("a gradient scaler makes the step")
        if self.event.call.args or self.event.call.keywords:
            raise NotPlain("the step is given a closure")
        if not isinstance(statement, ast.Expr) or statement.value is not self.event.call:
            raise NotPlain("the step's result is used")
        if isinstance(self.function, ast.Lambda | ast.ClassDef):
            raise NotPlain("the step stands in a lambda or directly in a class")
        parent = self.event.ancestors[-2] if len(self.event.ancestors) > 1 else self.source.tree
        self.block = block_of(parent, statement)
        return statement


def _scaled(statement: ast.stmt | None, name: str) -> ast.Name | None:
    """The loss behind `with amp.scale_loss(loss, optimizer) as name`."""
    for item in statement.items if isinstance(statement, ast.With | ast.AsyncWith) else ():
        call, bound = item.context_expr, item.optional_vars
        if isinstance(bound, ast.Name) and bound.id == name and isinstance(call, ast.Call) and call.args:
            scales = (chain_of(call.func) or ("",))[-1] == "scale_loss"
            return call.args[0] if scales and isinstance(call.args[0], ast.Name) else None
    return None


def _holds(statement: ast.stmt, block: list[ast.stmt]) -> bool:
    return any(getattr(statement, name, None) is block for name in FIELDS)
