"""Shared by the reports of `check`: results grouped by pair, calls as text, counts."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from optmap.conformance.results import FailOn, Level, Mode, Pair, Refused, Report, Result, Verdict, listed, named
from optmap.mapping.values import write_literal

DRIFT: Final = "drift: how far apart the two runs end, as a fraction of the distance that the source's run travelled"
"""What a column or figure of that name means."""


@dataclass(frozen=True)
class Summary:
    """All results of one pair."""

    pair: Pair
    results: tuple[Result, ...]

    @property
    def forced(self) -> tuple[Result, ...]:
        """The results that get a verdict: all but the free runs."""
        return tuple(result for result in self.results if result.mode is not Mode.FREE)

    @property
    def free(self) -> tuple[Result, ...]:
        """The free runs that were made."""
        return tuple(result for result in self.results if result.mode is Mode.FREE and result.divergence is not None)

    @property
    def failed(self) -> tuple[Result, ...]:
        """The results that do not pass."""
        return tuple(result for result in self.forced if not result.passes)

    @property
    def words(self) -> str:
        """The verdict. A pair that trains differently, as the tables predict, is told from one that trains alike."""
        if self.pair.not_run:
            return Verdict.NOT_RUN
        if self.failed:
            return verdict_words(self.failed[0])
        return "DIVERGENT, as expected" if self.level is Level.DIVERGENT else Verdict.AS_EXPECTED

    @property
    def explained(self) -> str:
        """The verdict, with what explains a difference and how little remains without that."""
        explained = [item for item in self.forced if item.remainder is not None]
        names = list(dict.fromkeys(cause.partition(":")[0] for item in explained for cause in item.causes))
        if not names or self.failed:
            return self.words
        these = "this" if len(names) == 1 else f"these {len(names)}"
        largest = max(item.remainder.max_abs for item in explained if item.remainder is not None)
        rest = f"with {these} the remaining difference is {number(largest)}"
        return f"{self.level}, explained by {listed([named(name) for name in names])}: {rest}"

    @property
    def level(self) -> Level | None:
        """The worst measured level; None where nothing ran."""
        return max((result.divergence.level for result in self.forced if result.divergence), key=_rank, default=None)

    def by_level(self) -> list[tuple[Level, list[Result]]]:
        """The scenarios grouped by level, best first; each with the result of the dtype that diverges most."""
        worst: dict[str, Result] = {}
        for result in self.forced:
            if result.divergence is not None:
                worst[result.scenario] = max(worst.get(result.scenario, result), result, key=severity)
        ordered = sorted(worst.values(), key=lambda result: severity(result)[0])
        return [(list(Level)[rank], list(group)) for rank, group in groupby(ordered, lambda item: severity(item)[0])]


def _rank(level: Level) -> int:
    return level.rank


def severity(result: Result) -> tuple[int, float]:
    """A sort key that grows with the measured divergence."""
    assert result.divergence is not None
    return result.divergence.level.rank, result.divergence.drift


def verdict_words(result: Result) -> str:
    """The verdict on one result."""
    return result.verdict if result.accepted or result.verdict is not Verdict.AS_EXPECTED else "DIVERGENT, rejected"


def summaries(report: Report) -> list[Summary]:
    """The results grouped by pair, in the order of the report."""
    found: dict[int, list[Result]] = {}
    for result in report.results:
        found.setdefault(id(result.pair), []).append(result)
    return [Summary(group[0].pair, tuple(group)) for group in found.values()]


def call_text(name: str, arguments: object) -> str:
    """A constructor call as text, without its parameters argument."""
    assert hasattr(arguments, "items")
    return f"{name}({', '.join(f'{key}={write_literal(value)}' for key, value in arguments.items())})"


def source_text(pair: Pair) -> str:
    """The source's call with its groups; what the file does not show is marked at the value."""
    own = {item.name: item.value for item in pair.assumed if item.group is None and item.name}
    parts = _arguments({**pair.hyperparameters, **own}, own)
    if pair.groups:
        guessed = {(item.group, item.name) for item in pair.assumed}
        groups = [
            f"{{{', '.join(_arguments(group, {name for place, name in guessed if place == index}))}}}"
            for index, group in enumerate(pair.groups)
        ]
        parts.insert(0, f"[{', '.join(groups)}]")
    return f"{pair.source}({', '.join(parts)})"


def _arguments(values: Mapping[str, Any], assumed: Container[str]) -> list[str]:
    return [f"{key}={write_literal(value)}{' [assumed]' * (key in assumed)}" for key, value in values.items()]


def refused_text(item: Refused) -> str:
    """A call that was not checked, with the reasons."""
    reasons = "; ".join(item.reasons)
    if item.internal:
        return f"{item.source} could not be checked against {item.target}: {reasons}"
    what = "not compared with its translation" if item.untested else "not translated"
    return f"{call_text(item.source, item.hyperparameters)} is {what} to {item.target}: {reasons}"


def counts(report: Report) -> dict[str, int]:
    """How many pairs, results with a verdict (also by verdict), and calls that were not translated the report has."""
    verdicts = [result.verdict for result in report.forced]
    return {
        "pairs": len(summaries(report)),
        "results": len(verdicts),
        **{str(verdict): verdicts.count(verdict) for verdict in Verdict},
        "divergent": sum(result.divergent for result in report.results),
        "refused": len(report.refused),
    }


def outcome(report: Report) -> str:
    """The last line: whether the check passed, and the counts."""
    found = counts(report)
    verdicts = ", ".join(f"{found[verdict]} {verdict}" for verdict in Verdict if found[verdict])
    divergent = f"; {found['divergent']} of the runs DIVERGENT" if found["divergent"] else ""
    if divergent and report.fail_on is FailOn.WORSE:
        divergent += f" (--fail-on {FailOn.DIVERGENT} rejects these)"
    return f"{'passed' if report.passed else 'FAILED'}: {amounts(report)}: {verdicts or 'nothing ran'}{divergent}"


def amounts(report: Report) -> str:
    """How many translated calls were compared in how many forced runs, as text."""
    found = counts(report)
    calls, runs = found["pairs"], found["results"]
    return f"{calls} translated call{'s' * (calls != 1)}, {runs} forced run{'s' * (runs != 1)}"


def engines_text(report: Report) -> str:
    """The engines with their versions, on one line."""
    return ", ".join(f"{name} {version or 'NOT RUN'}" for name, version in report.engines.items())


def number(value: float) -> str:
    """A measured number with two significant digits."""
    return "0" if value == 0 else f"{value:.1e}"


def units(result: Result) -> str:
    """The difference in units in the last place where it is one of rounding, which alone such units describe; else empty."""
    measured = result.divergence
    rounding = measured is not None and measured.level.rank <= Level.EQUIVALENT.rank
    return f"{measured.max_ulp}" if measured is not None and rounding and measured.max_ulp is not None else ""
