"""Is a step with a gradient tape plain: one tape, one gradient of one loss, one `apply_gradients`, nothing else in between?

Models are called as they are: where Keras is told `training=True`, MindSpore's model is put into training mode for the call.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from optmap.mapping.model import Framework
from optmap.source.edits import rest_of_line
from optmap.source.flow import binds, reads
from optmap.source.scopes import chain_of
from optmap.source.text import Source
from optmap.translate.discover.events import Event
from optmap.translate.discover.holders import Finder
from optmap.translate.parameters.inferred import infer_parameters
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.read.interface import InterfaceReading
from optmap.translate.steps.read.plan import NotPlain, Plan, block_of

_VARIABLES: Final = ("trainable_variables", "trainable_weights")


class TapeReader(InterfaceReading):
    """Reads one training step around an `optimizer.apply_gradients(...)`."""

    def __init__(
        self, source: Source, finder: Finder, events: Sequence[Event], event: Event, target: Framework
    ) -> None:
        super().__init__(source, finder, events, event)
        self.target = target

    def read(self) -> Plan:
        """Raises NotPlain."""
        step = self._step()
        gradients, model = self._applied(step)
        taken, tape, loss = self._taken(step, gradients, model)
        head = self._head(tape)
        self.head = head
        self.region = list(head.body)
        self.backward = taken  # type: ignore[assignment]  # it plays the same part
        self.loss = loss
        self.holder = self.holder._replace(models=(model,))
        self._check_uses(gradients, tape)
        self._check_head(head)
        if loss not in binds(head):
            raise NotPlain(f"{loss} is not computed under the tape")
        self._check_region()
        self._layout([*self.region, taken, step])
        self._check_trained(model)
        self._between_all(head, taken, step)
        toggled = tuple(dict.fromkeys(self._training_calls()))
        hoist = self._interface()
        hoist = head if hoist is self.region[0] else hoist
        return Plan(
            self.holder, tuple(self.region), (taken,), taken, step, hoist, loss, ast.Name(loss), tuple(self.arguments),
            tuple(self.returned), (), (), (), head, toggled,
        )  # fmt: skip

    def _step(self) -> ast.Expr:
        statement = self.event.ancestors[-1] if self.event.ancestors else None
        if self.holder.doubt is not None:
            raise NotPlain(self.holder.doubt)
        if not isinstance(statement, ast.Expr) or statement.value is not self.event.call:
            raise NotPlain("the result of apply_gradients is used")
        if isinstance(self.function, ast.Lambda | ast.ClassDef | ast.AsyncFunctionDef):
            raise NotPlain("the step stands in a lambda, an async function, or directly in a class")
        parent = self.event.ancestors[-2] if len(self.event.ancestors) > 1 else self.source.tree
        self.block = block_of(parent, statement)
        return statement

    def _applied(self, step: ast.Expr) -> tuple[str, tuple[str, ...]]:
        """The variable of the gradients and the model in `apply_gradients(zip(grads, model.trainable_variables))`."""
        call = self.event.call
        pairs = call.args[0] if len(call.args) == 1 and not call.keywords else None
        zipped = isinstance(pairs, ast.Call) and isinstance(pairs.func, ast.Name) and pairs.func.id == "zip"
        parts = pairs.args if isinstance(pairs, ast.Call) and zipped and not pairs.keywords else []
        model = _model(parts[1]) if len(parts) == 2 else None
        if model is None or not isinstance(parts[0], ast.Name):
            raise NotPlain("apply_gradients is not given zip(gradients, model.trainable_variables)")
        return parts[0].id, model

    def _taken(self, step: ast.Expr, gradients: str, model: tuple[str, ...]) -> tuple[ast.Assign, str, str]:
        """The statement `grads = tape.gradient(loss, model.trainable_variables)`, the tape and the loss."""
        for item in self.block[: self.block.index(step)]:
            call = item.value if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call) else None
            if not isinstance(item, ast.Assign) or call is None or gradients not in binds(item):
                continue
            chain = chain_of(call.func)
            named = len(item.targets) == 1 and isinstance(item.targets[0], ast.Name)
            given = call.args if len(call.args) == 2 and not call.keywords else [None, None]
            if not named or chain is None or len(chain) != 2 or chain[1] != "gradient":
                break
            if isinstance(given[0], ast.Name) and given[1] is not None and _model(given[1]) == model:
                return item, chain[0], given[0].id
            break
        raise NotPlain(
            f"{gradients} is not plainly tape.gradient(loss, {'.'.join(model)}.trainable_variables) in the same block"
        )

    def _head(self, tape: str) -> ast.With:
        for item in self.block:
            if not isinstance(item, ast.With) or len(item.items) != 1:
                continue
            name, made = item.items[0].optional_vars, item.items[0].context_expr
            bare = isinstance(made, ast.Call) and not made.args and not made.keywords
            chain = chain_of(made.func) if isinstance(made, ast.Call) and bare else None
            if isinstance(name, ast.Name) and name.id == tape and chain is not None and chain[-1] == "GradientTape":
                return item
        raise NotPlain(f"{tape} is not plainly `with tf.GradientTape() as {tape}` in the same block")

    def _check_uses(self, gradients: str, tape: str) -> None:
        scope = self.finder.scopes[id(self.function)]
        mine = {id(node) for item in self.block for node in ast.walk(item)}
        for name, what in ((gradients, "the gradients are"), (tape, "the tape is")):
            uses = [node for node, place in self.names.uses.get(name, ()) if place.owner(name) is scope.owner(name)]
            here = [
                node
                for node in uses
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) in mine
            ]
            others = [
                node for node in uses if id(node) not in mine and isinstance(getattr(node, "ctx", None), ast.Load)
            ]
            inside = [
                node
                for item in self.region
                for node in ast.walk(item)
                if isinstance(node, ast.Name) and node.id == name
            ]
            if len(here) != 1 or inside or (others and self.function is not self.source.tree):
                raise NotPlain(f"{what} used for something else, too")

    def _check_head(self, head: ast.With) -> None:
        end = self.source.end(head.items[0].optional_vars or head)
        if b"#" in self.source.body[end : rest_of_line(self.source, end).end]:
            raise NotPlain(f"there is a comment on line {head.lineno}")
        if head.body[0].lineno == head.lineno:
            raise NotPlain(f"several statements share line {head.lineno}")

    def _check_trained(self, model: tuple[str, ...]) -> None:
        """The new optimizer must hold what the old one was given."""
        for site in self.holder.sites:
            wanted = f"{'.'.join(model)}.{self.target.facts.parameters.trainable}()"
            if infer_parameters(self.source, site, self.target) != wanted:
                raise NotPlain(f"the optimizer may train something else than {'.'.join(model)}")

    def _between_all(self, head: ast.With, taken: ast.Assign, step: ast.Expr) -> None:
        place = self.block.index
        if not place(head) < place(taken) < place(step):
            raise NotPlain("the tape, its gradient and the step do not follow one another")
        for statement in self.block[place(head) + 1 : place(step)]:
            if statement is not taken:
                self._check_harmless(statement, may_jump=True)

    def training_flags(self) -> Iterator[ast.Call]:
        """The calls of the forward part that are given `training`."""
        for node in (node for item in self.region for node in ast.walk(item)):
            if isinstance(node, ast.Call) and any(word.arg == "training" for word in node.keywords):
                yield node

    def _training_calls(self) -> Iterator[tuple[str, ...]]:
        for node in self.training_flags():
            value = next(word.value for word in node.keywords if word.arg == "training")
            chain = chain_of(node.func)
            if chain is None or not isinstance(value, ast.Constant) or value.value is not True:
                raise NotPlain(f"line {node.lineno} is given training={ast.unparse(value)}")
            if any(use.name == chain[0] for item in self.region for use in reads(item) if chain[0] in binds(item)):
                raise NotPlain(f"{chain[0]} is bound under the tape")
            if any(self._calls_otherwise(inner, chain) for item in self.region for inner in ast.walk(item)):
                raise NotPlain(f"{'.'.join(chain)} is called both with training=True and without under the tape")
            yield chain

    @staticmethod
    def _calls_otherwise(node: ast.AST, model: tuple[str, ...]) -> bool:
        chain = chain_of(node.func) if isinstance(node, ast.Call) else None
        flagged = isinstance(node, ast.Call) and any(word.arg == "training" for word in node.keywords)
        return chain is not None and chain[: len(model)] == model and not flagged

    def drop_flags(self, changes: NameChanges) -> None:
        """Take `training=True` away: what it says, the mode of the model says."""
        for node in self.training_flags():
            changes.drop(node, next(word for word in node.keywords if word.arg == "training"))


def report_rest(source: Source, changes: NameChanges, done: Collection[int], target: Framework) -> None:
    """Say what else of the file is Keras's way to call models and to name their variables."""
    for node in source.nodes:
        if id(node) in done or id(node) in changes.touched:
            continue
        if isinstance(node, ast.Call) and any(word.arg == "training" for word in node.keywords):
            changes.stay(node, f"training=...: {target.facts.models.mode}")
        elif isinstance(node, ast.Attribute) and node.attr in _VARIABLES:
            changes.stay(node, f".{node.attr}: {target.facts.models.called} has {target.facts.parameters.trainable}()")


def _model(node: ast.expr) -> tuple[str, ...] | None:
    """`model` in `model.trainable_variables`."""
    chain = chain_of(node)
    return chain[:-1] if chain is not None and len(chain) > 1 and chain[-1] in _VARIABLES else None
