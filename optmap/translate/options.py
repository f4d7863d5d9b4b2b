"""What to translate, into what, and how."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.plan import Prefer
from optmap.nearest import nearest
from optmap.values import NamedTuple

QUANTITIES: Final = ("steps_per_epoch", "total_steps")
"""What a learning-rate schedule may need and a file need not show."""


class Options(NamedTuple):
    """What to translate, into what, and how.

    Without `prove` the result is not parsed and compared: for callers that give no translated source out. `versions` are
    those of the packages that are not the tables' own (`MappingSet.at`). `quantities` are numbers that a file need not tell,
    such as the steps per epoch. With `rewrite_step` plain training steps, and what a table knows of models and losses, are
    rewritten, too. With `line` only what begins on that line is translated; 0 stands for every line.
    With `todo` what is left to do is written into the result, and a call that wants for one fact is translated with `...`.
    `line_length` is the longest line to write; 0 stands for what the file's own lines are.
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
    todo: bool = False
    line_length: int = 0


def check_quantities(given: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """The quantities as options hold them. Raises ValueError."""
    for name, number in given.items():
        if name not in QUANTITIES:
            raise ValueError(f"unknown quantity {name!r}{nearest(name, QUANTITIES)}")
        if type(number) is not int or not 0 < number < 2**63:
            raise ValueError(f"{name}: found {number!r}, expected a whole number above 0")
    return tuple(sorted(given.items()))


def check_parameters(text: str) -> str:
    """The text, if it is one argument of a call, on one line. Raises TypeError, ValueError."""
    if not isinstance(text, str):
        raise TypeError(f"params: found {text!r}, expected a string such as 'model.trainable_params()'")
    try:
        call = ast.parse(f"f({text}, x=1)", mode="eval").body
    except (SyntaxError, ValueError):
        call = None
    single = isinstance(call, ast.Call) and len(call.args) == 1 and len(call.keywords) == 1
    odd = (ast.Starred, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom, ast.GeneratorExp)
    if not isinstance(call, ast.Call) or not single or isinstance(call.args[0], odd) or "\n" in text or "#" in text:
        raise ValueError(f"found {text!r}, expected one Python expression such as 'model.trainable_params()'")
    return text
