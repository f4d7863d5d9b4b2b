"""The catalog of diagnostics."""

from __future__ import annotations

import pytest

from optmap.diagnostics import CODES, all_texts, codes_named


def test_every_code_has_its_texts_in_the_same_order() -> None:
    assert list(all_texts()) == list(CODES)
    assert all(text.strip() for texts in all_texts().values() for text in texts)


def test_names_are_unique() -> None:
    assert len({code.name for code in CODES.values()}) == len(CODES)


@pytest.mark.parametrize(
    ("text", "ids"), [("om001", {"OM001"}), ("unreadable-file", {"OM001"}), ("OM0", None), ("OM", set()), ("x", set())]
)
def test_codes_are_named_by_their_beginning_or_name(text: str, ids: set[str] | None) -> None:
    expected = {id for id in CODES if id.startswith("OM0")} if ids is None else ids
    assert codes_named(text) == expected
