"""The text report of `check`, 80 columns wide: a line for each pair; then, where there are few, a block for each.

A block has the answer, its cause, what to do, and a small table.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.conformance.results import Level, Mode, Report, Result
from optmap.report.check_failures import command, failure, rerun
from optmap.report.check_lines import pair_lines
from optmap.report.check_summary import (
    Summary,
    answer,
    call_text,
    engines_text,
    headline,
    number,
    outcome,
    refused_text,
    severity,
    share,
    source_text,
    summaries,
    units,
    verdict_words,
)
from optmap.report.terminal import coloured
from optmap.shown import shown_lines

WIDTH: Final = 80
MAX_BLOCKS: Final = 12
"""Up to this many pairs get a block each."""
FEW: Final = 3
"""Up to this many scenarios that agree are named."""
MAX_FAILURES: Final = 20
"""At most this many failures are listed where there are many pairs."""
STYLES: Final = {
    r"\b(IDENTICAL|EQUIVALENT)\b": "cyan",
    r"\bCLOSE\b": "blue",
    r"\bDIVERGENT\b": "magenta",
    r"\b(AS_EXPECTED|passed|known|as expected)\b": "green",
    r"\b(WORSE|BETTER|DIVERGED|NOT_RUN|FAILED|rejected|worse than the baseline)\b": "bold red",
}
"""Levels are cool, verdicts green or red: no colour stands for both."""
_LABEL: Final = 9
_COLUMNS: Final = (9, 11, 10, 9, 6)
_WORDS: Final = {
    "drift": "how far apart both end, as a share of the distance that the source goes",
    "forced": "both get the source's gradients: only the update rules differ. It decides",
    "free": "each computes its own gradients, as in training",
    "rounding": "the source's own float32 run against its float64 run",
}
"""What the rows and columns of a table mean."""


def render(report: Report, *, drawn: bool = False) -> str:
    """The report as lines, with a final newline; `drawn` adds the course of the drift to the lines of pairs."""
    listed = summaries(report)
    few = len(listed) <= MAX_BLOCKS
    pairs = pair_lines(listed, few=few, drawn=drawn)  # with bars they are as wide as the terminal
    lines = list(pairs) if drawn else [line for pair in pairs for line in _wrapped(pair, "", "    ")]
    lines += [""] if listed else []
    if sum(summary.pair.chosen for summary in listed) != 1:  # the block of the only one says the same
        lines += [*_wrapped(headline(report)), *([""] if listed else [])]
    lines += [line for summary in listed for line in _block(summary, report)] if few else list(_failed(listed, report))
    for item in report.refused:
        lines += _wrapped(f"{item.origin}: {refused_text(item)}" if item.origin else refused_text(item))
    lines += [""] if report.refused else []
    if few and any(summary.level for summary in listed):
        lines += [line for word, text in _WORDS.items() for line in _labelled(word, text)]
    lines += _labelled("engines", engines_text(report))
    for name, reason in report.failures.items():
        lines += [f"  {name}: {reason}"]
    return "\n".join([*lines, *_wrapped(outcome(report))]) + "\n"


def draws() -> bool:
    """Whether standard output is a terminal that can show bars."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def show(report: Report) -> None:
    """Print the report; in colours where they are wanted."""
    text = shown_lines(render(report, drawn=draws()))
    if not coloured(sys.stdout):
        sys.stdout.write(text)
        return
    from rich.console import Console
    from rich.text import Text

    styled = Text(text)
    for words, style in STYLES.items():
        styled.highlight_regex(words, style)
    Console(file=sys.stdout, highlight=False, force_terminal=True).print(styled, soft_wrap=True, end="")


