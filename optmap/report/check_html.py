"""`check --report FILE.html`: one self-contained page, readable without scripts, in light and dark.

The markup is in templates/check.html.j2; this module gives it plain values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from optmap import __version__
from optmap.conformance.results import Level, Mode, Report, Result
from optmap.report import plots
from optmap.report.check_summary import (
    Summary,
    call_text,
    outcome,
    refused_text,
    severity,
    source_text,
    summaries,
    units,
    verdict_words,
)

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES: Final = Path(__file__).with_name("templates")
_SIZE: Final = {
    "width": plots.WIDTH, "height": plots.HEIGHT, "left": plots.LEFT, "bottom": plots.BOTTOM, "top": plots.TOP,
    "right": plots.RIGHT,
}  # fmt: skip
_GLOSSARY: Final = (
    ("drift", "How far apart the two runs end, as a fraction of the distance that the source's run travelled."),
    ("ULP", "Unit in the last place: the gap between neighbouring floating-point numbers. It is shown where the runs differ by "
     "rounding alone."),
    ("forced", "The source's gradients are given to both optimizers, so that only the update rules differ. It decides."),
    ("free", "Each framework computes its own gradients, as in training. Small differences may grow, in one framework as well: "
     "compare with the noise floor."),
    ("noise floor", "The drift between the source's own runs in float32 and in float64."),
    ("IDENTICAL", "Every bit is equal."),
    ("EQUIVALENT", "The same formula: the runs agree but for rounding."),
    ("CLOSE", "The formulas differ, with an effect below one percent of the distance travelled in this scenario."),
    ("DIVERGENT", "The effect is larger: training will differ visibly."),
    ("as expected", "The tables predict the level that was measured, with its cause."),
)  # fmt: skip


def render(report: Report, *, command: str = "", date: str = "") -> str:
    """The report as HTML; pairs that fail are expanded. `command` and `date` tell how and when it was made."""
    return _template("check.html.j2").render(_page(report, command, date)) + "\n"


def explained(pairs: Iterable[Mapping[str, Any]]) -> str:
    """Comparisons of classes as one page; the keys are those that templates/explain.html.j2 reads."""
    from markupsafe import Markup

    values = {"pairs": list(pairs), "style": Markup(_text("check.css"))}
    return _template("explain.html.j2").render(values) + "\n"


def figures(item: Summary) -> str:
    """The plots of a pair as HTML without a style; empty where no run of it was made with its course."""
    shown, said = _plots(item)
    figure = _template("figure.html.j2").module.figure  # type: ignore[attr-defined]
    drawn = "\n".join(str(figure(plot, _SIZE)) for plot in shown)
    return f'<div class="plots">\n{drawn}\n</div>\n\n{said}' if shown else ""


def _template(name: str) -> Template:
    from jinja2 import Environment, FileSystemLoader

    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True).get_template(name)


def _page(report: Report, command: str, date: str) -> dict[str, Any]:
    """What the template is given."""
    from markupsafe import Markup

    listed = summaries(report)
    engines = [(name, version or "not run") for name, version in report.engines.items()]
    facts = [("optmap and its tables", __version__), *engines, ("made", date), ("command", command)]
    targets = list(dict.fromkeys(framework_of(item) for item in listed))
    return {
        "title": f"optmap check: {'passed' if report.passed else 'failed'}",
        "outcome": outcome(report),
        "facts": [(name, text) for name, text in facts if text],
        "failures": list(report.failures.items()),
        "levels": [*map(str, Level), "NOT RUN"],
        "targets": targets,
        "matrix": list(matrix(listed, targets)),
        "pairs": list(map(_pair, listed)),
        "refused": list(map(refused_text, report.refused)),
        "glossary": _GLOSSARY,
        "size": _SIZE,
        "style": Markup(_text("check.css")),
        "script": Markup(_text("check.js")),
    }


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def framework_of(summary: Summary) -> str:
    """The package of the target, as a heading of the matrix."""
    return summary.pair.target.partition(".")[0]


def matrix(listed: list[Summary], targets: list[str]) -> Iterator[dict[str, Any]]:
    """A row for each source class, with the classes of each target that its calls became."""
    by_source = groupby(sorted(listed, key=lambda item: item.pair.source), key=lambda item: item.pair.source)
    for source, group in by_source:
        found = list(group)
        cells = [[item for item in found if framework_of(item) == target] for target in targets]
        yield {"source": source, "cells": [list(_cell(items)) for items in cells]}


def _cell(items: Iterable[Summary]) -> Iterator[dict[str, Any]]:
    """For each target class the worst of its calls, to which the cell links."""
    found: dict[str, list[Summary]] = {}
    for item in items:
        found.setdefault(item.pair.target, []).append(item)
    for target, calls in found.items():
        worst = max(calls, key=_badness)
        yield {"target": target, "anchor": _anchor(worst), "level": worst.level, "mark": _mark(worst)}


def _badness(item: Summary) -> tuple[bool, int]:
    return bool(item.failed), item.level.rank if item.level else -1


def _mark(item: Summary) -> str:
    if item.failed:
        return "fails"
    return "not-run" if item.level is None else "passes"


def _anchor(item: Summary) -> str:
    """The address of a pair within the page, which stays the same as long as its calls do."""
    pair = item.pair
    text = f"{pair.origin} {source_text(pair)} {call_text(pair.target, pair.arguments)}"
    words = re.sub(r"[^\w.]+", "-", f"{pair.source}-{pair.target}")
    return f"{words}-{sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _pair(item: Summary) -> dict[str, Any]:
    pair = item.pair
    worst = max((run for run in item.forced if run.divergence), key=severity, default=None)
    drift = worst.divergence.drift if worst and worst.divergence else None
    shown, plotted = _plots(item)
    return {
        "anchor": _anchor(item),
        "source": source_text(pair),
        "target": call_text(pair.target, pair.arguments),
        "origin": pair.origin,
        "assumed": list(map(str, pair.assumed)),
        "causes": pair.causes,
        "formula": pair.formula,
        "advice": pair.advice,
        "level": item.level,
        "rank": item.level.rank if item.level else -1,
        "mark": _mark(item),
        "words": item.words,
        "drift": "-" if drift is None else _amount(drift),
        "drift_value": -1 if drift is None else drift if math.isfinite(drift) else 1e308,
        "scenario": worst.scenario if worst else "-",
        "plots": shown,
        "plotted": plotted,
        "runs": list(map(_run, item.results)),
    }


def _plots(item: Summary) -> tuple[list[plots.Plot], str]:
    """The plots of the run that differs most, beside the free run of the same kind; and what they show."""
    drawn = [run for run in item.forced if run.course is not None and run.divergence is not None]
    if not drawn:
        return [], ""
    worst = max(drawn, key=severity)
    course = worst.course
    assert course is not None
    free = next((run for run in item.free if (run.scenario, run.dtype) == (worst.scenario, worst.dtype)), None)
    lines = [("forced", course.drift), *([("free", free.course.drift)] if free and free.course else [])]
    levels = [("EQUIVALENT ends", course.tolerances[0]), ("CLOSE ends", course.tolerances[1])]
    if free is not None and free.noise_floor:
        levels.append(("noise floor", free.noise_floor))
    distances = [(item.pair.source, course.source), (item.pair.target, course.target)]
    said = f"Both plots are of the scenario {worst.scenario} in {worst.dtype}; distances are of the forced run."
    return [plots.drift_plot(lines, levels), plots.distance_plot(distances)], said


def _run(result: Result) -> dict[str, Any]:
    measured = result.divergence
    return {
        "scenario": result.scenario,
        "dtype": result.dtype,
        "mode": str(result.mode),
        "steps": result.steps,
        "level": measured.level if measured else None,
        "expected": str(result.expected),
        "max_abs": _amount(measured.max_abs) if measured else "-",
        "ulp": units(result) or "-",
        "drift": _amount(measured.drift) if measured else "-",
        "over": measured.first_step_over or "-" if measured else "-",
        "mark": "not-run" if measured is None else "passes" if result.passes or result.mode is Mode.FREE else "fails",
        "words": verdict_words(result),
        "reason": result.reason,
    }


def _amount(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "not finite"
