"""The learning rate of a schedule at a step, as Python source."""

from __future__ import annotations

from collections.abc import Callable

from optmap.mapping.canonical import Canonical
from optmap.mapping.formula import Formula
from optmap.mapping.rate import over_first
from optmap.values import NamedTuple


class RateText(NamedTuple):
    """The rate at a step is `first` times `factor`; `first` is the rate to begin with, or 1.0 where there is none."""

    first: str
    factor: str
    rate: str


def rate_text(call: Canonical, rate: Formula, write: Callable[[Formula], str]) -> RateText:
    """Write the rate of a call."""
    first = call.value("learning_rate")
    factor = over_first(rate, first)
    text = write(rate)
    return RateText("1.0", text, text) if factor is None else RateText(write(first), write(factor), text)
