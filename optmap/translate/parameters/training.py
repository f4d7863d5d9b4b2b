"""Which calls train with an optimizer, and what do they train?"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.mapping.frameworks import Kind
from optmap.source.model import Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of
from optmap.translate.discover.flow import places_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.parameters.uses import binding_at, defined
from optmap.translate.parameters.variables import Trained, TrainedKind, holding, parts_of

_STEPS: Final = (Kind.APPLY_GRADIENTS, Kind.MINIMIZE)
"""What methods of an optimizer do that train."""


def models_in_use(module: Module, site: CallSite) -> list[ast.expr]:
    """The models that the file trains with an optimizer whose constructor takes no parameters, as far as they are seen."""
    users = training_calls(site)
    found = [trained_by(module, user, node, site) for user, node in users]
    return [holding(part.node) for parts in found if isinstance(parts, Sequence) for part in parts]


def training_calls(site: CallSite) -> Iterator[tuple[ast.Call, ast.expr]]:
    """The calls that train with the optimizer, each with how it stands there: constructed in place, or by its name."""
    module, call, facts = site.module, site.node, site.api.framework.facts.steps
    user = user_of(module, call)
    if (
        user is not None
        and module.function(user) is None
        and not isinstance(module.definition(user.func), ast.ClassDef)
    ):
        yield user, call
        return
    target = target_of(module, call)
    references = list(_references(module, target)) if target is not None else []
    seen = set(map(id, references))
    places = places_of(module, [call]).values() if references or user is not None else ()
    passed = [place for place, _ in places if id(place) not in seen]
    for reference in (*references, *passed):
        user = user_of(module, reference)
        if user is None or not isinstance(user.func, ast.Attribute):
            continue
        if user.func is module.parent(reference):
            trains = facts.methods.get(user.func.attr) in _STEPS
        else:
            trains = facts.given.get(f".{user.func.attr}") is Kind.COMPILE and not is_of_file(module, user)
        if trains:
            yield user, reference


def is_of_file(module: Module, call: ast.Call) -> bool:
    """Tell whether a call runs a function or a method of the file, or makes an object of one of its classes."""
    return module.function(call) is not None or module.definition(call.func) is not None


def user_of(module: Module, node: ast.expr) -> ast.Call | None:
    """The call that an expression is an argument of, or whose method it is asked for."""
    parent = module.parent(node)
    return module.call_of(parent) if isinstance(parent, ast.Attribute) else module.call_with(node)


def target_of(module: Module, call: ast.Call) -> ast.expr | None:
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


def trained_by(module: Module, call: ast.Call, optimizer: ast.expr, site: CallSite) -> Sequence[Trained] | ast.expr:
    """What a call trains, several parts where their variables are added up; none, or what hides them, where that is not seen."""
    names, collects = site.api.framework.facts.parameters, site.api.module.collects
    variables_of = site.api.framework.facts.variables
    given = (names.trainable, *names.also)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method == "compile" and isinstance(call.func, ast.Attribute):
        usual = _argument(call, 0, "optimizer") is optimizer and "compile" not in defined(
            module
        )  # one that takes several
        return [Trained(call.func.value, TrainedKind.MODEL)] if usual and chain_of(call.func.value) is not None else []
    pairs, place = applied(module, call), 2 if collects else 1
    computed = _computed(module, call) if method == "apply_gradients" and pairs is None else None
    if computed is not None:
        call, method, place = computed, "minimize", 1
    variables = _argument(call, place, "var_list") if method == "minimize" else None
    if collects and variables is None:
        from optmap.translate.parameters.collected import collected, differentiated

        loss = differentiated(module, pairs, variables_of) if pairs is not None else None
        if loss is None and pairs is None and method == "minimize":
            loss = _argument(call, 0, "loss")
        if loss is not None:
            return collected(module, loss, variables_of)
    if pairs is not None:
        return parts_of(module, pairs[1], given)
    return parts_of(module, variables, given) if variables is not None else []


def applied(module: Module, call: ast.Call) -> tuple[ast.expr, ast.expr] | None:
    """The gradients and the variables of `apply_gradients(zip(gradients, variables))`; None for anything else."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method == "apply" and len(call.args) == 2 and not call.keywords:
        return call.args[0], call.args[1]
    pairs = _argument(call, 0, "grads_and_vars") if method == "apply_gradients" else None
    if _is_called(module, pairs, "list") and isinstance(pairs, ast.Call) and len(pairs.args) == 1:
        pairs = pairs.args[0]
    pairs = filtered(pairs) or pairs
    if (
        not isinstance(pairs, ast.Call)
        or not _is_called(module, pairs, "zip")
        or len(pairs.args) != 2
        or pairs.keywords
    ):
        return None
    return pairs.args[0], pairs.args[1]


def filtered(pairs: ast.expr | None) -> ast.expr | None:
    """`zip(...)` in `[(g, v) for g, v in zip(...) if g is not None]`; None for anything else."""
    if not isinstance(pairs, ast.ListComp | ast.GeneratorExp) or len(pairs.generators) != 1:
        return None
    each, names = (
        pairs.generators[0],
        [item.id for item in getattr(pairs.elt, "elts", ()) if isinstance(item, ast.Name)],
    )
    same = len(names) == 2 and ast.unparse(pairs.elt).strip("()") == ast.unparse(each.target).strip("()")
    return each.iter if same and all(ast.unparse(test) == f"{names[0]} is not None" for test in each.ifs) else None


def _computed(module: Module, call: ast.Call) -> ast.Call | None:
    """The `compute_gradients(loss, variables)` of the same optimizer whose pairs are applied as they are."""
    pairs = _argument(call, 0, "grads_and_vars")
    reached = module.reaching(pairs) if pairs is not None else None
    made = reached.values[0] if reached is not None and reached.complete and len(reached.values) == 1 else None
    if (
        not isinstance(made, ast.Call)
        or not isinstance(made.func, ast.Attribute)
        or made.func.attr != "compute_gradients"
    ):
        return None
    own = chain_of(made.func.value)
    return made if own is not None and own == chain_of(call.func.value) else None  # type: ignore[attr-defined]


def _is_called(module: Module, node: ast.expr | None, name: str) -> bool:
    """Tell whether a node calls a builtin."""
    return isinstance(node, ast.Call) and module.builtin(node.func) == name


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    plain = not any(isinstance(item, ast.Starred) for item in call.args)
    return call.args[place] if plain and place < len(call.args) else None
