"""Clipping between the backward pass and the step: MindSpore clips the gradients that the gradient function returned.

`mindspore.ops.clip_by_norm` of a tuple takes the norm of all, as `clip_grad_norm_` does; both give the same bits.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.source.bind import Bound, bind, signature_of
from optmap.source.calls import comments_in
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.trained import constructed_with, is_accessor
from optmap.translate.steps.read.plan import Clip
from optmap.translate.steps.read.step import Step
from optmap.translate.steps.reasons import NotPlain, Why

_PATHS: Final = ("torch.nn.utils.", "torch.nn.utils.clip_grad.")
_NORM: Final = signature_of("parameters, max_norm, norm_type=2, *, error_if_nonfinite=False, foreach=None")
_VALUE: Final = signature_of("parameters, clip_value, foreach=None")
_FUNCTIONS: Final = {"clip_grad_norm_": _NORM, "clip_grad_norm": _NORM, "clip_grad_value_": _VALUE}
_IDLE: Final = {"norm_type": 2, "error_if_nonfinite": False}


def find_clips(step: Step) -> Step:
    """Find what clips all gradients behind the backward pass, or before a step that sums up gradients of other blocks.

    Raises NotPlain where it is of another kind.
    """
    assert step.statement is not None
    assert step.backward is not None
    start = 0 if step.backward is step.statement else step.block.index(step.backward) + 1
    between = step.block[start : step.block.index(step.statement)]
    return step._replace(clips=tuple(clip for statement in between for clip in _clips(step, statement)))


def _clips(step: Step, statement: ast.stmt) -> Iterator[Clip]:
    for node in inner(statement):
        call = node.value if isinstance(node, ast.Expr) else None
        name = (chain_of(call.func) or ("",))[-1] if isinstance(call, ast.Call) else ""
        if isinstance(node, ast.Expr) and isinstance(call, ast.Call) and name in _FUNCTIONS:
            clip = _clip(step, node, call, name)
            if clip is None:
                raise NotPlain(Why.CLIPPED, line=node.lineno)
            yield clip


def _clip(step: Step, statement: ast.Expr, call: ast.Call, name: str) -> Clip | None:
    if not step.module.paths(call.func) <= {path + name for path in _PATHS}:
        return None
    bound = bind(_FUNCTIONS[name], call)
    if not isinstance(bound, Bound):
        return None
    given = {name: item.value for name, item in bound.given.items()}
    parameters, limit = given.pop("parameters"), given.pop("max_norm", given.pop("clip_value", None))
    given.pop("foreach", None)
    idle = all(isinstance(value, ast.Constant) and value.value == _IDLE.get(name) for name, value in given.items())
    if not idle or not isinstance(limit, ast.Constant | ast.Name | ast.Attribute) or not _is_all(step, parameters):
        return None
    if comments_in(step.source, step.source.start(statement), step.source.end(statement)):
        return None
    if isinstance(limit, ast.Attribute) and chain_of(limit) is None:
        return None
    return Clip(statement, "clip_by_value" if "value" in name else "clip_by_norm", limit)


def _is_all(step: Step, parameters: object) -> bool:
    """Tell whether it is `model.parameters()` of the one model whose parameters, all of them, the optimizer has."""
    given = parameters if isinstance(parameters, ast.Call) else None
    if given is None or is_accessor(given, "parameters") is None or len(step.models) != 1:
        return False
    whole = (is_accessor(constructed_with(site), "parameters") is not None for site in step.holder.sites)
    return step.names_model(getattr(given.func, "value", given)) and all(whole)
