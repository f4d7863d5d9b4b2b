"""Where gradients are cleared, where they are computed, and which statements compute the loss."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from optmap.mapping.frameworks import Kind
from optmap.source.flow import Loop, flow
from optmap.source.model import How
from optmap.source.syntax import Function, chain_of, inner
from optmap.translate.discover.events import Event, place_of
from optmap.translate.discover.trained import is_accessor
from optmap.translate.steps.read.detached import needed_with_gradients
from optmap.translate.steps.read.prepared import prepares, stays
from optmap.translate.steps.read.region import check_called, check_region
from optmap.translate.steps.read.step import Step, is_backward, receiver
from optmap.translate.steps.reasons import NotPlain, Why, because

_STEPS: Final = (Kind.STEP, Kind.SCALED_STEP)


def find_clearing(step: Step) -> Step:
    """Find the statements of the block that clear the gradients. Raises NotPlain."""
    mine = step.training.by_holder[id(step.event.holder)]
    events = [item for item in mine if item.kind is Kind.ZERO_GRAD and _concerns(step, item)]
    calls = {id(event.call): event.call for event in events}
    found = []
    for statement in step.block:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and (id(call) in calls or clears_model(step, call)):
            if any(not isinstance(item.value, ast.Constant) for item in call.keywords) or call.args:
                step = step.refuse(Why.CLEARING_ARGUMENTS, line=call.lineno)
            found.append(statement)
            calls.pop(id(call), None)
        elif isinstance(statement, ast.For) and _clears_each(step, statement):
            found.append(statement)
    if calls:
        raise NotPlain(Why.CLEARED_ELSEWHERE, line=next(iter(calls.values())).lineno)
    if not found:
        raise NotPlain(Why.NEVER_CLEARED)
    return step._replace(zeros=tuple(found))


def _concerns(step: Step, zero: Event) -> bool:
    """Gradients that are cleared in another function belong to the step there, if there is one."""
    there = place_of(step.module, zero)
    beside = step.training.by_place[id(there)]
    return there is step.function or not any(item.kind in _STEPS and item.holder is zero.holder for item in beside)


def clears_model(step: Step, call: ast.Call) -> bool:
    function = call.func
    clears = isinstance(function, ast.Attribute) and function.attr == "zero_grad" and len(step.models) == 1
    return clears and isinstance(function, ast.Attribute) and step.names_model(function.value)


def _clears_each(step: Step, loop: ast.For) -> bool:
    """`for p in model.parameters(): p.grad = None`, or one that sets what is no None to zero."""
    over = is_accessor(loop.iter, step.event.site.api.framework.facts.parameters.trainable)
    name = loop.target.id if isinstance(loop.target, ast.Name) else ""
    if over is None or len(step.models) != 1 or not step.names_model(loop.iter.func.value) or loop.orelse:  # type: ignore[attr-defined]
        return False
    body = loop.body
    if len(body) == 1 and isinstance(body[0], ast.If) and not body[0].orelse:
        body = body[0].body if ast.unparse(body[0].test) == f"{name}.grad is not None" else []
    texts = [ast.unparse(item) for item in body]
    zeros = (f"{name}.grad = None", f"{name}.grad.zero_()", f"{name}.grad.data.zero_()")
    return texts[-1:] != [] and texts[-1] in zeros and set(texts[:-1]) <= {f"{name}.grad.detach_()"}


def find_forward(step: Step) -> Step:
    """Find the backward pass and, going back from it, the statements that compute the loss. Raises NotPlain."""
    assert step.statement is not None
    end = step.block.index(step.statement)
    start = max((place + 1 for place, item in enumerate(step.block[:end]) if item in step.zeros), default=0)
    values = {
        place: value for place in range(start, end) if (value := differentiated(step, step.block[place])) is not None
    }
    if not values:
        raise NotPlain(Why.NO_BACKWARD)
    passes = [step.block[place] for place in values]
    value = list(values.values())[-1]
    if len(values) > 1:
        value = _sum(step, list(values.values()))
        if not all(map(is_backward, passes)):
            step = step.refuse(Why.SEVERAL_BACKWARD, count=len(passes))
    elif not is_backward(passes[0]):
        step = step.refuse(Why.SCALER, line=passes[0].lineno)
    return with_forward(step, passes, value)


def with_forward(step: Step, passes: Sequence[ast.stmt], value: ast.expr) -> Step:
    """Fill in what the loss depends on, before backward passes in the step's block."""
    back = passes[-1]
    assert isinstance(back, ast.Expr | ast.With)
    step = step._replace(backward=back, loss=value.id if isinstance(value, ast.Name) else None, total=value)
    found = forward_part(step, step.block.index(back), value, [*step.zeros, *passes])
    extent = step.block[found[0] : found[-1] + 1] if found else ()
    region = tuple(item for item in extent if item not in step.zeros and item not in passes)
    return step._replace(region=region, gone=(*passes[:-1], *_scaling(step)))


