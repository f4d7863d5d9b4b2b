"""The kinds of programs that there are, and the directions in which each is translated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Final, NamedTuple

from tests.differential import tape_programs, torch_programs
from tests.differential.judge import Direction
from tests.differential.program import Grammar, Program


def directions(source: str, *, rewrite: bool) -> tuple[Direction, ...]:
    return tuple(Direction(source, target, rewrite) for target in FRAMEWORKS if target != source)


class Kind(NamedTuple):
    """A grammar, its share of the programs, and the directions that its programs go."""

    grammar: Grammar
    share: int
    directions: tuple[Direction, ...]


FRAMEWORKS: Final = ("torch", "tensorflow", "mindspore")
GRAMMARS: dict[Grammar, tuple[int, tuple[Direction, ...]]] = {
    torch_programs.Grammar(): (6, (Direction("torch", "mindspore", True),)),
    torch_programs.Grammar("torch steps", "torch_steps"): (2, directions("torch", rewrite=True)),
    tape_programs.Grammar("tensorflow"): (3, directions("tensorflow", rewrite=True)),
    tape_programs.Grammar("mindspore"): (3, directions("mindspore", rewrite=True)),
    torch_programs.Grammar("torch constructors", "torch_constructors", replay=True): (
        3,
        directions("torch", rewrite=False),
    ),
    tape_programs.Grammar("tensorflow", replay=True): (2, directions("tensorflow", rewrite=False)),
    tape_programs.Grammar("mindspore", replay=True): (2, directions("mindspore", rewrite=False)),
}
KINDS = {grammar.kind: Kind(grammar, *rest) for grammar, rest in GRAMMARS.items()}


def programs(seed: int, count: int, kinds: Iterable[str]) -> Iterator[tuple[int, Program]]:
    """Programs at random; with a count of 0 one for each part of each grammar."""
    names = list(kinds)
    if not count:
        yield from enumerate(program for name in names for program in KINDS[name].grammar.alone())
        return
    for number in range(count):
        random = Random(f"{seed}-{number}")
        name = random.choices(names, [KINDS[name].share for name in names])[0]
        yield number, KINDS[name].grammar.generate(random)
