"""What a function or a method that trains knows a model as, and what that is where the optimizer is constructed."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Final

from optmap.source.bindings import position
from optmap.source.model import Binding, How, Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import argument_values, chain_of
from optmap.translate.discover.flow import places_of
from optmap.translate.parameters.training import user_of
from optmap.translate.parameters.variables import CHANGING

_DEEP: Final = 10
_PLAIN: Final = (
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Dict,
    ast.UnaryOp,
    ast.BinOp,
    ast.operator,
    ast.unaryop,
    ast.expr_context,
)


def outside(module: Module, node: ast.expr, optimizer: ast.Call, through: Collection[str]) -> ast.expr | None:
    """What a function of the file is given as a parameter by the one call that also gives it the optimizer, or by all calls.

    The expression itself where it is no parameter; None where that cannot be told. `through` are decorators that compile.
    """
    for _ in range(_DEEP):
        root = root_of(node)
        owner = module.self_class(root) if root is not None else None
        if owner is not None and owner is not module.class_of(optimizer):
            return _of_object(module, node, owner, optimizer)
        variable = module.variable(node) if isinstance(node, ast.Name) else None
        bindings = module.in_force(variable, node) if variable is not None else ()
        if not any(item.how is How.PARAMETER for item in bindings) or not isinstance(node, ast.Name):
            return node
        function = variable.scope if variable is not None else None
        if function is module.function_of(optimizer) or owner is not None:
            return node
        if not isinstance(function, ast.FunctionDef) or len(bindings) > 1:
            return None
        taken = [module.arguments(call, function).given for call in module.callers(function, through) or ()]
        giving = [given for given in taken if any(_holds(module, item.value, optimizer) for item in given.values())]
        values = [given[node.id].value for given in giving or taken if node.id in given]
        known = {module.variable(value) if isinstance(value, ast.Name) else None for value in values}
        one = len(values) == 1 or (not giving and len(known) == 1 and None not in known)
        if not one or len(values) != len(giving or taken) or chain_of(values[0]) is None:
            return None
        node = values[0]
    return None


def _holds(module: Module, node: object, optimizer: ast.Call) -> bool:
    return isinstance(node, ast.expr) and any(value is optimizer for value in module.reaching(node).values)


def _of_object(module: Module, node: ast.expr, owner: ast.ClassDef, optimizer: ast.Call) -> ast.expr | None:
    """What `self.model` is given where the object was made that took the optimizer: `GAN(model).compile(optimizer)`."""
    users = [(user_of(module, place), place) for place, _ in places_of(module, [optimizer]).values()]
    takers = {id(call): call for call, place in users if call is not None and _takes(module, call, place, owner)}
    taker = next(iter(takers.values())) if len(takers) == 1 else None
    if taker is not None and module.definition(taker.func) is not owner:
        made = module.reaching(taker.func.value) if isinstance(taker.func, ast.Attribute) else None
        only = made.values[0] if made is not None and made.complete and len(made.values) == 1 else None
        taker = only if isinstance(only, ast.Call) and module.definition(only.func) is owner else None
    variable, init = module.variable(node), module.method(owner, "__init__")
    bindings = variable.bindings if variable is not None else ()
    value = bindings[0].value if len(bindings) == 1 and bindings[0].how is How.ASSIGNED else None
    parameter = module.variable(value) if isinstance(value, ast.Name) else None
    if taker is None or init is None or not isinstance(value, ast.Name) or parameter is None:
        return None
    plain = parameter.scope is init and [item.how for item in parameter.bindings] == [How.PARAMETER]
    given = module.arguments(taker, init).given.get(value.id) if plain else None
    return given.value if given is not None and chain_of(given.value) is not None else None


def _takes(module: Module, call: ast.Call, place: ast.expr, owner: ast.ClassDef) -> bool:
    """Tell whether a call gives an optimizer to a method of a class, or constructs an object of the class with it."""
    given = any(place is item for item in argument_values(call))
    function = module.function(call)
    own = function is not None and module.scope(function) is owner
    return given and (own or module.definition(call.func) is owner)


def when_run(
    module: Module, variable: Variable, node: ast.expr, through: Collection[str], depth: int = _DEEP
) -> list[Binding]:
    """The bindings in force where a place reads a variable; in a function whose calls are all seen, where these are."""
    found, function = list(module.in_force(variable, node)), module.function_of(node)
    if function is None or function is variable.scope or module.scope(node) is not function or not depth:
        return found
    calls = module.callers(function, through) if not module.yields(function) and not module.runs(function) else None
    if calls is None:
        return found
    called = [item for call in calls for item in when_run(module, variable, call, through, depth - 1)]
    return [item for item in found if item in called]


def grows_after(module: Module, optimizer: ast.Call) -> ast.expr | ast.stmt | None:
    """Where a model that constructs its own optimizer may get more parameters than it has at that time."""
    method, owner, place = module.function_of(optimizer), module.class_of(optimizer), position(optimizer)
    if method is None or owner is None or method.name != "__init__":
        return optimizer
    if derived := module.subclasses(owner)[1:]:
        return derived[0]
    if (names := module.names("setattr")) or module.holder(optimizer) is None:
        return names[0] if names else optimizer
    own = (node for node in module.nodes(ast.Attribute) if module.self_class(node.value) is owner)
    late = (node for node in own if module.function_of(node) is not method or position(node) > place)
    taken = module.holder(optimizer)
    return next((node for node in late if module.variable(node) is not taken and _may_add(module, node)), None)


def _may_add(module: Module, node: ast.Attribute) -> bool:
    """Tell whether a place gives an object something that may be a layer, or a list of layers another one."""
    parent, variable = module.parent(node), module.variable(node)
    if isinstance(node.ctx, ast.Load):
        stored = isinstance(parent, ast.Subscript) and parent.value is node and not isinstance(parent.ctx, ast.Load)
        return stored or node.attr.startswith("add") or (isinstance(parent, ast.Attribute) and parent.attr in CHANGING)
    values = [item.value for item in variable.bindings if item.target is node] if variable is not None else []
    return not values or not all(
        value is not None and all(isinstance(item, _PLAIN) for item in ast.walk(value)) for value in values
    )
