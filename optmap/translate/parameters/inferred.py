"""Whose parameters does a TensorFlow optimizer train? Read it off what the file does with the optimizer."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.mapping.framework import Framework
from optmap.source.bindings import position
from optmap.source.model import Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of
from optmap.source.text import Source
from optmap.translate.discover.flow import places_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.parameters.collected import collected, differentiated
from optmap.translate.parameters.uses import binding_at, defined
from optmap.translate.parameters.variables import Kind, Part, changed, holding, outside, parts_of, text_of
from optmap.values import NamedTuple

_STEPS: Final = ("apply_gradients", "apply", "minimize")
"""Methods of an optimizer that train."""


class Failure(NamedTuple):
    """The parameters cannot be inferred; `reason` is a clause that says why, `remedy` what to do if it is special."""

    reason: str
    remedy: str | None = None


_UNKNOWN = Failure("the file does not show which model it trains")


def infer_parameters(source: Source, site: CallSite, target: Framework) -> str | Failure:
    """Return the text of the target's parameters argument for a constructor that has none, or why it is unknown."""
    module, call = Module.of(source), site.node
    texts: dict[str, None] = {}
    for user, optimizer in _users(module, call):
        parts = _trained_by(module, user, optimizer, site)
        if not isinstance(parts, Sequence) or not parts:
            where = source.line_name(user.lineno)
            if isinstance(parts, ast.Call) and chain_of(parts.func) is not None:
                where, text = source.line_name(parts.lineno), ast.unparse(parts.func)
                return Failure(f"{text} on {where} may hold parameters that have no name here")
            return _UNKNOWN if optimizer is call else Failure(f"which model it trains on {where} cannot be told")
        named = [(part, outside(module, part.node, call)) for part in parts]
        for part, node in named:
            if node is None:
                return Failure(f"{part.text} is not visible where the optimizer is constructed")
            held, each = holding(node), part.kind is Kind.EACH
            far = optimizer is not call or site.api.module.collects
            failure = _unusable(module, call, held, part._replace(node=node).text) if far else None
            failure = failure or (_changing(module, held, part.text) if each or held is not node else None)
            if failure is not None:
                return failure
        if not target.facts.parameters.trainable:
            return Failure(f"{target.facts.models.called} gives them in no way that is known")
        told = [part._replace(node=node) for part, node in named if node is not None]
        texts[text_of(told, target.facts.parameters)] = None
    if not texts:
        return _unseen(source, call)
    if len(texts) > 1:
        return Failure(f"the file trains several models with it ({', '.join(texts)})")
    return next(iter(texts))


def _unseen(source: Source, call: ast.Call) -> Failure:
    """Why no step of the optimizer is seen: what takes it decides what it trains."""
    module = Module.of(source)
    if _target(module, call) is None:
        return Failure("the optimizer is not bound to a name in this file")
    for place, _ in places_of(module, [call]).values():
        user = _user(module, place)
        if (
            user is not None
            and place is not call
            and module.parent(place) is not user.func
            and _is_foreign(module, user)
        ):
            where = source.line_name(user.lineno)
            return Failure(f"{ast.unparse(user.func)} takes it on {where}, and decides what it trains")
    return _UNKNOWN


