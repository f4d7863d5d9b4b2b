"""What to translate, into what, and how."""

from __future__ import annotations

from optmap.mapping.framework import Framework
from optmap.mapping.plan import Prefer
from optmap.values import NamedTuple


class Options(NamedTuple):
    """What to translate, into what, and how.

    Without `prove` the result is not parsed and compared: for callers that give no translated source out. `versions` are
    those of the packages that are not the tables' own (`MappingSet.at`). `quantities` are numbers that a file need not tell,
    such as the steps per epoch. With `rewrite_step` plain training steps, and what a table knows of models and losses, are
    rewritten, too. With `line` only what begins on that line is translated; 0 stands for every line.
    """

    target: Framework
    sources: frozenset[Framework]
    prefer: Prefer = Prefer.AUTO
    params: str | None = None
    prove: bool = True
    versions: tuple[tuple[str, str], ...] = ()
    quantities: tuple[tuple[str, int], ...] = ()
    rewrite_step: bool = False
    line: int = 0
