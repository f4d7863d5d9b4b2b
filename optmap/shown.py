"""How texts show what they speak of: what others wrote, which may not steer a terminal, amounts, and lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

_COMMANDS: Final = ("::", "##[")
"""How GitHub's workflow commands begin, behind any white space."""
_FEW: Final = 6
"""How many lines or cells a list of them names."""


def shown(text: object) -> str:
    """A name or a value on one line, whatever cannot be printed written as an escape."""
    plain = str(text)
    return plain if plain.isprintable() else "".join(map(_letter, plain))


def shown_lines(text: object) -> str:
    """Text of several lines, none of which a CI server may take for a command."""
    lines = (shown(line.replace("\t", "    ")) for line in str(text).removesuffix("\r").split("\n"))
    return "\n".join(f"| {line}" if line.lstrip().startswith(_COMMANDS) else line for line in lines)


def count(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def listed(items: Sequence[str]) -> str:
    """`one, two and three`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _letter(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def lines_named(names: Iterable[str]) -> str:
    """`line 3`, `lines 3, 5 and 8` of the names of lines; in a notebook `lines 1 and 4 of cell 7`, `cells 4 and 7`."""
    places = [name.removeprefix("line ").partition(" of cell ") for name in dict.fromkeys(names)]
    cells = list(dict.fromkeys(cell for _, _, cell in places))
    word, numbers = ("line", [line for line, _, _ in places]) if len(cells) == 1 else ("cell", cells)
    more = [f"{len(numbers) - _FEW} more"] if len(numbers) > _FEW else []
    text = f"{word}{'s' * (len(numbers) > 1)} {listed([*numbers[:_FEW], *more])}"
    return f"{text} of cell {cells[0]}" if len(cells) == 1 and cells[0] else text
