"""Plain steps that become torch's or TensorFlow's: what each direction must prove beyond what a step for MindSpore must."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import NamedTuple

from optmap.mapping.frameworks import Gradients, Kind
from optmap.mapping.model import Framework
from optmap.source.flow import binds, flow
from optmap.source.scopes import chain_of
from optmap.source.text import Source
from optmap.translate.discover.events import Event
from optmap.translate.discover.holders import Finder
from optmap.translate.steps.read.history import Carried
from optmap.translate.steps.read.isolation import evaluates
from optmap.translate.steps.read.plain import StepReader
from optmap.translate.steps.read.plan import FIELDS, NotPlain, Plan, deleted
from optmap.translate.steps.read.tape import TapeReader
from optmap.translate.steps.read.value_and_grad import Called, CalledReader, bare_accessor, given_parameters

Chain = tuple[str, ...]


class Step(NamedTuple):
    """A plain step of any direction: one of `called` and `plan`, and the model whose variables a tape is asked for.

    `flagged` are the models of a torch step that are surely in training mode.
    """

    event: Event
    holder: str
    model: Chain
    called: Called | None = None
    plan: Plan | None = None
    reader: TapeReader | None = None
    flagged: tuple[Chain, ...] = ()


def can_rewrite(event: Event, target: Framework) -> bool:
    """Tell whether there is a reader for such a step."""
    steps = target.facts.steps
    return event.holder is not None and steps.gradients is not Gradients.FUNCTION and event.kind in steps.written


def read_step(source: Source, finder: Finder, events: Sequence[Event], event: Event, target: Framework) -> Step:
    """Raises NotPlain."""
    assert event.holder is not None
    if event.kind is Kind.CALL:
        reader = CalledReader(source, finder, events, event, target)
        called = reader.read()
        model = _one_model(reader) if target.facts.steps.gradients is Gradients.TAPE else ()
        return Step(event, event.holder.text, model, called)
    if event.kind is Kind.APPLY_GRADIENTS:
        taped = TapeForTorch(source, finder, events, event, target)
        plan = taped.read()
        return Step(event, plan.holder.text, (), None, plan, taped)
    stepped = StepForTape(source, finder, events, event)
    plan = stepped.read()
    return Step(event, plan.holder.text, stepped.model, None, plan, None, plan.training)


def _one_model(reader: CalledReader | StepForTape) -> Chain:
    """The model all of whose parameters, and nothing else, the optimizer was given. Raises NotPlain."""
    holder = reader.holder
    models = holder.models or ()
    for site in holder.sites:
        passed = given_parameters(site.node, site.api.parameters_argument)
        if len(models) != 1 or passed is None or not bare_accessor(passed, site.api.framework):
            raise NotPlain(f"{holder.text} does not plainly train the parameters of one model that can be named here")
    if b"add_param_group" in reader.source.body:
        raise NotPlain("the file adds parameter groups")
    reader._check_seen(models[0])
    return models[0]


class TapeForTorch(TapeReader):
    """A gradient tape whose forward part is to stand without it: torch records what is before it, too."""

    def _interface(self) -> ast.stmt:
        bound = {name for item in self.region for name in binds(item)}
        for name in sorted({word.id for node in (self.backward, self.head) if node for word in _stored(node)} - bound):
            line = deleted(self.function, name) or self._left(name)
            if line is not None:
                raise NotPlain(f"{name} is used for something else, too (line {line})")
        Carried(self, bound).body(self.region, self.finder.scopes[id(self.function)])
        return self.region[0]

    def _left(self, name: str) -> int | None:
        """The line of another block that reads what would not be set any more, and does not set it itself."""
        scope = self.finder.scopes[id(self.function)]
        mine = {id(node) for item in self.block for node in ast.walk(item)}
        step = {id(item) for item in self.block}
        fields = (getattr(node, field, None) for node in self.source.nodes for field in FIELDS)
        blocks = [block for block in fields if isinstance(block, list)]
        for node, place in self.names.uses.get(name, ()):
            same = place.owner(name) is scope.owner(name) and id(node) not in mine
            if (
                same
                and isinstance(node.ctx, ast.Load)
                and not any(_sets_before(block, node, name, step) for block in blocks)
            ):
                return node.lineno
        return None


class StepForTape(StepReader):
    """A torch step whose forward part is to stand under a gradient tape."""

    model: Chain = ()

    def _find_clips(self, step: ast.Expr) -> None:
        super()._find_clips(step)
        if self.clips:
            raise NotPlain(f"the gradients are clipped (line {self.clips[0].statement.lineno})")

    def _interface(self) -> ast.stmt:
        assert self.backward is not None
        body: list[ast.stmt] = [*self.region, *([] if self.loss else [self.backward])]
        self._foreign(flow(body).needed)
        self.model = _one_model(self)
        return self.region[0] if self.region else self.backward

    def _training(self) -> tuple[Chain, ...]:
        """The models that the forward part calls in training mode, which a Keras model is told at each call."""
        found: list[Chain] = []
        for _, model in [(self.holder, model) for model in self.holder.models or ()] + list(self._called_besides()):
            known = any(self._set_before(model[:end]) for end in range(1, len(model) + 1))
            if not known and evaluates(self.source):
                raise NotPlain(
                    f"the file puts models into evaluation mode, and {'.'.join(model)} not into training mode beside the step"
                )
            found.append(model)
        return tuple(found)


def model_calls(reading_region: Sequence[ast.AST], models: Sequence[Chain]) -> list[ast.Call]:
    """The calls of models among nodes, which are not told yet that they are for training."""
    return [
        node
        for item in reading_region
        for node in ast.walk(item)
        if isinstance(node, ast.Call)
        and chain_of(node.func) in models
        and not any(word.arg == "training" for word in node.keywords)
    ]


def _stored(node: ast.stmt) -> list[ast.Name]:
    """The names that a statement assigns, and those of its block."""
    return [item for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)]


def _sets_before(block: Sequence[ast.stmt], node: ast.AST, name: str, step: Collection[int]) -> bool:
    """Tell whether a statement of the block, other than the step, binds the name before the one that the node is in."""
    holds = next((i for i, item in enumerate(block) if any(inner is node for inner in ast.walk(item))), 0)
    others = (item for item in block[:holds] if not any(id(inner) in step for inner in ast.walk(item)))
    return any(name in binds(item) for item in others)
