"""What takes the place of a training step, in the words of the code that it is about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from optmap.mapping.frameworks import Kind, fill
from optmap.mapping.model import Framework
from optmap.source.flow import flow, targets
from optmap.source.names import Function
from optmap.source.text import Source
from optmap.translate.discover.events import Event
from optmap.translate.steps.read.plain import StepReader
from optmap.translate.steps.read.plan import Accumulates, NotPlain
from optmap.translate.steps.write.makers import makers

_LONGEST = 160
_FLAG = re.compile(r", training=(?:True|False)\b")
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


def shown_plan(source: Source, reader: StepReader, target: Framework, reason: NotPlain | None = None) -> str:
    """The replacement of a torch step where a function gives gradients, or of what makes it not plain."""
    closure = _closure(source, reader)
    if closure is not None:
        return _write(closure, target)
    steps = target.facts.steps
    clips = tuple(clip.call(steps.ops, "grads") for clip in reader.clips) if steps.ops is not None else ()
    sketch = _read(reader)._replace(between=clips)
    if reader.event.kind is Kind.SCALED_STEP and isinstance(reader.event.call.func, ast.Attribute):
        scaler = _text(reader.event.call.func.value)
        update = f"if {steps.finite}(grads): {fill(steps.update, optimizer=sketch.optimizer)}"
        sketch = sketch._replace(between=(f"grads = {scaler}.unscale(grads)", *sketch.between), update=update)
    if isinstance(reason, Accumulates):
        return _accumulated(source, sketch, target)
    return _write(sketch, target)


def shown_torch_step(source: Source, reader: StepReader, target: Framework) -> str:
    """The replacement of a torch step where no function gives gradients."""
    closure = _closure(source, reader)
    if closure is not None:
        return _write(closure, target)
    with suppress(NotPlain):  # it is shown all the same
        reader.read()
    sketch = _read(reader)
    if not sketch.loss.isidentifier():
        name = _free(sketch.loss)
        sketch = sketch._replace(forward=(*sketch.forward, f"{name} = {sketch.loss}"), loss=name)
    return _write(sketch, target)


def _read(reader: StepReader) -> Sketch:
    """What a reader has found, whether the step is plain or not."""
    reader.sketch()
    models = [".".join(chain) for chain in reader.holder.models or ()]
    return Sketch(
        tuple(_text(statement) for statement in reader.region),
        reader.loss or (_text(_value(reader)) if reader.backward is not None else "loss"),
        models[0] if models else "model",
        reader.holder.text,
        tuple(reader.arguments),
        tuple(reader.returned),
    )


def _free(text: str) -> str:
    """A name for a loss whose expression may call a function of that name."""
    return "loss" if re.search(r"\bloss\b", text) is None else "loss_value"


def _accumulated(source: Source, sketch: Sketch, target: Framework) -> str:
    """Gradients are values: what torch sums up in parameters, a variable of the program sums up."""
    total = "summed_grads" if source.mentions("total") and _uses_name(source, "total") else "total"
    summed = f"{total} = grads if {total} is None else tuple(a + b for a, b in zip({total}, grads))"
    whole = _write(sketch._replace(update=summed), target).replace("and in its place", "in place of the backward pass")
    update = fill(target.facts.steps.update.replace("grads", total), optimizer=sketch.optimizer)
    return f"{whole}, in place of the step `{update}`, and where gradients are cleared `{total} = None`"


@lru_cache(maxsize=1)
def _uses_name(source: Source, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in source.nodes)


def _closure(source: Source, reader: StepReader) -> Sketch | None:
    """`optimizer.step(closure)`: the forward part is the function's own."""
    given = reader.event.call.args[0] if reader.event.call.args else None
    if not isinstance(given, ast.Name):
        return None
    functions = (node for node in source.nodes if isinstance(node, ast.FunctionDef) and node.name == given.id)
    function = next(functions, None)
    if function is None or reader.event.kind is Kind.SCALED_STEP:
        return None
    back = [node for node in _calls(function) if isinstance(node.func, ast.Attribute) and node.func.attr == "backward"]
    kept = [item for item in function.body if not isinstance(item, ast.Return) and "zero_grad" not in ast.unparse(item)]
    forward = tuple(_text(item) for item in kept if not any(call in ast.walk(item) for call in back))
    loss = _text(back[0].func.value) if back and isinstance(back[0].func, ast.Attribute) else "loss"
    return Sketch(forward, loss, "model", reader.holder.text)


def _value(reader: StepReader) -> ast.expr:
    if reader.total is not None:
        return reader.total
    assert reader.backward is not None
    assert isinstance(reader.backward.value, ast.Call)
    assert isinstance(reader.backward.value.func, ast.Attribute)
    return reader.backward.value.func.value


