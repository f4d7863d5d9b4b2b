"""Lists of things with their lines, as messages have them."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

from optmap.shown import lines_named
from optmap.source.bindings import position
from optmap.source.text import Source
from optmap.values import NamedTuple

_SHOWN: Final = 6
"""How many things a message names."""


class Item(NamedTuple):
    """Something to list, and where it stands."""

    text: str
    node: ast.AST

    @property
    def line(self) -> int:
        return getattr(self.node, "lineno", 1)


def listed(source: Source, items: Iterable[Item]) -> str:
    """`model (line 3), the data (lines 5 and 8)`."""
    groups: dict[str, dict[str, None]] = {}
    for item in sorted(items, key=lambda item: position(item.node)):
        groups.setdefault(item.text, {})[source.line_name(item.line)] = None
    shown = [f"{text} ({lines_named(list(lines))})" for text, lines in groups.items()]
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


def foremost(items: Iterable[Item]) -> ast.expr | ast.stmt:
    """The first of some things that a message can point at."""
    first = min(items, key=lambda item: item.line).node
    assert isinstance(first, ast.expr | ast.stmt)
    return first


def short(node: ast.expr) -> str:
    """An expression as messages name it."""
    text = ast.unparse(node)
    return text if len(text) <= 40 else f"{text[:37]}..."
