"""`check` as Markdown, for a job summary or a page of documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from optmap.conformance.results import Report
from optmap.report.check_failures import rerun
from optmap.report.check_html import framework_of, matrix
from optmap.report.check_summary import (
    DRIFT,
    Summary,
    call_text,
    engines_text,
    headline,
    number,
    outcome,
    refused_text,
    severity,
    source_text,
    summaries,
    verdict_words,
)
from optmap.shown import shown


def render(report: Report) -> str:
    """The matrix of verdicts, a table with a row for each pair, then what does not pass, and what was not checked."""
    listed = summaries(report)
    lines = [
        f"## optmap check: {'passed' if report.passed else 'failed'}", "", _prose(headline(report)), "",
        f"{outcome(report)}, with {_prose(engines_text(report))}.", "", *_matrix(listed), "",
        "| source | target | measured | max abs | drift | causes | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, listed), "", f"{DRIFT}.",
    ]  # fmt: skip
    failed = [result for summary in listed for result in summary.failed]
    if failed:
        lines += ["", "### Not as expected", ""]
        lines += [
            f"- **{verdict_words(result)}** {_code(source_text(result.pair))} -> `{result.pair.target}` in {result.scenario} "
            f"({result.dtype}): {_prose(result.reason or '')} {_code(rerun(result, report))}"
            for result in failed
        ]
    places = [(f"{item.pair.origin}: " if item.pair.origin else "", item.pair.assumed) for item in listed]
    assumed = dict.fromkeys(f"- {_prose(f'{place}{item}')}" for place, items in places for item in items)
    if assumed:
        lines += ["", "### Assumed values", "", *assumed]
    if report.refused:
        lines += ["", "### Not compared", "", *(f"- {_prose(refused_text(item))}" for item in report.refused)]
    return "\n".join(lines) + "\n"


def _matrix(listed: list[Summary]) -> Iterator[str]:
    """A row for each source class: the worst level of its calls for each class of a target, and whether it is as expected."""
    targets = list(dict.fromkeys(map(framework_of, listed)))
    yield f"| class | {' | '.join(targets)} |"
    yield f"| --- |{' --- |' * len(targets)}"
    for row in matrix(listed, targets):
        cells = ["<br>".join(map(_verdict, cell)) or "-" for cell in row["cells"]]
        yield f"| `{row['source']}` | {' | '.join(cells)} |"


def _verdict(item: Mapping[str, Any]) -> str:
    mark = {"passes": "✓", "fails": "✗", "not-run": "-"}[item["mark"]]
    return f"{mark} `{item['target']}` {item['level'] or 'not run'}"


def _row(summary: Summary) -> str:
    pair = summary.pair
    worst = max((item for item in summary.forced if item.divergence), key=severity, default=None)
    measured = worst and worst.divergence
    cells = [
        _code(source_text(pair)), _code(call_text(pair.target, pair.arguments)),
        f"{measured.level} in {worst.scenario}" if measured and worst else "-",
        number(measured.max_abs) if measured else "-", number(measured.drift) if measured else "-",
        "<br>".join(map(_prose, pair.causes)) or "-", summary.words,
    ]  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _code(text: str) -> str:
    """Text as it is, on one line between more backticks than it has in a row."""
    text = shown(text)
    ticks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{ticks}{text}{ticks}" if len(ticks) == 1 else f"{ticks} {text} {ticks}"


def _prose(text: str) -> str:
    """Text that may quote a user's file, without what Markdown or HTML would take for more than text."""
    return re.sub(r"[\\`\[\]!<>]", r"\\\g<0>", shown(text.replace("\n", " ")))
