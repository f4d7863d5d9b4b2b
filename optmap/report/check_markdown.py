"""`check` as Markdown, for a job summary or a page of documentation."""

from __future__ import annotations

from optmap.conformance.results import Report
from optmap.report.check_summary import Summary, amounts, call_text, engines_text, number, severity, summaries


def render(report: Report) -> str:
    """A table with one row per pair, then a list of the results that do not pass."""
    listed = summaries(report)
    lines = [
        f"## optmap check: {'passed' if report.passed else 'failed'}", "",
        f"{amounts(report)} with {engines_text(report)}.", "",
        "| source | target | measured | max abs | drift | causes | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, listed),
    ]  # fmt: skip
    failed = [result for summary in listed for result in summary.failed]
    if failed:
        lines += ["", "### Not as expected", ""]
        lines += [
            f"- **{result.verdict}** `{call_text(result.pair.source, result.pair.hyperparameters)}` -> `{result.pair.target}` "
            f"in {result.scenario} ({result.dtype}): {result.reason}"
            for result in failed
        ]
    return "\n".join(lines) + "\n"


def _row(summary: Summary) -> str:
    pair = summary.pair
    worst = max((item for item in summary.forced if item.divergence), key=severity, default=None)
    measured = worst and worst.divergence
    cells = [
        f"`{call_text(pair.source, pair.hyperparameters)}`", f"`{call_text(pair.target, pair.arguments)}`",
        f"{measured.level} in {worst.scenario}" if measured and worst else "-",
        number(measured.max_abs) if measured else "-", number(measured.drift) if measured else "-",
        "<br>".join(pair.causes) or "-", str(summary.verdict),
    ]  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
