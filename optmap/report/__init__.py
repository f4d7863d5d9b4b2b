"""Formats results as text, JSON, SARIF or GitHub annotations. A report reads result types and makes no decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from optmap.translate.results import FileResult


def _json(files: Sequence[tuple[str, FileResult]]) -> str:
    from optmap.report.json import translation_report

    return translation_report(files)


def _sarif(files: Sequence[tuple[str, FileResult]]) -> str:
    from optmap.report.sarif import translation_sarif

    return translation_sarif(files)


def _github(files: Sequence[tuple[str, FileResult]]) -> str:
    from optmap.report.github import translation_github

    return translation_github(files)


REPORTS: Final[dict[str, Callable[[Sequence[tuple[str, FileResult]]], str]]] = {
    "json": _json, "sarif": _sarif, "github": _github,
}  # fmt: skip
"""The formats of `optmap translate --format` other than text; each module is imported on first use."""
