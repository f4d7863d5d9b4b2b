"""Is a MindSpore step plain: one gradient function of one forward function, called once, its gradients given to the optimizer?

The gradient function gives the loss with the gradients, or the gradients alone.

Then it can become what the other frameworks write: the forward function is called, its loss differentiated, an update made.
"""

from __future__ import annotations

import ast
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Form, Gradients, Kind
from optmap.source.bind import Bound, Unbound, bind, signature_of
from optmap.source.calls import comments_in
from optmap.source.flow import binds
from optmap.source.model import How, Module
from optmap.source.paths import root_of
from optmap.source.syntax import argument_values, inner, parameters
from optmap.translate.discover.events import Event
from optmap.translate.discover.trained import constructed_with, is_accessor
from optmap.translate.steps.read.cells import LossCell, form_of, loss_cell
from optmap.translate.steps.read.clipping import assigned_clips
from optmap.translate.steps.read.history import History
from optmap.translate.steps.read.isolation import check_harmless, check_layout
from optmap.translate.steps.read.plan import Clip
from optmap.translate.steps.read.step import Step, deleted, shown, stand
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.values import NamedTuple

_SIGNATURE: Final = signature_of("fn=None, grad_position=0, weights=None, has_aux=False, return_ids=False")
_OPERATION: Final = signature_of("get_all=False, get_by_list=False, sens_param=False")
_OPERATED: Final = signature_of("fn, weights=None")


class GradientFunction(NamedTuple):
    """The call of value_and_grad that makes a gradient function, and the statement that names its result, if one does."""

    call: ast.Call
    statement: ast.Assign | None
    form: Form = Form.VALUES


class GradientCall(NamedTuple):
    """A plain step: `statement` calls the gradient function, `step` gives the gradients to the optimizer.

    `forward` is the text of the forward `function`, or of a `cell` that computes the loss. The results are assigned to
    `targets`, the loss first; there are none where it gives gradients alone. `clips` clip the gradients in between.
    """

    statement: ast.Assign
    call: ast.Call
    step: ast.stmt
    made: GradientFunction
    forward: str
    function: ast.FunctionDef | None
    targets: tuple[str, ...]
    gradients: str
    clips: tuple[Clip, ...] = ()
    cell: LossCell | None = None


def read_gradient_call(step: Step, target: Framework) -> tuple[Step, GradientCall]:
    """Read a step around an `optimizer(grads)`. Raises NotPlain."""
    step = stand(step, Why.UPDATE_USED, Why.IN_LAMBDA_ASYNC_OR_CLASS, ast.AsyncFunctionDef)
    assert step.statement is not None
    step, statement, gradients = _taken(step)
    call = statement.value
    assert isinstance(call, ast.Call)
    made = _made(step, call)
    alone = made.form is not Form.VALUES
    targets, aux = ((), False) if alone else _targets(statement)
    if alone is isinstance(statement.targets[0], ast.Tuple):
        raise NotPlain(Why.NOT_LOSS_AND_GRADIENTS, line=statement.lineno, name=gradients)
    given = _operated(step, made) if made.form is Form.OPERATION else _given(step, made, aux)
    cell = _cell(step, given) if not aux else None
    function = _function(step, made, given, len(targets) if aux else 0) if cell is None else None
    named = [made.statement] if made.statement is not None else []
    laid = [statement, step.event.call, *named, *(clip.statement for clip in step.clips)]
    step = step.tried(lambda step: check_layout(step.source, map(step.module.statement, laid)))
    if comments_in(step.source, step.source.start(statement), step.source.end(call.func)):
        step = step.refuse(Why.COMMENT_INSIDE, line=statement.lineno)
    place = step.block.index
    for item in step.block[place(statement) + 1 : place(step.statement)]:
        check_harmless(step, item, may_jump=True)
    _check_history(step, call, function, targets, recorded=target.facts.steps.gradients is Gradients.RECORDED)
    assert step.statement is not None
    found = GradientCall(
        statement, call, step.statement, made, shown(given), function, targets, gradients, step.clips, cell
    )
    return step, found


def _taken(step: Step) -> tuple[Step, ast.Assign, str]:
    """The statement `loss, grads = grad_fn(...)`, and the variable of the gradients, which only clips and the update read."""
    given = _gradients(step.event)
    if given is None:
        raise NotPlain(Why.NO_GRADIENTS)
    clips, name = assigned_clips(step, given)
    clipping = [clip.statement for clip in clips]
    found = _nearest(step.module, clipping[0] if clipping else step.statement, name)
    if found is None:
        raise NotPlain(Why.NO_GRADIENTS)
    if not isinstance(found, ast.Assign) or not isinstance(found.value, ast.Call) or len(found.targets) != 1:
        raise NotPlain(Why.GRADIENTS_CHANGED, name=name, line=found.lineno)
    target = found.targets[0]
    last = target.elts[1] if isinstance(target, ast.Tuple) and len(target.elts) == 2 else target
    if not isinstance(last, ast.Name) or last.id != name:
        raise NotPlain(Why.NOT_LOSS_AND_GRADIENTS, line=found.lineno, name=name)
    for gone in deleted(step, name):
        raise NotPlain(Why.USED_OTHERWISE, name=name, line=gone.lineno)
    updates = {id(event.call.args[0]): event for event in step.training.events if _gradients(event) is not None}
    for held in dict.fromkeys((name, *(clip.made for clip in clips))):
        variable = step.variable(held)
        for node in variable.uses if variable is not None else ():
            event, statement = updates.get(id(node)), step.module.statement(node)
            if statement in clipping or event is step.event:
                continue
            if event is None or _nearest(step.module, statement, held) in (None, found, *clipping):
                raise NotPlain(Why.USED_OTHERWISE, name=held, line=node.lineno)
    return step._replace(clips=clips), found, name


