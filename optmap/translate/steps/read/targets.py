"""Plain steps that become torch's or TensorFlow's: what each direction must prove beyond what a step for MindSpore must."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from optmap.mapping.frameworks import Gradients, Kind
from optmap.mapping.model import Framework
from optmap.source.flow import flow
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.events import Event
from optmap.translate.discover.trained import Chain, constructed_with, is_accessor
from optmap.translate.steps.read.history import History
from optmap.translate.steps.read.interface import check_computed_inside
from optmap.translate.steps.read.modes import evaluates, is_trained_before, trained_models
from optmap.translate.steps.read.plan import Plan
from optmap.translate.steps.read.step import Step, deleted
from optmap.translate.steps.read.tape import read_taped, taped_plan
from optmap.translate.steps.read.torch_step import BEGINNING, MIDDLE, Stage, plan_of, read_stages
from optmap.translate.steps.read.value_and_grad import GradientCall, read_gradient_call
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.values import NamedTuple


class Retargeted(NamedTuple):
    """A plain step of any direction: one of `called` and `plan`, and the model whose variables a tape is asked for."""

    event: Event
    model: Chain
    called: GradientCall | None = None
    plan: Plan | None = None

    @property
    def holder(self) -> str:
        """The text of the variable that holds the optimizer."""
        assert self.event.holder is not None
        return self.event.holder.text


def can_rewrite(event: Event, target: Framework) -> bool:
    """Tell whether there is a reader for such a step."""
    steps = target.facts.steps
    return event.holder is not None and steps.gradients is not Gradients.FUNCTION and event.kind in steps.written


def read_retargeted(step: Step, target: Framework) -> Retargeted:
    """Read a step that is to be written without a gradient function. Raises NotPlain."""
    if step.event.kind is Kind.CALL:
        called = read_gradient_call(step, target)
        taped = target.facts.steps.gradients is Gradients.TAPE
        return Retargeted(step.event, _one_model(step) if taped else (), called)
    if step.event.kind is Kind.APPLY_GRADIENTS:
        return Retargeted(step.event, (), None, _recorded_tape(step, target))
    step, refusal = read_stages(step, _STAGES)
    if refusal is not None:
        raise NotPlain(refusal)
    return Retargeted(step.event, _one_model(step), None, plan_of(step))


def _one_model(step: Step) -> Chain:
    """The model all of whose parameters, and nothing else, the optimizer was given. Raises NotPlain."""
    word = step.event.site.api.framework.facts.parameters.trainable
    for site in step.holder.sites:
        if len(step.models) != 1 or is_accessor(constructed_with(site), word) is None:
            raise NotPlain(Why.NOT_ONE_MODEL, optimizer=step.holder.text)
    if b"add_param_group" in step.source.body:
        raise NotPlain(Why.ADDS_GROUPS)
    step.check_model(step.models[0])
    return step.models[0]


def _recorded_tape(step: Step, target: Framework) -> Plan:
    """A gradient tape whose forward part is to stand without it: torch records what is before it, too. Raises NotPlain."""
    step, toggled = read_taped(step, target)
    bound = {name for item in step.region for name in step.effects.binds(item)}
    gone = {word.id for node in (step.backward, step.head) if node is not None for word in _stored(node)} - bound
    for name in sorted(gone):
        line = next((item.lineno for item in deleted(step, name)), None) or _left(step, name)
        if line is not None:
            raise NotPlain(Why.USED_OTHERWISE, name=name, line=line)
    History(step, bound).body(step.region)
    return taped_plan(step, toggled, step.region[0])


def _stored(node: ast.stmt) -> list[ast.Name]:
    """The names that a statement assigns, and those of its block."""
    return [item for item in inner(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)]


def _left(step: Step, name: str) -> int | None:
    """The line of another block that reads what would not be set any more, and does not set it itself."""
    variable = step.variable(name)
    uses = variable.uses if variable is not None else ()
    left = (use for use in uses if not step.inside(use, step.block) and not _is_set_before(step, use, name))
    return next((use.lineno for use in left), None)


def _is_set_before(step: Step, use: ast.expr, name: str) -> bool:
    """Tell whether a statement other than the step binds the name before a use, in its block or in one around it."""
    module = step.module
    at = module.statement(use)
    for item in (at, *(outer for outer in module.ancestors(at) if isinstance(outer, ast.stmt))):
        block, place = module.block(item)
        for other in block[:place]:
            apart = not any(inner is other for inner in (*step.block, *_around(step)))
            if apart and name in step.effects.binds(other):
                return True
    return False


def _around(step: Step) -> Sequence[ast.AST]:
    return list(step.module.ancestors(step.event.call))


def _no_clips(step: Step) -> Step:
    if step.clips:
        raise NotPlain(Why.CLIPPED, line=step.clips[0].statement.lineno)
    return step


def _check_needed(step: Step) -> Step:
    """Raises NotPlain where a value that the loss depends on is computed outside the block."""
    assert step.backward is not None
    check_computed_inside(step, flow([*step.region, *([] if step.loss else [step.backward])]).needed)
    _one_model(step)
    return step


def _flagged(step: Step) -> Step:
    """Find the models that the forward part calls in training mode, which a Keras model is told at each call."""
    found: list[Chain] = []
    for _, model in trained_models(step):
        if not is_trained_before(step, model) and evaluates(step.module):
            raise NotPlain(Why.EVALUATES_MODEL, model=".".join(model))
        found.append(model)
    return step._replace(modes=tuple(found))


_STAGES: Final[tuple[Stage, ...]] = (*BEGINNING, _no_clips, *MIDDLE, _check_needed, _flagged)


def model_calls(region: Sequence[ast.AST], models: Sequence[Chain]) -> list[ast.Call]:
    """The calls of models among nodes, which are not told yet that they are for training."""
    return [
        node
        for item in region
        for node in inner(item)
        if isinstance(node, ast.Call)
        and chain_of(node.func) in models
        and not any(word.arg == "training" for word in node.keywords)
    ]
