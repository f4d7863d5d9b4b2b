"""Where gradients are cleared, where they are computed, and which statements compute the loss."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import Final

from optmap.mapping.frameworks import Kind
from optmap.source.flow import effect_of
from optmap.source.model import How
from optmap.source.paths import root_of
from optmap.source.syntax import Function, chain_of, inner
from optmap.translate.discover.events import Event, place_of
from optmap.translate.discover.holders import uses_of
from optmap.translate.steps.read.step import Step, is_backward, receiver, shown
from optmap.translate.steps.reasons import NotPlain, Why

DATA_METHODS: Final = frozenset(
    {"to", "cuda", "cpu", "float", "double", "half", "int", "long", "bool", "type", "type_as", "view", "reshape", "flatten",
     "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "clone", "detach", "repeat", "expand", "t", "size", "dim",
     "astype", "numpy", "get", "pop", "items", "keys", "values", "requires_grad_"}
)  # fmt: skip
"""Methods of tensors, arrays and batches that hold no parameters."""
GROUND: Final = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.With, ast.Assert, ast.Pass)
"""The kinds of statement that may move into a function."""
_INNER: Final = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_PARAMETERS: Final = ("weight", "bias", "training")
_STEPS: Final = (Kind.STEP, Kind.SCALED_STEP)


def find_clearing(step: Step) -> Step:
    """Find the statements of the block that clear the gradients. Raises NotPlain."""
    mine = step.training.by_holder[id(step.event.holder)]
    events = [item for item in mine if item.kind is Kind.ZERO_GRAD and _concerns(step, item)]
    calls = {id(event.call): event.call for event in events}
    found = []
    for statement in step.block:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and (id(call) in calls or _clears_model(step, call)):
            if any(not isinstance(item.value, ast.Constant) for item in call.keywords) or call.args:
                raise NotPlain(Why.CLEARING_ARGUMENTS, line=call.lineno)
            found.append(statement)
            calls.pop(id(call), None)
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


def _clears_model(step: Step, call: ast.Call) -> bool:
    function = call.func
    clears = isinstance(function, ast.Attribute) and function.attr == "zero_grad" and len(step.models) == 1
    return clears and isinstance(function, ast.Attribute) and step.names_model(function.value)


def find_forward(step: Step) -> Step:
    """Find the backward pass and, going back from it, the statements that compute the loss. Raises NotPlain."""
    assert step.statement is not None
    before = step.block[: step.block.index(step.statement)]
    places = [index for index, item in enumerate(before) if is_backward(item)]
    if not places:
        raise NotPlain(Why.NO_BACKWARD)
    if len(places) > 1:
        raise NotPlain(Why.SEVERAL_BACKWARD, count=len(places))
    back = step.block[places[0]]
    assert isinstance(back, ast.Expr)
    value = receiver(back)
    step = step._replace(backward=back, loss=value.id if isinstance(value, ast.Name) else None)
    found = forward_part(step, places[0], value, step.zeros)
    extent = step.block[found[0] : found[-1] + 1] if found else ()
    return step._replace(region=tuple(item for item in extent if item not in step.zeros))


def check_forward(step: Step) -> Step:
    """Raises NotPlain where the backward pass or the forward part is not plain."""
    assert step.backward is not None
    call = step.backward.value
    if isinstance(call, ast.Call) and (call.args or call.keywords):
        raise NotPlain(Why.BACKWARD_ARGUMENTS, given=ast.unparse(call.keywords[0] if call.keywords else call.args[0]))
    place = step.block.index
    if any(place(step.backward) < place(zero) < place(step.statement) for zero in step.zeros):
        raise NotPlain(Why.CLEARED_BEFORE_STEP)
    if not any(place(zero) < place(step.backward) for zero in step.zeros):
        _check_left(step)
    if step.loss is not None and not any(step.loss in step.effects.binds(item) for item in step.region):
        raise NotPlain(Why.LOSS_ELSEWHERE, loss=step.loss)
    check_region(step)
    _check_called(step)
    return step


def _check_left(step: Step) -> None:
    """Where gradients are cleared after the step, another backward pass may add to them before the next."""
    for node in step.module.attributes("backward"):
        statement = step.module.statement(node)
        if is_backward(statement) and statement is not step.backward:
            raise NotPlain(Why.ADDED_AFTER_CLEARING, line=statement.lineno)


def forward_part(step: Step, end: int, value: ast.expr, zeros: Collection[ast.stmt]) -> list[int]:
    """Indices of the statements of the block before one that a value depends on, data preparation left out."""
    wanted, effects = effect_of(ast.Expr(value)).wants, step.effects
    found: list[int] = []
    for index in range(end - 1, -1, -1):
        statement = step.block[index]
        if statement in zeros or isinstance(statement, Function | ast.ClassDef | ast.Import | ast.ImportFrom):
            continue
        if _sets_mode(statement):
            continue
        _, changed, read = effects.effect(statement)
        if changed & wanted or ("self" in changed and any(name.startswith("self.") for name in wanted)):
            found.insert(0, index)
            wanted |= read
    while found and prepares(step, step.block[found[0]]) and not _grows(step, found):
        found.pop(0)
    return found


def _grows(step: Step, found: Sequence[int]) -> bool:
    """Tell whether the first statement makes an object that the following ones change: it must move with them."""
    first, *rest = (step.block[index] for index in found)
    made = step.effects.binds(first)
    effects = (step.effects.effect(item) for item in rest)
    return any(made & (item.changes - item.binds) for item in effects)


def prepares(step: Step, statement: ast.stmt) -> bool:
    """Tell whether a statement only takes a batch apart or moves it: nothing that holds parameters is called."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        trains = isinstance(function, ast.Attribute) and function.attr == "train"
        return trains and isinstance(function, ast.Attribute) and step.names_model(function.value)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    if step.loss in step.effects.binds(statement) or step.mentions_model(statement.value):
        return False
    calls = (node for node in inner(statement.value) if isinstance(node, ast.Call))
    return all(_handles_data(step, call.func, statement) for call in calls)