def differentiated(step: Step, statement: ast.stmt) -> ast.expr | None:
    """The loss of `loss.backward()`, without a gradient scaler in `scaler.scale(loss)` and `with amp.scale_loss(loss, ...)`."""
    if is_backward(statement) and isinstance(statement, ast.Expr):
        value = receiver(statement)
        scaled = step.event.kind is Kind.SCALED_STEP and isinstance(value, ast.Call) and len(value.args) == 1
        return value.args[0] if scaled and isinstance(value, ast.Call) else value
    call = statement.items[0].context_expr if isinstance(statement, ast.With) else None
    scales = isinstance(call, ast.Call) and (chain_of(call.func) or ("",))[-1] == "scale_loss" and call.args
    alone = isinstance(statement, ast.With) and len(statement.body) == 1 and is_backward(statement.body[0])
    return call.args[0] if scales and alone and isinstance(call, ast.Call) else None


def _scaling(step: Step) -> Iterator[ast.stmt]:
    """`scaler.unscale_(optimizer)` and `scaler.update()` beside a step that a gradient scaler makes."""
    function = step.event.call.func
    scaler = chain_of(function.value) if isinstance(function, ast.Attribute) else None
    for item in step.block if step.event.kind is Kind.SCALED_STEP else ():
        call = item.value if isinstance(item, ast.Expr) else None
        chain = chain_of(call.func) if isinstance(call, ast.Call) else None
        if chain is not None and scaler is not None and chain[:-1] == scaler and chain[-1] in ("unscale_", "update"):
            yield item


def _sum(step: Step, losses: Sequence[ast.expr]) -> ast.expr:
    """The sum of losses, each of which must have kept its value: a variable that is bound once."""
    names = [item.id for item in losses if isinstance(item, ast.Name)]
    bound = [name for item in step.block for name in step.effects.binds(item)]
    if len(set(names)) < len(losses) or any(bound.count(name) > 1 for name in names):
        raise NotPlain(Why.LOSSES_REBOUND, line=losses[-1].lineno)
    value: ast.expr = ast.Name(names[0], ast.Load())  # which has no place in the file
    for name in names[1:]:
        value = ast.BinOp(value, ast.Add(), ast.Name(name, ast.Load()))
    return value


def check_forward(step: Step) -> Step:
    """Raises NotPlain where the backward pass or the forward part is not plain."""
    assert step.backward is not None
    for statement in (step.backward, *step.gone):
        call = statement.value if is_backward(statement) and isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and (call.args or call.keywords):
            step = _retained(step, call)
    place = step.block.index
    if any(place(step.backward) < place(zero) < place(step.statement) for zero in step.zeros):
        raise NotPlain(Why.CLEARED_BEFORE_STEP)
    if not any(place(zero) < place(step.backward) for zero in step.zeros):
        _check_left(step)
    return check_loss(step)


def check_loss(step: Step) -> Step:
    """Raises NotPlain where the loss cannot be computed in a function of its own."""
    losses = [item.id for item in inner(step.value) if isinstance(item, ast.Name)] if step.gone else [step.loss]
    for loss in losses:  # the sum of several, or one
        if loss is not None and not any(loss in step.effects.binds(item) for item in step.region):
            raise NotPlain(Why.LOSS_ELSEWHERE, loss=loss)
    step = check_region(step)
    check_called(step)
    return step


