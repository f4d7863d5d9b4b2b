"""What to write in place of learning rates of the user's own: lists with one for each step, and schedule classes of the file."""

from __future__ import annotations

import ast
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import fill, for_module
from optmap.mapping.sections import Api
from optmap.source.syntax import called
from optmap.source.text import Source
from optmap.translate.constructors.learning_rate import RateKind, RateObject


def rate_list_advice(source: Source, what: RateObject, node: ast.expr, framework: Framework, api: Api) -> str:
    """A clause that begins with a semicolon, and code below it; empty where nothing is certain. `what` is the learning rate."""
    target = api.framework
    if what.kind is RateKind.SCHEDULE:
        return "; write it at the call, or bind it to a name of its own"
    if what.kind in (RateKind.OWN_SCHEDULE, RateKind.OBJECT):
        return _class_advice(source, what.name, node, framework, api)
    if not framework.facts.rates.lists or what.kind is RateKind.FUNCTION:
        return ""
    made = what.kind is RateKind.RETURNED
    wraps = isinstance(node, ast.Call) and bool(node.args) and called(node) in _WRAPPERS
    held = node.args[0] if isinstance(node, ast.Call) and wraps else node
    if isinstance(held, ast.Constant):
        return f"; pass the number {ast.unparse(held)}"
    plain = isinstance(held, ast.Name | ast.Attribute)
    rates = source.text_of(held) if plain else _LONG
    short = _short(source, held)
    where = "" if plain or short == _LONG else f"rates = {short}\n"
    when = "" if isinstance(node, ast.List | ast.Tuple | ast.ListComp) else "where it holds a rate for each step, "
    if made:
        when = f"if it is a number, pass float({_short(source, node)}); if not, "
    advice = for_module(target.facts.rates.of_list, api.module.name)
    return f"; {when}{fill(advice, rates=rates, where=where)}" if advice is not None else ""


_LONG: Final = "rates"
"""What stands for an expression that is too long to be repeated."""
_WRAPPERS: Final = ("Tensor", "tensor", "Parameter", "array", "asarray")
"""What rates are put into on their way to the optimizer."""


def _class_advice(source: Source, name: str, node: ast.expr, framework: Framework, api: Api) -> str:
    """How a schedule class of the file goes on; its method still has to be written with the target's functions."""
    method, advice = framework.facts.rates.method, for_module(api.framework.facts.rates.of_class, api.module.name)
    if method is None or advice is None:
        return ""
    return f"; {fill(advice, name=name, method=method, made=_short(source, node))}"


def _short(source: Source, node: ast.expr) -> str:
    text = source.text_of(node)
    text = f"({text})" if isinstance(node, ast.NamedExpr) else text
    return text if len(text) <= 60 and "\n" not in text and "\r" not in text else _LONG
