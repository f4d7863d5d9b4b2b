"""What takes the place of a training step, in the words of the code that it is about."""

from __future__ import annotations

import ast
import re
from typing import Final

from optmap.mapping.frameworks import Kind, fill
from optmap.mapping.model import Framework
from optmap.source.flow import flow
from optmap.source.model import How, Module
from optmap.source.syntax import Function, chain_of, inner
from optmap.source.text import Source
from optmap.translate.discover.events import Event
from optmap.translate.steps.read.step import Step
from optmap.translate.steps.read.torch_step import read_torch_step, sketched
from optmap.translate.steps.reasons import Reason
from optmap.values import NamedTuple

_LONGEST: Final = 160
_MAKERS: Final = ("value_and_grad", "grad", "GradOperation")
"""What makes gradient functions of MindSpore."""
_FLAG: Final = re.compile(r", training=(?:True|False)\b")
"""What only Keras's models are given; others have a mode."""


class Sketch(NamedTuple):
    """A step in no framework's words: the statements that compute the loss, its name, and what is trained by what."""

    forward: tuple[str, ...]
    loss: str
    model: str
    optimizer: str
    arguments: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    update: str = ""


def shown_plan(step: Step, target: Framework, reason: Reason | None = None) -> str:
    """The replacement of a torch step where a function gives gradients, or of what makes it not plain."""
    closure = _closure(step)
    if closure is not None:
        return _write(closure, target)
    steps = target.facts.steps
    sketch = _sketch_of(step, steps.ops)
    if step.event.kind is Kind.SCALED_STEP and isinstance(step.event.call.func, ast.Attribute):
        scaler = _text(step.event.call.func.value)
        update = f"if {steps.finite}(grads): {fill(steps.update, optimizer=sketch.optimizer)}"
        sketch = sketch._replace(between=(f"grads = {scaler}.unscale(grads)", *sketch.between), update=update)
    if reason is not None and reason.accumulates:
        return _accumulated(step.source, sketch, target)
    return _write(sketch, target)


def shown_torch_step(step: Step, target: Framework) -> str:
    """The replacement of a torch step where no function gives gradients."""
    closure = _closure(step)
    if closure is not None:
        return _write(closure, target)
    sketch = _sketch_of(read_torch_step(step)[0])  # it is shown whether it is plain or not
    if not sketch.loss.isidentifier():
        name = _free(sketch.loss)
        sketch = sketch._replace(forward=(*sketch.forward, f"{name} = {sketch.loss}"), loss=name)
    return _write(sketch, target)


def _sketch_of(step: Step, clipping: str | None = None) -> Sketch:
    """What was found of a step, whether it is plain or not; `clipping` is the module of the functions that clip gradients."""
    step = sketched(step)
    models = [".".join(chain) for chain in step.models]
    return Sketch(
        tuple(_text(statement) for statement in step.region),
        step.loss or (_text(step.value) if step.backward is not None else "loss"),
        models[0] if models else "model",
        step.holder.text,
        step.interface.arguments,
        step.interface.returned,
        tuple(clip.call(clipping, "grads") for clip in step.clips) if clipping is not None else (),
    )


def _free(text: str) -> str:
    """A name for a loss whose expression may call a function of that name."""
    return "loss" if re.search(r"\bloss\b", text) is None else "loss_value"


def _accumulated(source: Source, sketch: Sketch, target: Framework) -> str:
    """Gradients are values: what torch sums up in parameters, a variable of the program sums up."""
    total = "summed_grads" if source.mentions("total") and Module.of(source).names("total") else "total"
    summed = f"{total} = grads if {total} is None else tuple(a + b for a, b in zip({total}, grads))"
    whole = _write(sketch._replace(update=summed), target).replace("and in its place", "in place of the backward pass")
    update = fill(target.facts.steps.update.replace("grads", total), optimizer=sketch.optimizer)
    return f"{whole}, in place of the step `{update}`, and where gradients are cleared `{total} = None`"


def _closure(step: Step) -> Sketch | None:
    """`optimizer.step(closure)`: the forward part is the function's own."""
    given = step.event.call.args[0] if step.event.call.args else None
    variable = step.module.variable(given) if isinstance(given, ast.Name) else None
    bindings = step.module.in_force(variable, at=step.event.call) if variable is not None else ()
    function = bindings[-1].target if bindings else None
    if not isinstance(function, ast.FunctionDef) or step.event.kind is Kind.SCALED_STEP:
        return None
    calls = (node for node in inner(function) if isinstance(node, ast.Call))
    back = [node for node in calls if isinstance(node.func, ast.Attribute) and node.func.attr == "backward"]
    kept = [item for item in function.body if not isinstance(item, ast.Return) and "zero_grad" not in ast.unparse(item)]
    forward = tuple(_text(item) for item in kept if not any(step.inside(call, [item]) for call in back))
    loss = _text(back[0].func.value) if back and isinstance(back[0].func, ast.Attribute) else "loss"
    return Sketch(forward, loss, "model", step.holder.text)


