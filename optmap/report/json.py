"""The JSON report of `translate`; its keys are a contract."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from optmap.diagnostics import Diagnostic, Severity
from optmap.translate.results import CallResult, FileResult, Status


def translation_report(files: Sequence[tuple[str, FileResult]]) -> str:
    """Format the results of all files, in order, as one JSON document with a final newline."""
    document = {"version": 1, "files": [_file(path, result) for path, result in files], "summary": summary(files)}
    return json.dumps(document, indent=2) + "\n"


def summary(files: Sequence[tuple[str, FileResult]]) -> dict[str, int]:
    """Count files, calls by status, and diagnostics by severity."""
    results = [result for _, result in files]
    calls = [call.status for result in results for call in result.calls]
    severities = [item.severity for result in results for item in result.diagnostics]
    return {
        "files": len(results),
        "changed": sum(result.changed for result in results),
        "failed": sum(result.error is not None for result in results),
        **{str(status): calls.count(status) for status in Status},
        **{
            f"{severity}s" if severity is not Severity.INFO else "infos": severities.count(severity)
            for severity in Severity
        },
    }


def _file(path: str, result: FileResult) -> dict[str, Any]:
    calls = [
        {
            "line": call.line,
            "column": call.column,
            "source": call.source,
            "target": call.target,
            "status": str(call.status),
            **_cell(call),
        }
        for call in result.calls
    ]
    diagnostics = [
        {
            "code": item.code.id, "severity": str(item.severity), "message": item.message,
            "line": item.line, "column": item.column, "end_line": item.end_line, "end_column": item.end_column,
            "table": item.table, "replacement": item.replacement, "detail": item.detail, **_cell(item),
        }
        for item in result.diagnostics
    ]  # fmt: skip
    left = [
        {
            "code": item.first.code.id, "message": item.first.message, "line": item.first.line, **_cell(item.first),
            "lines": [each.line for each in (item.first, *item.others)],
        }
        for item in result.left
    ]  # fmt: skip
    return {
        "path": path, "changed": result.changed, "error": result.error, "calls": calls, "diagnostics": diagnostics,
        "edits": [edit._asdict() for edit in result.edits], "left": left,
    }  # fmt: skip


def _cell(item: CallResult | Diagnostic) -> dict[str, int]:
    """The number of the cell for an item of a notebook; empty for other files."""
    return {} if item.cell is None else {"cell": item.cell}
