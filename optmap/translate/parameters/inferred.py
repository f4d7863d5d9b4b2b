"""Whose parameters does a TensorFlow optimizer train? Read it off what the file does with the optimizer."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from optmap.mapping.model import Framework
from optmap.source.names import Function, Interest, collect
from optmap.source.scopes import Names, Reference, Scope, chain_of
from optmap.source.text import Source
from optmap.translate.discover.lifetime import last_use, lifetime
from optmap.translate.discover.sites import CallSite


class Failure(NamedTuple):
    """The parameters cannot be inferred; `reason` is a clause that says why, `remedy` what to do if it is special."""

    reason: str
    remedy: str | None = None


class _Use(NamedTuple):
    """A model whose variables the optimizer updates: its name chain, where that stands, and in which scope.

    `here` says that the optimizer is constructed in the very call that uses it. What the model's name is bound to behind
    the offset `until` does not matter.
    """

    chain: tuple[str, ...]
    node: ast.expr
    scope: Scope
    here: bool = False
    until: int | None = None


def infer_parameters(source: Source, site: CallSite, target: Framework) -> str | Failure:
    """Return the text of the target's parameters argument for a constructor that has none, or why it is unknown."""
    uses = _uses(source, site)
    if isinstance(uses, Failure):
        return uses
    texts: dict[str, None] = {}
    for group in uses:
        for use in group:
            failure = None if use.here else _unusable(source, site, use)
            if failure is not None:
                return failure
        accessor = target.facts.parameters.trainable
        if not accessor:
            return Failure(f"{target.facts.models.called} gives them in no way that is known")
        texts[" + ".join(f"{'.'.join(use.chain)}.{accessor}()" for use in group)] = None
    if not texts:
        return Failure("the file does not show which model it trains")
    if len(texts) > 1:
        return Failure(f"the file trains several models with it ({', '.join(texts)})")
    return next(iter(texts))


def _uses(source: Source, site: CallSite) -> list[list[_Use]] | Failure:
    """Find what the optimizer is used for: directly at the constructor, or through the name that holds it."""
    parent = site.ancestors[-2] if len(site.ancestors) > 1 else None
    outer = site.ancestors[-3] if len(site.ancestors) > 2 else None
    if isinstance(parent, ast.keyword) and isinstance(outer, ast.Call):
        return _direct(source, outer, site)
    if isinstance(parent, ast.Call):
        return _direct(source, parent, site)
    if isinstance(parent, ast.Attribute) and isinstance(outer, ast.Call) and outer.func is parent:
        return _direct(source, outer, site)
    holder = _holder(parent, site.node)
    if holder is None:
        return Failure("the optimizer is not bound to a name in this file")
    return _through_holder(source, holder, site)


def _holder(parent: ast.AST | None, node: ast.expr) -> tuple[str, ...] | None:
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and parent.value is node:
        return chain_of(parent.targets[0])
    if isinstance(parent, ast.AnnAssign | ast.NamedExpr) and parent.value is node:
        return chain_of(parent.target)
    return None


def _direct(source: Source, call: ast.Call, site: CallSite) -> list[list[_Use]] | Failure:
    names = _collect(source, _roots_in(call))
    found = [use._replace(here=True) for use in _variables(call, names, site.node, _given(site))]
    return [found] if found else Failure("the file does not show which model it trains")


def _through_holder(source: Source, holder: tuple[str, ...], site: CallSite) -> list[list[_Use]] | Failure:
    names = _collect(source, {holder[0]})
    owner = _owner(site, names, holder[0])
    life = lifetime(source, site, holder)
    calls = []
    meant = []
    for reference in names.references:
        if reference.chain[: len(holder)] != holder or not _same_owner(reference, holder, owner, site):
            continue
        call = _call_of(reference, holder)
        if call is not None and (life is None or life.holds(source, reference)):
            calls.append((call, reference.node))
            meant.append(reference)
    until = last_use(source, meant) if life is not None else None
    roots = {root for call, _ in calls for root in _roots_in(call)} | {holder[0]}
    every = _collect(source, roots | _roots_behind(source, roots))
    uses = []
    for call, optimizer in calls:
        found = _variables(call, every, optimizer, _given(site))
        if not found:
            return Failure(f"what it trains on {source.line_name(call.lineno)} cannot be read off")
        uses.append([use._replace(until=until) for use in found])
    return uses


