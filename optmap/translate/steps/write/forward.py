"""A plain training step to MindSpore's idiom: a forward function, `value_and_grad` over the optimizer's parameters, an update."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from optmap.source.changes import Change, Delete, Insert, Replace, Where
from optmap.source.model import Module
from optmap.source.templates import Block, Template, template
from optmap.source.text import Source
from optmap.translate.steps.read.plan import PlainStep, Ready
from optmap.translate.steps.write.clips import clipping, own_clipping
from optmap.values import NamedTuple


class StepNames(NamedTuple):
    """What the new function and variables are called, the spelling of value_and_grad, and how gradients are clipped.

    `total` is what gradients are added up in, `sums` the line that does so.
    """

    forward: str
    gradient_function: str
    gradients: str
    loss: str
    value_and_grad: str
    clip: Mapping[str, str] = {}
    total: str = ""
    sums: str = ""


def signature(plan: PlainStep, names: StepNames) -> tuple[str, str, str]:
    """The first line of the forward function, what it returns besides the loss, and the line that calls it."""
    loss = plan.loss or names.loss
    given = ", ".join(plan.arguments)
    targets = f"({', '.join((loss, *plan.returned))})" if plan.returned else loss
    call = f"{targets}, {names.gradients} = {names.gradient_function}({given})"
    return f"def {names.forward}({given}):", "".join(f", {name}" for name in plan.returned), call


def differentiate(plan: PlainStep, names: StepNames) -> str:
    """The line that makes the gradient function."""
    aux = ", has_aux=True" if plan.returned else ""
    return (
        f"{names.gradient_function} = {names.value_and_grad}({names.forward}, None, {plan.holder.text}.parameters{aux})"
    )


def step_changes(source: Source, plan: PlainStep, names: StepNames) -> Iterator[Change]:
    """The changes of one step."""
    _, _, call = signature(plan, names)
    lines = [*_modes(plan, on=True), call, *_modes(plan, on=False)]
    lines += [names.sums] * bool(names.sums)
    run = run_of(source, plan)
    yield _definition(plan, names, run)
    yield Replace((plan.head,) if plan.head is not None else run or plan.backward, Template("\n".join(lines)))
    yield from gone_changes(Module.of(source), plan, names.total)
    gradients = names.total or names.gradients
    for clip in plan.clips:
        yield Replace(clip.statement, Template(clipping(clip, names.clip, gradients)))
    own = own_clipping(plan, names.clip, gradients)
    yield Replace(plan.step, Template(f"{own}{plan.holder.text}({plan.clipped(gradients)})"))


def gone_changes(module: Module, plan: PlainStep, total: str) -> Iterator[Change]:
    """What goes with a step; a sum of gradients begins in front of the loop, and anew where they are cleared."""
    block, place = module.block(plan.loop) if plan.loop is not None else ((), 0)
    if plan.loop is not None and not any(item in block[:place] for item in plan.gone):
        yield Insert(plan.loop, Where.BEFORE, Template(f"{total} = None"))
    for statement in plan.gone:
        if plan.loop is not None and statement is not plan.backward:
            yield Replace(statement, Template(f"{total} = None"))
        elif statement is not plan.anchor:
            yield Delete(statement)


def run_of(source: Source, plan: PlainStep) -> Block:
    """The statements of the forward part, with those between them that go."""
    if not plan.region:
        return ()
    block, _ = Module.of(source).block(plan.region[0])
    places = [index for index, item in enumerate(block) if item is plan.region[0] or item is plan.region[-1]]
    return tuple(block[0 if plan.head is not None else places[0] : places[-1] + 1])


def ready_change(ready: Ready) -> Change:
    """Put models into training mode behind the statement that constructs their optimizer."""
    lines = (f"{'.'.join(model)}.set_train()" for model in ready.models)
    return Insert(ready.statement, Where.AFTER, Template("\n".join(lines)))


def _modes(plan: PlainStep, *, on: bool) -> list[str]:
    return [f"{'.'.join(model)}.set_train({'' if on else 'False'})" for model in plan.toggled]


def _definition(plan: PlainStep, names: StepNames, run: Block) -> Change:
    """The forward function and the gradient function, in front of the statement that they must stand before."""
    head, rest, _ = signature(plan, names)
    lines = [f"{'.'.join(model)}.set_train()" for model in plan.training]
    lines += [""] * bool(lines)
    plain = isinstance(plan.value, ast.Call | ast.Name | ast.Attribute | ast.Subscript)
    value = plan.loss or (plan.sum or ("$value" if plain else "($value)"))
    lines += [head, *(["    $body"] if run else []), f"    return {value}{rest}", "", differentiate(plan, names)]
    text = "\n".join(lines) + "\n" * isinstance(plan.hoist, ast.FunctionDef)
    return Insert(plan.hoist, Where.ABOVE, template(text, value=plan.value, **({"body": run} if run else {})))