def _gradients(event: Event) -> str | None:
    """`grads` in `optimizer(grads)`."""
    call = event.call
    alone = event.kind is Kind.CALL and len(call.args) == 1 and not call.keywords
    return call.args[0].id if alone and isinstance(call.args[0], ast.Name) else None


def _nearest(module: Module, statement: ast.stmt | None, name: str) -> ast.stmt | None:
    """The last statement before another, in its block, that binds the name."""
    if statement is None:
        return None
    block, place = module.block(statement)
    return next((item for item in reversed(block[:place]) if name in binds(item)), None)


def _made(step: Step, call: ast.Call) -> GradientFunction:
    """What made the gradient function that is called."""
    made: GradientFunction | None = None
    if isinstance(call.func, ast.Call):
        made = GradientFunction(call.func, None)
    elif isinstance(call.func, ast.Name | ast.Attribute):
        variable = step.module.variable(call.func)
        bindings = [item for item in variable.bindings if not item.is_none] if variable is not None else []
        value = bindings[0].value if len(bindings) == 1 and bindings[0].how is How.ASSIGNED else None
        statement = step.module.parent(value) if value is not None else None
        if isinstance(value, ast.Call) and isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            made = GradientFunction(value, statement)
    if made is None:
        raise NotPlain(Why.UNKNOWN_GRADIENT_FUNCTION, function=shown(call.func))
    facts, maker = step.event.site.api.framework.facts, _operation(step.module, made.call)
    form = form_of(step.module, maker.func if maker is not None else made.call.func, facts.steps.forms)
    if form is None or form not in ((Form.VALUES, Form.GRADIENTS) if maker is None else (Form.OPERATION,)):
        what, line = shown(made.call.func), made.call.lineno
        raise NotPlain(Why.NOT_VALUE_AND_GRAD, function=what, line=line, framework=facts.title)
    return made._replace(form=form)


def _operation(module: Module, made: ast.Call) -> ast.Call | None:
    """`GradOperation(get_by_list=True)`, called where it stands or by a name for it."""
    values = module.reaching(made.func).values if not isinstance(made.func, ast.Call) else (made.func,)
    return values[0] if len(values) == 1 and isinstance(values[0], ast.Call) else None


def _operated(step: Step, made: GradientFunction) -> ast.expr:
    """The network that an operation is given; it must take the gradients of weights alone."""
    line, operation = made.call.lineno, _operation(step.module, made.call)
    options, bound = bind(_OPERATION, operation) if operation is not None else None, bind(_OPERATED, made.call)
    if not isinstance(options, Bound) or not isinstance(bound, Bound):
        raise NotPlain(Why.UNPACKED, line=line)
    for name, wanted in (("get_all", False), ("get_by_list", True), ("sens_param", False)):
        value = options.given[name].value
        if not isinstance(value, ast.Constant) or value.value is not wanted:
            raise NotPlain(Why.NOT_WEIGHTS, line=line)
    if bound.given["weights"].index is None:
        raise NotPlain(Why.NOT_WEIGHTS, line=line)
    _check_weights(step, bound.given["weights"].value)
    network = bound.given["fn"].value
    assert isinstance(network, ast.expr)
    return network


def _cell(step: Step, given: ast.expr) -> LossCell | None:
    """What a gradient function differentiates where it is a network that computes the loss, and no function."""
    module = step.module
    if isinstance(module.definition(given), ast.FunctionDef) or not isinstance(given, ast.Name | ast.Attribute):
        return None
    variable = module.variable(given)
    values = variable.bindings if variable is not None else ()
    made = all(isinstance(item.value, ast.Call) for item in values)
    same = isinstance(given, ast.Attribute) or variable is step.variable(given.id)
    return loss_cell(step, given) if values and made and same else None


def _targets(statement: ast.Assign) -> tuple[tuple[str, ...], bool]:
    """What the results of the forward function are assigned to, and whether there are others than the loss."""
    target = statement.targets[0]
    assert isinstance(target, ast.Tuple)
    first = target.elts[0]
    parts = first.elts if isinstance(first, ast.Tuple) else [first]
    names = tuple(item.id for item in parts if isinstance(item, ast.Name))
    if len(names) != len(parts) or not names:
        raise NotPlain(Why.NOT_VARIABLES, line=statement.lineno)
    if names.count(names[0]) > 1:
        raise NotPlain(Why.SAME_TARGET, line=statement.lineno, name=names[0])
    return names, isinstance(first, ast.Tuple)


