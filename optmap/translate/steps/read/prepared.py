"""Which statements only prepare what a step is given: no gradient of its parameters goes through them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from optmap.source.model import Binding, How
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.trained import Chain, values_of
from optmap.translate.steps.read.detached import DATA_METHODS, differentiable, records_nothing
from optmap.translate.steps.read.step import Step


def stays(step: Step, statement: ast.stmt) -> bool:
    """Tell whether no gradient of the optimizer's parameters goes through what a statement computes."""
    return prepares(step, statement) or _is_apart(step, statement)


def _is_apart(step: Step, statement: ast.stmt) -> bool:
    """Tell whether a statement only calls a model that another optimizer trains, made apart from those of this one."""
    call = statement.value if isinstance(statement, ast.Assign) else None
    chain = chain_of(call.func) if isinstance(call, ast.Call) else None
    if chain is None or not isinstance(call, ast.Call) or len(chain) > 1 or step.chain(call.func) is None:
        return False
    others = {model for holder in step.training.holders if holder.variable is not step.holder.variable
              for model in holder.models or ()}  # fmt: skip
    if chain not in others or chain in step.models or not step.models:
        return False
    inside = [item for part in (*call.args, *call.keywords) for item in inner(part)]
    if any(isinstance(item, ast.Call) and not _is_data(step, item, statement) for item in inside):
        return False
    made = [_made_with(step, model) for model in (chain, *step.models)]
    return all(names is not None and not names & {model[0] for model in (chain, *step.models)} for names in made)


def _is_data(step: Step, call: ast.Call, statement: ast.stmt) -> bool:
    return _handles_data(step, call.func, statement) and not step.mentions_model(call)


def _made_with(step: Step, model: Chain) -> set[str] | None:
    """The names in the one call that makes a model; None where there is none."""
    variable = step.variable(model[0]) if len(model) == 1 else None
    values = list(values_of(variable)) if variable is not None else []
    value = values[0] if len(values) == 1 else None
    if not isinstance(value, ast.Call):
        return None
    return {item.id for item in inner(value) if isinstance(item, ast.Name)}


def prepares(step: Step, statement: ast.stmt, seen: frozenset[ast.stmt] = frozenset()) -> bool:
    """Tell whether a statement only takes a batch apart or moves it: nothing that holds parameters is called.

    What gradients cannot flow through may be computed in any way. Those `seen` are being asked already.
    """
    if isinstance(statement, ast.With):
        return records_nothing(step.module, step.recording, statement) and step.loss not in step.effects.binds(
            statement
        )
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        trains = isinstance(function, ast.Attribute) and function.attr == "train"
        return trains and isinstance(function, ast.Attribute) and step.names_model(function.value)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    nodes = differentiable(step.module, step.recording, statement.value)
    if step.loss in step.effects.binds(statement) or _names_model(step, nodes):
        return False
    calls = (node for node in nodes if isinstance(node, ast.Call))
    return all(_handles_data(step, call.func, statement, seen) for call in calls)


def _names_model(step: Step, nodes: Iterable[ast.AST]) -> bool:
    return any(isinstance(item, ast.Name | ast.Attribute) and step.names_model(item) for item in nodes)


def _handles_data(step: Step, function: ast.expr, statement: ast.stmt, seen: frozenset[ast.stmt] = frozenset()) -> bool:
    """Tell whether a function that a statement calls is a method of data, or a function of a framework or of Python."""
    root = function
    while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
        root = root.func if isinstance(root, ast.Call) else root.value
    if not isinstance(root, ast.Name):
        return False
    if isinstance(function, ast.Name):
        return step.is_harmless(function) or _is_framework_value(step, function)
    if any(model[0] == root.id for model in step.models) or root.id in ("self", step.holder.chain[0]):
        return False
    variable = step.module.variable(root)
    if variable is None:
        return False
    if _is_framework_value(step, root):
        return True
    if not isinstance(function, ast.Attribute) or function.attr not in DATA_METHODS:
        return False
    loops = [node for node in step.module.ancestors(step.event.call) if isinstance(node, ast.For)]
    if any(item.loop is loop for item in variable.bindings for loop in loops):
        return True
    # `x = x.to(device)` leaves x what it is
    others = [item for item in variable.bindings if not step.inside(item.target, [statement])]
    called = any(step.module.call_of(use) is not None for use in variable.uses)
    made = [item for item in others if item.how is not How.PARAMETER]
    return bool(others) and not called and all(_is_data_made(step, item, seen | {statement}) for item in made)


def _is_data_made(step: Step, binding: Binding, seen: frozenset[ast.stmt]) -> bool:
    """Tell whether a variable is given data by a statement of the step's block."""
    statement = step.module.statement(binding.target)
    here = any(statement is item for item in step.block) and statement not in seen
    return here and prepares(step, statement, seen)


def _is_framework_value(step: Step, name: ast.Name) -> bool:
    """Tell whether a name is torch's or numpy's, or may hold nothing else, as in `Tensor = torch.FloatTensor`."""
    if is_framework(step, name, every=True):
        return True
    found = step.module.reaching(name)
    roots = [root_of(value) for value in found.values]
    chains = all(chain_of(value) is not None for value in found.values)
    return (
        found.complete
        and chains
        and bool(roots)
        and all(root is not None and is_framework(step, root, every=True) for root in roots)
    )


def is_framework(step: Step, name: ast.Name, *, every: bool) -> bool:
    """Tell whether a name leads to torch or numpy, in every case or in one."""
    found = [
        path is not None and path.partition(".")[0] in ("torch", "numpy") for path in step.module.paths(name)
    ]  # fmt: skip
    return bool(found) and (all(found) if every else any(found))
