"""Is a torch training step plain: cleared gradients, one forward part, one backward pass, one step, nothing in between?

Only then can it become a forward function whose value and gradients are taken together.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Final

from optmap.mapping.frameworks import Kind
from optmap.source.syntax import chain_of
from optmap.translate.steps.read.clipping import find_clips
from optmap.translate.steps.read.forward import check_forward, find_clearing, find_forward, forward_part
from optmap.translate.steps.read.interface import check_interface, choose_interface
from optmap.translate.steps.read.isolation import check_between, check_company, check_contexts, check_step_layout
from optmap.translate.steps.read.modes import choose_modes
from optmap.translate.steps.read.plan import Plan
from optmap.translate.steps.read.step import Step, is_backward, receiver, stand
from optmap.translate.steps.reasons import NotPlain, Reason, Why

Stage = Callable[[Step], Step]


def find_step(step: Step) -> Step:
    """Find the statement of an `optimizer.step()`. Raises NotPlain."""
    if step.holder.doubt is not None:
        raise NotPlain(step.holder.doubt)
    if step.event.kind is Kind.SCALED_STEP:
        raise NotPlain(Why.SCALER_STEPS)
    if step.event.call.args or step.event.call.keywords:
        raise NotPlain(Why.CLOSURE)
    return stand(step, Why.RESULT_USED, Why.IN_LAMBDA_OR_CLASS)


BEGINNING: Final[tuple[Stage, ...]] = (
    find_step, find_clearing, find_forward, check_forward, check_contexts, find_clips,
)  # fmt: skip
MIDDLE: Final[tuple[Stage, ...]] = (check_company, check_step_layout, check_between)
_STAGES: Final = (*BEGINNING, *MIDDLE, choose_interface, check_interface, choose_modes)


def read_stages(step: Step, stages: Sequence[Stage]) -> tuple[Step, Reason | None]:
    """Read a step as far as it is plain: what is known of it, and why it is not plain, if it is not."""
    for stage in stages:
        try:
            step = stage(step)
        except NotPlain as error:
            return step, error.reason
    return step, None


def read_torch_step(step: Step) -> tuple[Step, Reason | None]:
    """Read a step around an `optimizer.step()`."""
    return read_stages(step, _STAGES)


def plan_of(step: Step) -> Plan:
    """The plan of a step that was read to its end."""
    assert step.statement is not None
    assert step.backward is not None
    gone = step.zeros if not step.region else (*step.zeros, step.backward)
    hoist = step.interface.hoist or step.anchor
    return Plan(
        step.event, step.holder, step.region, gone, step.backward, step.statement, hoist, step.loss, receiver(step.backward),
        step.interface.arguments, step.interface.returned, step.modes, step.ready, step.clips,
    )  # fmt: skip


def sketched(step: Step) -> Step:
    """Fill in what a step that is not plain would be given and give back, as far as that can be told."""
    if step.backward is None:
        step = _with_forward(step)
    if step.backward is not None and not step.interface.arguments:
        step = choose_interface(step)
    return step


def _with_forward(step: Step) -> Step:
    """Find the last backward pass before the step, and what its loss depends on, however many blocks around it."""
    module, call = step.module, step.event.call
    own = [item for item in map(module.statement, module.attributes("backward")) if step.home(item) is step.function]
    before = [
        item for item in own if isinstance(item, ast.Expr) and is_backward(item) and item.lineno <= call.lineno
    ]  # fmt: skip
    if not before:
        return step
    clearing = _clearing(step)
    lines = [item.lineno for item in clearing if isinstance(item, ast.Expr) and item.lineno < call.lineno]
    step = step._replace(backward=before[-1], total=_sum(step, before, max(lines, default=0)))
    around = {id(item) for other in clearing for item in (other, *module.ancestors(other))}
    clears = [item for item in module.block(before[-1])[0] if id(item) in around]
    value = step.value
    step = step._replace(loss=value.id if isinstance(value, ast.Name) else None)
    at: ast.AST | None = step.backward
    while isinstance(at, ast.stmt) and at is not step.function:
        block, place = module.block(at)
        step = step._replace(block=block)
        found = [block[index] for index in forward_part(step, place, value, clears)]
        step = step._replace(region=tuple(item for item in found if not is_backward(item)))
        if step.loss is None or any(step.loss in step.effects.binds(item) for item in step.region):
            break
        at = next((item for item in module.ancestors(at) if isinstance(item, ast.stmt | ast.Module)), None)
        scaled = _scaled(at, step.loss)
        value, step = (value, step) if scaled is None else (scaled, step._replace(loss=scaled.id))
    return step


def _clearing(step: Step) -> list[ast.stmt]:
    """The statements of the function that clear any gradients."""
    nodes = (*step.module.attributes("zero_grad"), *step.module.names("zero_grad"))
    return [item for item in map(step.module.statement, nodes) if step.home(item) is step.function]


def _sum(step: Step, passes: Sequence[ast.Expr], cleared: int) -> ast.expr | None:
    """The sum of the losses where several backward passes stand between clearing, on a line, and step."""
    last = [item for item in passes if item.lineno > cleared]
    block, _ = step.module.block(passes[-1])
    if len(last) < 2 or not all(item in block for item in last):
        return None
    texts = [
        f"({ast.unparse(item)})" if isinstance(item, ast.IfExp) else ast.unparse(item) for item in map(receiver, last)
    ]
    return ast.parse(" + ".join(texts), mode="eval").body


def _scaled(statement: ast.AST | None, name: str) -> ast.Name | None:
    """The loss behind `with amp.scale_loss(loss, optimizer) as name`."""
    for item in statement.items if isinstance(statement, ast.With | ast.AsyncWith) else ():
        call, bound = item.context_expr, item.optional_vars
        if isinstance(bound, ast.Name) and bound.id == name and isinstance(call, ast.Call) and call.args:
            scales = (chain_of(call.func) or ("",))[-1] == "scale_loss"
            return call.args[0] if scales and isinstance(call.args[0], ast.Name) else None
    return None