def _roots_behind(source: Source, names: set[str]) -> set[str]:
    """Names in the values that are assigned to the given names anywhere in the file."""
    return {
        root
        for node in source.nodes
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id in names for target in node.targets)
        for root in _roots_in(node.value)
    }


def _collect(source: Source, roots: set[str]) -> Names:
    """Collect every reference of some local names, with the scopes that bind them."""
    return collect(source, Interest(frozenset(), (), string_hint="\0"), roots)


def _owner(site: CallSite, names: Names, name: str) -> Scope | None:
    """Find, among this collection's own scopes, the one that binds the name as seen from the constructor."""
    for place in site.scope.enclosing():
        scope = next((scope for scope in names.scopes if scope.node is place.node), None)
        if scope is not None:
            return scope.owner(name)
    return None


def _same_owner(reference: Reference, holder: tuple[str, ...], owner: Scope | None, site: CallSite) -> bool:
    own = reference.scope.owner(holder[0])
    if holder[0] == "self" and len(holder) > 1:
        return _enclosing_class(reference.ancestors) is _enclosing_class(site.ancestors)
    return own is not None and owner is not None and own.node is owner.node


def _enclosing_class(ancestors: Sequence[ast.AST]) -> ast.AST | None:
    return next((node for node in reversed(ancestors) if isinstance(node, ast.ClassDef)), None)


def _call_of(reference: Reference, holder: tuple[str, ...]) -> ast.Call | None:
    """The call that trains with the optimizer: `holder.apply_gradients(...)`, `holder.minimize(...)`, `X.compile(holder)`."""
    parents = [node for node in reversed(reference.ancestors) if not isinstance(node, ast.keyword)]
    call = parents[0] if parents else None
    if not isinstance(call, ast.Call):
        return None
    if reference.chain[len(holder) :] in (("apply_gradients",), ("minimize",)) and call.func is reference.node:
        return call
    if reference.chain == holder and isinstance(call.func, ast.Attribute) and call.func.attr == "compile":
        return call
    return None


def _given(site: CallSite) -> tuple[str, ...]:
    """The attributes of models that give the variables."""
    names = site.api.framework.facts.parameters
    return (names.trainable, *names.also)


def _variables(call: ast.Call, names: Names, optimizer: ast.expr, given: Sequence[str]) -> list[_Use]:
    """Return the models whose variables the call trains, several where their variables are added up."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method == "compile" and isinstance(call.func, ast.Attribute) and _is_optimizer(call, optimizer, names):
        return _models(call.func.value, names)
    if method == "apply_gradients":
        pairs = _argument(call, 0, "grads_and_vars")
        if (
            isinstance(pairs, ast.Call)
            and isinstance(pairs.func, ast.Name)
            and pairs.func.id == "zip"
            and len(pairs.args) == 2
        ):
            return _trained(pairs.args[1], names, given)
    if method == "minimize":
        variables = _argument(call, 1, "var_list")
        return _trained(variables, names, given) if variables is not None else []
    return []


def _is_optimizer(call: ast.Call, optimizer: ast.expr, names: Names) -> bool:
    """Keras' own compile takes one optimizer; a class of the file that defines compile may take several."""
    if _defines_compile(names.module.node):
        return False
    given = _argument(call, 0, "optimizer")
    return given is not None and source_position(given) == source_position(optimizer)


@lru_cache(maxsize=1)
def _defines_compile(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "compile" for node in ast.walk(tree))


