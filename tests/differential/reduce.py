"""Failing programs made small: every part that the failure does not need becomes neutral."""

from __future__ import annotations

from collections.abc import Callable

from tests.differential.judge import Direction, Judgement, Verdict, judge
from tests.differential.parts import Choices, Slot
from tests.differential.pool import Pool
from tests.differential.program import Program

Render = Callable[[str, Choices], Program]


def reduce(
    program: Program, found: Judgement, direction: Direction, pool: Pool, render: Render, slots: dict[str, Slot]
) -> tuple[Program, Judgement]:
    """The smallest program that fails in the same way, and its judgement."""
    again = True
    while again:
        again = False
        for name, chosen in program.choices.items():
            for fewer in _fewer(slots[name], chosen, program.task):
                try:
                    smaller = render(program.task, program.choices | {name: fewer})
                except Exception:
                    continue
                judgement = judge(smaller, direction, pool)
                if judgement.verdict is Verdict.FAILED and judgement.kind == found.kind:
                    program, found, again = smaller, judgement, True
                    break
    return program, found


def _fewer(slot: Slot, chosen: tuple[str, ...], task: str) -> list[tuple[str, ...]]:
    neutral = (slot.fitting(task)[0],)
    if chosen == neutral:
        return []
    singles = [(name,) for name in chosen] if len(chosen) > 1 else []
    return [neutral, *singles]


def cause(program: Program, slots: dict[str, Slot]) -> tuple[str, ...]:
    """The parts that are not neutral."""
    found = []
    for name, chosen in program.choices.items():
        neutral = slots[name].fitting(program.task)[0]
        found += [f"{name}.{part}" for part in chosen if part != neutral]
    return tuple(found)
