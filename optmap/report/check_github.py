"""`check` as GitHub workflow commands: an annotation for each pair and verdict that does not pass."""

from __future__ import annotations

from collections.abc import Iterator

from optmap.conformance.results import Level, Report, Result, Verdict
from optmap.report.check_summary import Summary, refused_text, source_text, summaries, verdict_words
from optmap.report.github import annotation


def render(report: Report) -> str:
    """One line per pair and verdict that does not pass, at the position of the call if it comes from a file.

    A call of a file whose translation diverges as the tables predict is a notice.
    """
    lines = [line for summary in summaries(report) for line in _lines(summary)]
    for item in report.refused:
        level = "error" if item.internal else "warning"
        lines.append(_annotation(level, "optmap check", refused_text(item), item.origin))
    if not report.ran:
        lines.append(annotation("error", "optmap check", "nothing ran"))
    return "".join(f"{line}\n" for line in lines)


def _lines(summary: Summary) -> Iterator[str]:
    for words in dict.fromkeys(map(verdict_words, summary.failed)):
        results = [result for result in summary.failed if verdict_words(result) == words]
        level = "warning" if results[0].verdict is Verdict.NOT_RUN else "error"
        yield _line(level, words, results, results[0].reason or "")
    if summary.pair.origin and summary.pair.chosen and summary.pair.assumed:
        text = f"{source_text(summary.pair)}: {'; '.join(map(str, summary.pair.assumed))}"
        yield _annotation("notice", "assumed values", text, summary.pair.origin)
    if summary.pair.origin and summary.pair.chosen and not summary.failed and summary.level is Level.DIVERGENT:
        results = [result for result in summary.forced if result.divergent]
        yield _line("notice", summary.words, results, "; ".join(summary.pair.causes))


def _line(level: str, title: str, results: list[Result], reason: str) -> str:
    pair = results[0].pair
    scenarios = ", ".join(dict.fromkeys(f"{result.scenario} ({result.dtype})" for result in results))
    text = f"{source_text(pair)} -> {pair.target} in {scenarios}: {reason}"
    return _annotation(level, title, text, pair.origin)


def _annotation(level: str, title: str, text: str, origin: str) -> str:
    path, _, line = origin.rpartition(":")
    path, cell, number = path.partition(":cell ")
    if cell:  # a line of a cell is not a line of the file
        text, line = f"cell {number}, line {line}: {text}", "1"
    return annotation(level, title, text, path or None, line)
