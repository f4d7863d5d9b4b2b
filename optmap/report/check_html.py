"""`check --report FILE.html`: one self-contained page."""

from __future__ import annotations

from html import escape

from optmap.conformance.results import Level, Report, Result
from optmap.report.check_summary import (
    DRIFT,
    Summary,
    call_text,
    engines_text,
    number,
    outcome,
    refused_text,
    source_text,
    summaries,
    units,
    verdict_words,
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1d2129; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { border-bottom: 1px solid #d8dce2; padding: .3rem .6rem; text-align: left; vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
details { margin: .4rem 0; } summary { cursor: pointer; } code { font-size: .92em; }
.alike { color: #17692e; } .differs { color: #8a5a00; } .fails { color: #a3190f; }
"""


def render(report: Report) -> str:
    """The report as HTML; pairs with a verdict that does not pass are expanded."""
    listed = summaries(report)
    refused = "".join(f"<li>{escape(refused_text(item))}</li>" for item in report.refused)
    failures = "".join(f"<li>{escape(name)}: <pre>{escape(text)}</pre></li>" for name, text in report.failures.items())
    title = f"optmap check: {'passed' if report.passed else 'failed'}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n<body>\n'
        f"<h1>{title}</h1>\n<p>{escape(outcome(report))}, with {escape(engines_text(report))}.</p>\n<p>{DRIFT}.</p>\n"
        + (f"<h2>Engines that could not be used</h2><ul>{failures}</ul>\n" if failures else "")
        + "\n".join(map(_pair, listed))
        + (f"\n<h2>Not compared</h2><ul>{refused}</ul>" if refused else "")
        + "\n</body>\n</html>\n"
    )


def _pair(summary: Summary) -> str:
    pair = summary.pair
    head = (
        f"<code>{escape(source_text(pair))}</code> &rarr; <code>{escape(call_text(pair.target, pair.arguments))}</code>"
    )
    where = f"{escape(pair.origin)}: " if pair.origin else ""
    notes = "".join(f"<li>{escape(text)}</li>" for text in (*map(str, pair.assumed), *pair.causes, *pair.advice))
    rows = "".join(_row(result) for result in summary.results)
    headings = "".join(
        f"<th>{text}</th>" for text in
        ("scenario", "dtype", "mode", "engine", "level", "expected", "max abs", "max ulp", "drift", "first step over", "verdict")
    )  # fmt: skip
    return (
        f"<details{' open' if summary.failed else ''}><summary>{where}{head}: "
        f'<strong class="{_style(bool(summary.failed), summary.level)}">{_level_and_words(summary)}</strong></summary>'
        + (f"<ul>{notes}</ul>" if notes else "")
        + f"<table><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _level_and_words(summary: Summary) -> str:
    words = summary.words
    return words if words.startswith(Level.DIVERGENT) else f"{summary.level or 'not run'}, {words}"


def _style(fails: bool, level: Level | None) -> str:
    """The CSS class of a verdict; DIVERGENT is never green."""
    return "fails" if fails else "alike" if level is not None and level is not Level.DIVERGENT else "differs"


def _row(result: Result) -> str:
    measured = result.divergence
    level = measured.level if measured else None
    texts = [result.scenario, result.dtype, str(result.mode), result.engine, level or "-", result.expected]
    numbers = ["-"] * 4
    if measured:
        over = str(measured.first_step_over or "-")
        numbers = [number(measured.max_abs), units(result) or "-", number(measured.drift), over]
    reason = f"<br>{escape(result.reason)}" if result.reason else ""
    return (
        "<tr>"
        + "".join(f"<td>{escape(text)}</td>" for text in texts)
        + "".join(f'<td class="number">{text}</td>' for text in numbers)
        + f'<td class="{_style(not result.passes, level)}">{verdict_words(result)}{reason}</td></tr>'
    )
