"""The diagnostics of `translate` as GitHub workflow commands, which appear as annotations beside the code.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from optmap.diagnostics import Diagnostic, Severity
from optmap.report.workflow import annotation, in_cell
from optmap.translate.results import FileResult

_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def translation_github(files: Sequence[tuple[str, FileResult]]) -> str:
    """Format the diagnostics of all files in order, one per line."""
    return "".join(_command(path, item) for path, result in files for item in result.diagnostics)


def _command(path: str, item: Diagnostic) -> str:
    line, column = (str(item.line), str(item.column)) if item.cell is None else ("", "")
    return f"{annotation(_COMMANDS[item.severity], item.code.id, in_cell(item), path, line, column)}\n"
