from __future__ import annotations

from optmap.mapping.load import load


def test_answers_are_kept_but_not_without_end() -> None:
    tables = load().at({})
    asked = list[int]()

    def answer(number: int) -> int:
        asked.append(number)
        return number + 1

    for number in (1, 1, *range(20_000), 1):
        assert tables.once(("question", number), lambda number=number: answer(number)) == number + 1  # type: ignore[misc]
    assert asked.count(1) == 2
    assert len(tables._answers) < 20_000
