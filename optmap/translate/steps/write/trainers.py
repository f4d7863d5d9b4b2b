"""What takes the place of what trains by itself: `compile`, MindSpore's Model, and `minimize`."""

from __future__ import annotations

import ast
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Kind
from optmap.source.bind import Bound, bind, signature_of
from optmap.source.model import Module
from optmap.source.syntax import Function
from optmap.translate.discover.events import Event
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.translate.steps.write.fresh_names import UsedNames, free
from optmap.translate.steps.write.pieces import Piece, filled, shown
from optmap.translate.steps.write.preview import with_imports

TRAINERS: Final = (Kind.COMPILE, Kind.MODEL)
"""What makes an object that trains by itself, and is no step."""
_SIGNATURES: Final = {
    Kind.COMPILE: signature_of("optimizer=None, loss=None, loss_weights=None, metrics=None, **more"),
    Kind.MODEL: signature_of("network, loss=None, optimizer=None, metrics=None, **more"),
    Kind.MINIMIZE: signature_of("loss, var_list=None, *more, **others"),
}


def shown_trainer(module: Module, event: Event, target: Framework, used: UsedNames) -> str:
    """The code in place of a call that trains, or makes what does. Raises NotPlain where none can be shown."""
    words = target.facts.steps.shown
    templates = {
        Kind.COMPILE: words.compiled, Kind.MODEL: words.model, Kind.MINIMIZE: words.gradients,
    }  # fmt: skip
    template = templates.get(event.kind, "")
    if not template:
        raise NotPlain(Why.NOT_WRITTEN, framework=target.facts.title)
    names = {"optimizer": event.holder.text if event.holder is not None else _optimizer(event)}
    if event.kind is Kind.MINIMIZE:
        text = _minimized(module, event, target, used, names)
    else:
        text = filled(template, **names, **_supervised(module, event, target, used))
    return with_imports(module, shown(module, [Piece([module.statement(event.call)], text)]), words, target)


def _given(event: Event) -> dict[str, ast.expr]:
    """What the call is given, by parameter."""
    bound = bind(_SIGNATURES[event.kind], event.call)
    if not isinstance(bound, Bound):
        raise NotPlain(Why.UNPACKED, line=event.call.lineno)
    return {item.parameter.name: item.value for item in bound.written if isinstance(item.value, ast.expr)}


def _optimizer(event: Event) -> str:
    if event.kind is Kind.MINIMIZE and event.site.api.module.collects:
        raise NotPlain(Why.GRAPH)
    raise NotPlain(Why.UNNAMED, line=event.call.lineno)


def _supervised(module: Module, event: Event, target: Framework, used: UsedNames) -> dict[str, str]:
    """The model, its loss as it is called, and a name for what is defined."""
    given = _given(event)
    loss, function = given.get("loss"), event.call.func
    if event.kind is Kind.COMPILE:
        model = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
        own = isinstance(loss, ast.Name) and isinstance(module.definition(loss), Function)
        if not own or loss is None:
            raise NotPlain(Why.LOSS_NOT_OWN, framework=target.facts.title)
        return {"model": model, "loss": ast.unparse(loss), "name": free("trainer", used)}
    if not isinstance(module.statement(event.call), ast.Assign | ast.Expr):
        raise NotPlain(Why.NOT_BOUND, function=ast.unparse(function))
    if loss is None or (isinstance(loss, ast.Constant) and loss.value is None):
        raise NotPlain(Why.GIVES_LOSS)
    return {"network": ast.unparse(given["network"]), "loss": ast.unparse(loss), "name": free("train_step", used)}


def _minimized(module: Module, event: Event, target: Framework, used: UsedNames, names: dict[str, str]) -> str:
    """`minimize` with a function that computes the loss."""
    loss = _given(event).get("loss")
    own = module.definition(loss) if isinstance(loss, ast.Name) else None
    if isinstance(loss, ast.Lambda):
        value = ast.unparse(loss.body)
    elif isinstance(own, Function):
        value = f"{own.name}()"
    else:
        raise NotPlain(Why.GRAPH)
    if not isinstance(module.parent(event.call), ast.Expr):
        raise NotPlain(Why.UPDATE_USED)
    words = target.facts.steps.shown
    name = free("loss", used, keep=True)
    names = {**names, "loss": name, "grads": free("grads", used, keep=True)}
    if not words.before:
        return filled(f"{words.gradients}\n{words.update}", **names, body=f"{name} = {value}")
    names |= {"forward": free("forward_fn", used), "function": free("grad_fn", used), "targets": name, "given": ""}
    define = filled(words.before, **{**names, "loss": value}, body="", results=value, more="", and_given="")
    return f"{define}\n{filled(words.gradients, **names, and_given='')}\n{filled(words.update, **names)}"
