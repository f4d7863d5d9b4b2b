"""The diagnostics of `translate` as SARIF 2.1.0 for code-scanning services: one run, with a rule for each code that occurs.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from optmap import __version__
from optmap.diagnostics import Code, Diagnostic, Severity
from optmap.report.github import in_cell
from optmap.translate.results import FileResult, Status

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT: Final = "optmap/v1"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def translation_sarif(files: Sequence[tuple[str, FileResult]]) -> str:
    """Format the diagnostics of all files, in order, as one SARIF log with a final newline."""
    used = sorted({item.code for _, result in files for item in result.diagnostics})
    numbers = {code.id: number for number, code in enumerate(used)}
    results = [item for path, result in files for item in _results(path, result, numbers)]
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
    meaning, example, remedy = code.texts
    return {
        "id": code.id,
        "name": "".join(word.capitalize() for word in code.name.split("-")),
        "shortDescription": {"text": code.name.replace("-", " ")},
        "fullDescription": {"text": meaning},
        "help": {
            "text": f"{meaning}\n\nExample: {example}\n\nRemedy: {remedy}\n\nSee `optmap rules {code.id}`.",
            "markdown": f"**{meaning}**\n\n- Example: ``{example}``\n- What to do: {remedy}",
        },
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
    }


def _results(path: str, result: FileResult, numbers: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """The results of a file. Its edits are one fix, which stands at the first message on a call that they translate."""
    translated = {call.line for call in result.calls if call.status is Status.TRANSLATED}
    fixes = _fixes(path, result)
    seen: Counter[str] = Counter()
    for item in result.diagnostics:
        made = _result(path, item, numbers[item.code.id])
        mark = _fingerprint(item)
        made["partialFingerprints"] = {FINGERPRINT: f"{mark}:{seen[mark]}"}
        seen[mark] += 1
        if fixes and item.cell is None and item.line in translated:
            made["fixes"], fixes = fixes, []
        yield made


def _fingerprint(item: Diagnostic) -> str:
    """What tells a message from others of its file, wherever its line moves: the code and the text of the line."""
    text = f"{item.code.id} {(item.source or '').strip()}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _fixes(path: str, result: FileResult) -> list[dict[str, Any]]:
    """All edits of a file as one fix: they are proved together, and some make no sense without the others."""
    replacements = [
        {
            "deletedRegion": {"byteOffset": edit.start, "byteLength": edit.end - edit.start},
            **({"insertedContent": {"text": edit.text}} if edit.text else {}),
        }
        for edit in result.edits
    ]
    if not replacements:
        return []
    change = {"artifactLocation": {"uri": uri(path)}, "replacements": replacements}
    return [{"description": {"text": "Translate the optimizers of this file"}, "artifactChanges": [change]}]


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
    try:
        name = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no file system gave this name
        name = text.encode("utf-8", "surrogatepass")
    encoded = quote(name, safe="/")
    return f"file://{encoded}" if encoded.startswith("/") else encoded
