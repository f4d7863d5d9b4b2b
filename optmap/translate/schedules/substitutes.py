"""What a schedule call becomes as a class of the target, or as a formula: its text, with the numbers of the call."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from optmap.mapping.canonical import PACE, Canonical, Context, attached, canonical_values
from optmap.mapping.derive import candidates, plans
from optmap.mapping.formula import Formula, Op, context, literal, plus
from optmap.mapping.frameworks import fill
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import BoundArgument, Constant, FromArgument, Plan, Prefer, choose
from optmap.mapping.rate import LAST, STEP, RateError, rate_formula
from optmap.mapping.values import Value, converted, literal_value, read_value, write_literal
from optmap.mapping.vocabulary import OPTIMIZER
from optmap.source.text import Source
from optmap.translate.constructors.arguments import Refusal, bind_call
from optmap.translate.discover.sites import CallSite
from optmap.translate.schedules.formula_text import RateText, rate_text, write_formula
from optmap.translate.schedules.owners import optimizer_node, rate_node
from optmap.translate.schedules.translate import BoundSchedule, context_of, read_schedule
from optmap.translate.unit import Unit
from optmap.values import NamedTuple

_OWN: Final = {"math", "min", "max", "sum"}
"""Names that formulas use for something of their own."""
_MILESTONE: Final = ("milestone", "boundary", "place", "limit")
"""What formulas call one of several milestones."""


class Substitute(NamedTuple):
    """What takes a schedule's place: an attached one with the first rate of its optimizer, or a passed one.

    `arguments` is the text of its arguments but the optimizer, `nodes` are the source's arguments in it.
    """

    first: str
    api: str
    arguments: str
    nodes: tuple[ast.expr, ...]


def read_call_of(unit: Unit, schedule: CallSite, optimizer: CallSite | None) -> ScheduleCall | None:
    """Read the call of a schedule; None where it cannot be. The unit has the tables of schedules."""
    bound = read_schedule(unit.source, schedule)
    if isinstance(bound, str):
        return None
    given = bind_call(schedule.api, bound.arguments)
    return None if isinstance(given, Refusal) else ScheduleCall(unit, bound, given, optimizer)


class ScheduleCall:
    """Writes the call of one schedule in other ways."""

    def __init__(
        self, unit: Unit, bound: BoundSchedule, given: Sequence[BoundArgument], optimizer: CallSite | None
    ) -> None:
        self.source: Source = unit.source
        self.tables: MappingSet = unit.tables
        self.target = unit.options.target
        self.facts = self.target.facts.schedules
        self.bound = bound
        self.api = bound.site.api
        self.given = given
        self.attached = attached(self.api)
        self.known = dict(context_of(unit.options).known)
        self.names: dict[str, str] = {}
        rate = rate_node(optimizer) if optimizer is not None else None
        if self.attached and rate is not None:
            self.known["learning_rate"] = read_value(rate)
            self.names["learning_rate"] = self.source.text_of(rate)
        if not self.attached:
            self.known[PACE] = literal_value(1)

    def attachable(self) -> Substitute | None:
        """What can be attached in the schedule's place; None where there is nothing."""
        plan = self.plan(True)
        if plan is not None:
            rate = self.values().get("learning_rate")
            if rate is None:
                return None
            first, name, text = self.text(rate), plan.target.name, self.arguments_text(plan, False)
        else:
            counter = self.counter()
            found = self.by_hand(counter)
            if found is None or self.facts.function is None:
                return None
            first, name, text = found.first, self.facts.function, f"lambda {counter}: {found.factor}"
        return Substitute(first, name, text, self._nodes_in(text))

    def passable(self, pace: str | None) -> Substitute | str:
        """What can be passed in the schedule's place; a clause that says why where there is nothing.

        `pace` is the text for the steps between two calls of its step(), where the options do not tell their number.
        """
        if pace is not None:
            self.known[PACE] = Value()
            self.names[PACE] = pace
        if self.api.algorithm == "multi_step" and self.facts.steps is not None:
            return self._piecewise(self.facts.steps)
        found = self._plans(False, frozenset({PACE} if pace is not None else ()) | {"learning_rate"})
        plan = choose(found, Prefer.DOCUMENTED)
        if plan is not None:
            text = self.arguments_text(plan, False)
            return Substitute("", plan.target.name, text, self._nodes_in(text))
        problems = [problem.message for item in found for problem in item.problems]
        name = self.api.name
        return "; ".join(dict.fromkeys(problems)) or f"{name} has no counterpart that is passed as a learning rate"

    def _piecewise(self, api: str) -> Substitute | str:
        """The steps of a MultiStepLR one by one."""
        values = self.values()
        places, rate, strength = values["milestones"], values.get("learning_rate"), values["decay_rate"]
        if places.op is not Op.LIST or not values["last_epoch"].known or values["last_epoch"].number != -1:
            return "its milestones are not written out"
        first = rate if rate is not None else Context(self.known).formula("learning_rate")
        written = next(item.value.elements or () for item in self.given if item.parameter.ties == ("milestones",))
        numbers = [item.literal for item in written]
        if not all(isinstance(item, int) for item in numbers):
            return "its milestones are not written out"
        if numbers != sorted(set(numbers)) or numbers[:1] < [1]:  # type: ignore[type-var]
            return "its milestones do not rise"
        if first.known and not isinstance(first.number, int | float):
            return "the optimizer's learning rate is no number"
        limits = ", ".join(self.text(plus(item, literal(-1))) for item in places.items)
        rates = [write_literal(float(first.number)) if first.known else self.text(first)]
        for power in range(1, len(places.items) + 1):
            factor = self.text(strength, tight=True)
            rates.append(f"{self.text(first, tight=True)} * {factor}" + (f" ** {power}" if power > 1 else ""))
        text = f"boundaries=[{limits}], values=[{', '.join(rates)}]"
        return Substitute("", api, text, self._nodes_in(text))

    def values(self) -> dict[str, Formula]:
        """The canonical hyperparameters of the call."""
        return canonical_values(self.tables, self.api, self.given, Context(self.known))

    def _nodes_in(self, text: str) -> tuple[ast.expr, ...]:
        """The arguments of the call whose names a text of arguments has."""
        names = _names(ast.parse(f"f({text})"))
        return tuple(node for node in self._numbers() if names & _names(node))

    def _numbers(self) -> list[ast.expr]:
        """The arguments that say what the rates are."""
        return [
            self.bound.call.arguments[item.index].node for item in self.given
            if item.parameter.ties and item.parameter.ties[0] not in (OPTIMIZER, "global_step")
        ]  # fmt: skip

    def plan(self, attach: bool) -> Plan | None:
        """How the target expresses the call, with a schedule that is attached or passed; None where it does not."""
        pace = self.values().get(PACE)
        if attach and not self.attached and pace is not None and not (pace.known and pace.number == 1):
            return None  # it would count epochs
        known = {name for name, value in self.known.items() if value.known}
        return choose(self._plans(attach, frozenset({PACE, "learning_rate", "total_steps"} - known)), Prefer.DOCUMENTED)

    def _plans(self, attach: bool, named: frozenset[str]) -> list[Plan]:
        own = self.api
        classes = candidates(self.tables, own, self.target, attach=attach)
        return plans(self.tables, own, self.given, classes, known=Context(self.known, named))

    def arguments_text(self, plan: Plan, attach: bool) -> str:
        """The arguments of the target's call; with `attach` the optimizer is always among them."""
        parts = []
        for item in plan.arguments:
            name, piece = item.parameter.name, item.pieces[0]
            if item.parameter.leads:
                node = optimizer_node(self.bound.site)
                parts.append("optimizer" if node is None else self.source.text_of(node))
            elif isinstance(piece, FromArgument) and piece.formula is None:
                span = self.bound.call.arguments[piece.index].value_span
                text = self.source.text(span.start, span.end)
                parts.append(f"{name}={converted(text, self.bound.values[piece.index], piece.conversion)}")
            elif isinstance(piece, FromArgument | Constant):
                made = piece.formula
                parts.append(f"{name}={write_literal(piece.literal) if made is None else self.text(made)}")  # type: ignore[union-attr]
        if attach and not any(item.parameter.leads for item in plan.arguments):
            parts.insert(0, "optimizer")
        return ", ".join(parts)

    def text(self, formula: Formula, tight: bool = False) -> str:
        """A formula as source; with `tight`, so that it can stand beside any operator."""
        return write_formula(formula, self.source, self.bound.call, self.names, tight=tight)

    def _mentioned(self) -> set[str]:
        """The names that the schedule's numbers are written with."""
        return {name for node in self._numbers() for name in _names(node)}

    def counter(self) -> str:
        """What a function of the step calls it, where its formula uses names of the file."""
        return "calls" if "step" in self._mentioned() else "step"

    def by_hand(self, counter: str | None = None, start: int = 0) -> RateText | None:
        """The rate as a formula of the steps since `start`; of the calls of step(), for an attached schedule."""
        known = Context({**self.known, **({PACE: literal_value(1)} if self.attached else {})})
        call = Canonical(self.tables, self.api, self.given, known)
        counter = counter or ("calls" if self.attached else "step")
        try:
            rate = rate_formula(call, plus(context(STEP), literal(-start)))
        except RateError:
            return None
        if any(node.op is Op.OVER and node.items[1].known and not node.items[1].number for node in rate.nodes()):
            return None
        if self._mentioned() & {*_OWN, counter, *(node.name for node in rate.nodes() if node.op is Op.NAMED)}:
            return None
        self.names[STEP] = counter
        self.names["milestone"] = next(name for name in (*_MILESTONE, "_") if name not in self._mentioned())
        if context(LAST) in rate.nodes():
            if self.facts.rate is None:
                return None
            self.names[LAST] = self.rate_of_optimizer()
        return rate_text(call, rate, self.text)

    def rate_of_optimizer(self) -> str:
        """How the optimizer's learning rate is read and set."""
        return fill(self.facts.rate or "", optimizer=self.optimizer_text())

    def optimizer_text(self) -> str:
        """The optimizer that the schedule is attached to, as it is written."""
        node = optimizer_node(self.bound.site)
        return self.source.text_of(node) if isinstance(node, ast.Name | ast.Attribute) else "optimizer"


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
