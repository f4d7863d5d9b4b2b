"""Rates that follow from more than the step: from a metric, or from other schedules."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from optmap.conformance.scenario import metric_of
from optmap.mapping.canonical import Canonical
from optmap.mapping.values import read_value


class Asked(NamedTuple):
    """A call, its arguments, the optimizer's own rate, and the number of calls of step()."""

    call: Canonical
    arguments: Mapping[str, Any]
    rate: float
    epochs: int

    def number(self, name: str) -> Any:
        """The value of a hyperparameter."""
        return self.call.value(name).number


def on_plateau(asked: Asked) -> list[float]:
    """The rate after each call of step(), which is given `metric_of` the epoch.

    best is the last metric that improved on the one before by the threshold. After more than `patience` epochs without one, not
    counted while a cooldown lasts, rate = max(rate * factor, least), where that takes away more than the smallest reduction.
    """
    falls, relative = asked.number("mode") == "min", asked.number("threshold_mode") == "rel"
    threshold, factor, least = (asked.number(name) for name in ("threshold", "factor", "min_learning_rate"))
    share = 1 - threshold if falls else 1 + threshold
    best, bad, resting, found = math.inf if falls else -math.inf, 0, 0, [asked.rate]
    for epoch in range(1, asked.epochs + 1):
        metric, rate = metric_of(epoch), found[-1]
        limit = best * share if relative else best - threshold if falls else best + threshold
        best, bad = (metric, 0) if (metric < limit if falls else metric > limit) else (best, bad + 1)
        if resting > 0:
            resting, bad = resting - 1, 0
        if bad > asked.number("patience"):
            reduced = max(rate * factor, least)
            rate = reduced if rate - reduced > asked.number("least_reduction") else rate
            bad, resting = 0, asked.number("cooldown")
        found.append(rate)
    return found


def parts_of(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schedules of a list in optmap's own code: their names, and their arguments without the optimizer."""
    node: Any = ast.parse(text, mode="eval").body
    for call in node.elts:
        yield ast.unparse(call.func), {item.arg: read_value(item.value).literal for item in call.keywords}


def in_turn(asked: Asked, rates: Callable[[str, Mapping[str, Any], int], Sequence[float]]) -> list[float]:
    """The rate after each call of step(): that of the part whose turn it is, counted from its milestone.

    `rates` gives those of a schedule after each of so many calls.
    """
    starts = [0, *asked.arguments[asked.call.parameters["milestones"].name], asked.epochs + 1]
    found: list[float] = []
    for place, (name, given) in enumerate(parts_of(asked.arguments[asked.call.parameters["schedulers"].name])):
        length = min(starts[place + 1], asked.epochs + 1) - len(found)
        found += list(rates(name, given, length)) if length > 0 else []
    return found


NOTES: Final = {"plateau": "the metric is an example that falls at first", "sequential": "its schedules are examples"}
"""What stands for what a call of an algorithm does not say."""
