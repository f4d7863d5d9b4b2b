"""The proof of where edits may stand can fail: an edit of anything else in a file is found."""

from __future__ import annotations

import ast

import pytest

from optmap.mapping.model import MappingSet
from optmap.source.edits import Edit
from optmap.translate.results import FileResult
from tests.casefiles import Case
from tests.translate.edit_places import Places
from tests.translate.test_cases import CASES, translated

CHANGED = [case for case in CASES if case.after != case.before]


def statements(places: Places) -> list[ast.stmt]:
    """Simple statements that hold no translated call, no import, and stand in no block of a rewritten step."""
    blocks = {id(item) for step in places.steps for item in places.block(step)}
    return [
        node for node in places.nodes
        if isinstance(node, ast.stmt) and not hasattr(node, "body") and not isinstance(node, ast.Import | ast.ImportFrom)
        and not blocks & {id(node), *(id(item) for item in places.ancestors(node))}
        and not {id(item) for item in ast.walk(node)} & {id(call) for call in places.calls}
    ]  # fmt: skip


def of(case: Case, tables: MappingSet) -> tuple[FileResult, Places]:
    result = translated(case, case.before.encode(), tables)
    return result, Places(case.before.encode(), result)


@pytest.mark.parametrize("case", CHANGED, ids=[case.name for case in CHANGED])
def test_an_edit_of_another_statement_is_found(case: Case, tables: MappingSet) -> None:
    result, places = of(case, tables)
    edited = [(edit.start, edit.end) for edit in result.edits]
    ends = {places.lines(places.block(step)[-1])[1] for step in places.steps}
    for node in statements(places):
        start, end = places.span(node)
        if any(first <= end and start <= last for first, last in edited):
            continue  # a rewritten step changes it, or groups are given otherwise there
        for stray in (Edit(start, end, "pass"), Edit(start, start, "x = 1; "), Edit(end, end, " + 1")):
            if not _of_the_framework(node, places) and stray.start not in ends:
                assert places.strangers([stray]) == [stray], ast.unparse(node)


def _of_the_framework(node: ast.stmt, places: Places) -> bool:
    """Whether a statement calls the framework or makes a gradient function: these may change with a step as a whole."""
    return bool(places.steps) and (
        isinstance(node, ast.Expr) or any(isinstance(item, ast.Name) and item.id in places.imported for item in ast.walk(node))
    )  # fmt: skip


def test_edits_that_are_not_the_outputs_are_found(tables: MappingSet) -> None:
    from tests.translate.proofs import edited

    result, _ = of(CHANGED[0], tables)
    before = CHANGED[0].before.encode()
    assert edited(before, result) == result.output
    assert edited(before, result._replace(edits=result.edits[1:])) != result.output
