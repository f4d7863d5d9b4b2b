"""What becomes of a schedule that changes its place: passed in one framework, attached in the other, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from optmap.mapping.canonical import (
    PACE,
    Context,
    attached,
    canonical_values,
)
from optmap.mapping.derive import candidates, plan
from optmap.mapping.formula import Formula
from optmap.mapping.model import Api, Framework, MappingSet
from optmap.mapping.plan import Given, Plan
from optmap.mapping.values import literal_value, write_literal
from optmap.translate.schedules.rates import rate_text

LAMBDA: Final = "torch.optim.lr_scheduler.LambdaLR"
PIECEWISE: Final = "tf.keras.optimizers.schedules.PiecewiseConstantDecay"


class Moved(NamedTuple):
    """The schedule in its new place: a plan, or arguments; the optimizer's own rate, and the pace of step() on both sides."""

    target: Api
    plan: Plan | None
    arguments: dict[str, Any]
    learning_rate: float
    pace: int

    @property
    def formula(self) -> bool:
        """Whether an argument is the text of a function."""
        return "lr_lambda" in self.arguments


def moved(
    tables: MappingSet, source: Api, given: Sequence[Given], target: Framework, rate: float, pace: int
) -> Moved | None:
    """Find what the translator makes of a call with these numbers; None where it has to be refused."""
    if target is Framework.TORCH and not attached(source):
        return _attached(tables, source, given)
    if target is Framework.TENSORFLOW and attached(source):
        found = (_passed(tables, source, given, rate, each) for each in (pace, 1))
        return next((item for item in found if item is not None), None)
    return None


def _plan(tables: MappingSet, source: Api, given: Sequence[Given], target: Framework, known: Context) -> Plan | None:
    classes = candidates(tables, source, target, attach=not attached(source))
    plans = (plan(tables, source, given, each, known=known) for each in classes)
    return next((each for each in plans if not each.problems), None)


def _attached(tables: MappingSet, source: Api, given: Sequence[Given]) -> Moved | None:
    known = Context({PACE: literal_value(1)})
    values = canonical_values(tables, source, given, known)
    pace = values.get(PACE)
    if pace is None or pace.number == 1:
        plan = _plan(tables, source, given, Framework.TORCH, known)
        if plan is not None:
            return Moved(plan.target, plan, {}, float(values["learning_rate"].number), 1)
    text = rate_text(tables, source, values, "step", _write)
    if text is None:
        return None
    return Moved(tables.apis[LAMBDA], None, {"lr_lambda": f"lambda step: {text.factor}"}, float(text.first), 1)


def _passed(tables: MappingSet, source: Api, given: Sequence[Given], rate: float, pace: int) -> Moved | None:
    known = Context({PACE: literal_value(pace), "learning_rate": literal_value(rate)})
    if source.algorithm == "multi_step":
        values = canonical_values(tables, source, given, known)
        places, strength = values["milestones"].number, values["decay_rate"].number
        rates = [rate * strength**power for power in range(len(places) + 1)]
        made = {"boundaries": [place - 1 for place in places], "values": rates}
        return Moved(tables.apis[PIECEWISE], None, made, rate, pace)
    plan = _plan(tables, source, given, Framework.TENSORFLOW, known)
    return Moved(plan.target, plan, {}, rate, pace) if plan is not None else None


def _write(formula: Formula) -> str:
    number = formula.number
    text = write_literal(list(number) if isinstance(number, tuple) else number)  # type: ignore[arg-type]
    return f"({text})" if text.startswith("-") else text
