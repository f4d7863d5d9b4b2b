"""`check` as JUnit XML: one suite per pair of classes, one case per run that gets a verdict."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

from optmap.conformance.results import Report, Result, Verdict
from optmap.report.check_summary import engines_text, refused_text, source_text, verdict_words

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
NOT_COMPARED: Final = "not compared"
TOTALS: Final = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def render(report: Report) -> str:
    """The report as an XML document."""
    suites: dict[str, list[Result]] = {}
    for result in report.forced:
        suites.setdefault(f"{result.pair.source} -> {result.pair.target}", []).append(result)
    refused = [item for item in report.refused if item.fails]
    totals = _totals(list(report.forced))
    totals |= {key: str(int(totals[key]) + len(refused)) for key in ("tests", "errors")}
    root = ElementTree.Element("testsuites", {"name": "optmap check", **totals})
    for name, results in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **_totals(results)})
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="engines", value=engines_text(report))
        for result in results:
            _case(suite, name, result)
    if refused:
        totals = {**_totals([]), "tests": str(len(refused)), "errors": str(len(refused))}
        suite = ElementTree.SubElement(root, "testsuite", {"name": NOT_COMPARED, **totals})
        for item in refused:
            case = ElementTree.SubElement(
                suite, "testcase", classname=NOT_COMPARED, name=f"{item.origin} {item.source}"
            )
            ElementTree.SubElement(case, "error", type=NOT_COMPARED, message=refused_text(item))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _clean(ElementTree.tostring(root, encoding="unicode")) + "\n"


def _totals(results: list[Result]) -> dict[str, str]:
    kinds = list(map(_kind, results))
    return {"tests": str(len(results)), **{total: str(kinds.count(kind)) for kind, total in TOTALS.items()}}


def _kind(result: Result) -> str:
    """The JUnit element for a result; empty where it passes."""
    if result.passes:
        return "skipped" if result.pair.not_run else ""
    return "error" if result.verdict is Verdict.NOT_RUN else "failure"


def _case(suite: ElementTree.Element, name: str, result: Result) -> None:
    call = source_text(result.pair)
    title = f"{call} in {result.scenario}, {result.dtype}, {result.engine}"
    case = ElementTree.SubElement(suite, "testcase", classname=name, name=title)
    if kind := _kind(result):
        node = ElementTree.SubElement(case, kind, message=result.pair.not_run or result.reason or "")
        if kind != "skipped":
            node.set("type", verdict_words(result))
            node.text = "\n".join(result.causes)


def _clean(text: str) -> str:
    """Remove the characters that XML does not allow."""
    return _FORBIDDEN.sub("", text)