def shown_step(module: Module, event: Event, target: Framework) -> str:
    """The replacement of any other step in the target framework."""
    optimizer = event.holder.text if event.holder else "optimizer"
    if event.kind is Kind.COMPILE:
        return _compiled(event, target, optimizer)
    if event.kind in (Kind.TRAIN_ONE_STEP, Kind.MODEL):
        return _cell(event, target, optimizer)
    return _write(_sketch(module, event, optimizer), target)


def _write(sketch: Sketch, target: Framework) -> str:
    steps = target.facts.steps
    if steps.becomes is None:
        return f"the step has to be written as {target.facts.title} has it"
    rest = "".join(f", {name}" for name in sketch.returned)
    free = "scaled_loss" if "loss" in sketch.returned else "loss"
    loss = sketch.loss if sketch.loss.isidentifier() else free
    return fill(
        steps.becomes,
        forward="; ".join(sketch.forward) or f"{sketch.loss} = ...",
        loss=sketch.loss,
        model=sketch.model,
        optimizer=sketch.optimizer,
        given=", ".join(sketch.arguments),
        and_given="".join(f", {name}" for name in sketch.arguments),
        body="; ".join((*sketch.forward, f"return {sketch.loss}{rest}")),
        results=f"({loss}{rest})" if rest else loss,
        more=steps.more if rest else "",
        between="".join(f"{item}; " for item in sketch.between),
        update=sketch.update or fill(steps.update, optimizer=sketch.optimizer),
    )


def _compiled(event: Event, target: Framework, optimizer: str) -> str:
    function = event.call.func
    model = _text(function.value) if isinstance(function, ast.Attribute) else "model"
    loss = _argument(event.call, "loss", 1)
    shown = _text(loss) if loss is not None and not isinstance(loss, ast.Constant) else "loss_fn"
    metrics = _argument(event.call, "metrics", 2)
    more = f", metrics={_text(metrics)}" if metrics is not None else ""
    if target.facts.steps.compiled is not None:
        return fill(target.facts.steps.compiled, model=model, loss=shown, optimizer=optimizer, metrics=more)
    sketch = Sketch((f"loss = {shown}({model}(x), y)",), "loss", model, optimizer)
    return f"compile and fit become a loop over the dataset; {_write(sketch, target)}"


def _cell(event: Event, target: Framework, optimizer: str) -> str:
    first = event.call.args[0] if event.call.args else _argument(event.call, "network", 0)
    network = _text(first) if first is not None else "network"
    if event.kind is Kind.TRAIN_ONE_STEP:
        sketch = Sketch((f"loss = {network}(x, y)",), "loss", network, optimizer)
        return f"{_write(sketch, target)}, where {network} gives the loss, as it does in the TrainOneStepCell"
    loss = _argument(event.call, "loss_fn", 1)
    shown = _text(loss) if loss is not None else "loss_fn"
    if target.facts.steps.model is not None:
        return fill(target.facts.steps.model, model=network, loss=shown, optimizer=optimizer)
    sketch = Sketch((f"loss = {shown}({network}(x), y)",), "loss", network, optimizer)
    return f"its train(...) is a loop over the dataset in {target}; {_write(sketch, target)}"


def _sketch(module: Module, event: Event, optimizer: str) -> Sketch:
    if event.kind is Kind.MINIMIZE:
        return _minimized(event, optimizer)
    if event.kind is Kind.CALL:
        return _called(module, event, optimizer)
    if event.kind is Kind.APPLY_GRADIENTS:
        return _taped(module, event, optimizer)
    return Sketch((), "loss", "model", optimizer)


def _minimized(event: Event, optimizer: str) -> Sketch:
    loss = _argument(event.call, "loss", 0)
    variables = _argument(event.call, "var_list", 1)
    model = _model(variables)
    if isinstance(loss, ast.Lambda):
        return Sketch((f"loss = {_text(loss.body)}",), "loss", model, optimizer)
    text = _text(loss) if loss is not None else "loss"
    return Sketch((f"loss = {text}",) if text != "loss" else (), "loss", model, optimizer)


