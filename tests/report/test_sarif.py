"""The SARIF report: its structure, and that it says what the diagnostics say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from optmap.diagnostics import CODES, Diagnostic
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.report import REPORTS
from optmap.report.github import in_cell
from optmap.report.sarif import uri
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult

TEXT = {
    "type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"],
    "additionalProperties": False,
}  # fmt: skip
HELP = {
    "type": "object", "properties": {key: {"type": "string", "minLength": 1} for key in ("text", "markdown")},
    "required": ["text"], "additionalProperties": False,
}  # fmt: skip
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = {
    "type": "object",
    "properties": {
        "id": {"type": "string"}, "name": {"type": "string", "pattern": "^[A-Za-z0-9]+$"}, "shortDescription": TEXT,
        "fullDescription": TEXT,
        "help": HELP,
        "defaultConfiguration": {"type": "object", "properties": {"level": LEVEL}, "additionalProperties": False},
    },
    "required": ["id", "fullDescription", "defaultConfiguration"],
    "additionalProperties": False,
}  # fmt: skip
POSITIVE = {"type": "integer", "minimum": 1}
LOCATION = {
    "type": "object",
    "properties": {
        "physicalLocation": {
            "type": "object",
            "properties": {
                "artifactLocation": {
                    "type": "object", "properties": {"uri": {"type": "string", "format": "uri-reference"}},
                    "required": ["uri"], "additionalProperties": False,
                },
                "region": {
                    "type": "object", "properties": dict.fromkeys(("startLine", "startColumn", "endLine", "endColumn"), POSITIVE),
                    "required": ["startLine", "startColumn"], "additionalProperties": False,
                },
            },
            "required": ["artifactLocation"],
            "additionalProperties": False,
        }
    },
    "required": ["physicalLocation"],
    "additionalProperties": False,
}  # fmt: skip
REGION = {
    "type": "object", "properties": {key: {"type": "integer", "minimum": 0} for key in ("byteOffset", "byteLength")},
    "required": ["byteOffset", "byteLength"], "additionalProperties": False,
}  # fmt: skip
REPLACEMENT = {
    "type": "object", "properties": {"deletedRegion": REGION, "insertedContent": TEXT}, "required": ["deletedRegion"],
    "additionalProperties": False,
}  # fmt: skip
FIX = {
    "type": "object",
    "properties": {
        "description": TEXT,
        "artifactChanges": {
            "type": "array", "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "artifactLocation": {"type": "object", "properties": {"uri": {"type": "string"}}, "required": ["uri"]},
                    "replacements": {"type": "array", "items": REPLACEMENT, "minItems": 1},
                },
                "required": ["artifactLocation", "replacements"], "additionalProperties": False,
            },
        },
    },
    "required": ["artifactChanges"], "additionalProperties": False,
}  # fmt: skip
RESULT = {
    "type": "object",
    "properties": {
        "ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": 0}, "level": LEVEL, "message": TEXT,
        "locations": {"type": "array", "items": LOCATION, "minItems": 1, "maxItems": 1}, "properties": {"type": "object"},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "fixes": {"type": "array", "items": FIX},
    },
    "required": ["ruleId", "level", "message", "locations"],
    "additionalProperties": False,
}  # fmt: skip
DRIVER = {
    "type": "object",
    "properties": {
        "name": {"const": "optmap"}, "version": {"type": "string"},
        "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
        "informationUri": {"type": "string", "format": "uri"},
        "rules": {"type": "array", "items": RULE, "uniqueItems": True},
    },
    "required": ["name", "rules"],
    "additionalProperties": False,
}  # fmt: skip
RUN = {
    "type": "object",
    "properties": {
        "tool": {"type": "object", "properties": {"driver": DRIVER}, "required": ["driver"], "additionalProperties": False},
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": RESULT},
        "invocations": {
            "type": "array",
            "items": {
                "type": "object", "properties": {"executionSuccessful": {"type": "boolean"}},
                "required": ["executionSuccessful"], "additionalProperties": False,
            },
        },
    },
    "required": ["tool", "results"],
    "additionalProperties": False,
}  # fmt: skip
LOG = {
    "type": "object",
    "properties": {
        "$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": RUN, "minItems": 1, "maxItems": 1},
    },
    "required": ["version", "runs"],
    "additionalProperties": False,
}  # fmt: skip
"""The part of the SARIF 2.1.0 schema that the report uses, closed against anything else."""

SOURCES = {
    "ok/é a.py": b"import torch\nopt = torch.optim.Adam(net.parameters(), weight_decay=0.1, fused=True)\n",
    "refused.py": b"import torch\nopt = torch.optim.Adam(net.parameters(), **options)\n",
    "broken.py": b"import torch.optim\nprint 'hello'\n",
    "nothing.py": b"x = 1\n",
}


@pytest.fixture
def files(tables: MappingSet) -> list[tuple[str, FileResult]]:
    options = Options(Framework("mindspore"), frozenset({Framework("torch")}))
    return [(name, translate_bytes(data, tables, options)) for name, data in SOURCES.items()]


def report(files: list[tuple[str, FileResult]]) -> Any:
    document = json.loads(REPORTS["sarif"](files))
    jsonschema.Draft202012Validator(LOG, format_checker=jsonschema.FormatChecker()).validate(document)
    return document["runs"][0]


def test_every_diagnostic_is_a_result(files: list[tuple[str, FileResult]]) -> None:
    run = report(files)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    levels = {"error": "error", "warning": "warning", "info": "note"}
    expected = [
        (item.code.id, levels[item.severity], in_cell(item), uri(path), item.line, item.column)
        for path, result in files
        for item in result.diagnostics
    ]
    found = []
    for result in run["results"]:
        place = result["locations"][0]["physicalLocation"]
        region = place["region"]
        found.append(
            (result["ruleId"], result["level"], result["message"]["text"], place["artifactLocation"]["uri"],
             region["startLine"], region["startColumn"])
        )  # fmt: skip
        assert rules[result["ruleIndex"]] == result["ruleId"]
    assert found == expected
    assert {level for _, level, *_ in found} == {"error", "warning", "note"}
    assert rules == sorted({code for code, *_ in expected})


def test_rules_say_what_the_codes_mean(files: list[tuple[str, FileResult]]) -> None:
    for rule in report(files)["tool"]["driver"]["rules"]:
        code = CODES[rule["id"]]
        assert rule["fullDescription"]["text"] == code.texts.meaning
        assert code.texts.remedy in rule["help"]["text"]
        assert rule["help"]["text"].endswith(f"See `optmap rules {code.id}`.")
        assert "http" not in rule["help"]["text"]


def test_a_file_that_cannot_be_used_is_a_failed_invocation(files: list[tuple[str, FileResult]]) -> None:
    assert report(files)["invocations"] == [{"executionSuccessful": False}]
    assert report(files[:2])["invocations"] == [{"executionSuccessful": True}]


def test_a_notebook_has_cells_and_no_lines_of_its_own() -> None:
    item = Diagnostic(CODES["OM203"], "a message", 3, 7, cell=2)
    (result,) = report([("a.ipynb", FileResult(b"", diagnostics=(item,)))])["results"]
    assert result["message"]["text"] == "cell 2, line 3: a message"
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "a.ipynb"}}}]


def test_nothing_to_say_is_an_empty_run() -> None:
    run = report([])
    assert run["results"] == run["tool"]["driver"]["rules"] == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.py", "a.py"), ("d/é a.py", "d/%C3%A9%20a.py"), ("/x/a.py", "file:///x/a.py"), ("-", "stdin"),
        ("a#b?.py", "a%23b%3F.py"), ("\udcff.py", "%FF.py"),
    ],
)  # fmt: skip
def test_paths_are_references(path: str, expected: str) -> None:
    assert uri(path) == expected


def test_a_fix_makes_the_result(files: list[tuple[str, FileResult]]) -> None:
    results = json.loads(REPORTS["sarif"](files))["runs"][0]["results"]
    fixes = [fix for item in results for fix in item.get("fixes", ())]
    assert len(fixes) == 1
    name, data = next(iter(SOURCES.items()))
    (change,) = fixes[0]["artifactChanges"]
    assert change["artifactLocation"]["uri"] == uri(name)
    for item in reversed(change["replacements"]):
        start = item["deletedRegion"]["byteOffset"]
        text = item.get("insertedContent", {}).get("text", "").encode()
        data = data[:start] + text + data[start + item["deletedRegion"]["byteLength"] :]
    assert data == dict(files)[name].output


def test_fingerprints_are_unlike_and_outlive_moved_lines(tables: MappingSet) -> None:
    options = Options(Framework("mindspore"), frozenset({Framework("torch")}))
    call = "opt = torch.optim.Adam(net.parameters(), **options)\n"

    def prints(text: str) -> list[str]:
        log = json.loads(REPORTS["sarif"]([("a.py", translate_bytes(text.encode(), tables, options))]))
        return [item["partialFingerprints"]["optmap/v1"] for item in log["runs"][0]["results"]]

    first = prints(f"import torch\n{call}{call}")
    assert len(set(first)) == len(first)
    assert prints(f"import torch\n\n\n# moved\n{call}\n{call}") == first
