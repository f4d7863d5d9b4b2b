"""`check` as JUnit XML: one suite per pair of classes, one case per run that gets a verdict."""

from __future__ import annotations

from xml.etree import ElementTree

from optmap.conformance.results import Report, Result, Verdict
from optmap.report.check_summary import call_text, engines_text


def render(report: Report) -> str:
    """The report as an XML document."""
    suites: dict[str, list[Result]] = {}
    for result in report.forced:
        suites.setdefault(f"{result.pair.source} -> {result.pair.target}", []).append(result)
    root = ElementTree.Element("testsuites", {"name": "optmap check", **_totals(list(report.forced))})
    for name, results in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **_totals(results)})
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="engines", value=engines_text(report))
        for result in results:
            _case(suite, name, result)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _totals(results: list[Result]) -> dict[str, str]:
    verdicts = [result.verdict for result in results]
    failures = verdicts.count(Verdict.WORSE) + verdicts.count(Verdict.BETTER)
    skipped = sum(bool(result.pair.not_run) for result in results)
    errors = verdicts.count(Verdict.NOT_RUN) - skipped
    return {"tests": str(len(results)), "failures": str(failures), "errors": str(errors), "skipped": str(skipped)}


def _case(suite: ElementTree.Element, name: str, result: Result) -> None:
    call = call_text(result.pair.source, result.pair.hyperparameters)
    title = f"{call} in {result.scenario}, {result.dtype}, {result.engine}"
    case = ElementTree.SubElement(suite, "testcase", classname=name, name=title)
    if result.pair.not_run:
        ElementTree.SubElement(case, "skipped", message=_clean(result.pair.not_run))
    elif result.verdict is not Verdict.AS_EXPECTED:
        kind = "error" if result.verdict is Verdict.NOT_RUN else "failure"
        node = ElementTree.SubElement(case, kind, type=str(result.verdict), message=_clean(result.reason or ""))
        node.text = _clean("\n".join(result.causes))


def _clean(text: str) -> str:
    """Remove the control characters that XML does not allow."""
    return "".join(letter for letter in text if letter in "\t\n\r" or letter >= " ")