def _handles_data(step: Step, function: ast.expr, statement: ast.stmt) -> bool:
    """Tell whether a function that a statement calls is a method of data, or a function of a framework or of Python."""
    root = function
    while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
        root = root.func if isinstance(root, ast.Call) else root.value
    if not isinstance(root, ast.Name):
        return False
    if isinstance(function, ast.Name):
        return step.is_harmless(function)
    if any(model[0] == root.id for model in step.models) or root.id in ("self", step.holder.chain[0]):
        return False
    variable = step.module.variable(root)
    if variable is None:
        return False
    if is_framework(step, root, every=True):
        return True
    if not isinstance(function, ast.Attribute) or function.attr not in DATA_METHODS:
        return False
    loops = [node for node in step.module.ancestors(step.event.call) if isinstance(node, ast.For)]
    if any(item.loop is loop for item in variable.bindings for loop in loops):
        return True
    # `x = x.to(device)` leaves x what it is
    others = [item for item in variable.bindings if not step.inside(item.target, [statement])]
    called = any(
        isinstance(call := step.module.parent(use), ast.Call) and call.func is use for use in variable.uses
    )  # fmt: skip
    return bool(others) and all(item.how is How.PARAMETER for item in others) and not called


def is_framework(step: Step, name: ast.Name, *, every: bool) -> bool:
    """Tell whether a name leads to torch or numpy, in every case or in one."""
    found = [
        path is not None and path.partition(".")[0] in ("torch", "numpy") for path in step.module.paths(name)
    ]  # fmt: skip
    return bool(found) and (all(found) if every else any(found))


def check_region(step: Step) -> None:
    """The forward part must be able to stand in a function of its own. Raises NotPlain."""
    held = step.holder.variable
    places = [*uses_of(step.module, held), *(item.target for item in held.bindings)]
    for statement in step.region:
        nodes = inner(statement)
        for node in nodes:
            _check_node(node)
        _check_memory(step, nodes)
        if any(step.inside(node, [statement]) for node in places):
            raise NotPlain(Why.USES_OPTIMIZER, optimizer=step.holder.text, line=statement.lineno)


def _check_node(node: ast.AST) -> None:
    if isinstance(node, ast.stmt) and not isinstance(node, GROUND):
        raise NotPlain(Why.NO_FUNCTION_BODY, line=node.lineno)
    if isinstance(node, _INNER):
        raise NotPlain(Why.INNER_ASSIGNMENT, line=node.lineno)
    if isinstance(node, ast.With):
        raise NotPlain(Why.FORWARD_CONTEXT, context=shown(node.items[0].context_expr), line=node.lineno)
    if (isinstance(node, ast.Attribute) and node.attr == "backward") or (
        isinstance(node, ast.Name) and node.id == "backward"
    ):
        raise NotPlain(Why.INNER_BACKWARD, line=node.lineno)
    if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno:
        raise NotPlain(Why.LONG_STRING, line=node.lineno)


def _check_memory(step: Step, nodes: Sequence[ast.AST]) -> None:
    """What a model has kept of earlier calls may carry gradients, which only a forward function's own calls have."""
    for node in nodes:
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        outer = step.module.parent(node)
        if isinstance(outer, ast.Attribute) or (isinstance(outer, ast.Call) and outer.func is node):
            continue
        model, chain = step.model_of(node), chain_of(node)
        if model is not None and chain is not None and chain != model and chain[-1] not in _PARAMETERS:
            raise NotPlain(Why.MODEL_MEMORY, attribute=".".join(chain), line=node.lineno)


def _check_called(step: Step) -> None:
    """The forward part must run the model, or something that may: gradients of earlier calls would be lost."""
    assert step.backward is not None
    for node in (node for item in (*step.region, step.backward) for node in inner(item)):
        chain = chain_of(node.func) if isinstance(node, ast.Call) and node is not step.backward.value else None
        if chain is None or not isinstance(node, ast.Call):
            continue
        if (chain[0] == "self" and len(chain) == 2) or step.model_of(node.func) is not None:
            return
        root = root_of(node.func)
        bound = root is not None and step.module.variable(root) is not None
        if bound and isinstance(node.func, ast.Name) and not is_framework(step, node.func, every=False):
            return
    raise NotPlain(Why.MODEL_NOT_CALLED)


def _sets_mode(statement: ast.stmt) -> bool:
    """`model.train()` and `model.eval()` compute nothing."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr in ("train", "eval")
