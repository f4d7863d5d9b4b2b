"""Training steps of each kind as one value: what each kind, and each target, must prove."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Gradients, Kind
from optmap.source.flow import Loop, flow
from optmap.source.syntax import Function, chain_of, inner
from optmap.translate.discover.events import Event
from optmap.translate.discover.trained import Chain, constructed_with, whole_model
from optmap.translate.steps.read.clipping import find_clips
from optmap.translate.steps.read.forward import check_forward, find_clearing, find_forward
from optmap.translate.steps.read.interface import check_computed_inside, check_interface, choose_interface
from optmap.translate.steps.read.isolation import check_between, check_company, check_contexts, check_step_layout
from optmap.translate.steps.read.modes import (
    ASKED,
    choose_modes,
    evaluates,
    is_trained_before,
    made_models,
    modes_of,
    trained_models,
)
from optmap.translate.steps.read.plan import PlainStep
from optmap.translate.steps.read.reached import (
    check_cell_reached,
    check_frozen,
    check_function_reached,
    check_loss_reached,
    check_reached,
)
from optmap.translate.steps.read.step import Step, deleted, stand, within
from optmap.translate.steps.read.summed import check_summed, find_summed
from optmap.translate.steps.reasons import NotPlain, Reason, Why
from optmap.values import NamedTuple

if TYPE_CHECKING:
    from optmap.translate.steps.read.cells import StepCell
    from optmap.translate.steps.read.value_and_grad import GradientCall

_TORCH: Final = (Kind.STEP, Kind.SCALED_STEP)
READ: Final = (*_TORCH, Kind.APPLY_GRADIENTS, Kind.CALL, Kind.TRAIN_ONE_STEP)
"""The kinds of step that are read."""

Stage = Callable[[Step], Step]


class Retargeted(NamedTuple):
    """A step that was read: one of `called`, `cell` and `plan`, and the model whose variables a tape is asked for.

    `refusals` say why it is not rewritten, though it can be shown what it becomes. `others` are statements of its function
    that must belong to other steps that are rewritten, too. `scheduler` sets the optimizer's learning rate and is stepped with
    it.
    """

    event: Event
    model: Chain
    called: GradientCall | None = None
    plan: PlainStep | None = None
    refusals: tuple[Reason, ...] = ()
    others: tuple[ast.stmt, ...] = ()
    scheduler: str = ""
    cell: StepCell | None = None

    @property
    def holder(self) -> str:
        """The text of the variable that holds the optimizer."""
        assert self.event.holder is not None
        return self.event.holder.text


def keep_company(steps: Sequence[Retargeted]) -> tuple[list[Retargeted], list[Retargeted]]:
    """The steps whose function holds no other that stays as it is, none that shares its forward part, and the rest."""
    kept, left = list(steps), list[Retargeted]()
    while True:
        own = {id(item): {id(node) for node in _own(item)} for item in kept}
        known = set[int]().union(*own.values())
        regions = {
            id(item): {id(node) for node in item.plan.region} if item.plan is not None else set() for item in kept
        }
        alone = [
            item for item in kept
            if not all(id(other) in known for other in item.others)
            or any(regions[id(item)] & regions[id(one)] or own[id(item)] & own[id(one)] for one in kept if _apart(item, one))
        ]  # fmt: skip
        if not alone:
            return kept, left
        left += alone
        kept = [item for item in kept if not any(item is one for one in alone)]


def _apart(one: Retargeted, other: Retargeted) -> bool:
    """Tell whether two steps may have no statement in common."""
    heads = [item.plan.head if item.plan is not None and item.plan.shared else None for item in (one, other)]
    return one is not other and (heads[0] is None or heads[0] is not heads[1])


def _own(step: Retargeted) -> list[ast.stmt]:
    """The statements that make a step, beside its forward part."""
    plan = step.plan
    return [plan.step, plan.backward, *plan.gone, *(clip.statement for clip in plan.clips)] if plan is not None else []


def read_step(step: Step, target: Framework) -> Retargeted:
    """Read a step of one of the kinds that are read. Raises NotPlain where it cannot even be shown what it becomes."""
    gradients = target.facts.steps.gradients
    written = gradients in (Gradients.TAPE, Gradients.RECORDED)
    if step.event.kind is Kind.TRAIN_ONE_STEP:
        from optmap.translate.steps.read.cells import read_step_cell

        step, cell = read_step_cell(step, recorded=gradients is Gradients.RECORDED)
        step = check_frozen(step)
        model = _one_model(step) if gradients is Gradients.TAPE else ()
        return Retargeted(step.event, model, refusals=step.refusals, cell=cell)
    if step.event.kind is Kind.CALL:
        from optmap.translate.steps.read.value_and_grad import read_gradient_call

        step, called = read_gradient_call(step, target)
        step = check_frozen(step)
        if called.cell is not None:
            step = check_cell_reached(step, called.cell.model)
        step = check_function_reached(step, called.function) if called.function is not None else step
        model = _one_model(step) if gradients is Gradients.TAPE or step.clips else ()
        return Retargeted(step.event, model, called, None, step.refusals)
    if step.event.kind is Kind.APPLY_GRADIENTS:
        from optmap.translate.steps.read.tape import read_taped, taped_plan

        step, toggled = read_taped(step, target)
        if not written and step.loss is not None:
            step = check_loss_reached(step, step.region, ast.Name(step.loss))
        hoist = _check_recorded(step) if written else _hoisted(step := check_interface(choose_interface(step)))
        return Retargeted(step.event, (), None, taped_plan(step, toggled, hoist), step.refusals, step.others)
    try:
        step = _read_stages(step, _INLINE if written else _FUNCTION)
    except NotPlain as error:
        if not error.reason.accumulates or not target.facts.steps.shown.total:
            raise
        step = _read_stages(step, _SUMMED_INLINE if written else _SUMMED)
        step = check_summed(step, error.reason)
    model = _one_model(step) if written else ()
    return Retargeted(step.event, model, None, plan_of(step), step.refusals, step.others)


def _read_stages(step: Step, stages: Sequence[Stage]) -> Step:
    for stage in stages:
        try:
            step = stage(step)
        except NotPlain as error:
            if not error.reason.harmless:
                raise
            step = step.refuse(error.reason)
    return step


def _find_step(step: Step) -> Step:
    """Find the statement of an `optimizer.step()`. Raises NotPlain."""
    scaled = step.event.kind is Kind.SCALED_STEP
    if not scaled and (step.event.call.args or step.event.call.keywords):
        raise NotPlain(Why.CLOSURE)
    step = stand(step, Why.RESULT_USED, Why.IN_LAMBDA_OR_CLASS)
    return step.refuse(Why.SCALER_STEPS) if scaled else step


def plan_of(step: Step) -> PlainStep:
    """The plan of a step that was read to its end."""
    assert step.statement is not None
    assert step.backward is not None
    gone = (*step.zeros, *step.gone, *([step.backward] if step.region else []))
    hoist = step.interface.hoist or step.anchor
    return PlainStep(
        step.event, step.holder, step.region, gone, step.backward, step.statement, hoist, step.loss, step.value,
        step.interface.arguments, step.interface.returned, step.modes, step.ready, step.clips, loop=_adding(step),
    )  # fmt: skip


def _adding(step: Step) -> ast.stmt | None:
    """The outermost loop of the function that adds gradients up."""
    loops = [node for node in within(step.module, step.backward, step.function) if isinstance(node, Loop)]  # type: ignore[arg-type]
    return loops[-1] if step.summed else None


def _one_model(step: Step) -> Chain:
    """The model all of whose parameters, and nothing else, the optimizer was given. Raises NotPlain."""
    for site in step.holder.sites:
        if len(step.models) != 1 or whole_model(step.module, constructed_with(site), site) is None:
            raise NotPlain(Why.NOT_ONE_MODEL, optimizer=step.holder.text)
    if step.source.holds(b"add_param_group"):
        raise NotPlain(Why.ADDS_GROUPS)
    step.check_model(step.models[0])
    return step.models[0]


def _hoisted(step: Step) -> ast.stmt:
    """The statement that the forward function of a tape goes before."""
    hoist = step.interface.hoist
    return step.anchor if hoist is None or hoist is step.region[0] else hoist


def _check_recorded(step: Step) -> ast.stmt:
    """Where a forward part can stand without its tape: torch records what is before it, too. Raises NotPlain."""
    bound = {name for item in step.region for name in step.effects.binds(item)}
    ending = (step.head,) if step.shared else (step.backward, step.head)
    gone = {word.id for node in ending if node is not None for word in _stored(node)} - bound
    for name in sorted(gone):
        last = (item.lineno for item in deleted(step, name) if not step.inside(item, step.gone))
        line = next(last, None) or _left(step, name)
        if line is not None:
            raise NotPlain(Why.USED_OTHERWISE, name=name, line=line)
    from optmap.translate.steps.read.history import History

    History(step, bound).body(step.region)
    return step.region[0]


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


def _check_needed(step: Step) -> Step:
    """Raises NotPlain where a value that the loss depends on is computed outside the block."""
    assert step.backward is not None
    check_computed_inside(step, flow([*step.region, *([] if step.loss else [step.backward])]).needed)
    _one_model(step)
    return step


def _flagged(step: Step) -> Step:
    """Find the models that the forward part calls in training mode, which a Keras model is told at each call."""
    found: list[Chain] = []
    _check_front(step)
    for _, model in trained_models(step):
        if not is_trained_before(step, model) and evaluates(step.module):
            raise NotPlain(Why.EVALUATES_MODEL, model=".".join(model))
        found.append(model)
    others = dict(_other_models(step, found))
    for model, mode in others.items():
        if mode is None:
            step = step.refuse(Why.MODE_UNKNOWN, model=".".join(model))
    return step._replace(modes=(*found, *(model for model, mode in others.items() if mode == "train")))


def _check_front(step: Step) -> None:
    """Models that compute in front of the forward part are told that they are for training, too. Raises NotPlain."""
    front = computing(step.block, step.backward)
    called = {chain_of(node.func) for item in front for node in inner(item) if isinstance(node, ast.Call)}
    for item in front:
        for node in inner(item):
            chain = chain_of(node) if isinstance(node, ast.Attribute) and node.attr == "eval" else None
            if chain is not None and chain[:-1] in called:
                raise NotPlain(Why.IN_EVALUATION, model=".".join(chain[:-1]), line=item.lineno)


def computing(block: Sequence[ast.stmt], back: ast.stmt | None) -> Sequence[ast.stmt]:
    """The statements of a step's block in front of its backward pass, but for those of functions that stand among them."""
    place = next((index for index, item in enumerate(block) if item is back), 0)
    return [item for item in block[:place] if not isinstance(item, Function | ast.ClassDef)]


