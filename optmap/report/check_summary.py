"""Shared by the reports of `check`: results grouped by pair, calls as text, counts."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any, Final

from optmap.conformance.results import FailOn, Level, Mode, Pair, Refused, Report, Result, Verdict, named
from optmap.mapping.values import write_literal
from optmap.shown import count, listed

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
    if result.regressed:
        return "worse than the baseline"
    if result.known:
        return f"{result.verdict}, in the baseline"
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


def answer(summary: Summary) -> str:
    """One sentence for people who are no experts: how far apart the two end."""
    worst = max((item for item in summary.forced if item.divergence), key=severity, default=None)
    if worst is None:
        return (
            f"not compared: {next((item.reason for item in summary.forced if item.reason), '') or summary.pair.not_run}"
        )
    measured = worst.divergence
    assert measured is not None
    if worst.verdict is Verdict.DIVERGED:
        return "training leaves the numbers, so that nothing can be said of its end"
    if worst.mode is Mode.SCHEDULE:
        if measured.level.rank <= Level.EQUIVALENT.rank:
            return f"the learning rates of {worst.steps} steps are the same"
        since = f"the learning rates differ from step {measured.first_step_over} on"
        return f"{since}, by up to {share(measured.drift)} of the largest"
    after = f"after {count(worst.steps, 'step')} "
    if measured.level is Level.IDENTICAL:
        return f"{after}every bit of the weights is equal"
    if measured.level is Level.EQUIVALENT:
        return f"{after}the weights agree up to rounding"
    far = share(measured.drift)
    differ = f"{after}the weights differ by {far}{' of' * far.endswith('%')} the distance trained in {worst.scenario}"
    usual = _usual(summary, worst)
    return differ if usual is None else f"{differ}, elsewhere by {usual} at most"


def _usual(summary: Summary, worst: Result) -> str | None:
    """The largest drift of the scenarios that are a level better than the worst one."""
    others = [
        item.divergence.drift for item in summary.forced
        if item.divergence and worst.divergence and item.divergence.level.rank < worst.divergence.level.rank
    ]  # fmt: skip
    return share(max(others)) if others else None


def share(value: float) -> str:
    """A fraction of the distance trained, as people say it."""
    if not math.isfinite(value):
        return "without bound"
    if value >= 1:
        return f"{value:.2g} times" if value < 100 else f"{value:.0f} times" if value < 1e6 else f"{value:.0e} times"
    if value >= 0.1:
        return f"{100 * value:.0f}%"
    return "0" if value == 0 else f"{100 * value:.2g}%" if value >= 1e-6 else "<0.0001%"


def headline(report: Report) -> str:
    """The answer to the whole question."""
    compared = [summary for summary in summaries(report) if summary.level is not None]
    listed = [summary for summary in compared if summary.pair.chosen] or compared
    if not listed:
        return "Nothing was compared."
    if len(listed) == 1:
        text = answer(listed[0])
        return f"{text[:1].upper()}{text[1:]}."
    alike = sum(summary.level is not Level.DIVERGENT and not summary.failed for summary in listed)
    worst = max(listed, key=lambda summary: max(severity(item) for item in summary.forced if item.divergence))
    first = f"{alike} of {len(listed)} translations train as the source does"
    if alike == len(listed):
        return f"{first}."
    return f"{first}; {worst.pair.source} -> {worst.pair.target} differs most: {answer(worst)}."


def counts(report: Report) -> dict[str, int]:
    """How many calls, pairs, results with a verdict (also by verdict), and calls that were not translated the report has.

    A pair is a call and one class of the target; a call may have several.
    """
    verdicts = [result.verdict for result in report.forced]
    listed = summaries(report)
    return {
        "calls": len({(item.pair.origin, call_text(item.pair.source, item.pair.hyperparameters)) for item in listed}),
        "pairs": len(listed),
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
    """How many calls and translations were compared in how many runs, as text."""
    found = counts(report)
    calls, pairs = found["calls"], found["pairs"]
    rated = sum(result.mode is Mode.SCHEDULE for result in report.results)
    runs = found["results"] - rated
    texts = [
        count(calls, "call"),
        f"{count(pairs, 'translation')} of {'them' if calls != 1 else 'it'}",
    ]
    texts += [count(runs, "forced run")] if runs or not rated else []
    texts += [f"{count(rated, 'comparison')} of rates"] if rated else []
    return ", ".join(texts)


def identity(results: Iterable[Result]) -> list[str]:
    """A short name for each result that stays the same from run to run, and that no other result of the report has."""
    found: list[str] = []
    seen: dict[str, int] = {}
    for result in results:
        pair = result.pair
        parts = (source_text(pair), pair.target, call_text(pair.target, pair.arguments), pair.origin, pair.row,
                 result.scenario, result.dtype, str(result.mode), result.engine)  # fmt: skip
        name = sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found


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