def shown_step(source: Source, event: Event, target: Framework) -> str:
    """The replacement of any other step in the target framework."""
    optimizer = event.holder.text if event.holder else "optimizer"
    if event.kind is Kind.COMPILE:
        return _compiled(event, target, optimizer)
    if event.kind in (Kind.TRAIN_ONE_STEP, Kind.MODEL):
        return _cell(event, target, optimizer)
    return _write(_sketch(source, event, optimizer), target)


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


def _sketch(source: Source, event: Event, optimizer: str) -> Sketch:
    if event.kind is Kind.MINIMIZE:
        return _minimized(event, optimizer)
    if event.kind is Kind.CALL:
        return _called(source, event, optimizer)
    if event.kind is Kind.APPLY_GRADIENTS:
        return taped(source, event, optimizer)
    return Sketch((), "loss", "model", optimizer)


def _minimized(event: Event, optimizer: str) -> Sketch:
    loss = _argument(event.call, "loss", 0)
    variables = _argument(event.call, "var_list", 1)
    model = _model(variables)
    if isinstance(loss, ast.Lambda):
        return Sketch((f"loss = {_text(loss.body)}",), "loss", model, optimizer)
    text = _text(loss) if loss is not None else "loss"
    return Sketch((f"loss = {text}",) if text != "loss" else (), "loss", model, optimizer)


def taped(source: Source, event: Event, optimizer: str) -> Sketch:
    """A step with a gradient tape: what the tape records, and what it differentiates."""
    function = _function(source, event)
    pairs = event.call.args[0] if event.call.args else None
    inner = pairs.args if isinstance(pairs, ast.Call) and _text(pairs.func) == "zip" else []
    model = _model(inner[1] if len(inner) > 1 else None)
    gradient = next(
        (
            node for node in _calls(function)
            if isinstance(node.func, ast.Attribute) and node.func.attr == "gradient" and len(node.args) > 1
        ),
        None,
    )  # fmt: skip
    if gradient is None:
        return Sketch((), "loss", model, optimizer)
    assert isinstance(gradient.func, ast.Attribute)
    tape = _text(gradient.func.value)
    block = next(
        (
            node for node in ast.walk(function)
            if isinstance(node, ast.With)
            and any(item.optional_vars is not None and _text(item.optional_vars) == tape for item in node.items)
        ),
        None,
    )  # fmt: skip
    forward = tuple(_FLAG.sub("", _text(statement)) for statement in block.body) if block is not None else ()
    given = _given(function, block.body) if block is not None else ()
    return Sketch(forward, _text(gradient.args[0]), _model(gradient.args[1]), optimizer, given)


def _given(function: ast.AST, body: list[ast.stmt]) -> tuple[str, ...]:
    """What a forward part is given: parameters of its function and loop variables whose values it uses."""
    passed = {item.arg for item in ast.walk(function) if isinstance(item, ast.arg)} - {"self"}
    passed |= {name for node in ast.walk(function) if isinstance(node, ast.For) for name in targets(node.target)}
    return tuple(dict.fromkeys(use.name for use in flow(body).needed if use.name in passed and not use.called))


def _called(source: Source, event: Event, optimizer: str) -> Sketch:
    """`optimizer(grads)`: the forward function is what value_and_grad was given."""
    for node in makers(source.tree, event):
        name = _text(node.args[0]) if node.args else "forward_fn"
        function = next((f for f in source.nodes if isinstance(f, Function) and f.name == name), None)
        if function is not None:
            skipped = 0 if ast.get_docstring(function, clean=False) is None else 1
            body = tuple(_text(item) for item in function.body[skipped:] if not isinstance(item, ast.Return))
            result = next((item.value for item in function.body if isinstance(item, ast.Return)), None)
            first = result.elts[0] if isinstance(result, ast.Tuple) and result.elts else result
            loss = _text(first) if first is not None else "loss"
            name = loss if loss.isidentifier() else _free(loss)
            forward = body if loss.isidentifier() else (*body, f"{name} = {loss}")
            return Sketch(forward, name, "model", optimizer)
        return Sketch((f"loss = {name}(...)",), "loss", "model", optimizer)
    return Sketch((), "loss", "model", optimizer)


def _function(source: Source, event: Event) -> ast.AST:
    return next((node for node in reversed(event.ancestors) if isinstance(node, Function)), source.tree)


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (item for item in ast.walk(node) if isinstance(item, ast.Call))


def _model(variables: ast.expr | None) -> str:
    """The model whose variables an expression names."""
    for node in ast.walk(variables) if variables is not None else ():
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
