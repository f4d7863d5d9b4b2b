"""Steps whose gradients are added up over several backward passes of a loop: what the loop adds, and where the sum is cleared."""

from __future__ import annotations

import ast

from optmap.mapping.frameworks import Kind
from optmap.source.flow import Loop
from optmap.source.model import Module
from optmap.source.syntax import Comprehension
from optmap.translate.steps.read.clipping import find_clips
from optmap.translate.steps.read.forward import check_loss, clears_model, with_forward
from optmap.translate.steps.read.isolation import check_gradient_words, check_harmless
from optmap.translate.steps.read.step import Step, is_backward, receiver, within
from optmap.translate.steps.reasons import NotPlain, Reason, Why


def find_summed(step: Step) -> Step:
    """Find the one backward pass, what computes its loss, and where the sum is cleared. Raises NotPlain."""
    module, own = step.module, step.training.by_place[id(step.function)]
    zeros = [event.call for event in own if event.kind is Kind.ZERO_GRAD and event.holder is step.event.holder]
    calls = (module.parent(node) for node in module.attributes("zero_grad") if step.home(node) is step.function)
    zeros += (call for call in calls if isinstance(call, ast.Call) and clears_model(step, call) and not call.args)
    if step.event.kind is Kind.SCALED_STEP:
        raise NotPlain(Why.SCALER_STEPS)
    if not zeros:
        raise NotPlain(Why.NEVER_CLEARED)
    if any(event.kind is not Kind.ZERO_GRAD and event is not step.event for event in own):
        raise NotPlain(Why.SEVERAL_PLACES)
    found = dict.fromkeys(map(module.statement, module.attributes("backward")))
    passes = [item for item in found if step.home(item) is step.function and is_backward(item)]
    if len(passes) != 1:
        raise NotPlain(Why.SEVERAL_BACKWARD, count=len(passes))
    (back,) = passes
    if not any(isinstance(node, Loop) for node in within(module, back, step.function)):
        raise NotPlain(Why.SUMMED_ACROSS_CALLS, function=getattr(step.function, "name", "the module"))
    step = find_clips(step._replace(zeros=tuple(map(module.statement, zeros)), backward=step.statement))
    step = with_forward(step._replace(block=module.block(back)[0]), passes, receiver(back))  # type: ignore[arg-type]
    return check_gradient_words(check_loss(step._replace(summed=True)))


def check_summed(step: Step, reason: Reason) -> Step:
    """Refuse to rewrite a step whose sum may go on from one call of its function to the next, or be used before it is made."""
    module, back, update = step.module, step.backward, step.event.call
    assert back is not None
    around = [item for item in module.ancestors(update) if isinstance(item, ast.stmt)]
    block, place = module.block(back)
    behind = [
        item for item in (module.statement(update), *around) if any(item is other for other in block[place + 1 :])
    ]
    if not behind or not (_begins_cleared(step) or _runs_once(module, step.function)):
        return step.refuse(reason)
    first = block.index(step.region[-1]) + 1 if step.region else place
    for statement in block[first:place]:
        if statement not in step.zeros:
            check_harmless(step, statement, may_jump=True)
    return step


def _begins_cleared(step: Step) -> bool:
    """Tell whether the sum is cleared in a block around the loop that adds to it, before that loop."""
    module = step.module
    assert step.backward is not None
    inner = next(node for node in within(module, step.backward, step.function) if isinstance(node, Loop))
    outer = [inner, *(node for node in within(module, inner, step.function) if isinstance(node, ast.stmt))]
    return any(zero in module.block(item)[0][: module.block(item)[1]] for item in outer for zero in step.zeros)


def _runs_once(module: Module, function: ast.AST, depth: int = 3) -> bool:
    """Tell whether the file runs a function once, or it is the module."""
    if function is module.tree:
        return True
    calls = module.callers(function)
    if calls is None or len(calls) != 1 or not depth:
        return False
    outer = module.function_of(calls[0]) or module.tree
    looped = any(isinstance(item, Loop | Comprehension) for item in within(module, calls[0], outer))
    return not looped and _runs_once(module, outer, depth - 1)
