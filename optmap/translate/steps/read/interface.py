"""Where the forward function goes, what it is given, and what it must give back."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from optmap.source.flow import Loop, Use, binds, certain, flow, heads
from optmap.source.model import How
from optmap.source.paths import root_of
from optmap.source.syntax import Function, chain_of, inner, parameters
from optmap.translate.steps.read.modes import made_models
from optmap.translate.steps.read.prepared import prepares
from optmap.translate.steps.read.step import Interface, Step, deleted, within
from optmap.translate.steps.reasons import NotPlain, Why

_NOT_TENSORS: Final = frozenset(
    {"len", "int", "float", "str", "range", "size", "item", "tolist", "numpy", "dim", "numel", "time", "bool", "sum", "max",
     "min"}
)  # fmt: skip
"""Functions and methods whose results may be no tensors: value_and_grad takes nothing else alone beside the loss."""
_DEFINED: Final = (How.DEFINITION, How.IMPORT)
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def choose_interface(step: Step) -> Step:
    """Choose where the forward function goes, what it is given and what it must give back, as far as that can be told."""
    arguments: list[str] = []
    returned: list[str] = []
    refusal, hoist = None, None
    try:
        hoist = _choose(step, arguments, returned)
    except NotPlain as error:
        refusal = error.reason
    return step._replace(interface=Interface(hoist, tuple(arguments), tuple(returned), refusal))


def check_interface(step: Step) -> Step:
    """Raises NotPlain where no interface could be chosen."""
    if step.interface.refusal is not None:
        raise NotPlain(step.interface.refusal)
    return step


def _choose(step: Step, arguments: list[str], returned: list[str]) -> ast.stmt:
    """Fill in the lists and return the statement that the forward function goes before. Raises NotPlain."""
    assert step.backward is not None
    needed, sure = flow([*step.region, *([] if step.loss else [step.backward])], once=True)
    bound = {name for item in step.region for name in step.effects.binds(item)}
    for name in sorted(bound):
        if not step.is_local(name):
            raise NotPlain(Why.GLOBAL, name=name)
    check_computed_inside(step, needed)
    _check_changed(step, needed)
    hoist, loop = _hoist(step, needed)
    outside = hoist is step.function
    before = _bound_before(step)
    for use in dict.fromkeys(needed):
        inside = use.name in bound
        varies = loop is not None and _is_bound_in(step, use.name, loop)
        local = step.is_local(use.name)
        plain = local and not use.called and _is_variable(step, use.name) and loop is None
        if varies or inside or plain or (outside and local):
            if use.name in before:
                _add(arguments, use.name)
            elif outside or inside:
                raise NotPlain(Why.NO_VALUE, name=use.name)
    carried = {use.name for use in needed} & bound
    for name in _in_order(step.region, bound):
        kept = name in carried or (step.function is step.module.tree and name in sure) or _is_used_outside(step, name)
        if name != step.loss and kept:
            if name not in sure and name not in arguments:
                raise NotPlain(Why.NOT_ALWAYS_BOUND, name=name)
            _add(returned, name)
    if returned and not any(_is_tensor(step, name) for name in returned):
        returned[:] = [name for name in returned if name in carried or _is_used_outside(step, name)]
        if returned:
            raise NotPlain(Why.NO_TENSOR, names=", ".join(returned))
    return hoist


def _add(found: list[str], name: str) -> None:
    if name not in found:
        found.append(name)


def _in_order(statements: Sequence[ast.stmt], names: set[str]) -> list[str]:
    """The names in the order in which the statements bind them."""
    nodes = (node for statement in statements for node in inner(statement) if isinstance(node, ast.Name))
    return [node.id for node in nodes if not isinstance(node.ctx, ast.Load) and node.id in names]


def _check_changed(step: Step, needed: Sequence[Use]) -> None:
    effects = [step.effects.effect(item) for item in step.region]
    changed = {name for item in effects for name in item.changes - item.binds if "." not in name}
    if grown := sorted((changed & {use.name for use in needed if not use.called}) - {"self"}):
        raise NotPlain(Why.CHANGED_OUTSIDE, name=grown[0])


def check_computed_inside(step: Step, needed: Sequence[Use]) -> None:
    """Refuse where a value that the loss depends on is computed nearby, but outside the block. Raises NotPlain."""
    loop = _loop(step)
    if loop is None and step.function is step.module.tree:
        return
    found: dict[ast.stmt, str] = {}
    for name in sorted({use.name for use in needed if not use.called}):
        variable = step.variable(name)
        for item in variable.bindings if variable is not None else ():
            statement = step.module.statement(item.target)
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
                found.setdefault(statement, name)
    for statement, name in sorted(found.items(), key=lambda item: (item[0].lineno, item[0].col_offset)):
        near = step.home(statement) is step.function and (loop is None or step.inside(statement, loop.body))
        own = any(statement is item for item in (*step.region, *step.block))
        before = statement.lineno < step.block[0].lineno
        if near and before and not own and not prepares(step, statement):
            raise NotPlain(Why.COMPUTED_OUTSIDE, name=name, line=statement.lineno)


def _loop(step: Step) -> Loop | None:
    """The innermost loop of the function around the step."""
    return next((node for node in step.around() if isinstance(node, Loop)), None)


def _is_bound_in(step: Step, name: str, loop: Loop) -> bool:
    """Tell whether a loop binds a name of the function."""
    variable = step.variable(name)
    if variable is None or variable.scope is not step.function:
        return False
    return any(step.inside(item.target, [loop]) for item in variable.bindings if item.how is not How.PARAMETER)


def _bound_before(step: Step) -> frozenset[str]:
    """The names of the function that surely have a value where the forward part begins."""
    arguments = getattr(step.function, "args", None)
    sure = frozenset(item.arg for item in parameters(arguments)) if arguments is not None else frozenset[str]()
    path = [step.anchor, *within(step.module, step.anchor, step.function)]
    for item in reversed([node for node in path if isinstance(node, ast.stmt)]):
        block, place = step.module.block(item)
        sure = certain(block[:place], sure)
        defined = (other for other in block[:place] if isinstance(other, _DEFINITIONS))
        sure |= {name for other in defined for name in binds(other)}
        if isinstance(item, ast.For | ast.With) and item is not step.anchor:
            sure |= heads(item)
    return sure


def _is_variable(step: Step, name: str) -> bool:
    variable = step.variable(name)
    return variable is None or not any(item.how in _DEFINED for item in variable.bindings)


def _is_used_outside(step: Step, name: str) -> bool:
    """Tell whether something outside the forward part reads or deletes a name that the forward part binds."""
    assert step.backward is not None
    variable = step.variable(name)
    if variable is None:
        return False
    mine = (*step.region, step.backward, *step.gone)
    grown = (item.target for item in variable.bindings if item.how is How.AUGMENTED)
    return any(not step.inside(node, mine) for node in (*variable.uses, *grown, *deleted(step, name)))


def _hoist(step: Step, needed: Sequence[Use]) -> tuple[ast.stmt, Loop | None]:
    """The statement before which the function is defined, and the outermost loop that it leaves."""
    assert step.backward is not None
    hoist: ast.stmt = step.region[0] if step.region else step.backward
    left: Loop | None = None
    fixed = {step.holder.chain[0], *(model[0] for model in step.models)}
    for node in step.around():
        if isinstance(node, Loop):
            if any(_is_bound_in(step, name, node) for name in fixed) or _sets_attributes(step, node):
                return hoist, left
            hoist = left = node
    if isinstance(step.function, ast.FunctionDef) and _can_leave(step, step.function, needed):
        return step.function, left
    return hoist, left


def _sets_attributes(step: Step, loop: Loop) -> bool:
    """Tell whether a loop assigns an attribute that is the optimizer, or one of its models."""
    return any(
        not isinstance(node.ctx, ast.Load) and chain_of(node) == chain and step.inside(node, [loop])
        for chain in {step.holder.chain, *step.models} if len(chain) > 1
        for node in step.module.attributes(chain[-1])
    )  # fmt: skip


def _can_leave(step: Step, function: ast.FunctionDef, needed: Sequence[Use]) -> bool:
    """Tell whether the forward function can stand before the function that steps, as a sibling of it."""
    module = step.module
    if module.parent(function) is not module.tree or step.holder.place is not module.tree:
        return False
    for site in step.holder.sites:
        statement = module.parent(site.node)
        plain = isinstance(statement, ast.Assign | ast.AnnAssign) and module.parent(statement) is module.tree
        if not plain or module.statement(site.node).lineno >= function.lineno:
            return False
    for model in step.models:
        variable = step.variable(model[0])
        lines = [getattr(item.target, "lineno", 0) for item in variable.bindings] if variable is not None else []
        if min(lines, default=0) >= function.lineno:
            return False
    return not any(use.called and step.is_local(use.name) for use in needed)


def _is_tensor(step: Step, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Tell whether a name that the forward part binds surely holds a tensor, or tensors."""
    nodes = [node for item in step.region for node in inner(item) if isinstance(node, ast.Assign)]
    values = [item.value for item in nodes if name in step.effects.binds(item)]
    return name not in seen and any(_makes_tensor(step, value, seen | {name}) for value in values)


