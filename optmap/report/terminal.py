"""Text for people: wrapped and coloured by Rich on a terminal, plain in files and pipes.

`FORCE_COLOR` asks for colours wherever the text goes, `NO_COLOR` for none: https://force-color.org, https://no-color.org.
"""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from collections.abc import Sequence
from typing import IO, Final, TypeAlias

Segment: TypeAlias = tuple[str, str]
"""A piece of text and its style in Rich's words."""
_NARROWEST: Final = 40
_LINES: Final = re.compile(r"\b(lines?|cell) (?=\d)")
"""What a number is not to be parted from."""


def coloured(stream: IO[str]) -> bool:
    """Whether colours are wanted on a stream."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def width(stream: IO[str]) -> int | None:
    """The columns of a terminal; None for what is none, where lines are as long as they are."""
    return max(shutil.get_terminal_size().columns, _NARROWEST) if stream.isatty() else None


def write(stream: IO[str], *segments: Segment) -> None:
    """Write pieces of text in their styles, where colours are wanted."""
    if not coloured(stream):
        stream.write("".join(text for text, _ in segments))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, force_terminal=True)
    console.print(Text.assemble(*segments), soft_wrap=True, end="")


def hanging(stream: IO[str], head: Sequence[Segment], text: str, indent: str = "    ") -> list[Segment]:
    """A head and the text after it on the same line, wrapped at the terminal's width with the rest indented."""
    columns = width(stream)
    if columns is None:
        return [*head, (text + "\n", "")]
    taken = sum(len(part) for part, _ in head)
    together = _LINES.sub("\\1\N{NO-BREAK SPACE}", text)
    filled = textwrap.fill(
        together, columns, initial_indent=" " * min(taken, columns - 20), subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [*head, (filled.lstrip(" ").replace("\N{NO-BREAK SPACE}", " ") + "\n", "")]
