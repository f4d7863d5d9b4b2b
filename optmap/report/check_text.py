"""The text report of `check`: one block per pair, or one line per pair where there are many."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from optmap.conformance.results import Level, Report, Result, Verdict
from optmap.report.check_summary import (
    DRIFT,
    Summary,
    call_text,
    engines_text,
    number,
    outcome,
    refused_text,
    severity,
    source_text,
    summaries,
    units,
    verdict_words,
)

MAX_BLOCKS = 12
"""Up to this many pairs get a block each."""
MAX_FAILURES = 20
"""At most this many failures are listed where there are many pairs."""
DRIFTS = ", drift "
STYLES: Final = {
    r"\b(WORSE|BETTER|NOT_RUN|FAILED|DIVERGENT, rejected)\b": "bold red",
    r"\bDIVERGENT(, as expected|, explained)?\b(?!, rejected)": "yellow",
    r"\b(IDENTICAL|EQUIVALENT|CLOSE|AS_EXPECTED|passed)\b": "green",
}


def render(report: Report) -> str:
    """The report as lines, with a final newline."""
    listed = summaries(report)
    body = (
        [line for summary in listed for line in _block(summary)] if len(listed) <= MAX_BLOCKS else list(_many(listed))
    )
    failures = (f"  {name}: {reason}" for name, reason in report.failures.items())
    lines = [f"engines  {engines_text(report)}", *failures, "", *body, *_refused(report)]
    lines += [DRIFT] if any(DRIFTS in line for line in lines) else []
    return "\n".join([*lines, outcome(report)]) + "\n"


def show(text: str) -> None:
    """Print the report; with colours on a terminal, where DIVERGENT is never green."""
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    from rich.console import Console
    from rich.text import Text

    shown = Text(text)
    for words, style in STYLES.items():
        shown.highlight_regex(words, style)
    Console(highlight=False).print(shown, soft_wrap=True, end="")


def _block(summary: Summary) -> Iterator[str]:
    pair = summary.pair
    where = f"{pair.origin}: " if pair.origin else ""
    yield f"{where}{source_text(pair)} -> {call_text(pair.target, pair.arguments)}{_choice(summary)}"
    for item in pair.assumed:
        yield f"  assumed  {item}"
    for text in pair.notes:
        yield f"  run      {text}"
    head = "forced"
    for level, results in summary.by_level():
        yield f"  {head:<8} {level:<10} {_measured(level, results)}"
        head = ""
    yield from _expected_and_free(summary)
    yield f"  verdict  {summary.explained}"
    if pair.not_run:
        yield f"           {pair.not_run}; this does not fail the check"
    for text in dict.fromkeys(result.reason for result in summary.failed if result.reason):
        yield f"           {text}"
    for text in pair.advice:
        yield f"  to do    {text}"
    yield ""


def _choice(summary: Summary) -> str:
    pair = summary.pair
    if pair.chosen:
        return ""
    preferred = "documented" if pair.chosen_documented else "faithful" if pair.chosen_faithful else None
    return f"   (with --prefer {preferred})" if preferred is not None else "   (another class)"


def _measured(level: Level, results: list[Result]) -> str:
    """The scenarios of one level, and what was measured in the worst of them."""
    names = ", ".join(result.scenario for result in results)
    if level is Level.IDENTICAL:
        return f"in {names}: every bit equal"
    worst = max(results, key=severity)
    assert worst.divergence is not None
    of = f", worst {worst.scenario} in {worst.dtype}" if len(results) > 1 else f" in {worst.dtype}"
    since = worst.divergence.first_step_over
    over = f"; more than rounding from step {since} on ({worst.divergence.parameter})" if since is not None else ""
    rounded = f", {ulps} ulp" if (ulps := units(worst)) else ""
    drift = f"{DRIFTS}{number(worst.divergence.drift)}"
    return f"in {names}{of}: max abs {number(worst.divergence.max_abs)}{rounded}{drift}{over}"


def _expected_and_free(summary: Summary) -> Iterator[str]:
    """The expected levels, the causes, and the worst free run."""
    if summary.pair.not_run:
        return
    levels: dict[Level, list[str]] = {}
    for result in summary.forced:
        levels.setdefault(result.expected, []).append(result.scenario)
    ordered = sorted(levels.items(), key=lambda item: -len(item[1]))
    rest = "".join(f", {level} in {', '.join(dict.fromkeys(names))}" for level, names in ordered[1:])
    if ordered:
        yield f"  expected {ordered[0][0]}{rest}" + ("" if summary.pair.causes else ": the update rules agree")
    for cause in summary.pair.causes:
        yield f"  cause    {cause}"
    singles = [result for result in summary.free if result.dtype == "float32"] or list(summary.free)
    if singles:
        worst = max(singles, key=severity)
        assert worst.divergence is not None
        floor = (
            ""
            if worst.noise_floor is None
            else f"; the source's own drift from float32 to float64 is {number(worst.noise_floor)}"
        )
        yield (
            f"  free     worst {worst.scenario}: max abs {number(worst.divergence.max_abs)}"
            f"{DRIFTS}{number(worst.divergence.drift)}{floor}"
        )


def _many(listed: list[Summary]) -> Iterator[str]:
    """One line per pair of classes, then the failures."""
    pairs: dict[tuple[str, str], list[Summary]] = {}
    for summary in listed:
        pairs.setdefault((summary.pair.source, summary.pair.target), []).append(summary)
    width = max(len(source) for source, _ in pairs), max(len(target) for _, target in pairs)
    for (source, target), group in pairs.items():
        levels = [summary.level for summary in group if summary.level is not None]
        worst = max(levels, key=lambda level: level.rank, default=None)
        base = next((summary.level for summary in group if not summary.pair.row), None)
        failed = sum(bool(summary.failed) for summary in group)
        passed = f"{Level.DIVERGENT}, as expected" if worst is Level.DIVERGENT else Verdict.AS_EXPECTED
        verdict = f"{failed} not as expected" if failed else group[0].pair.not_run or passed
        yield (
            f"{source:<{width[0]}} -> {target:<{width[1]}}  defaults {base or 'NOT_RUN':<10}  "
            f"{len(group)} call{'s' * (len(group) != 1)}, worst {worst or 'NOT_RUN':<10}  {verdict}"
        )
    failures = [result for summary in listed for result in summary.failed]
    yield ""
    for result in failures[:MAX_FAILURES]:
        source = source_text(result.pair)
        yield f"{verdict_words(result)}: {source} -> {call_text(result.pair.target, result.pair.arguments)}"
        yield f"  {result.scenario}, {result.dtype}: {result.reason}"
    if len(failures) > MAX_FAILURES:
        yield f"and {len(failures) - MAX_FAILURES} more; --format json lists all of them"


def _refused(report: Report) -> Iterator[str]:
    for item in report.refused:
        yield f"{item.origin}: {refused_text(item)}" if item.origin else refused_text(item)
    if report.refused:
        yield ""
