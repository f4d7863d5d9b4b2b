"""Which models does a constructor train, and by what names are they known where its variable is used?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optmap.source.model import How, Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.parameters.reader import read_parameters

Chain = tuple[str, ...]


def constructed_with(site: CallSite) -> ast.expr | None:
    """The expression that a constructor is given as its parameters."""
    parameter = site.api.parameters_argument
    return site.given(parameter.name) if parameter is not None else None


def trained(module: Module, site: CallSite) -> tuple[ast.expr, ...] | None:
    """The models whose parameters a constructor is given, once each; None where there may be others."""
    given = constructed_with(site)
    if given is None:
        return None
    found = read_parameters(module.source, given, site.api.framework)
    calls = (*found.accessors, *found.unnamed)
    models = [call.func.value for call in calls if isinstance(call.func, ast.Attribute)]
    chains = {chain_of(item): item for item in reversed(models)}
    plain = chains and None not in chains and not found.opaque and found.unreadable is None
    return tuple(dict.fromkeys(chains[chain_of(item)] for item in models)) if plain else None


def is_accessor(node: ast.expr | None, word: str) -> Chain | None:
    """The model in `model.parameters()`, without arguments."""
    chain = chain_of(node.func) if isinstance(node, ast.Call) and not node.args and not node.keywords else None
    return chain[:-1] if chain is not None and len(chain) > 1 and chain[-1] == word else None


def whole_model(module: Module, node: ast.expr | None, site: CallSite) -> Chain | None:
    """The model all of whose parameters, but for frozen ones, an expression gives; None for anything else.

    `list(net.parameters())`, a filter by requires_grad, a comprehension, the only group, and a name for one of these.
    """
    names = site.api.framework.facts.parameters
    flag = f".{names.flag}" if names.flag is not None else ""
    match node:
        case ast.Call(func=ast.Name(id="list" | "tuple" as name), args=[inside], keywords=[]):
            return whole_model(module, inside, site) if module.is_builtin(name, node) else None
        case ast.Call(func=ast.Name(id="filter"), args=[ast.Lambda(args=given, body=body), inside], keywords=[]):
            plain = flag and len(given.args) == 1 and ast.unparse(body) == f"{given.args[0].arg}{flag}"
            return whole_model(module, inside, site) if plain and module.is_builtin("filter", node) else None
        case ast.ListComp(elt=elt, generators=[each]) | ast.GeneratorExp(elt=elt, generators=[each]):
            target, model = each.target, whole_model(module, each.iter, site)
            if isinstance(target, ast.Tuple) and len(target.elts) == 2 and names.named is not None:
                target, model = target.elts[1], is_accessor(each.iter, names.named)
            plain = all(flag and ast.unparse(test) == f"{ast.unparse(elt)}{flag}" for test in each.ifs)
            return model if plain and isinstance(elt, ast.Name) and ast.unparse(target) == elt.id else None
        case ast.List(elts=[ast.Dict(keys=[ast.Constant(value="params")], values=[inside])]):
            return whole_model(module, inside, site)
        case ast.Name():
            variable = module.variable(node)
            only = variable.bindings[0] if variable is not None and len(variable.bindings) == 1 else None
            asked = (module.parent(use) for use in variable.uses) if variable is not None else ()
            kept = (
                only is not None
                and only.how is How.ASSIGNED
                and not any(isinstance(item, ast.Attribute) for item in asked)
            )
            return whole_model(module, only.value, site) if kept and only is not None else None
    return is_accessor(node, names.trainable)


def models_seen(module: Module, variable: Variable, site: CallSite) -> tuple[Chain, ...] | None:
    """The models that a constructor trains, by names that mean the same wherever the variable can be used."""
    models = [_seen(site, variable.scope, node) for node in trained(module, site) or ()]
    return tuple(item for item in models if item is not None) if models and None not in models else None


def _seen(site: CallSite, place: ast.AST, model: ast.expr) -> Chain | None:
    module = site.module
    chain, root = chain_of(model), root_of(model)
    variable = module.variable(root) if root is not None else None
    if chain is None or root is None or variable is None:
        return None
    if not isinstance(place, ast.ClassDef):
        return chain if seen(module, root.id, place) is variable else None
    if module.self_class(root) is not None:
        return chain if module.self_class(root) is place else None
    within = variable.scope is place or any(node is place for node in module.ancestors(variable.scope))
    return _kept(site, place, chain, variable) if within else chain


def _kept(site: CallSite, place: ast.ClassDef, model: Chain, variable: Variable) -> Chain | None:
    """The attribute of self that a class assigns the variable of a method to, and nothing else."""
    module, same = site.module, site.api.framework.facts.models.same
    for use in variable.uses:
        value: ast.expr = use
        while isinstance(outer := module.parent(value), ast.Attribute) and outer.attr in model[1:]:
            value = outer
        if chain_of(value) != model:
            continue
        while isinstance(outer := module.parent(value), ast.Attribute) and outer.attr in same:
            call = module.parent(outer)
            if not isinstance(call, ast.Call):
                break
            value = call
        kept = module.holder(value)
        if kept is not None and len(kept.chain) == 2 and kept.scope is place and list(values_of(kept)) == [value]:
            return kept.chain
    return None


def seen(module: Module, name: str, place: ast.AST) -> Variable | None:
    """The variable of a name as seen from the body of a function, class or module."""
    body = getattr(place, "body", None)
    at = body[0] if isinstance(body, list) and not isinstance(place, ast.Module) else body
    return module.bound(name, at=at if isinstance(at, ast.AST) else place)


def values_of(variable: Variable) -> Iterator[ast.expr | None]:
    """What the file gives a variable beside None, each expression as a whole; None where it cannot be told."""
    for binding in variable.bindings:
        if not binding.is_none:
            yield binding.whole
