"""Shared by the reports of `check`: results grouped by pair, calls as text, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from optmap.conformance.levels import Level
from optmap.conformance.results import Mode, Pair, Report, Result, Verdict
from optmap.mapping.values import write_literal


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
        """The results whose verdict does not pass."""
        return tuple(result for result in self.forced if not result.passes)

    @property
    def verdict(self) -> Verdict:
        """NOT_RUN where the tables say that the pair cannot run, else the first verdict that does not pass, else AS_EXPECTED."""
        if self.pair.not_run:
            return Verdict.NOT_RUN
        return self.failed[0].verdict if self.failed else Verdict.AS_EXPECTED

    @property
    def level(self) -> Level | None:
        """The worst measured level; None where nothing ran."""
        levels = [result.divergence.level for result in self.forced if result.divergence is not None]
        return max(levels, key=lambda level: level.rank, default=None)

    def by_level(self) -> list[tuple[Level, list[Result]]]:
        """The scenarios grouped by level, best first; each with the result of the dtype that diverges most."""
        worst: dict[str, Result] = {}
        for result in self.forced:
            if result.divergence is not None:
                other = worst.get(result.scenario)
                worst[result.scenario] = result if other is None else max(other, result, key=severity)
        ordered = sorted(worst.values(), key=lambda result: severity(result)[0])
        return [
            (Level(list(Level)[rank]), list(group)) for rank, group in groupby(ordered, lambda item: severity(item)[0])
        ]


def severity(result: Result) -> tuple[int, float]:
    """A sort key that grows with the measured divergence."""
    assert result.divergence is not None
    return result.divergence.level.rank, result.divergence.drift


def summaries(report: Report) -> list[Summary]:
    """The results grouped by pair, in the order of the report."""
    return [Summary(pair, tuple(group)) for pair, group in _by_pair(report.results)]


def _by_pair(results: Sequence[Result]) -> list[tuple[Pair, list[Result]]]:
    found: dict[int, tuple[Pair, list[Result]]] = {}
    for result in results:
        found.setdefault(id(result.pair), (result.pair, []))[1].append(result)
    return list(found.values())


def call_text(name: str, arguments: object) -> str:
    """A constructor call as text, without its parameters argument."""
    assert hasattr(arguments, "items")
    return f"{name}({', '.join(f'{key}={write_literal(value)}' for key, value in arguments.items())})"


def counts(report: Report) -> dict[str, int]:
    """How many pairs, results with a verdict (also by verdict), and calls that were not translated the report has."""
    verdicts = [result.verdict for result in report.forced]
    return {
        "pairs": len(_by_pair(report.results)),
        "results": len(verdicts),
        **{str(verdict): verdicts.count(verdict) for verdict in Verdict},
        "refused": len(report.refused),
    }


def amounts(report: Report) -> str:
    """How many calls were compared in how many forced runs, as text."""
    found = counts(report)
    calls, runs = found["pairs"], found["results"]
    return f"{calls} call{'s' * (calls != 1)}, {runs} forced run{'s' * (runs != 1)}"


def engines_text(report: Report) -> str:
    """The engines with their versions, on one line."""
    return ", ".join(f"{name} {version or 'NOT RUN'}" for name, version in report.engines.items())


def number(value: float) -> str:
    """A measured number with two significant digits."""
    return "0" if value == 0 else f"{value:.1e}"