def _wrapped(text: str, first: str = "", rest: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _labelled(label: str, text: str) -> list[str]:
    return _wrapped(text, f"{label:<{_LABEL}}", " " * _LABEL)


def _block(summary: Summary, report: Report) -> Iterator[str]:
    pair = summary.pair
    where = f"{pair.origin}: " if pair.origin else ""
    yield from _wrapped(f"{where}{source_text(pair)}")
    yield from _wrapped(f"-> {call_text(pair.target, pair.arguments)}{_choice(summary)}", "  ", "     ")
    yield from _labelled("answer", answer(summary))
    aside = not pair.chosen and not summary.failed
    if aside and pair.causes and not pair.not_run:
        yield from _labelled("cause", ", ".join(cause.partition(":")[0] for cause in pair.causes))
    for cause in () if aside or pair.not_run else pair.causes:
        yield from _labelled("cause", cause)
    for text in () if aside else pair.advice:
        yield from _labelled("to do", text)
    for item in pair.assumed:
        yield from _labelled("assumed", str(item))
    for text in pair.notes:
        yield from _labelled("run", text)
    yield from _labelled("verdict", f"{summary.explained}{_as_stated(summary)}")
    yield from () if aside else _table(summary)
    yield from _failures(summary, report)
    yield ""


def _as_stated(summary: Summary) -> str:
    if summary.pair.not_run:
        return f": {summary.pair.not_run}; this does not fail the check"
    if summary.failed:
        return f" (expected {max((item.expected for item in summary.forced), key=lambda level: level.rank)} at worst)"
    return "" if summary.pair.causes else ": the update rules agree"


def _failures(summary: Summary, report: Report) -> Iterator[str]:
    """For each verdict the run that differs most; the other scenarios by name."""
    for words in dict.fromkeys(map(verdict_words, summary.failed)):
        failed = [item for item in summary.failed if verdict_words(item) == words]
        worst = max(failed, key=lambda item: severity(item) if item.divergence else (-1, 0.0))
        yield from failure(worst, report)
        others = dict.fromkeys(f"{item.scenario} ({item.dtype})" for item in failed if item is not worst)
        if others:
            yield from _wrapped(f"{words} as well in {', '.join(others)}", "  ", "    ")


def _choice(summary: Summary) -> str:
    pair = summary.pair
    if pair.chosen:
        return ""
    preferred = "documented" if pair.chosen_documented else "faithful" if pair.chosen_faithful else None
    return f" (with --prefer {preferred})" if preferred is not None else " (another class)"


def _table(summary: Summary) -> Iterator[str]:
    """The worst run of each level, the worst free run, and what rounding alone does."""
    rows = [_row(results) for _, results in summary.by_level()]
    singles = [result for result in summary.free if result.dtype == "float32"] or list(summary.free)
    if singles:
        worst = max(singles, key=severity)
        rows.append(_row([worst]))
        if worst.noise_floor is not None and math.isfinite(worst.noise_floor):
            rows.append(("rounding", "", share(worst.noise_floor), "", "", worst.scenario))
    if rows:
        yield from _line(("run", "level", "drift", "max abs", "step", "in"))
        for row in rows:
            yield from _line(row)


def _row(results: Sequence[Result]) -> tuple[str, ...]:
    """The figures of the worst of some runs; the step is the first one over rounding."""
    worst = max(results, key=severity)
    measured = worst.divergence
    assert measured is not None
    names = [worst.scenario, *(item.scenario for item in results if item is not worst)]
    ulps = f" ({ulp} ulp)" if (ulp := units(worst)) and worst.mode is Mode.FORCED and measured.max_abs else ""
    step = str(measured.first_step_over or "")
    mode = "rates" if worst.mode is Mode.SCHEDULE else str(worst.mode)
    factors = sorted({item.scale for item in results} - {1.0})
    scaled = f" (loss times {', '.join(f'{factor:g}' for factor in factors)}, so that it trains)" if factors else ""
    if measured.level.rank <= Level.EQUIVALENT.rank and len(names) > FEW:
        names[1:] = [f"{len(names) - 1} more"]
    where = f"{', '.join(names)}{ulps}{scaled}"
    drift = share(measured.drift) if math.isfinite(measured.drift) else "inf"
    return mode, measured.level, drift, number(measured.max_abs), step, where


def _line(cells: Sequence[str]) -> list[str]:
    head = "  " + "".join(f"{cell:<{width}}" for cell, width in zip(cells, _COLUMNS, strict=False))
    return _wrapped(cells[-1], head, " " * len(head)) if cells[-1] else [head.rstrip()]


def _failed(listed: list[Summary], report: Report) -> Iterator[str]:
    """What does not pass of many pairs, a few lines each."""
    failures = [result for summary in listed for result in summary.failed]
    for result in failures[:MAX_FAILURES]:
        text = f"{source_text(result.pair)} -> {call_text(result.pair.target, result.pair.arguments)}"
        yield from _wrapped(f"{verdict_words(result)}: {text}")
        yield from _wrapped(f"{result.scenario}, {result.dtype}: {result.reason}", "  ", "    ")
        yield from command(rerun(result, report), "  ")
    if len(failures) > MAX_FAILURES:
        yield f"and {len(failures) - MAX_FAILURES} more; --format json lists all of them"
