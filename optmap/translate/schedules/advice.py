"""What to write in place of a schedule that is not translated: the replacement, with the numbers of the call."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from optmap.mapping.canonical import PACE
from optmap.translate.discover.sites import CallSite
from optmap.translate.schedules.formula_text import RateText
from optmap.translate.schedules.substitutes import ScheduleCall, read_call_of
from optmap.translate.unit import Unit

_FROM_THE_START: Final = ("sequential", "linear_ramp", "constant_factor", "lambda", "cyclic", "one_cycle")
"""Schedules whose first rate is not that of the optimizer."""


def advice(
    unit: Unit, schedule: CallSite, optimizer: CallSite | None, parts: Sequence[CallSite] = (), *,
    alone: bool = True, counts: bool = True,
) -> str | None:  # fmt: skip
    """What to do instead, and the code below; None where nothing can be said with certainty.

    A sequence is made of `parts`. Is the schedule `alone`, or do others set the rate of its optimizer? If it is attached, is its
    rate a function of the steps that the optimizer `counts`?
    """
    call = read_call_of(unit, schedule, optimizer)
    if call is None:
        return None
    if schedule.api.algorithm != "sequential":
        return _replacement(call, alone, counts)
    members = [read_call_of(unit, part, optimizer) for part in parts]
    return _sequence(call, [item for item in members if item is not None]) if alone and None not in members else None


def _replacement(call: ScheduleCall, alone: bool, counts: bool) -> str | None:
    """The advice for a schedule that is not made of others."""
    same = _counterpart(call, call.attached)
    if same is not None:
        return f"write its counterpart\n{same}"
    if not alone:
        return None
    other = _counterpart(call, not call.attached) if counts or not call.attached else None
    if other is not None and call.attached:
        return f"pass this to the optimizer, and remove the calls of step()\nlearning_rate = {other}"
    if other is not None:
        rate = call.values().get("learning_rate")
        first = f"give the optimizer lr={call.text(rate)} and " if rate is not None else ""
        return f"{first}step this after every step of the optimizer\nscheduler = {other}"
    return _by_hand(call)


def _counterpart(call: ScheduleCall, attach: bool) -> str | None:
    """The text of the target's schedule for this call, quantities that the file does not tell by their names."""
    plan = call.plan(attach)
    return None if plan is None else f"{plan.target.name}({call.arguments_text(plan, attach)})"


def _sequence(call: ScheduleCall, parts: Sequence[ScheduleCall]) -> str | None:
    """One formula after another, each with its own count of calls."""
    places = next((item.value.elements for item in call.given if item.parameter.name == "milestones"), None)
    if not places or len(places) != len(parts) - 1 or not all(isinstance(item.literal, int) for item in places):
        return None
    starts = [0, *(int(item.literal) for item in places)]  # type: ignore[arg-type]
    found: list[RateText] = []
    for part, start in zip(parts, starts, strict=True):
        text = part.by_hand(start=start)
        if text is None or text.first == "1.0":
            return None
        found.append(text)
    factor = found[-1].factor
    for text, end in zip(reversed(found[:-1]), reversed(starts[1:]), strict=True):
        factor = f"({_bracketed(text.factor)} if calls < {end} else {factor})"
    return _set_by_hand(call, RateText(found[0].first, factor, f"{found[0].first} * {factor}"))


def _by_hand(call: ScheduleCall) -> str | None:
    only = call.facts.only == "attached"
    counter = call.counter() if not call.attached and only else None
    found = call.by_hand(counter)
    if found is None:
        return None
    if call.attached:
        return _set_by_hand(call, found)
    if only:
        made = f"{call.facts.function}(optimizer, lambda {counter}: {found.factor})"
        first = f"give the optimizer lr={found.first} and step this after every step of the optimizer"
        return f"{first}\nscheduler = {made}"
    if call.target.facts.rates.lists:
        return f"pass a list with the rate of every step\nrates = [{found.rate} for step in range(total_steps)]"
    return _steps(call, found)


def _set_by_hand(call: ScheduleCall, found: RateText) -> str | None:
    """How to go on without an attached schedule."""
    if call.facts.function is not None:
        made = f"{call.facts.function}({call.optimizer_text()}, lambda calls: {found.factor})"
        return f"give the optimizer lr={found.first} and attach this instead\nscheduler = {made}"
    if call.facts.rate is None:
        return None
    rate = call.rate_of_optimizer()
    text = "set the rate in place of its step(), where calls counts them, this one included"
    text += "; set it with calls = 0 first" if call.api.algorithm in _FROM_THE_START else ""
    cycles = call.values().get("cycle_momentum")
    text += "" if cycles is None or cycles.number is False else "; it cycles the momentum, too"
    return f"{text}\n{rate} = {found.rate}"


def _steps(call: ScheduleCall, found: RateText) -> str | None:
    """A list of MindSpore as a piecewise constant schedule of Keras, where its length is known."""
    values = call.values()
    total, pace = values.get("total_steps"), values.get(PACE)
    if total is None or pace is None or call.facts.steps is None:
        return None
    length, every = (call.text(item, tight=True) for item in (total, pace))
    rates = f"[{found.rate} for step in range(0, {length}, {every})]"
    places = f"[step - 1 for step in range({every}, {length}, {every})]"
    return f"pass this to the optimizer\nlearning_rate = {call.facts.steps}({places}, {rates})"


def _bracketed(text: str) -> str:
    """An expression that can stand before an `if`."""
    return f"({text})" if isinstance(ast.parse(text, mode="eval").body, ast.IfExp) else text