def _other_models(step: Step, trained: Sequence[Chain]) -> Iterator[tuple[Chain, str | None]]:
    """The models beside those that are trained, such as teachers, that the forward part calls, with their mode if it is sure."""
    asked = {chain_of(node.value) for name in ASKED for node in step.module.attributes(name)}
    made = made_models(step.module)
    front = computing(step.block, step.backward)
    nodes = (node for item in (*front, step.value) for node in inner(item) if isinstance(node, ast.Call))
    called = {chain: node.lineno for node in nodes if (chain := step.chain(node.func)) is not None}
    for model, line in called.items():
        if model in trained or not (model in made or model in asked):
            continue
        modes = modes_of(step.module, model)
        if modes and set(modes.values()) == {"eval"} and max(modes) < line:
            yield model, "eval"
        else:
            yield model, "train" if model in made and "eval" not in modes.values() else None


_BEGINNING: Final[tuple[Stage, ...]] = (
    _find_step, find_clearing, find_forward, check_forward, check_contexts, find_clips,
)  # fmt: skip
_MIDDLE: Final[tuple[Stage, ...]] = (check_company, check_step_layout, check_between)
_ENDS: Final[tuple[Stage, ...]] = (choose_interface, check_interface, check_frozen, check_reached, choose_modes)
_FUNCTION: Final = (*_BEGINNING, *_MIDDLE, *_ENDS)
_INLINE: Final = (*_BEGINNING, *_MIDDLE, _check_needed, check_frozen, _flagged)
_SUMMED: Final = (_find_step, find_summed, check_contexts, *_ENDS)
_SUMMED_INLINE: Final = (_find_step, find_summed, check_contexts, _check_needed, _flagged)


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