def source_position(node: ast.expr) -> tuple[int, int, int | None, int | None]:
    """Identify a node by its extent."""
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    plain = not any(isinstance(item, ast.Starred) for item in call.args)
    return call.args[position] if plain and position < len(call.args) else None


def _trained(node: ast.expr, names: Names, given: Sequence[str]) -> list[_Use]:
    """Models behind `X.trainable_variables`, sums of those, or a name that was assigned one of them."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _trained(node.left, names, given), _trained(node.right, names, given)
        return left + right if left and right else []
    if isinstance(node, ast.Attribute) and node.attr in given:
        return _models(node.value, names)
    if isinstance(node, ast.Name):
        return _assigned(node, names, given)
    return []


def _assigned(node: ast.Name, names: Names, given: Sequence[str]) -> list[_Use]:
    reference = next((item for item in names.references if item.node is node), None)
    owner = reference.scope.owner(node.id) if reference else None
    bindings = owner.bindings[node.id] if owner else []
    if len(bindings) != 1 or bindings[0].value is None or isinstance(bindings[0].value, ast.Name):
        return []
    return _trained(bindings[0].value, names, given)


def _models(node: ast.expr, names: Names) -> list[_Use]:
    chain = chain_of(node)
    if chain is None:
        return []
    for reference in names.references:
        if reference.chain[: len(chain)] == chain and _contains(reference.node, node):
            return [_Use(chain, node, reference.scope)]
    return []


def _contains(outer: ast.expr, inner: ast.expr) -> bool:
    while outer is not inner and isinstance(outer, ast.Attribute):
        outer = outer.value
    return outer is inner


def _roots_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _unusable(source: Source, site: CallSite, use: _Use) -> Failure | None:
    """Say why the model cannot be named at the constructor; None where it can."""
    name = use.chain[0]
    shown = ".".join(use.chain)
    names = _collect(source, {name})
    here = _owner(site, names, name)
    if name == "self" and here is not None:
        return _unusable_attribute(site, use)
    there = use.scope.owner(name)
    if here is None and there is None:
        return None
    if here is None or there is None or here.node is not there.node:
        return Failure(f"{shown} is not visible where the optimizer is constructed")
    inside = any(scope.node is here.node for scope in [site.scope])
    starts = [source.start(b.node) for b in here.bindings[name] if isinstance(b.node, ast.expr | ast.stmt)]
    starts = [start for start in starts if use.until is None or start < use.until]
    if inside and starts and min(starts) > source.start(site.node):
        return Failure(f"{shown} is created after the optimizer", "construct the optimizer after the model")
    if inside and starts and max(starts) > source.start(site.node):
        return Failure(f"{shown} is bound again after the optimizer is constructed", "use another name")
    return None


def _unusable_attribute(site: CallSite, use: _Use) -> Failure | None:
    """`self.model` can be named where an earlier statement of the same method, or __init__ before it, assigned it."""
    if len(use.chain) == 1:
        return None
    shown = ".".join(use.chain[:2])
    method = next((node for node in reversed(site.ancestors) if isinstance(node, Function)), None)
    owner = _enclosing_class(site.ancestors)
    if method is None or not isinstance(owner, ast.ClassDef):
        return Failure(f"{shown} is not visible where the optimizer is constructed")
    init = next((item for item in owner.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    functions: set[ast.AST] = {method} if init is None else {method, init}
    places = [line for item in functions for line in _assignments(item, use.chain[:2], site, item is method)]
    return None if places else Failure(f"{shown} is not assigned before the optimizer is constructed")


def _assignments(function: ast.AST, chain: tuple[str, ...], site: CallSite, before: bool) -> list[int]:
    found = []
    for node in ast.walk(function):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(chain_of(target) == chain for target in targets) and (not before or node.lineno < site.node.lineno):  # type: ignore[attr-defined]
            found.append(node.lineno)  # type: ignore[attr-defined]
    return found