def _is_foreign(module: Module, call: ast.Call) -> bool:
    """Tell whether a call is one of a function or class of another file, rather than a builtin."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    return module.definition(call.func) is None and not module.is_builtin(name, call.func)


def models_in_use(module: Module, site: CallSite) -> list[ast.expr]:
    """The models that the file trains with an optimizer whose constructor takes no parameters, as far as they are seen."""
    users = _users(module, site.node)
    found = [_trained_by(module, user, node, site) for user, node in users]
    return [part.node for parts in found if isinstance(parts, Sequence) for part in parts]


def _users(module: Module, call: ast.Call) -> Iterator[tuple[ast.Call, ast.expr]]:
    """The calls that train with the optimizer, each with how it stands there: constructed in place, or by its name."""
    user = _user(module, call)
    if user is not None:
        yield user, call
        return
    target = _target(module, call)
    references = list(_references(module, target)) if target is not None else []
    seen = set(map(id, references))
    passed = [place for place, _ in places_of(module, [call]).values() if id(place) not in seen] if references else []
    for reference in (*references, *passed):
        user = _user(module, reference)
        called = getattr(user.func, "attr", "") if user is not None else ""
        if user is not None and called in (("compile",) if user.func is not module.parent(reference) else _STEPS):
            yield user, reference


def _user(module: Module, node: ast.expr) -> ast.Call | None:
    """The call that an expression is an argument of, or whose method it is asked for."""
    parent = module.parent(node)
    if isinstance(parent, ast.keyword):
        parent = module.parent(parent)
    elif isinstance(parent, ast.Attribute):
        outer = module.parent(parent)
        return outer if isinstance(outer, ast.Call) and outer.func is parent else None
    return parent if isinstance(parent, ast.Call) and parent.func is not node else None


def _target(module: Module, call: ast.Call) -> ast.expr | None:
    """The name, or chain of attributes, that a statement binds the optimizer to."""
    parent = module.parent(call)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        target: ast.expr | None = parent.targets[0]
    else:
        target = parent.target if isinstance(parent, ast.AnnAssign | ast.NamedExpr) else None
    return target if target is not None and chain_of(target) is not None else None


def _references(module: Module, target: ast.expr) -> Iterator[ast.expr]:
    """The places that may read what was assigned to a target, or what else such a place may read."""
    variable = module.variable(target)
    if variable is not None:
        yield from _shared_uses(module, variable, target)
        return
    chain, root = chain_of(target), root_of(target)
    outer = module.variable(root) if root is not None else None
    for use in outer.uses if outer is not None else module.names(root.id) if root is not None else ():
        node: ast.AST | None = use
        while isinstance(node, ast.Name | ast.Attribute) and chain_of(node) != chain:
            node = module.parent(node)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node


def _shared_uses(module: Module, variable: Variable, target: ast.expr) -> Iterator[ast.expr]:
    seen: set[int] = {id(target)}
    first = binding_at(module, variable, target)
    for binding in (queue := [first] if first is not None else []):  # grows while it is walked
        for use in module.uses_of(variable, binding):
            other = isinstance(use, ast.Attribute) and module.self_class(use.value) is None
            if id(use) not in seen and not other:
                seen.add(id(use))
                yield use
                new = [item for item in module.in_force(variable, use) if id(item.target) not in seen]
                seen.update(id(item.target) for item in new)
                queue += new


def _trained_by(module: Module, call: ast.Call, optimizer: ast.expr, site: CallSite) -> Sequence[Part] | ast.expr:
    """What a call trains, several parts where their variables are added up; none, or what hides them, where that is not seen."""
    names, collects = site.api.framework.facts.parameters, site.api.module.collects
    variables_of = site.api.framework.facts.variables
    given = (names.trainable, *names.also)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method == "compile" and isinstance(call.func, ast.Attribute):
        usual = _argument(call, 0, "optimizer") is optimizer and "compile" not in defined(
            module
        )  # one that takes several
        return [Part(call.func.value, Kind.MODEL)] if usual and chain_of(call.func.value) is not None else []
    pairs = applied(module, call)
    if pairs is not None:
        if collects and (loss := differentiated(module, pairs, variables_of)) is not None:
            return collected(module, loss, variables_of)
        return parts_of(module, pairs[1], given)
    variables = _argument(call, 2 if collects else 1, "var_list") if method == "minimize" else None
    if variables is not None:
        return parts_of(module, variables, given)
    loss = _argument(call, 0, "loss") if collects and method == "minimize" else None
    return collected(module, loss, variables_of) if loss is not None else []


def applied(module: Module, call: ast.Call) -> tuple[ast.expr, ast.expr] | None:
    """The gradients and the variables of `apply_gradients(zip(gradients, variables))`; None for anything else."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method == "apply" and len(call.args) == 2 and not call.keywords:
        return call.args[0], call.args[1]
    pairs = _argument(call, 0, "grads_and_vars") if method == "apply_gradients" else None
    if _is_called(module, pairs, "list") and isinstance(pairs, ast.Call) and len(pairs.args) == 1:
        pairs = pairs.args[0]
    if (
        not isinstance(pairs, ast.Call)
        or not _is_called(module, pairs, "zip")
        or len(pairs.args) != 2
        or pairs.keywords
    ):
        return None
    return pairs.args[0], pairs.args[1]


def _is_called(module: Module, node: ast.expr | None, name: str) -> bool:
    """Tell whether a node calls a builtin."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    return called and isinstance(node, ast.Call) and module.is_builtin(name, node.func)


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    plain = not any(isinstance(item, ast.Starred) for item in call.args)
    return call.args[place] if plain and place < len(call.args) else None


def _changing(module: Module, node: ast.expr, shown: str) -> Failure | None:
    """Say that a dictionary of variables does not always hold the same ones."""
    variable = module.variable(node)
    place = changed(module, variable) if variable is not None else node
    return None if place is None else Failure(f"{shown} is changed on line {place.lineno}")


def _unusable(module: Module, call: ast.Call, model: ast.expr, shown: str) -> Failure | None:
    """Say why a model cannot be named at the constructor; None where it can."""
    root = root_of(model)
    if root is None:
        return Failure(f"{shown} is not visible where the optimizer is constructed")
    here, there = module.bound(root.id, at=call), module.variable(root)
    if module.self_class(root) is not None:
        return _unusable_attribute(module, call, model, shown)
    if here is not there:
        return Failure(f"{shown} is not visible where the optimizer is constructed")
    if here is None or module.scope(call) is not here.scope:
        return None
    if all(position(item.target) > position(call) for item in here.bindings):
        return Failure(f"{shown} is created after the optimizer", "construct the optimizer after the model")
    if len(here.bindings) == 1:
        return None
    before, now = module.in_force(here, call), module.in_force(here, model)
    if list(before) != list(now) or any(position(item.target) > position(call) for item in now):
        return Failure(f"{shown} is bound again after the optimizer is constructed", "use another name")
    return None


def _unusable_attribute(module: Module, call: ast.Call, model: ast.expr, shown: str) -> Failure | None:
    """`self.model` can be named where an earlier statement of the same method, or __init__ before it, assigned it."""
    attribute = model
    while isinstance(attribute, ast.Attribute) and isinstance(attribute.value, ast.Attribute):
        attribute = attribute.value
    if not isinstance(attribute, ast.Attribute):
        return None
    shown = ".".join(shown.split(".")[:2])
    method, owner, variable = module.function_of(call), module.class_of(call), module.variable(attribute)
    if method is None or owner is None:
        return Failure(f"{shown} is not visible where the optimizer is constructed")
    for binding in variable.bindings if variable is not None else ():
        function = module.function_of(binding.target)
        earlier = function is method and position(binding.target) < position(call)
        prepared = function is not method and function is not None and function.name == "__init__"
        if earlier or (prepared and module.class_of(binding.target) is owner):
            return None
    return Failure(f"{shown} is not assigned before the optimizer is constructed")
