"""The learning rate of a schedule at a step, as Python source: a formula by algorithm, with the numbers of a call."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from optmap.mapping.canonical import PACE, TOTAL, attached
from optmap.mapping.formula import Formula, Op, over
from optmap.mapping.model import Api, MappingSet

_COSINE: Final = "(1 + math.cos(math.pi * {held} / {decay_steps})) / 2"
_LEFT: Final = "(1 - min({step}, {decay_steps}) / {decay_steps}) ** {power}"
_BETWEEN: Final = "{end} + (1 - {end}) * "

FACTORS: Final = {
    "exponential_decay": "{decay_rate} ** ({count})",
    "natural_exp_decay": "math.exp(-{decay_rate} * ({count}))",
    "inverse_time_decay": "1 / (1 + {decay_rate} * ({count}))",
    "cosine_decay": _BETWEEN + _COSINE,
    "cosine_to_zero": _COSINE,
    "polynomial_decay": _BETWEEN + _LEFT,
    "polynomial_to_zero": _LEFT,
    "step_decay": "{decay_rate} ** ({step} // {decay_steps})",
    "linear_ramp": "{start_factor} + ({end_factor} - {start_factor}) * min({step}, {decay_steps}) / {decay_steps}",
    "constant_factor": "({start_factor} if {step} < {decay_steps} else 1.0)",
    "multi_step": "{decay_rate} ** sum({step} >= milestone for milestone in {milestones})",
    "lambda": "({function})({step})",
    "linear_cosine_decay": "(({cosine_floor} + 1 - min({step}, {decay_steps}) / {decay_steps}) * (1 + math.cos(2 * math.pi * "
    "{periods} * min({step}, {decay_steps}) / {decay_steps})) / 2 + {rate_floor})",
}
"""The rate at a step over the first one, by algorithm, in canonical hyperparameters; `end` is the last rate over it."""

RATES: Final = {
    "piecewise_constant": "{rates}[sum({step} >= milestone for milestone in {milestones})]",
    "polynomial_decay": "{end_learning_rate} + ({learning_rate} - {end_learning_rate}) * " + _LEFT,
    "warm_up": "{end_learning_rate} * min({step}, {decay_steps}) / {decay_steps}",
    "cycling": "{end_learning_rate} + ({learning_rate} - {end_learning_rate}) * "
    "(1 - {step} / ({decay_steps} * max(math.ceil({step} / {decay_steps}), 1))) ** {power}",
    "warm_cosine": "({learning_rate} + ({warmup_target} - {learning_rate}) * {step} / {warmup_steps} "
    "if {step} < {warmup_steps} else {warmup_target} * ({end} + (1 - {end}) * "
    "(1 + math.cos(math.pi * min({step} - {warmup_steps}, {decay_steps}) / {decay_steps})) / 2))",
    "equal_restarts": "{learning_rate} * ({end} + (1 - {end}) * {rate_factor} ** ({step} // {decay_steps}) * "
    "(1 + math.cos(math.pi * ({step} % {decay_steps}) / {decay_steps})) / 2)",
    "cosine_restarts": "{learning_rate} * ({end} + (1 - {end}) * {rate_factor} ** (i := math.floor("
    "math.log(1 + {step} / {decay_steps} * ({period_factor} - 1), {period_factor}) + 1e-9)) * (1 + math.cos(math.pi * "
    "({step} / {decay_steps} - ({period_factor} ** i - 1) / ({period_factor} - 1)) / {period_factor} ** i)) / 2)",
    "triangular": "{learning_rate} + ({max_learning_rate} - {learning_rate}) * {height}",
    "triangular2": "{learning_rate} + ({max_learning_rate} - {learning_rate}) * {height} / 2 ** ({step} // {period})",
    "exp_range": "{learning_rate} + ({max_learning_rate} - {learning_rate}) * {height} * {decay_rate} ** {step}",
    "one_cycle": "({rising} if {step} <= {up} else {falling})",
}
"""The rate at a step, for schedules that are no factor of the first one."""
_HEIGHT: Final = "min({step} % {period} / {steps_up}, ({period} - {step} % {period}) / {steps_down})"
_ANNEAL: Final = {
    "cos": "{b} + ({a} - {b}) * (1 + math.cos(math.pi * {share})) / 2",
    "linear": "{a} + ({b} - {a}) * {share}",
}

Write = Callable[[Formula], str]
"""Writes a formula so that it can stand beside any operator."""


class RateText(NamedTuple):
    """The rate at a step is `first` times `factor`; `first` is the rate to begin with, or 1.0 where there is none."""

    first: str
    factor: str

    @property
    def rate(self) -> str:
        return self.factor if self.first == "1.0" else f"{self.first} * ({self.factor})"


def rate_text(
    tables: MappingSet, api: Api, values: Mapping[str, Formula], step: str, write: Write, first: Formula | None = None
) -> RateText | None:
    """Write the rate of a call with these canonical hyperparameters; None where there is no such text.

    `first` is the rate of the optimizer that the schedule is attached to, `step` an expression for the number of steps, which
    an attached schedule counts by calls of its step().
    """
    if not _plain(tables, values):
        return None
    found = {name: value for name, value in values.items() if value.number is not None or not value.known}
    first = found.get("learning_rate", first)
    pace = found.get(PACE)
    if api.rule.get("granularity") == "epoch" and not attached(api) and pace is not None and not _is(pace, 1):
        step = f"({step} // {write(pace)} * {write(pace)})"
    texts: dict[str, str] = {"step": step, **{name: write(value) for name, value in found.items()}}
    extra = _extra(api, found, texts, first, write)
    name = _template(api, found)
    if extra is None or name is None:
        return None
    factors = name in FACTORS and (name not in RATES or attached(api))
    template = FACTORS[name] if factors else RATES[name]
    try:
        text = template.format(**{**texts, **extra})
    except KeyError:
        return None
    return RateText(write(first) if factors and first is not None else "learning_rate" if factors else "1.0", text)


def _plain(tables: MappingSet, values: Mapping[str, Formula]) -> bool:
    """Whether nothing else is going on: no resumed schedule, no unknown kind of decay."""
    stairs, last = values.get("staircase"), values.get("last_epoch")
    neutral = last is None or (last.known and tables.hyperparameters["last_epoch"].is_neutral(last.number))
    return neutral and (stairs is None or stairs.known)


def _is(value: Formula | None, number: Any) -> bool:
    return value is not None and value.known and not isinstance(value.number, tuple) and bool(value.number == number)


def _template(api: Api, values: Mapping[str, Formula]) -> str | None:
    """The name of the formula for a call."""
    algorithm = api.algorithm
    if algorithm == "cosine_decay":
        if "warmup_target" in values:
            return "warm_cosine"
        return "cosine_to_zero" if _is(values.get("end_learning_rate"), 0) else algorithm
    if algorithm == "cosine_restarts":
        ratio = values["period_factor"]
        return ("equal_restarts" if _is(ratio, 1) else algorithm) if ratio.known else None
    if algorithm == "polynomial_decay":
        return _polynomial(api, values)
    if "initial_variance" in values:
        return None
    if algorithm == "cyclic":
        mode = values.get("mode")
        if mode is None or not mode.known or mode.number not in RATES or "scale_function" in values:
            return None
        return str(mode.number)
    return algorithm if algorithm in FACTORS or algorithm in RATES else None


def _polynomial(api: Api, values: Mapping[str, Formula]) -> str | None:
    cycle = values["cycle"]
    if not cycle.known:
        return None
    if attached(api):
        return "polynomial_to_zero"
    if cycle.number:
        return "cycling"
    rises = _is(values.get("learning_rate"), 0) and _is(values.get("power"), 1)
    return "warm_up" if rises else "polynomial_decay"


def _extra(
    api: Api, values: Mapping[str, Formula], texts: Mapping[str, str], first: Formula | None, write: Write
) -> dict[str, str] | None:
    """What else the formulas speak of; None where the call does not tell."""
    step = texts["step"]
    found = {"rate_factor": "1", **({"learning_rate": write(first)} if first is not None else {})}
    found = {name: text for name, text in found.items() if name not in texts}
    milestones = api.by_tie.get("milestones")
    if milestones is not None and milestones.then is not None and values["milestones"].op is not Op.LIST:
        found["milestones"] = f"{texts['milestones']}[:-1]"
    if "decay_steps" in texts:
        length = texts["decay_steps"]
        climbs = api.rule.get("after_end") == "climbs"
        found["held"] = step if climbs else f"min({step}, {length})"
        if "staircase" in values:
            sign = "//" if values["staircase"].number else "/"
            found["count"] = step if length == "1" else f"{step} {sign} {length}"
    if "end_learning_rate" in values and first is not None:
        found["end"] = write(over(values["end_learning_rate"], first))
    if api.algorithm == "cyclic":
        up, down = values["steps_up"], values.get("steps_down", values["steps_up"])
        if not (up.known and down.known):
            return None
        parts = {"period": str(up.number + down.number), "steps_down": write(down)}
        found |= {**parts, "height": _HEIGHT.format(**{**texts, **parts})}
    return found | _one_cycle(values, texts) if api.algorithm == "one_cycle" else found


def _one_cycle(values: Mapping[str, Formula], texts: Mapping[str, str]) -> dict[str, str]:
    """The two halves of a one-cycle policy (torch.optim.lr_scheduler.OneCycleLR); nothing for one of three phases."""
    strategy, phases = values["anneal_strategy"], values["three_phase"]
    if (
        not (_is(phases, False) and strategy.known and strategy.number in _ANNEAL)
        or values["max_learning_rate"].op is Op.LIST
    ):
        return {}
    total = texts[TOTAL] if TOTAL in texts else f"({texts['epochs']} * {texts[PACE]})"
    step, peak = texts["step"], texts["max_learning_rate"]
    first = _folded(f"({peak} / {texts['div_factor']})")
    last = _folded(f"({first} / {texts['final_div_factor']})")
    up = _folded(f"({texts['rising_share']} * {total} - 1)")
    down = _folded(f"({total} - 1 - {up})")
    anneal = _ANNEAL[strategy.number]
    return {
        "up": up,
        "rising": anneal.format(a=first, b=peak, share=f"{step} / {up}"),
        "falling": anneal.format(a=peak, b=last, share=f"({step} - {up}) / {down}"),
    }


def _folded(text: str) -> str:
    """The number that an expression of numbers stands for; any other as it is."""
    tree = ast.parse(text, mode="eval")
    plain = (ast.Expression, ast.Constant, ast.BinOp, ast.Mult, ast.Div, ast.Sub)
    if not all(isinstance(node, plain) for node in ast.walk(tree)):
        return text
    return repr(_value(tree.body))


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    assert isinstance(node, ast.BinOp)
    left, right = _value(node.left), _value(node.right)
    if isinstance(node.op, ast.Mult):
        return left * right
    return left / right if isinstance(node.op, ast.Div) else left - right
