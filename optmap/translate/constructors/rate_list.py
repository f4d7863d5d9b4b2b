"""What to write in place of learning rates of the user's own: lists with one for each step, and schedule classes of the file."""

from __future__ import annotations

import ast
from typing import Final

from optmap.mapping.model import Api, Framework
from optmap.source.text import Source
from optmap.translate.constructors.learning_rate import RateKind, RateObject
from optmap.translate.parameters.groups import called


def rate_list_advice(source: Source, what: RateObject, node: ast.expr, framework: Framework, api: Api) -> str:
    """Return a clause that begins with a semicolon; empty where nothing is certain. `what` is the learning rate."""
    target = api.framework
    if what.kind is RateKind.SCHEDULE:
        return "; written at the call, or bound to a name with no other value, it is translated with the optimizer"
    if what.kind in (RateKind.OWN_SCHEDULE, RateKind.OBJECT):
        return _class_advice(source, what.name, node, framework, api)
    if framework is not Framework.MINDSPORE or what.kind is RateKind.FUNCTION:
        return ""
    made = what.kind is RateKind.RETURNED
    wraps = isinstance(node, ast.Call) and bool(node.args) and called(node) in _WRAPPERS
    held = node.args[0] if isinstance(node, ast.Call) and wraps else node
    if isinstance(held, ast.Constant):
        return f"; pass the number {ast.unparse(held)}"
    plain = isinstance(held, ast.Name | ast.Attribute)
    rates = source.text(source.start(held), source.end(held)) if plain else _LONG
    where = (
        ""
        if plain
        else f", with rates = {_short(source, held)}"
        if _short(source, held) != _LONG
        else ", with rates being that"
    )
    when = "" if isinstance(node, ast.List | ast.Tuple | ast.ListComp) else " where it holds a rate for each step,"
    if made:
        when = f" if it is a number, pass float({_short(source, node)}); if not,"
    if target is Framework.TORCH:
        return (
            f";{when} give the optimizer lr=1.0, attach torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: "
            f"float({rates}[min(step, len({rates}) - 1)])){where}, and call its step() after every step of the optimizer"
        )
    arguments = f"list(range(len({rates}) - 1)), [float(rate) for rate in {rates}]"
    if ".compat.v1." in api.name:
        return (
            f";{when} pass tf.compat.v1.train.piecewise_constant(step, {arguments}){where or ', with'}{' and' if where else ''} "
            f"{_STEP}"
        )
    return f";{when} pass tf.keras.optimizers.schedules.PiecewiseConstantDecay({arguments}){where}"


_LONG: Final = "rates"
"""What stands for an expression that is too long to be repeated."""
_STEP: Final = (
    "step = tf.compat.v1.train.get_or_create_global_step(), and give apply_gradients or minimize global_step=step"
)
_WRAPPERS: Final = ("Tensor", "tensor", "Parameter", "array", "asarray")
"""What rates are put into on their way to the optimizer."""
_BASES: Final = {
    Framework.MINDSPORE: ("mindspore.nn.LearningRateSchedule", "construct"),
    Framework.TENSORFLOW: ("tf.keras.optimizers.schedules.LearningRateSchedule", "__call__"),
}
"""The class that schedules of one's own derive from, and the method that gives the rate of a step."""


def _class_advice(source: Source, name: str, node: ast.expr, framework: Framework, api: Api) -> str:
    """How a schedule class of the file goes on; its method still has to be written with the target's functions."""
    if framework not in _BASES:
        return ""
    method = _BASES[framework][1]
    if api.framework in _BASES:
        base, new = _BASES[api.framework]
        takes = f", pass lambda: {_short(source, node)}(step), with {_STEP}" if ".compat.v1." in api.name else ""
        return f"; derive {name} from {base} and rename its {method}() to {new}(){takes}"
    rate = f"lambda step: float({_short(source, node)}.{method}(step))"
    return (
        f"; give the optimizer lr=1.0, attach torch.optim.lr_scheduler.LambdaLR(optimizer, {rate}), with {name} a plain class, "
        "and call its step() after every step of the optimizer"
    )


def _short(source: Source, node: ast.expr) -> str:
    text = source.text(source.start(node), source.end(node))
    return text if len(text) <= 60 and "\n" not in text and "\r" not in text else _LONG
