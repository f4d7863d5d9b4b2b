"""Can the forward part of a step stand in a function of its own, or under a gradient tape?"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from optmap.mapping.frameworks import Kind
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.holders import uses_of
from optmap.translate.steps.read.detached import cut_off, records_nothing
from optmap.translate.steps.read.prepared import is_framework
from optmap.translate.steps.read.step import Step, shown
from optmap.translate.steps.reasons import NotPlain, Why

GROUND: Final = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.With, ast.Assert, ast.Pass)
"""The kinds of statement that may move into a function."""
_INNER: Final = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_PARAMETERS: Final = ("weight", "bias", "training")


def check_region(step: Step) -> Step:
    """The forward part must be able to stand in a function of its own. Raises NotPlain."""
    held = step.holder.variable
    places = [*uses_of(step.module, held), *(item.target for item in held.bindings)]
    updates = {id(event.call) for event in step.training.events if event.kind is not Kind.ZERO_GRAD}
    for statement in step.region:
        nodes = inner(statement)
        for node in nodes:
            if id(node) in updates:
                raise NotPlain(Why.INNER_STEP, line=statement.lineno)
            if isinstance(node, ast.With) and is_autocast(step, node):
                step = step.refuse(Why.FORWARD_CONTEXT, context=shown(node.items[0].context_expr), line=node.lineno)
            elif isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno:
                step = step.refuse(Why.LONG_STRING, line=node.lineno)
            elif not (isinstance(node, ast.With) and cut_off(step.module, step.recording, node)):
                _check_node(node)
        _check_memory(step, nodes)
        if any(step.inside(node, [statement]) for node in places):
            raise NotPlain(Why.USES_OPTIMIZER, optimizer=step.holder.text, line=statement.lineno)
    return step


def is_autocast(step: Step, statement: ast.With | ast.AsyncWith) -> bool:
    """Tell whether a context only lowers the precision, as torch.autocast does."""
    calls = [item.context_expr.func for item in statement.items if isinstance(item.context_expr, ast.Call)]
    paths = [path for call in calls for path in step.module.paths(call)]
    return (
        len(calls) == len(statement.items) and all((path or "").endswith(".autocast") for path in paths) and bool(paths)
    )


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


def _check_memory(step: Step, nodes: Sequence[ast.AST]) -> None:
    """What a model has kept of earlier calls may carry gradients, which only a forward function's own calls have."""
    for node in nodes:
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        if isinstance(step.module.parent(node), ast.Attribute) or step.module.call_of(node) is not None:
            continue
        model, chain = step.model_of(node), chain_of(node)
        if model is not None and chain is not None and chain != model and not _is_fixed(step, node):
            raise NotPlain(Why.MODEL_MEMORY, attribute=".".join(chain), line=node.lineno)


def _is_fixed(step: Step, node: ast.Attribute) -> bool:
    """Tell whether an attribute of a model is a parameter, or is set where the model is made and nowhere else."""
    owner = step.module.instance(node.value)
    variable = step.module.attribute_of(owner, node.attr) if owner is not None else None
    makers = (
        {getattr(step.module.function_of(item.target), "name", "") for item in variable.bindings} if variable else set()
    )
    return node.attr in _PARAMETERS or makers == {"__init__"}


def check_called(step: Step) -> None:
    """The forward part must run the model, or something that may: gradients of earlier calls would be lost."""
    for node in (node for item in (*step.region, step.value) for node in inner(item)):
        chain = chain_of(node.func) if isinstance(node, ast.Call) else None
        if chain is None or not isinstance(node, ast.Call):
            continue
        if (chain[0] == "self" and len(chain) == 2) or step.model_of(node.func) is not None:
            return
        root = root_of(node.func)
        bound = root is not None and step.module.variable(root) is not None
        if bound and isinstance(node.func, ast.Name) and not is_framework(step, node.func, every=False):
            return
    for item in step.block:
        if (
            isinstance(item, ast.With)
            and records_nothing(step.module, step.recording, item)
            and step.mentions_model(item)
        ):
            raise NotPlain(Why.FORWARD_CONTEXT, context=shown(item.items[0].context_expr), line=item.lineno)
    raise NotPlain(Why.MODEL_NOT_CALLED)
