"""What to write in place of a schedule that is not translated: the replacement, with the numbers of the call."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from optmap.mapping.canonical import PACE, Canonical, Context, attached, canonical_values
from optmap.mapping.derive import candidates, plans
from optmap.mapping.formula import Formula, Op, context, literal, plus
from optmap.mapping.frameworks import fill
from optmap.mapping.model import OPTIMIZER, MappingSet
from optmap.mapping.plan import Constant, FromArgument, Given, Plan, choose
from optmap.mapping.rate import LAST, STEP, RateError, rate_formula
from optmap.mapping.values import Value, converted, literal_value, read_value, write_literal
from optmap.source.text import Source
from optmap.translate.constructors.resolve import Refusal, bind_call
from optmap.translate.discover.sites import CallSite
from optmap.translate.options import Options
from optmap.translate.schedules.formula_text import write_formula
from optmap.translate.schedules.owners import optimizer_node, rate_node
from optmap.translate.schedules.rates import RateText, rate_text
from optmap.translate.schedules.translate import Bound, context_of, read_schedule

_OWN: Final = {"math", "min", "max", "sum", "milestone"}
"""Names that formulas use for something of their own."""
_FROM_THE_START: Final = ("sequential", "linear_ramp", "constant_factor", "lambda", "cyclic", "one_cycle")
"""Schedules whose first rate is not that of the optimizer."""


class Attachable(NamedTuple):
    """What a schedule that is passed becomes where it is attached: the first rate, and the attached schedule of another class.

    `arguments` is the text of its arguments but the optimizer, `nodes` are the expressions in it.
    """

    first: str
    api: str
    arguments: str
    nodes: tuple[ast.expr, ...]


def attachable(source: Source, schedule: CallSite, tables: MappingSet, options: Options) -> Attachable | None:
    """Find what a schedule can become; None where there is nothing."""
    adviser = _adviser(source, schedule, None, tables, options)
    return adviser.attachable() if adviser is not None else None


def passable(
    source: Source, schedule: CallSite, optimizer: CallSite, tables: MappingSet, options: Options, pace: str | None
) -> Attachable | str:
    """What an attached schedule becomes where it is passed; a clause that says why where there is nothing.

    `pace` is the text for the steps between two calls of its step(), where the options do not tell their number.
    """
    adviser = _adviser(source, schedule, optimizer, tables, options)
    return adviser.passable(pace) if adviser is not None else "its arguments cannot be read"


def advice(
    source: Source, schedule: CallSite, optimizer: CallSite | None, tables: MappingSet, options: Options,
    parts: Sequence[CallSite] = (),
) -> str | None:  # fmt: skip
    """Say what to write instead; None where nothing can be said with certainty. A sequence is made of `parts`."""
    adviser = _adviser(source, schedule, optimizer, tables, options)
    if adviser is None:
        return None
    if schedule.api.algorithm != "sequential":
        return adviser.advice()
    members = [_adviser(source, part, optimizer, tables, options) for part in parts]
    return adviser.sequence([item for item in members if item is not None]) if None not in members else None


def _adviser(
    source: Source, schedule: CallSite, optimizer: CallSite | None, tables: MappingSet, options: Options
) -> _Adviser | None:
    bound = read_schedule(source, schedule)
    if isinstance(bound, str):
        return None
    given = bind_call(schedule.api, bound.arguments)
    return None if isinstance(given, Refusal) else _Adviser(source, bound, given, optimizer, tables, options)


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
        self.facts = options.target.facts.schedules
        self.attached = attached(bound.site.api)
        self.known = dict(context_of(options).known)
        self.names: dict[str, str] = {}

    def _quantities(self) -> None:
        """What is known of the optimizer and of the pace."""
        rate = rate_node(self.optimizer) if self.optimizer is not None else None
        if self.attached and rate is not None:
            self.known["learning_rate"] = read_value(rate)
            self.names["learning_rate"] = self.source.text(self.source.start(rate), self.source.end(rate))
        if not self.attached:
            self.known[PACE] = literal_value(1)

    def attachable(self) -> Attachable | None:
        """See `attachable`."""
        self._quantities()
        plan = self._plan(True)
        if plan is not None:
            rate = self._values().get("learning_rate")
            if rate is None:
                return None
            first, name, text = self._text(rate), plan.target.name, self._arguments_text(plan, False)
        else:
            counter = self._counter()
            found = self.by_hand(counter)
            if found is None or self.facts.function is None:
                return None
            first, name, text = found.first, self.facts.function, f"lambda {counter}: {found.factor}"
        return Attachable(first, name, text, tuple(self._nodes_in(text)))

    def passable(self, pace: str | None) -> Attachable | str:
        """See the function."""
        self._quantities()
        if pace is not None:
            self.known[PACE] = Value()
            self.names[PACE] = pace
        if self.bound.site.api.algorithm == "multi_step" and self.facts.steps is not None:
            return self._piecewise(self.facts.steps)
        found = self._plans(False, frozenset({PACE} if pace is not None else ()) | {"learning_rate"})
        plan = choose(found, faithful=False)
        if plan is not None:
            text = self._arguments_text(plan, False)
            return Attachable("", plan.target.name, text, tuple(self._nodes_in(text)))
        problems = [problem.message for item in found for problem in item.problems]
        name = self.bound.site.api.name
        return "; ".join(dict.fromkeys(problems)) or f"{name} has no counterpart that is passed as a learning rate"

    def _piecewise(self, api: str) -> Attachable | str:
        """The steps of a MultiStepLR one by one."""
        values = canonical_values(self.tables, self.bound.site.api, self.given, Context(self.known))
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
        limits = ", ".join(self._text(plus(item, literal(-1))) for item in places.items)
        rates = [self._text(first)]
        for power in range(1, len(places.items) + 1):
            factor = self._text(strength, tight=True)
            rates.append(f"{self._text(first, tight=True)} * {factor}" + (f" ** {power}" if power > 1 else ""))
        text = f"boundaries=[{limits}], values=[{', '.join(rates)}]"
        return Attachable("", api, text, tuple(self._nodes_in(text)))

    def _values(self) -> dict[str, Formula]:
        return canonical_values(self.tables, self.bound.site.api, self.given, Context(self.known))

    def _nodes_in(self, text: str) -> Iterator[ast.expr]:
        """The arguments of the call that a text holds."""
        for item in self.given:
            argument = self.bound.call.arguments[item.index]
            span = argument.value_span
            if item.parameter.ties and self.source.text(span.start, span.end) in text:
                yield argument.node

    def advice(self) -> str | None:
        """See `advice`."""
        self._quantities()
        same = self._counterpart(self.attached)
        if same is not None:
            return f"Its counterpart is {same}"
        other = self._counterpart(not self.attached)
        if other is not None and self.attached:
            return f"Pass learning_rate={other} to the optimizer and remove the calls of step()"
        if other is not None:
            rate = self._values().get("learning_rate")
            first = f"Give the optimizer lr={self._text(rate)}, attach" if rate is not None else "Attach"
            return f"{first} {other} and call its step() after every step of the optimizer"
        return self._by_hand()

    def _counterpart(self, attach: bool) -> str | None:
        """The text of the target's schedule for this call, quantities that the file does not tell by their names."""
        plan = self._plan(attach)
        return None if plan is None else f"{plan.target.name}({self._arguments_text(plan, attach)})"

    def _plan(self, attach: bool) -> Plan | None:
        pace = self._values().get(PACE)
        if attach and not self.attached and pace is not None and not (pace.known and pace.number == 1):
            return None  # it would count epochs
        known = {name for name, value in self.known.items() if value.known}
        return choose(self._plans(attach, frozenset({PACE, "learning_rate", "total_steps"} - known)), faithful=False)

    def _plans(self, attach: bool, named: frozenset[str]) -> list[Plan]:
        own = self.bound.site.api
        classes = candidates(self.tables, own, self.target, attach=attach)
        return plans(self.tables, own, self.given, classes, known=Context(self.known, named))

    def _arguments_text(self, plan: Plan, attach: bool) -> str:
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
                parts.append(f"{name}={converted(text, self.bound.values[piece.index], piece.conversion)}")
            elif isinstance(piece, FromArgument | Constant):
                made = piece.formula
                parts.append(f"{name}={write_literal(piece.literal) if made is None else self._text(made)}")  # type: ignore[union-attr]
        if attach and not any(item.parameter.leads for item in plan.arguments):
            parts.insert(0, "optimizer")
        return ", ".join(parts)

    def _text(self, formula: Formula, tight: bool = False) -> str:
        return write_formula(formula, self.source, self.bound.call, self.names, tight=tight)

    def sequence(self, parts: Sequence[_Adviser]) -> str | None:
        """One formula after another, each with its own count of calls."""
        self._quantities()
        places = next((item.value.elements for item in self.given if item.parameter.name == "milestones"), None)
        if not places or len(places) != len(parts) - 1 or not all(isinstance(item.literal, int) for item in places):
            return None
        starts = [0, *(int(item.literal) for item in places)]  # type: ignore[arg-type]
        found: list[RateText] = []
        for part, start in zip(parts, starts, strict=True):
            part._quantities()
            text = part.by_hand(start=start)
            if text is None or text.first == "1.0":
                return None
            found.append(text)
        factor = found[-1].factor
        for text, end in zip(reversed(found[:-1]), reversed(starts[1:]), strict=True):
            factor = f"({_bracketed(text.factor)} if calls < {end} else {factor})"
        return self._set_by_hand(RateText(found[0].first, factor, f"{found[0].first} * {factor}"))

    def _mentioned(self) -> set[str]:
        """The names that the schedule's numbers are written with."""
        nodes = [
            self.bound.call.arguments[item.index].node for item in self.given
            if item.parameter.ties and item.parameter.ties[0] not in (OPTIMIZER, "global_step")
        ]  # fmt: skip
        return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}

    def _counter(self) -> str:
        """What a function of the step calls it, where its formula uses names of the file."""
        return "calls" if "step" in self._mentioned() else "step"

    def by_hand(self, counter: str | None = None, start: int = 0) -> RateText | None:
        """The rate as a formula of the steps since `start`; of the calls of step(), for an attached schedule."""
        known = Context({**self.known, **({PACE: literal_value(1)} if self.attached else {})})
        call = Canonical(self.tables, self.bound.site.api, self.given, known)
        counter = counter or ("calls" if self.attached else "step")
        try:
            rate = rate_formula(call, plus(context(STEP), literal(-start)))
        except RateError:
            return None
        if self._mentioned() & {*_OWN, counter, *(node.name for node in rate.nodes() if node.op is Op.NAMED)}:
            return None
        self.names[STEP] = counter
        if context(LAST) in rate.nodes():
            if self.facts.rate is None:
                return None
            self.names[LAST] = self._rate_of_optimizer()
        return rate_text(call, rate, self._text)

    def _by_hand(self) -> str | None:
        only = self.facts.only == "attached"
        counter = self._counter() if not self.attached and only else None
        found = self.by_hand(counter)
        if found is None:
            return None
        if self.attached:
            return self._set_by_hand(found)
        if only:
            made = f"{self.facts.function}(optimizer, lambda {counter}: {found.factor})"
            return f"Give the optimizer lr={found.first}, attach {made} and call its step() after every step of the optimizer"
        if self.target.facts.rates.lists:
            return f"Pass a list with the rate of every step: [{found.rate} for step in range(total_steps)]"
        return self._steps(found)

    def _rate_of_optimizer(self) -> str:
        return fill(self.facts.rate or "", optimizer=self._optimizer_text())

    def _set_by_hand(self, found: RateText) -> str | None:
        """How to go on without an attached schedule."""
        if self.facts.function is not None:
            made = f"{self.facts.function}({self._optimizer_text()}, lambda calls: {found.factor})"
            return f"Give the optimizer lr={found.first} and attach {made} instead"
        if self.facts.rate is None:
            return None
        rate = self._rate_of_optimizer()
        text = f"In place of its step(), set {rate} = {found.rate}, where calls counts them, this one included"
        text += "; set it with calls = 0 first" if self.bound.site.api.algorithm in _FROM_THE_START else ""
        cycles = self._values().get("cycle_momentum")
        return text if cycles is None or cycles.number is False else f"{text}. It cycles the momentum, too"

    def _steps(self, found: RateText) -> str | None:
        """A list of MindSpore as a piecewise constant schedule of Keras, where its length is known."""
        values = self._values()
        total, pace = values.get("total_steps"), values.get(PACE)
        if total is None or pace is None or self.facts.steps is None:
            return None
        length, every = (self._text(item, tight=True) for item in (total, pace))
        rates = f"[{found.rate} for step in range(0, {length}, {every})]"
        places = f"[step - 1 for step in range({every}, {length}, {every})]"
        return f"Pass {self.facts.steps}({places}, {rates})"

    def _optimizer_text(self) -> str:
        node = optimizer_node(self.bound.site)
        if node is None or not isinstance(node, ast.Name | ast.Attribute):
            return "optimizer"
        return self.source.text(self.source.start(node), self.source.end(node))


def _bracketed(text: str) -> str:
    """An expression that can stand before an `if`."""
    return f"({text})" if isinstance(ast.parse(text, mode="eval").body, ast.IfExp) else text
