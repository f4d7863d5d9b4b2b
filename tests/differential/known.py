"""Programs that are known to fail, in `known.yaml`: each must fail until its fault is mended and its entry removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from tests.differential.judge import Direction, Judgement, Verdict, judge
from tests.differential.kinds import KINDS
from tests.differential.parts import neutral
from tests.differential.pool import Pool
from tests.differential.program import Program

PATH: Final = Path(__file__).parent / "known.yaml"


class Fault(NamedTuple):
    """A fault, and the parts of the programs that show it, as `slot.part`, each beside neutral ones in one task."""

    fault: str
    kind: str
    target: str
    task: str
    programs: tuple[tuple[str, ...], ...]

    def direction(self) -> Direction:
        return next(item for item in KINDS[self.kind].directions if item.target == self.target)


def read() -> list[Fault]:
    entries = yaml.safe_load(PATH.read_text()) or []
    return [
        Fault(**entry | {"programs": tuple(tuple(text.split()) for text in entry["programs"])}) for entry in entries
    ]


def write(faults: list[Fault]) -> None:
    entries = [fault._asdict() | {"programs": [" ".join(parts) for parts in fault.programs]} for fault in faults]
    head = "# Faults that are known: see `known.py`. `python -m tests.differential --renew` removes what is mended.\n"
    PATH.write_text(head + yaml.safe_dump(entries, sort_keys=False, width=140, allow_unicode=True))


def covered(faults: list[Fault], program: Program, direction: Direction) -> Fault | None:
    """The fault that a program with these parts cannot but show."""
    parts = {f"{slot}.{name}" for slot, names in program.choices.items() for name in names}
    for fault in faults:
        alike = fault.kind == program.kind and fault.target == direction.target
        if alike and any(parts.issuperset(own) for own in fault.programs):
            return fault
    return None


def rerun(fault: Fault, pool: Pool) -> Iterator[tuple[tuple[str, ...], Judgement]]:
    grammar = KINDS[fault.kind].grammar
    for parts in fault.programs:
        choices = neutral(grammar.SLOTS.values(), fault.task)
        for part in parts:
            slot, _, name = part.partition(".")
            choices[slot] = (name,)
        yield parts, judge(grammar.render(fault.task, choices), fault.direction(), pool)


def mended(pool: Pool) -> dict[Fault, list[tuple[str, ...]]]:
    """The programs that no longer fail."""
    found = {}
    for fault in read():
        passed = [parts for parts, judgement in rerun(fault, pool) if judgement.verdict is not Verdict.FAILED]
        if passed:
            found[fault] = passed
    return found


def renew(pool: Pool) -> list[str]:
    """Remove what is mended, and say what that was."""
    gone = mended(pool)
    kept = []
    for fault in read():
        left = tuple(parts for parts in fault.programs if parts not in gone.get(fault, []))
        if left:
            kept.append(fault._replace(programs=left))
    write(kept)
    return [f"{fault.kind} -> {fault.target}: {' '.join(parts)}" for fault, items in gone.items() for parts in items]
