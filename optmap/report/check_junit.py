"""`check` as JUnit XML: one suite per pair of classes, one case per run that gets a verdict."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

from optmap.conformance.results import Report, Result, Verdict
from optmap.report.check_failures import failure
from optmap.report.check_summary import engines_text, identity, refused_text, source_text, verdict_words

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
NOT_COMPARED: Final = "not compared"
TOTALS: Final = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def render(report: Report) -> str:
    """The report as an XML document."""
    suites: dict[str, list[tuple[str, Result]]] = {}
    for name, result in zip(identity(report.forced), report.forced, strict=True):
        suites.setdefault(f"{result.pair.source} -> {result.pair.target}", []).append((name, result))
    totals = _totals(list(report.forced))
    left_out = {"failure": 0, "error": sum(item.fails for item in report.refused)}
    left_out["skipped"] = len(report.refused) - left_out["error"]
    more = {"tests": len(report.refused), **{TOTALS[kind]: count for kind, count in left_out.items()}}
    totals = {key: str(int(totals[key]) + more[key]) if key in more else value for key, value in totals.items()}
    root = ElementTree.Element("testsuites", {"name": "optmap check", **totals})
    for name, cases in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **_totals([result for _, result in cases])})
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="engines", value=engines_text(report))
        for own, result in cases:
            _case(suite, name, own, result, report)
    if report.refused:
        suite = ElementTree.SubElement(
            root, "testsuite", {"name": NOT_COMPARED, **{key: str(count) for key, count in more.items()}, "time": "0"}
        )
        for number, item in enumerate(report.refused, 1):
            title = f"{item.origin} {item.source} to {item.target}".strip()
            case = ElementTree.SubElement(
                suite, "testcase", classname=NOT_COMPARED, name=f"{title} [{number}]", time="0"
            )
            kind = "error" if item.fails else "skipped"
            node = ElementTree.SubElement(case, kind, message=refused_text(item))
            if item.fails:
                node.set("type", NOT_COMPARED)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _clean(ElementTree.tostring(root, encoding="unicode")) + "\n"


def _totals(results: list[Result]) -> dict[str, str]:
    kinds = list(map(_kind, results))
    counts = {"tests": len(results), **{total: kinds.count(kind) for kind, total in TOTALS.items()}}
    return {
        **{name: str(count) for name, count in counts.items()},
        "time": _seconds(sum(item.seconds for item in results)),
    }


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _kind(result: Result) -> str:
    """The JUnit element for a result; empty where it passes."""
    if result.passes:
        return "skipped" if result.pair.not_run else ""
    return "error" if result.verdict is Verdict.NOT_RUN else "failure"


def _case(suite: ElementTree.Element, name: str, own: str, result: Result, report: Report) -> None:
    where = f"{result.pair.origin}: " if result.pair.origin else ""
    title = f"{where}{source_text(result.pair)} in {result.scenario}, {result.dtype}, {result.engine} [{own}]"
    case = ElementTree.SubElement(suite, "testcase", classname=name, name=title, time=_seconds(result.seconds))
    if result.pair.assumed:
        properties = ElementTree.SubElement(case, "properties")
        for item in result.pair.assumed:
            ElementTree.SubElement(properties, "property", name="assumed", value=str(item))
    if kind := _kind(result):
        node = ElementTree.SubElement(case, kind, message=result.pair.not_run or result.reason or "")
        if kind != "skipped":
            node.set("type", verdict_words(result))
            node.text = "\n".join([*result.causes, *failure(result, report)])


def _clean(text: str) -> str:
    """Remove the characters that XML does not allow."""
    return _FORBIDDEN.sub("", text)