def _taped(module: Module, event: Event, optimizer: str) -> Sketch:
    """A step with a gradient tape: what the tape records, and what it differentiates."""
    pairs = event.call.args[0] if event.call.args else None
    zipped = pairs.args if isinstance(pairs, ast.Call) and _text(pairs.func) == "zip" else []
    gradient = _differentiation(module, event, zipped[0] if zipped else None)
    if gradient is None:
        return Sketch((), "loss", _model(zipped[1] if len(zipped) > 1 else None), optimizer)
    assert isinstance(gradient.func, ast.Attribute)
    tape, function = _text(gradient.func.value), module.function_of(event.call)
    blocks = [
        node for node in module.nodes(ast.With) if module.function_of(node) is function
        and any(item.optional_vars and _text(item.optional_vars) == tape for item in node.items)
    ]  # fmt: skip
    before = [block for block in blocks if block.lineno < gradient.lineno] or blocks[:1]
    forward = [_FLAG.sub("", _text(item)) for item in before[-1].body] if before else []
    given = _given(module, before[-1]) if before else ()
    return Sketch(tuple(forward), _text(gradient.args[0]), _model(gradient.args[1]), optimizer, given)


def _differentiation(module: Module, event: Event, gradients: ast.expr | None) -> ast.Call | None:
    """The call of `tape.gradient` that gives the gradients, or the first one of the function."""
    variable = module.variable(gradients) if isinstance(gradients, ast.Name) else None
    made = [item.value for item in module.in_force(variable, at=event.call)] if variable is not None else []
    function = module.function_of(event.call)
    nodes = (node for node in module.attributes("gradient") if module.function_of(node) is function)
    for call in (*reversed(made), *map(module.parent, nodes)):
        taken = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "gradient"
        if taken and isinstance(call, ast.Call) and len(call.args) > 1:
            return call
    return None


def _given(module: Module, block: ast.With) -> tuple[str, ...]:
    """What a forward part is given: parameters of its function and loop variables whose values it uses."""
    found = []
    for use in flow(block.body).needed:
        variable = module.bound(use.name, at=block)
        bindings = variable.bindings if variable is not None else ()
        passed = any(item.how is How.PARAMETER or isinstance(item.loop, ast.For) for item in bindings)
        if use.name != "self" and not use.called and passed:
            found.append(use.name)
    return tuple(dict.fromkeys(found))


def _called(module: Module, event: Event, optimizer: str) -> Sketch:
    """`optimizer(grads)`: the forward function is what value_and_grad was given."""
    made = _gradient_function(module, event)
    if made is None:
        return Sketch((), "loss", "model", optimizer)
    given = made.args[0] if made.args else None
    name = _text(given) if given is not None else "forward_fn"
    function = module.definition(given) if given is not None else None
    if not isinstance(function, Function):
        return Sketch((f"loss = {name}(...)",), "loss", "model", optimizer)
    skipped = 0 if ast.get_docstring(function, clean=False) is None else 1
    body = tuple(_text(item) for item in function.body[skipped:] if not isinstance(item, ast.Return))
    result = next((item.value for item in function.body if isinstance(item, ast.Return)), None)
    first = result.elts[0] if isinstance(result, ast.Tuple) and result.elts else result
    loss = _text(first) if first is not None else "loss"
    name = loss if loss.isidentifier() else _free(loss)
    forward = body if loss.isidentifier() else (*body, f"{name} = {loss}")
    return Sketch(forward, name, "model", optimizer)


def _gradient_function(module: Module, event: Event) -> ast.Call | None:
    """The call of value_and_grad, or of what is like it, that makes the gradients of an event, as far as names tell it.

    Where they don't, it is the first of the file.
    """
    given = event.call.args[0] if event.call.args else None
    variable = module.variable(given) if isinstance(given, ast.Name) else None
    statements = [module.statement(item.target) for item in variable.bindings] if variable is not None else []
    before = [item for item in statements if isinstance(item, ast.Assign) and item.lineno < event.call.lineno]
    last = before[-1].value if before else None
    function = module.variable(last.func) if isinstance(last, ast.Call) else None
    own = [last.func] if isinstance(last, ast.Call) else []
    own += [item.value for item in (function.bindings if function is not None else ()) if item.value]
    found = [item for item in own if isinstance(item, ast.Call) and (chain_of(item.func) or ("",))[-1] in _MAKERS]
    if not found:
        named = [node for name in _MAKERS for node in (*module.names(name), *module.attributes(name))]
        outer = [(node, module.parent(node)) for node in named if chain_of(node) is not None]
        found = [call for node, call in outer if isinstance(call, ast.Call) and call.func is node]
    return min(found, key=lambda node: (node.lineno, node.col_offset), default=None)


def _model(variables: ast.expr | None) -> str:
    """The model whose variables an expression names."""
    for node in inner(variables) if variables is not None else ():
        if isinstance(node, ast.Attribute) and node.attr.startswith("trainable"):
            return _text(node.value)
    return "model"


def _argument(call: ast.Call, name: str, position: int) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[position] if position < len(call.args) else None


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.With):
        heads = ", ".join(ast.unparse(item) for item in node.items)
        text = f"with {heads}: {'; '.join(map(_text, node.body))}"
    else:
        text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
