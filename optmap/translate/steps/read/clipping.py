"""Clipping between the backward pass and the step: of the gradients that parameters hold, or of those that variables do.

`mindspore.ops.clip_by_norm` of a tuple takes the norm of all, as `clip_grad_norm_` does; both give the same bits.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from optmap.source.bind import Bound, bind, signature_of
from optmap.source.calls import comments_in
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.trained import constructed_with, is_accessor, whole_model
from optmap.translate.steps.read.plan import Clip
from optmap.translate.steps.read.step import Step, deleted
from optmap.translate.steps.reasons import NotPlain, Why

_PATHS: Final = ("torch.nn.utils.", "torch.nn.utils.clip_grad.")
_NORM: Final = signature_of("parameters, max_norm, norm_type=2, *, error_if_nonfinite=False, foreach=None")
_VALUE: Final = signature_of("parameters, clip_value, foreach=None")
_CLAMP: Final = signature_of("min, max")
_FUNCTIONS: Final = {"clip_grad_norm_": _NORM, "clip_grad_norm": _NORM, "clip_grad_value_": _VALUE}
_ARITHMETIC: Final[Mapping[type[ast.operator], str]] = {ast.Mult: "times", ast.Div: "over"}
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
        if isinstance(node, ast.For) and (clip := _each(step, node)) is not None:
            yield clip
        call = node.value if isinstance(node, ast.Expr | ast.Assign) else None
        name = (chain_of(call.func) or ("",))[-1] if isinstance(call, ast.Call) else ""
        if isinstance(node, ast.Expr | ast.Assign) and isinstance(call, ast.Call) and name in _FUNCTIONS:
            clip = _clip(step, node, call, name) if _is_idle(step, node) else None
            if clip is None:
                raise NotPlain(Why.CLIPPED, line=node.lineno)
            yield clip


def _is_idle(step: Step, statement: ast.Expr | ast.Assign) -> bool:
    """Tell whether nothing reads the norm that clipping gives."""
    if isinstance(statement, ast.Expr):
        return True
    target = statement.targets[0] if len(statement.targets) == 1 else None
    variable = step.module.variable(target) if isinstance(target, ast.Name) else None
    return variable is not None and not variable.uses and not deleted(step, variable.text)


def _each(step: Step, loop: ast.For) -> Clip | None:
    """`for p in model.parameters(): p.grad.data.clamp_(-1, 1)`, with or without a look whether there is a gradient."""
    name = loop.target.id if isinstance(loop.target, ast.Name) else ""
    body = loop.body
    if len(body) == 1 and isinstance(body[0], ast.If) and not body[0].orelse:
        body = body[0].body if ast.unparse(body[0].test) == f"{name}.grad is not None" else []
    call = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    if not isinstance(call, ast.Call) or ast.unparse(call.func) not in (
        f"{name}.grad.clamp_",
        f"{name}.grad.data.clamp_",
    ):
        return None
    bound = bind(_CLAMP, call)
    limits = [item.value for item in bound.given.values()] if isinstance(bound, Bound) else [None, None]
    high = limits[1]
    plain = isinstance(high, ast.Constant | ast.Name) and _opposite(limits[0], high) and not loop.orelse
    plain = plain and not comments_in(step.source, step.source.start(loop), step.source.end(loop))
    return Clip(loop, "value", high) if plain and isinstance(high, ast.expr) and _is_all(step, loop.iter) else None


def _clip(step: Step, statement: ast.Expr | ast.Assign, call: ast.Call, name: str) -> Clip | None:
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
    return Clip(statement, "value" if "value" in name else "norm", limit)


def assigned_clips(step: Step, name: str) -> tuple[tuple[Clip, ...], str]:
    """What clips or scales the gradients on their way to a variable, and the variable that held them before."""
    clips: list[Clip] = []
    end = next((place for place, item in enumerate(step.block) if item is step.statement), 0)
    for statement in reversed(step.block[:end]):
        if name in step.effects.binds(statement):
            clip = _assigned(step, statement, name)
            if clip is None:
                break
            clips.insert(0, clip)
            name = clip.given
    return tuple(clips), name


def _assigned(step: Step, statement: ast.stmt, name: str) -> Clip | None:
    """`grads = ops.clip_by_norm(grads, 1.0)`, `grads, norm = ...` where nothing reads the norm, `[clip(g) for g in grads]`."""
    steps = step.event.site.api.framework.facts.steps
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value, table, each = statement.targets[0], statement.value, steps.clips, None
    if isinstance(target, ast.Tuple) and len(target.elts) == 2 and isinstance(target.elts[1], ast.Name):
        norm = step.variable(target.elts[1].id)
        target = target.elts[0] if norm is not None and not norm.uses else target
    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant) and value.slice.value == 0:
        value = value.value
    elif isinstance(value, ast.Call) and len(value.args) == 1 and isinstance(value.args[0], ast.GeneratorExp):
        kept = isinstance(value.func, ast.Name) and value.func.id in ("tuple", "list") and step.is_harmless(value.func)
        value = value.args[0] if kept else value
    if isinstance(value, ast.ListComp | ast.GeneratorExp) and len(value.generators) == 1:
        each, value, table = value.generators[0], value.elt, steps.clips_one
    if not isinstance(target, ast.Name) or target.id != name:
        return None
    if isinstance(value, ast.BinOp) and each is not None:
        return _scaled(step, statement, value, each)
    return _clipped(step, statement, value, table, each) if isinstance(value, ast.Call) else None


def _scaled(step: Step, statement: ast.Assign, value: ast.BinOp, each: ast.comprehension) -> Clip | None:
    """`[g * 0.5 for g in grads]`, `[g / 2 for g in grads]`."""
    how = _ARITHMETIC.get(type(value.op))
    factors = [item for item in (value.left, value.right) if not _is_each(item, each)]
    if how is None or len(factors) != 1 or (how == "over" and factors[0] is value.left) or each.ifs:
        return None
    comments = comments_in(step.source, step.source.start(statement), step.source.end(statement))
    if comments or not _is_limit(factors[0]) or not isinstance(each.iter, ast.Name):
        return None
    made = statement.targets[0]
    return Clip(statement, how, factors[0], each.iter.id, made.id) if isinstance(made, ast.Name) else None


def _is_each(node: object, each: ast.comprehension) -> bool:
    return isinstance(node, ast.Name) and isinstance(each.target, ast.Name) and node.id == each.target.id


def _is_limit(node: object) -> bool:
    """Tell whether an expression is a number, or a name that means the same in what is written."""
    chain = chain_of(node) if isinstance(node, ast.Name | ast.Attribute) else ()
    return isinstance(node, ast.Constant) or bool(chain and chain[0] not in ("grad", "parameter", "p"))


def _clipped(
    step: Step, statement: ast.Assign, call: ast.Call, table: Mapping[str, str], each: ast.comprehension | None
) -> Clip | None:
    known = {table.get(path) for path in step.module.paths(call.func) if path is not None}
    text = known.pop() if len(known) == 1 else None
    how, _, rest = (text or "").partition("(")
    how, _, norm = how.partition("+")
    bound = bind(signature_of(rest.removesuffix(")")), call) if text else None
    if not isinstance(bound, Bound) or comments_in(
        step.source, step.source.start(statement), step.source.end(statement)
    ):
        return None
    gradients, *limits = (item.value for item in bound.given.values())
    limit = limits[-1]
    both = len(limits) == 1 or (isinstance(limit, ast.expr) and _opposite(limits[0], limit))
    if each is not None:
        gradients = each.iter if _is_each(gradients, each) and not each.ifs else None
    plain = _is_limit(limit) and not (each is not None and _is_each(limit, each))
    taken = isinstance(statement.targets[0], ast.Tuple) or isinstance(statement.value, ast.Subscript)
    if not both or not plain or not isinstance(gradients, ast.Name) or taken != bool(norm):
        return None
    made = statement.targets[0].elts[0] if isinstance(statement.targets[0], ast.Tuple) else statement.targets[0]
    assert isinstance(limit, ast.expr)
    assert isinstance(made, ast.Name)
    return Clip(statement, how, limit, gradients.id, made.id)


def _opposite(low: object, high: ast.expr) -> bool:
    """`-0.5` beside `0.5`."""
    negative = isinstance(low, ast.UnaryOp) and isinstance(low.op, ast.USub)
    return negative and isinstance(low, ast.UnaryOp) and ast.dump(low.operand) == ast.dump(high)


def _is_all(step: Step, parameters: object) -> bool:
    """Tell whether it is `model.parameters()` of the one model whose parameters, all of them, the optimizer has."""
    given = parameters if isinstance(parameters, ast.Call) else None
    if isinstance(parameters, ast.Subscript):  # of its only group
        only = ast.unparse(parameters) == f"{step.holder.text}.param_groups[0]['params']"
        added = step.source.holds(b"add_param_group")
        return only and not added and len(step.models) == 1 and _has_all(step)
    if given is None or is_accessor(given, "parameters") is None or len(step.models) != 1:
        return False
    return step.names_model(getattr(given.func, "value", given)) and _has_all(step)


def _has_all(step: Step) -> bool:
    """Tell whether the optimizer has all parameters of its model."""
    return all(whole_model(step.module, constructed_with(site), site) is not None for site in step.holder.sites)
