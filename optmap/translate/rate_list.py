"""What to write in place of a list of learning rates, one for each step, which only MindSpore's optimizers take."""

from __future__ import annotations

import ast

from optmap.mapping.model import Framework
from optmap.source.text import Source


def rate_list_advice(source: Source, what: str, node: ast.expr, framework: Framework, target: Framework) -> str:
    """Return a clause that begins with a semicolon; empty where nothing is certain. `what` describes the learning rate."""
    if framework is not Framework.MINDSPORE or what.startswith(("the schedule", "a function")):
        return ""
    held = node.args[0] if isinstance(node, ast.Call) and node.args else node
    if isinstance(held, ast.Constant):
        return f"; pass the number {ast.unparse(held)}"
    plain = isinstance(held, ast.Name | ast.Attribute)
    rates = source.text(source.start(held), source.end(held)) if plain else "rates"
    where = "" if plain else f", with rates = {_short(source, held)}"
    when = "" if isinstance(node, ast.List | ast.Tuple | ast.ListComp) else " where it holds a rate for each step,"
    if target is Framework.TORCH:
        return (
            f";{when} give the optimizer lr=1.0, attach torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: "
            f"float({rates}[min(step, len({rates}) - 1)])){where}, and call its step() after every step of the optimizer"
        )
    arguments = f"list(range(len({rates}) - 1)), [float(rate) for rate in {rates}]"
    return f";{when} pass tf.keras.optimizers.schedules.PiecewiseConstantDecay({arguments}){where}"


def _short(source: Source, node: ast.expr) -> str:
    text = source.text(source.start(node), source.end(node))
    return text if len(text) <= 60 and "\n" not in text and "\r" not in text else "the list"
