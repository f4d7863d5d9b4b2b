"""MindSpore's cells around a model and its loss: WithLossCell, which computes the loss, and TrainOneStepCell, which makes whole
steps. Elsewhere functions of the same names do so.

A cell keeps what it was given, a function looks names up when it is called: so they must go on to mean the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.mapping.frameworks import Form, Kind
from optmap.source.bind import Bound, bind, signature_of
from optmap.source.calls import comments_in
from optmap.source.flow import Loop
from optmap.source.model import Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import argument_values, chain_of
from optmap.translate.steps.read.history import History
from optmap.translate.steps.read.isolation import check_layout
from optmap.translate.steps.read.reached import check_cell_reached
from optmap.translate.steps.read.step import Step
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.values import NamedTuple

_STEPS: Final = signature_of("network, optimizer, sens=None, return_grad=False")
_LOSS: Final = signature_of("backbone, loss_fn")


class LossCell(NamedTuple):
    """A cell that computes the loss: how it is called, what it is given, and the model whose mode is its own.

    `statement` names it, where one does; `called` says whether the file calls it, `modes` are the places that set its mode.
    """

    given: str
    value: str
    model: ast.expr
    call: ast.Call | None = None
    statement: ast.Assign | None = None
    modes: tuple[ast.expr, ...] = ()
    called: bool = False


class StepCell(NamedTuple):
    """`name = TrainOneStepCell(network, optimizer, sens)`. `scale` is what the loss is multiplied by, `modes` set its mode."""

    statement: ast.Assign
    call: ast.Call
    name: str
    loss: LossCell
    optimizer: str
    scale: ast.expr | None
    modes: tuple[ast.expr, ...]


def read_step_cell(step: Step, *, recorded: bool) -> tuple[Step, StepCell]:
    """Read a cell that steps an optimizer. Raises NotPlain."""
    module, call = step.module, step.event.call
    facts = step.event.site.api.framework.facts
    if form_of(module, call.func, facts.steps.forms) is not Form.STEPS:
        raise NotPlain(Why.OTHER_CELL, cell=ast.unparse(call.func), framework=facts.title)
    bound = bind(_STEPS, call)
    if not isinstance(bound, Bound):
        raise NotPlain(Why.CELL_GIVEN, line=call.lineno, given="arguments that cannot be told")
    given = {item.parameter.name: item.value for item in bound.written}
    if "return_grad" in given:
        raise NotPlain(Why.CELL_GIVEN, line=call.lineno, given="return_grad")
    statement, held = _held(module, call)
    scale = given.get("sens")
    plain = scale is None or (isinstance(scale, ast.Constant) and scale.value in (None, 1))
    loss = loss_cell(step, given["network"])
    calls, modes = _uses(module, held)
    cell = StepCell(
        statement, call, held.text, loss, ast.unparse(given["optimizer"]), None if plain else scale, tuple(modes)
    )
    step = step._replace(statement=statement)
    step = step.tried(lambda step: check_layout(step.source, [statement]))
    if comments_in(step.source, step.source.start(statement), step.source.end(statement)):
        step = step.refuse(Why.COMMENT_INSIDE, line=statement.lineno)
    for node in (given["optimizer"], *([] if plain or scale is None else [scale])):
        check_steady(module, node, statement)
    for item in calls:
        history = History(step, (), recorded=recorded)
        for argument in argument_values(item):
            history.check(argument)
    return check_cell_reached(step, loss.model), cell


def loss_cell(step: Step, node: ast.expr) -> LossCell:
    """What computes the loss: a cell of a model and a loss, or whatever is called. Raises NotPlain."""
    module, source = step.module, step.source
    forms = step.event.site.api.framework.facts.steps.forms
    call, statement, modes, called = node, None, tuple[ast.expr, ...](), False
    if isinstance(node, ast.Name):
        variable = module.variable(node)
        value = variable.bindings[0].value if variable is not None and len(variable.bindings) == 1 else None
        if isinstance(value, ast.Call) and variable is not None and form_of(module, value.func, forms) is Form.LOSS:
            statement, held = _held(module, value)
            calls, places = _uses(module, held, forms)
            modes, called = tuple(places), bool(calls) or step.event.kind is not Kind.TRAIN_ONE_STEP
            called |= len(held.uses) > 1 + len(modes)
            check_layout(source, [statement])
            call = value
    if not isinstance(call, ast.Call) or form_of(module, call.func, forms) is not Form.LOSS:
        check_steady(module, node, module.statement(node))
        for made in module.reaching(node).values:
            if isinstance(made, ast.Call) and form_of(module, made.func, forms) is not None:
                what = f"{ast.unparse(node)}, which holds {ast.unparse(made.func)}"
                raise NotPlain(Why.CELL_GIVEN, line=node.lineno, given=what)
        return LossCell("*inputs", f"{ast.unparse(node)}(*inputs)", node)
    bound = bind(_LOSS, call)
    if not isinstance(bound, Bound) or comments_in(source, source.start(call), source.end(call)):
        raise NotPlain(Why.CELL_GIVEN, line=call.lineno, given="arguments that cannot be told")
    model, function = (item.value for item in bound.given.values())
    for item in (model, function):
        check_steady(module, item, module.statement(call))
        if (chain_of(item) or ("",))[0] in ("data", "label"):
            raise NotPlain(Why.NAME_TAKEN, name=ast.unparse(item))
    text = f"{ast.unparse(function)}({ast.unparse(model)}(data), label)"
    return LossCell("data, label", text, model, call, statement, modes, called)


def form_of(module: Module, node: ast.expr, forms: dict[str, Form]) -> Form | None:
    """What an import path that an expression surely stands for makes of gradients."""
    found = {forms.get(path or "") for path in module.paths(node)}
    return found.pop() if len(found) == 1 else None


def _held(module: Module, call: ast.Call) -> tuple[ast.Assign, Variable]:
    """The statement that names what a call gives, and the variable, which holds nothing else. Raises NotPlain."""
    held, statement = module.holder(call), module.parent(call)
    plain = isinstance(statement, ast.Assign) and len(statement.targets) == 1 and held is not None
    if not plain or held is None or len(held.bindings) != 1 or not isinstance(statement, ast.Assign):
        raise NotPlain(Why.NOT_BOUND, function=ast.unparse(call.func))
    return statement, held


def _uses(
    module: Module, held: Variable, forms: dict[str, Form] | None = None
) -> tuple[list[ast.Call], list[ast.expr]]:
    """The calls of a cell, and the places that set its mode. Raises NotPlain where it is used otherwise.

    A cell of `forms` may be given it.
    """
    calls: list[ast.Call] = []
    modes: list[ast.expr] = []
    for use in held.uses:
        outer = module.parent(use)
        call = module.parent(outer) if isinstance(outer, ast.Attribute) and outer.attr == "set_train" else None
        own = isinstance(use, ast.Name) or module.self_class(use.value) is held.scope  # type: ignore[attr-defined]
        if isinstance(call, ast.Call) and call.func is outer and isinstance(module.parent(call), ast.Expr) and own:
            modes.append(use)
        elif isinstance(outer, ast.Call) and outer.func is use:
            calls.append(outer)
        elif not _is_given(module, outer, forms):
            raise NotPlain(Why.USED_OTHERWISE, name=held.text, line=use.lineno)
    return calls, modes


def _is_given(module: Module, outer: ast.AST | None, forms: dict[str, Form] | None) -> bool:
    """Tell whether a call around a use of a cell of the loss asks for its gradients or steps."""
    call = module.parent(outer) if isinstance(outer, ast.keyword) else outer
    if forms is None or not isinstance(call, ast.Call):
        return False
    values = (call.func,) if isinstance(call.func, ast.Call) else module.reaching(call.func).values
    made = [item.func for item in values if isinstance(item, ast.Call)]
    return any(form_of(module, item, forms) is not None for item in (call.func, *made))


def check_steady(module: Module, node: ast.expr, statement: ast.stmt) -> None:
    """Raises NotPlain where a name that a statement reads may later mean something else."""
    if isinstance(node, ast.Constant):
        return
    root = root_of(node)
    if root is None or chain_of(node) is None:
        raise NotPlain(Why.NO_NAME, node=ast.unparse(node), line=node.lineno)
    for variable in dict.fromkeys(_variables(module, node)):
        for binding in variable.bindings:
            target = binding.target
            made = module.function_of(target)
            same = made is module.function_of(statement) and target.lineno < statement.lineno  # type: ignore[attr-defined]
            early = isinstance(variable.scope, ast.ClassDef) and made is not None and made.name == "__init__"
            looped = any(
                isinstance(item, Loop) and module.function_of(item) is made for item in module.ancestors(target)
            )
            outer = variable.scope is not module.function_of(statement) and len(variable.bindings) == 1
            if looped or not (same or early or outer):
                raise NotPlain(Why.BOUND_LATER, name=variable.text, line=target.lineno)  # type: ignore[attr-defined]


def _variables(module: Module, node: ast.expr) -> Iterator[Variable]:
    """The variables of `model`, or of `self.model`, in a chain of names."""
    while isinstance(node, ast.Attribute):
        found = module.variable(node) if module.self_class(node.value) is not None else None
        if found is not None:
            yield found
            return
        node = node.value
    found = module.variable(node)
    if found is not None:
        yield found