def _retained(step: Step, call: ast.Call) -> Step:
    """A graph may be retained for another pass, or for nothing; other arguments change the gradients. Raises NotPlain."""
    given = ast.unparse(call.keywords[0] if call.keywords else call.args[0])
    refusal = because(Why.BACKWARD_ARGUMENTS, given=given)
    if not call.args and all(item.arg == "retain_graph" for item in call.keywords):
        return step if _is_fresh(step) else step.refuse(refusal)
    raise NotPlain(refusal)


def _is_fresh(step: Step) -> bool:
    """Tell whether one backward pass goes through a graph that is made anew for it: nothing in it was computed for another."""
    module = step.module
    passes = [node for node in module.attributes("backward") if step.home(node) is step.function]
    loop = next((node for node in step.around() if isinstance(node, Loop)), None)
    models = {model[0] for model in step.models}
    for use in flow([*step.region, *([] if step.loss else [ast.Expr(step.value)])]).needed:
        variable = step.variable(use.name)
        for binding in variable.bindings if variable is not None and not use.called else ():
            if binding.how is How.PARAMETER and not (use.name in models or _is_batch(step, binding.target)):
                return False
            if loop is None:
                continue
            statement = module.statement(binding.target)
            before = step.inside(statement, step.block[: step.block.index(step.region[0])]) and prepares(
                step, statement
            )
            inside = any(item is loop for item in module.ancestors(statement))
            if inside and statement is not loop and binding.how is not How.LOOP and not before:
                return False
    return len(passes) == 1 and bool(step.region)


def _is_batch(step: Step, argument: ast.AST) -> bool:
    """Tell whether every caller gives an argument what a loop runs over."""
    passed = step.module.passed(argument) if isinstance(argument, ast.arg) else None
    if passed is None or passed.unknown is not None or not passed.values:
        return False
    found = [step.module.variable(value) for value in passed.values]
    return all(item is not None and all(one.how is How.LOOP for one in item.bindings) for item in found)


def _check_left(step: Step) -> None:
    """Where gradients are cleared after the step, another backward pass may add to them before the next."""
    for node in step.module.attributes("backward"):
        statement = step.module.statement(node)
        if is_backward(statement) and statement is not step.backward:
            raise NotPlain(Why.ADDED_AFTER_CLEARING, line=statement.lineno)


def forward_part(step: Step, end: int, value: ast.expr, zeros: Collection[ast.stmt]) -> list[int]:
    """Indices of the statements of the block before one that a value depends on, data preparation left out."""
    wanted, effects = needed_with_gradients(step.module, step.recording, ast.Expr(value)), step.effects
    found: list[int] = []
    for index in range(end - 1, -1, -1):
        statement = step.block[index]
        if statement in zeros or isinstance(statement, Function | ast.ClassDef | ast.Import | ast.ImportFrom):
            continue
        if _sets_mode(statement):
            continue
        changed = effects.effect(statement).changes
        if changed & wanted or ("self" in changed and any(name.startswith("self.") for name in wanted)):
            found.insert(0, index)
            wanted -= _surely_bound(statement)
            wanted |= needed_with_gradients(step.module, step.recording, statement)
    while found and stays(step, step.block[found[0]]) and not _goes_on(step, found):
        found.pop(0)
    return found


def _surely_bound(statement: ast.stmt) -> set[str]:
    """The names that a statement gives new values, whatever they held before."""
    nodes: list[ast.expr] = list(statement.targets) if isinstance(statement, ast.Assign) else []
    for node in nodes:  # grows while it is walked
        nodes += node.elts if isinstance(node, ast.Tuple | ast.List) else []
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _goes_on(step: Step, found: Sequence[int]) -> bool:
    """Tell whether the first statement must move with the others: they change an object that it makes, or compute anew, for the
    next time, what it reads.
    """
    first, *rest = (step.effects.effect(item) for item in step.block[found[0] : found[-1] + 1])
    changes = frozenset[str]().union(*(item.changes - item.binds for item in rest))
    return bool(first.binds & changes) or any(first.wants & item.binds for item in rest)


def _sets_mode(statement: ast.stmt) -> bool:
    """`model.train()` and `model.eval()` compute nothing."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr in ("train", "eval")