def _makes_tensor(step: Step, node: ast.expr, seen: frozenset[str]) -> bool:
    if isinstance(node, ast.Call):
        return _gives_tensor(step, node, seen)
    if isinstance(node, ast.BinOp):
        return _makes_tensor(step, node.left, seen) or _makes_tensor(step, node.right, seen)
    if isinstance(node, ast.Subscript):
        return _makes_tensor(step, node.value, seen)
    return isinstance(node, ast.Name) and _is_tensor(step, node.id, seen)


def _gives_tensor(step: Step, call: ast.Call, seen: frozenset[str]) -> bool:
    """Models do, the framework's functions, methods of tensors, and objects that are given tensors, as losses are."""
    function, root = call.func, root_of(call.func)
    word = getattr(function, "attr", getattr(function, "id", ""))
    if word in _NOT_TENSORS:
        return False
    if step.model_of(function) is not None or step.chain(function) in made_models(step.module):
        return True
    if isinstance(function, ast.Attribute) and _makes_tensor(step, function.value, seen):
        return True
    paths = step.module.paths(root) if root is not None else frozenset[str | None]()
    packages = step.event.site.api.framework.facts.packages
    if paths and all(path is not None and path.partition(".")[0] in packages for path in paths):
        return True
    named = step.module.variable(function if _is_self(step, function) else root) if root is not None else None
    own = named is not None and any(isinstance(item.target, (Function, ast.ClassDef)) for item in named.bindings)
    return root is not None and not own and any(_makes_tensor(step, item, seen) for item in call.args)


def _is_self(step: Step, node: ast.expr) -> bool:
    """Tell whether a node is `self.x`."""
    return isinstance(node, ast.Attribute) and step.module.self_class(node.value) is not None
