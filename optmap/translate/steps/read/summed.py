"""Steps whose gradients are added up over several backward passes of a loop: what the loop adds, and where the sum is cleared."""

from __future__ import annotations

from optmap.mapping.frameworks import Kind
from optmap.source.flow import Loop
from optmap.translate.steps.read.clipping import find_clips
from optmap.translate.steps.read.forward import check_loss, with_forward
from optmap.translate.steps.read.isolation import check_gradient_words
from optmap.translate.steps.read.step import Step, is_backward, receiver, within
from optmap.translate.steps.reasons import NotPlain, Why


def find_summed(step: Step) -> Step:
    """Find the one backward pass, what computes its loss, and where the sum is cleared. Raises NotPlain."""
    module, own = step.module, step.training.by_place[id(step.function)]
    zeros = [event.call for event in own if event.kind is Kind.ZERO_GRAD and event.holder is step.event.holder]
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
    return check_gradient_words(check_loss(step))
