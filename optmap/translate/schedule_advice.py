"""What to write in place of a schedule that is not translated: the replacement, with the numbers of the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from optmap.mapping.formula import Formula, over
from optmap.mapping.model import Framework, MappingSet
from optmap.mapping.plan import Constant, FromArgument, Given, Plan
from optmap.mapping.schedule_plan import (
    PACE,
    Context,
    attached,
    canonical_values,
    plan_schedule,
    schedule_candidates,
)
from optmap.mapping.values import Conversion, literal_value, read_value, write_literal
from optmap.source.text import Source
from optmap.translate.call import Options
from optmap.translate.formula_text import write_formula
from optmap.translate.resolve import Refusal, bind
from optmap.translate.schedule_call import Bound, context_of, read_schedule
from optmap.translate.schedule_ties import optimizer_node, rate_node
from optmap.translate.sites import CallSite

FACTORS: Final = {
    "exponential_decay": "{decay_rate} ** ({count})",
    "natural_exp_decay": "math.exp(-{decay_rate} * ({count}))",
    "inverse_time_decay": "1 / (1 + {decay_rate} * ({count}))",
    "cosine_decay": "{end} + (1 - {end}) * (1 + math.cos(math.pi * min({step}, {decay_steps}) / {decay_steps})) / 2",
    "polynomial_decay": "{end} + (1 - {end}) * (1 - min({step}, {decay_steps}) / {decay_steps}) ** {power}",
    "step_decay": "{decay_rate} ** ({step} // {decay_steps})",
    "linear_ramp": "{start_factor} + ({end_factor} - {start_factor}) * min({step}, {decay_steps}) / {decay_steps}",
    "constant_factor": "({start_factor} if {step} < {decay_steps} else 1.0)",
    "multi_step": "{decay_rate} ** sum({step} >= milestone for milestone in {milestones})",
    "lambda": "({function})({step})",
}
"""The learning rate at a step over the first one, by algorithm, in canonical hyperparameters; `end` is the last rate over it."""
_CLIMBING: Final = "{end} + (1 - {end}) * (1 + math.cos(math.pi * {step} / {decay_steps})) / 2"

RATES: Final = {
    "piecewise_constant": "{rates}[sum({step} >= milestone for milestone in {milestones})]",
    "polynomial_decay": "{end_learning_rate} + ({learning_rate} - {end_learning_rate}) * "
    "(1 - min({step}, {decay_steps}) / {decay_steps}) ** {power}",
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
}
"""The learning rate at a step, for schedules that are no factor of the first one."""


def advice(
    source: Source, schedule: CallSite, optimizer: CallSite | None, tables: MappingSet, options: Options
) -> str | None:
    """Say what to write instead; None where nothing can be said with certainty."""
    bound = read_schedule(source, schedule)
    if isinstance(bound, str):
        return None
    given = bind(schedule.api, bound.arguments)
    if isinstance(given, Refusal):
        return None
    return _Adviser(source, bound, given, optimizer, tables, options).advice()


class _Adviser:
    def __init__(
        self, source: Source, bound: Bound, given: Sequence[Given], optimizer: CallSite | None, tables: MappingSet,
        options: Options,
    ) -> None:  # fmt: skip
        self.source = source
        self.bound = bound
        self.given = given
        self.optimizer = optimizer
        self.tables = tables
        self.target = options.target
        self.attached = attached(bound.site.api)
        self.known = dict(context_of(options).known)
        self.names: dict[str, str] = {}

    def advice(self) -> str | None:
        rate = rate_node(self.optimizer) if self.optimizer is not None else None
        if self.attached and rate is not None:
            self.known["learning_rate"] = read_value(rate)
            self.names["learning_rate"] = self.source.text(self.source.start(rate), self.source.end(rate))
        if not self.attached:
            self.known[PACE] = literal_value(1)
        same = self._counterpart(self.attached)
        if same is not None:
            return f"Its counterpart is {same}"
        other = self._counterpart(not self.attached)
        if other is not None and self.attached:
            return f"Pass learning_rate={other} to the optimizer and remove the calls of step()"
        if other is not None:
            return f"Attach {other} to the optimizer and call its step() after every step of the optimizer"
        return self._by_hand()

    def _counterpart(self, attach: bool) -> str | None:
        """The target's schedule for this call, quantities that the file does not tell by their names."""
        for api in schedule_candidates(self.tables, self.bound.site.api, self.target, attach=attach):
            missing = {PACE, "learning_rate", "total_steps"} - {
                name for name, value in self.known.items() if value.known
            }
            plan = plan_schedule(
                self.tables, self.bound.site.api, self.given, api, Context(self.known, frozenset(missing))
            )
            if not plan.problems:
                return self._plan_text(plan, attach)
        return None

    def _plan_text(self, plan: Plan, attach: bool) -> str:
        parts = []
        for item in plan.arguments:
            name, piece = item.parameter.name, item.pieces[0]
            if item.parameter.leads:
                node = optimizer_node(self.bound.site)
                text = "optimizer" if node is None else self.source.text(self.source.start(node), self.source.end(node))
                parts.append(text)
            elif isinstance(piece, FromArgument) and piece.formula is None:
                span = self.bound.call.arguments[piece.index].value_span
                text = self.source.text(span.start, span.end)
                how = piece.conversion
                parts.append(f"{name}={text if how is Conversion.NONE else f'{how}({text})'}")
            elif isinstance(piece, FromArgument | Constant):
                made = piece.formula
                parts.append(f"{name}={write_literal(piece.literal) if made is None else self._text(made)}")  # type: ignore[union-attr]
        if attach and not any(item.parameter.leads for item in plan.arguments):
            parts.insert(0, "optimizer")
        return f"{plan.target.name}({', '.join(parts)})"

    def _text(self, formula: Formula, tight: bool = False) -> str:
        return write_formula(formula, self.source, self.bound.call, self.names, tight=tight)

    def _by_hand(self) -> str | None:
        known = Context({**self.known, **({PACE: literal_value(1)} if self.attached else {})})
        values = canonical_values(self.tables, self.bound.site.api, self.given, known)
        template = self._template(values)
        if template is None or not self._plain(values):
            return None
        texts = self._texts(values, "epoch" if self.attached else "step")
        factor = rate = template.format(**texts)
        first = "1.0"
        if template not in RATES.values():
            first = self.names.get("learning_rate") or texts.get("learning_rate", "learning_rate")
            rate = f"{first} * ({factor})"
        if self.attached:
            return f"Set optimizer.learning_rate to {rate} at the end of each epoch, in place of step()"
        if self.target is Framework.TORCH:
            made = f"torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: {factor})"
            return f"Give the optimizer lr={first}, attach {made} and call its step() after every step of the optimizer"
        if self.target is not Framework.MINDSPORE:
            return None
        return f"Pass a list with the rate of every step: [{rate} for step in range(total_steps)]"

    def _texts(self, values: Mapping[str, Formula], step: str) -> dict[str, str]:
        texts = {"step": step, **{name: self._text(value, tight=True) for name, value in values.items()}}
        if "staircase" in values:
            texts["count"] = f"{step} {'//' if values['staircase'].number else '/'} {texts['decay_steps']}"
        if "end_learning_rate" in values:
            first = values.get("learning_rate") or Context(self.known).formula("learning_rate")
            texts["end"] = self._text(over(values["end_learning_rate"], first), tight=True)
        return texts

    def _template(self, values: Mapping[str, Formula]) -> str | None:
        algorithm = self.bound.site.api.algorithm
        if algorithm == "cosine_decay":
            warm = values.get("warmup_target")
            if warm is not None and not (warm.known and warm.number is None):
                return RATES["warm_cosine"]
            return _CLIMBING if self.attached else FACTORS[algorithm]
        if algorithm == "cosine_restarts" and not self.attached:
            ratio = values["period_factor"]
            return RATES["equal_restarts" if ratio.number == 1 else algorithm] if ratio.known else None
        if algorithm == "polynomial_decay" and not self.attached:
            cycle = values["cycle"]
            return RATES["cycling" if cycle.number else algorithm] if cycle.known else None
        return FACTORS.get(algorithm) or RATES.get(algorithm)

    def _plain(self, values: Mapping[str, Formula]) -> bool:
        """Whether nothing else is going on: no change within epochs, no resumed schedule, no unknown kind of decay."""
        stairs = values.get("staircase")
        return (stairs is None or stairs.known) and all(
            value.known and self.tables.hyperparameters[name].is_neutral(value.number)
            for name, value in values.items()
            if name in ("last_epoch", PACE)
        )
