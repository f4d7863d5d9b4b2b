"""Whose parameters does a TensorFlow optimizer train? Read it off what the file does with the optimizer."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from optmap.mapping.framework import Framework
from optmap.source.bindings import position
from optmap.source.model import Module
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of
from optmap.source.text import Source
from optmap.translate.discover.flow import places_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.parameters.handed import grows_after, outside, when_run
from optmap.translate.parameters.training import is_of_file, target_of, trained_by, training_calls, user_of
from optmap.translate.parameters.variables import Trained, TrainedKind, changed, holding, parts_of, text_of
from optmap.values import NamedTuple


class NotInferred(NamedTuple):
    """The parameters cannot be inferred; `reason` is a clause that says why, `remedy` what to do if it is special."""

    reason: str
    remedy: str | None = None


_UNKNOWN = NotInferred("the file does not show which model it trains")


def infer_parameters(source: Source, site: CallSite, target: Framework) -> str | NotInferred:
    """Return the text of the target's parameters argument for a constructor that has none, or why it is unknown."""
    module, call = Module.of(source), site.node
    texts: dict[str, None] = {}
    through = site.api.framework.facts.steps.compiles
    for user, optimizer in training_calls(site):
        parts = trained_by(module, user, optimizer, site)
        if not isinstance(parts, Sequence) or not parts:
            where = source.line_name(user.lineno)
            if isinstance(parts, ast.Call) and chain_of(parts.func) is not None:
                where, text = source.line_name(parts.lineno), ast.unparse(parts.func)
                return NotInferred(f"{text} on {where} may hold parameters that have no name here")
            if optimizer is not call:
                return NotInferred(f"which model it trains on {where} cannot be told")
            compiles = getattr(user.func, "attr", "") == "compile"
            return _UNKNOWN if compiles or not _takes(module, user, call, site) else _taken(source, user)
        named = [item for part in parts for item in _outside(module, part, site)]
        for part, node in named:
            if node is None:
                return NotInferred(f"{part.text} is not visible where the optimizer is constructed")
            held, each = holding(node), part.kind in (TrainedKind.EACH, TrainedKind.LIST)
            far = optimizer is not call or site.api.module.collects
            failure = _unusable(module, call, held, part._replace(node=node).text, through) if far else None
            failure = failure or (_changing(module, held, part.text) if each or held is not node else None)
            if failure is not None:
                return failure
        if not target.facts.parameters.trainable:
            return NotInferred(f"{target.facts.models.called} gives them in no way that is known")
        told = [part._replace(node=node) for part, node in named if node is not None]
        texts[text_of(told, target.facts.parameters)] = None
    if not texts:
        return _unseen(source, site)
    if len(texts) > 1:
        return NotInferred(f"the file trains several models with it ({', '.join(texts)})")
    return next(iter(texts))


def _outside(module: Module, part: Trained, site: CallSite) -> list[tuple[Trained, ast.expr | None]]:
    """What a part is where the optimizer is constructed; of a list that a function is given, its own parts."""
    facts = site.api.framework.facts
    node = outside(module, part.node, site.node, facts.steps.compiles)
    if part.kind is not TrainedKind.LIST or node is part.node or node is None:
        return [(part, node)]
    inner = parts_of(module, node, (facts.parameters.trainable, *facts.parameters.also))
    return [item for each in inner for item in _outside(module, each, site)] or [(part, None)]


def _unseen(source: Source, site: CallSite) -> NotInferred:
    """Why no step of the optimizer is seen: what takes it decides what it trains."""
    module, call = Module.of(source), site.node
    for place, _ in places_of(module, [call]).values():
        user = user_of(module, place)
        if user is not None and _takes(module, user, place, site):
            return _taken(source, user)
    return (
        _UNKNOWN
        if target_of(module, call) is not None
        else NotInferred("the optimizer is not bound to a name in this file")
    )


def _taken(source: Source, user: ast.Call) -> NotInferred:
    """Say that code of another file takes the optimizer."""
    return NotInferred(
        f"{ast.unparse(user.func)} takes it on {source.line_name(user.lineno)}, and decides what it trains"
    )


def _takes(module: Module, user: ast.Call, place: ast.expr, site: CallSite) -> bool:
    """Tell whether a call gives the optimizer to a function or class of another file, and not to what only keeps it."""
    keeps = module.paths(user.func) & set(site.api.framework.facts.parameters.kept_by)
    known = keeps or is_of_file(module, user) or module.builtin(user.func)
    return module.parent(place) is not user.func and not known


def _changing(module: Module, node: ast.expr, shown: str) -> NotInferred | None:
    """Say that a list or dictionary of variables does not always hold the same ones."""
    variable = module.variable(node)
    if isinstance(node, ast.Attribute) and variable is not None and len(variable.bindings) > 1:
        return NotInferred(f"{shown} is bound more than once")
    place = changed(module, variable) if variable is not None else node
    return None if place is None else NotInferred(f"{shown} is changed on line {place.lineno}")


def _unusable(
    module: Module, call: ast.Call, model: ast.expr, shown: str, through: Collection[str]
) -> NotInferred | None:
    """Say why a model cannot be named at the constructor; None where it can."""
    root = root_of(model)
    if root is None:
        return NotInferred(f"{shown} is not visible where the optimizer is constructed")
    here, there = module.bound(root.id, at=call), module.variable(root)
    if module.self_class(root) is not None:
        return _unusable_attribute(module, call, model, shown)
    if here is not there:
        return NotInferred(f"{shown} is not visible where the optimizer is constructed")
    if here is None or module.scope(call) is not here.scope:
        return None
    if all(position(item.target) > position(call) for item in here.bindings):
        return NotInferred(f"{shown} is created after the optimizer", "construct the optimizer after the model")
    if len(here.bindings) == 1:
        return None
    before, now = module.in_force(here, call), when_run(module, here, model, through)
    if list(before) != list(now) or any(position(item.target) > position(call) for item in now):
        return NotInferred(f"{shown} is bound again after the optimizer is constructed", "use another name")
    return None


def _unusable_attribute(module: Module, call: ast.Call, model: ast.expr, shown: str) -> NotInferred | None:
    """`self.model` can be named where an earlier statement of the same method, or __init__ before it, assigned it."""
    attribute = model
    while isinstance(attribute, ast.Attribute) and isinstance(attribute.value, ast.Attribute):
        attribute = attribute.value
    if not isinstance(attribute, ast.Attribute):
        late = grows_after(module, call)
        return NotInferred(f"{shown} may get more parameters on line {late.lineno}") if late is not None else None
    shown = ".".join(shown.split(".")[:2])
    method, owner, variable = module.function_of(call), module.class_of(call), module.variable(attribute)
    if method is None or owner is None:
        return NotInferred(f"{shown} is not visible where the optimizer is constructed")
    for binding in variable.bindings if variable is not None else ():
        function = module.function_of(binding.target)
        earlier = function is method and position(binding.target) < position(call)
        prepared = function is not method and function is not None and function.name == "__init__"
        if earlier or (prepared and module.class_of(binding.target) is owner):
            return None
    return NotInferred(f"{shown} is not assigned before the optimizer is constructed")
