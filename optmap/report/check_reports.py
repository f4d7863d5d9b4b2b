"""The formats of `optmap check`; the module of each is imported on first use."""

from __future__ import annotations

import importlib
from typing import Final

from optmap.conformance.results import Report

CHECK_FORMATS: Final = {
    "text": "optmap.report.check_text",
    "json": "optmap.report.check_json",
    "junit": "optmap.report.check_junit",
    "github": "optmap.report.check_github",
    "markdown": "optmap.report.check_markdown",
    "html": "optmap.report.check_html",
}


def render(report: Report, format: str) -> str:
    """The report in one of the formats, as text with a final newline; empty where there is nothing to report."""
    text: str = importlib.import_module(CHECK_FORMATS[format]).render(report)
    return text
