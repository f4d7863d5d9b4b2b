"""The diagnostics of `translate` as SARIF 2.1.0 for code-scanning services: one run, with a rule for each code that occurs.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from optmap import __version__
from optmap.diagnostics import Code, Diagnostic, Severity
from optmap.report.github import in_cell
from optmap.translate.results import FileResult

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def translation_sarif(files: Sequence[tuple[str, FileResult]]) -> str:
    """Format the diagnostics of all files, in order, as one SARIF log with a final newline."""
    used = sorted({item.code for _, result in files for item in result.diagnostics})
    numbers = {code.id: number for number, code in enumerate(used)}
    results = [_result(path, item, numbers[item.code.id]) for path, result in files for item in result.diagnostics]
    driver = {
        "name": "optmap", "semanticVersion": __version__, "version": __version__,
        "rules": [_rule(code) for code in used],
    }  # fmt: skip
    run = {
        "tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results,
        "invocations": [{"executionSuccessful": not any(result.error for _, result in files)}],
    }  # fmt: skip
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.id,
        "name": "".join(word.capitalize() for word in code.name.split("-")),
        "shortDescription": {"text": code.name.replace("-", " ")},
        "fullDescription": {"text": code.meaning},
        "help": {
            "text": f"{code.meaning}\n\nExample: {code.example}\n\nRemedy: {code.remedy}\n\nSee `optmap rules {code.id}`."
        },
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
    }


def _result(path: str, item: Diagnostic, number: int) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": uri(path)}}
    if item.cell is None:  # in a notebook a region would refer to lines of its JSON text
        place["region"] = {"startLine": item.line, "startColumn": item.column}
        if item.end_line is not None and item.end_column is not None:
            place["region"] |= {"endLine": item.end_line, "endColumn": item.end_column}
    return {
        "ruleId": item.code.id,
        "ruleIndex": number,
        "level": _LEVELS[item.severity],
        "message": {"text": in_cell(item)},
        "locations": [{"physicalLocation": place}],
        **({"properties": {"table": item.table}} if item.table else {}),
    }


def uri(path: str) -> str:
    """A path as a relative reference, or as a file URI where it is absolute; `stdin` for standard input."""
    if path == "-":
        return "stdin"
    text = path.replace("\\", "/") if "\\" in path and "/" not in path else path
    encoded = quote(text.encode("utf-8", "surrogateescape"), safe="/")
    return f"file://{encoded}" if encoded.startswith("/") else encoded