def _given(step: Step, made: GradientFunction, aux: bool) -> ast.expr:
    """The forward function that value_and_grad is given; everything else must be plain."""
    line = made.call.lineno
    bound = bind(_SIGNATURE, made.call)
    if isinstance(bound, Unbound):
        raise NotPlain(Why.UNPACKED, line=line)
    given = {name: item.value for name, item in bound.given.items()}
    position, weights = given["grad_position"], bound.given["weights"]
    if not isinstance(position, ast.Constant) or position.value is not None or weights.index is None:
        raise NotPlain(Why.NOT_WEIGHTS, line=line)
    for name, wanted in (("has_aux", aux), ("return_ids", False)):
        value = given[name]
        if not isinstance(value, ast.Constant) or value.value is not wanted:
            written = bound.given[name].index is not None
            raise NotPlain(Why.GIVEN, line=line, given=f"{name}={shown(value)}" if written else "no has_aux")
    function = bound.given["fn"]
    if function.index is None or not isinstance(function.value, ast.expr):
        raise NotPlain(Why.GIVEN, line=line, given="no function")
    _check_weights(step, weights.value)
    return function.value


def _check_weights(step: Step, weights: ast.expr) -> None:
    """The gradients must be those of the parameters that the optimizer has, in whatever order."""
    held = isinstance(weights, ast.Attribute) and weights.attr == "parameters"
    if held and step.module.variable(getattr(weights, "value", weights)) is step.holder.variable:
        return
    word = step.event.site.api.framework.facts.parameters.trainable
    mine = _accessor(step.module, weights, word)
    for site in step.holder.sites:
        passed = constructed_with(site)
        if passed is None or mine is None or mine != _accessor(step.module, passed, word):
            raise NotPlain(Why.OTHER_PARAMETERS, weights=shown(weights), optimizer=step.holder.text)


def _accessor(module: Module, node: ast.expr, word: str) -> tuple[str, object] | None:
    """`net.trainable_params()`, directly or by a name that is bound to it alone, and whose variable `net` is."""
    if isinstance(node, ast.Name):
        variable = module.variable(node)
        binding = variable.bindings[0] if variable is not None and len(variable.bindings) == 1 else None
        plain = binding is not None and binding.how is How.ASSIGNED and not isinstance(binding.value, ast.Name)
        return (
            _accessor(module, binding.value, word)
            if plain and binding is not None and binding.value is not None
            else None
        )
    model = is_accessor(node, word)
    root = root_of(node.func) if isinstance(node, ast.Call) else None
    if model is None or root is None:
        return None
    return ".".join(model), module.self_class(root) or module.variable(root)


def _function(step: Step, made: GradientFunction, node: ast.expr, results: int) -> ast.FunctionDef:
    """The forward function, of the file, that gives back the loss alone or `results` results."""
    module = step.module
    function = module.definition(node) if isinstance(node, ast.Name | ast.Attribute) else None
    if isinstance(node, ast.Name):
        reachable = module.variable(node) is step.variable(node.id)
    else:
        here = module.class_of(step.event.call)
        own = isinstance(node, ast.Attribute) and module.self_class(node.value) is here
        reachable = own and here is not None and module.class_of(made.call) is here
    if not isinstance(function, ast.FunctionDef) or not reachable:
        raise NotPlain(Why.UNKNOWN_FUNCTION, function=shown(node))
    package = f"{step.event.site.api.framework}."
    for decorator in function.decorator_list:
        paths = module.paths(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if len(paths) != 1 or not all(path is not None and path.startswith(package) for path in paths):
            raise NotPlain(Why.DECORATED, function=function.name, decorator=shown(decorator))
    _check_results(module, function, results)
    return function


def _check_results(module: Module, function: ast.FunctionDef, results: int) -> None:
    found = [item for item in module.nodes(ast.Return) if module.function_of(item) is function]
    for item in found:
        count = len(item.value.elts) if isinstance(item.value, ast.Tuple) else 0
        other = item.value is None or isinstance(item.value, ast.List | ast.Dict | ast.Starred)
        if other or count != results or (results and any(isinstance(n, ast.Starred) for n in inner(item))):
            raise NotPlain(Why.OTHER_RESULTS, function=function.name, line=item.lineno)
    if not found or any(isinstance(item, ast.Yield | ast.YieldFrom) for item in inner(function)):
        raise NotPlain(Why.NO_LOSS, function=function.name)


def _check_history(
    step: Step, call: ast.Call, function: ast.FunctionDef | None, targets: tuple[str, ...], *, recorded: bool
) -> None:
    history = History(step, targets, recorded=recorded)
    for item in argument_values(call):
        history.check(item)
    if recorded and function is not None:  # a tape records nothing that is computed before
        history.body(function.body, {item.arg for item in parameters(function.args)})
