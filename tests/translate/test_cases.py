"""Every case of tests/cases, with the proofs that hold for any rewrite."""

from __future__ import annotations

import pytest

from optmap.commands.common import versioned
from optmap.commands.translate import quantities
from optmap.diagnostics import Diagnostic, Severity
from optmap.mapping.framework import Framework, frameworks
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.casefiles import Case, cases, says
from tests.translate.proofs import prove

CASES = list(cases())


def options_of(case: Case) -> Options:
    target, versions = versioned(case.options.get("to", "mindspore"), "--to", frameworks())
    sources = frozenset(Framework) - {target}
    if "from" in case.options:
        source, chosen = versioned(case.options["from"], "--from", frameworks())
        sources, versions = frozenset({source}), versions | chosen
    prefer = Prefer(case.options.get("prefer", "faithful" if "faithful" in case.options else "auto"))
    known = quantities(case.options["set"].split()) if "set" in case.options else ()
    return Options(
        target, sources, prefer, case.options.get("params"), versions=tuple(versions.items()),
        quantities=known, rewrite_step="rewrite-step" in case.options, todo="todo" in case.options,
    )  # fmt: skip


def translated(case: Case, before: bytes, tables: MappingSet) -> FileResult:
    options = options_of(case)
    return translate_bytes(before, tables.at(dict(options.versions)), options)


def shown(result: FileResult, expected: tuple[tuple[str, int], ...]) -> list[Diagnostic]:
    """All diagnostics but those infos that the case does not mention."""
    return [
        item
        for item in result.diagnostics
        if item.severity is not Severity.INFO or (item.code.id, item.line) in expected
    ]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case, tables: MappingSet) -> None:
    options = options_of(case)
    before = case.before.encode()
    result = translated(case, before, tables)
    assert result.output.decode() == case.after
    found = shown(result, case.diagnostics)
    assert tuple((item.code.id, item.line) for item in found) == case.diagnostics, [
        f"{d.line}: {d.code.id} {d.message}" for d in result.diagnostics
    ]
    for item, text in zip(found, case.messages, strict=True):
        assert not text or says(item.message, text)
    if case.shown:
        assert tuple(item.replacement for item in result.diagnostics if item.replacement) == case.shown
    prove(before, result, tables.at(dict(options.versions)), options)


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case_with_other_line_endings(case: Case, newline: str, tables: MappingSet) -> None:
    before = case.before.replace("\n", newline).encode()
    result = translated(case, before, tables)
    assert result.output.decode() == case.after.replace("\n", newline)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case_without_final_newline_and_with_byte_order_mark(case: Case, tables: MappingSet) -> None:
    before = b"\xef\xbb\xbf" + case.before.rstrip("\n").encode()
    result = translated(case, before, tables)
    assert result.output == b"\xef\xbb\xbf" + case.after.rstrip("\n").encode()


def test_there_are_cases() -> None:
    assert len(CASES) > 20
