"""The formats of results; the module of each is imported on first use. A report reads result types and makes no decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from optmap.conformance.results import Report
    from optmap.translate.results import FileResult


def _by(module: str, function: str = "render") -> Callable[[Any], str]:
    """A format's function, which gives text with a final newline, or nothing where there is nothing to report."""

    def render(results: Any) -> str:
        text: str = getattr(import_module(f"optmap.report.{module}"), function)(results)
        return text

    return render


REPORTS: Final[dict[str, Callable[[Sequence[tuple[str, FileResult]]], str]]] = {
    "json": _by("json", "translation_report"),
    "sarif": _by("sarif", "translation_sarif"),
    "github": _by("github", "translation_github"),
}
"""The formats of `optmap translate --format` other than text."""

CHECK_FORMATS: Final[dict[str, Callable[[Report], str]]] = {
    name: _by(f"check_{name}") for name in ("text", "json", "junit", "github", "markdown", "html")
}
"""The formats of `optmap check`."""
