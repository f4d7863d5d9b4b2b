"""What the reports of `check` share: the results of each pair together, calls as text, counts."""

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
        """The results that are judged."""
        return tuple(result for result in self.results if result.mode is not Mode.FREE)

    @property
    def free(self) -> tuple[Result, ...]:
        """The free runs that could be made."""
        return tuple(result for result in self.results if result.mode is Mode.FREE and result.divergence is not None)

    @property
    def failed(self) -> tuple[Result, ...]:
        """Judged results that do not pass."""
        return tuple(result for result in self.forced if not result.passes)

    @property
    def verdict(self) -> Verdict:
        """The first verdict that does not pass, else NOT_RUN where the tables say why, else AS_EXPECTED."""
        if self.pair.not_run:
            return Verdict.NOT_RUN
        return self.failed[0].verdict if self.failed else Verdict.AS_EXPECTED

    @property
    def level(self) -> Level | None:
        """The worst measured level; None where nothing ran."""
        levels = [result.divergence.level for result in self.forced if result.divergence is not None]
        return max(levels, key=lambda level: level.rank, default=None)

    def by_level(self) -> list[tuple[Level, list[Result]]]:
        """Scenarios by their level, best first; of each scenario the result of the dtype that shows most."""
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
    """A key that grows with what was measured."""
    assert result.divergence is not None
    return result.divergence.level.rank, result.divergence.drift


def summaries(report: Report) -> list[Summary]:
    """The report pair by pair, in order."""
    return [Summary(pair, tuple(group)) for pair, group in _by_pair(report.results)]


def _by_pair(results: Sequence[Result]) -> list[tuple[Pair, list[Result]]]:
    found: dict[int, tuple[Pair, list[Result]]] = {}
    for result in results:
        found.setdefault(id(result.pair), (result.pair, []))[1].append(result)
    return list(found.values())


def call_text(name: str, arguments: object) -> str:
    """A constructor call as text, without the parameters."""
    assert hasattr(arguments, "items")
    return f"{name}({', '.join(f'{key}={write_literal(value)}' for key, value in arguments.items())})"


def counts(report: Report) -> dict[str, int]:
    """Judged results by verdict, pairs, and calls that were not translated."""
    verdicts = [result.verdict for result in report.forced]
    return {
        "pairs": len(_by_pair(report.results)),
        "results": len(verdicts),
        **{str(verdict): verdicts.count(verdict) for verdict in Verdict},
        "refused": len(report.refused),
    }


def engines_text(report: Report) -> str:
    """The engines with their versions, in one line."""
    return ", ".join(f"{name} {version or 'NOT RUN'}" for name, version in report.engines.items())


def number(value: float) -> str:
    """A measured number, short."""
    return "0" if value == 0 else f"{value:.1e}"
