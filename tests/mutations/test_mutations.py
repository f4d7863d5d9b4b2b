"""A sample of the mutations; `python -m tests.mutations` judges all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .generate import Mutation, mutations
from .judge import Judge

CHECKED = ("ties swapped", "relabelled as execution", "rule changed", "rule dropped", "fixed changed", "fixed dropped")
"""Kinds that no signature tells: the check must catch them by itself."""
EVERY = 97
"""One in so many; a prime, so that all files have their turn."""


def sample() -> list[Mutation]:
    found = [item for item in mutations() if item.kind in CHECKED and not item.schedule]
    return found[::EVERY]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    for name in ("torch", "tensorflow"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    made = Judge(audited=False)
    yield made
    made.close()


@pytest.mark.parametrize("mutation", sample(), ids=lambda item: f"{item.kind}-{item.file}-{item.line + 1}")
def test_a_wrong_table_is_caught_or_changes_nothing(judge: Judge, mutation: Mutation) -> None:
    judged = judge.judge(mutation)
    assert judged.by != "survives", f"{mutation}\n{judged.evidence}"
