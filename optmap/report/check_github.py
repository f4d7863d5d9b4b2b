"""`check` as GitHub workflow commands: one annotation for each pair and verdict that does not pass."""

from __future__ import annotations

from optmap.conformance.results import Report, Result, Verdict
from optmap.report.check_summary import call_text, summaries
from optmap.report.workflow import annotation


def render(report: Report) -> str:
    """One line per pair and verdict that does not pass, at the position of the call if it comes from a file."""
    lines = [
        _line([result for result in summary.failed if result.verdict is verdict])
        for summary in summaries(report)
        for verdict in dict.fromkeys(result.verdict for result in summary.failed)
    ]
    for item in report.refused:
        text = f"{call_text(item.source, item.hyperparameters)} is not translated: {'; '.join(item.reasons)}"
        lines.append(_annotation("warning", "optmap check", text, item.origin))
    if not report.ran:
        lines.append(annotation("error", "optmap check", "nothing ran"))
    return "".join(f"{line}\n" for line in lines)


def _line(results: list[Result]) -> str:
    first = results[0]
    level = "error" if first.verdict is not Verdict.NOT_RUN else "warning"
    scenarios = ", ".join(dict.fromkeys(f"{result.scenario} ({result.dtype})" for result in results))
    text = f"{call_text(first.pair.source, first.pair.hyperparameters)} -> {first.pair.target} in {scenarios}: {first.reason}"
    return _annotation(level, first.verdict, text, first.pair.origin)


def _annotation(level: str, title: str, text: str, origin: str) -> str:
    path, _, line = origin.rpartition(":")
    path, cell, number = path.partition(":cell ")
    if cell:  # a line of a cell is not a line of the file
        text, line = f"cell {number}, line {line}: {text}", "1"
    return annotation(level, title, text, path or None, line)
