"""How texts show what they speak of: what others wrote, which may not steer a terminal, amounts, and lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_COMMANDS: Final = ("::", "##[")
"""How GitHub's workflow commands begin, behind any white space."""


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
