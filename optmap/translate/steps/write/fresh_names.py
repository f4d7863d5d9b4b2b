"""Names that a file does not use, and the message about what a rewritten step leaves of the source framework."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from optmap.diagnostics import NAME_DIFFERS, NAME_NOTE, REMAINS
from optmap.shown import lines_named
from optmap.source.model import Module
from optmap.translate.findings import Finding

if TYPE_CHECKING:
    from optmap.mapping.steps import Pair


_ROOM: Final = 150
"""Characters that a message has for reasons."""


class UsedNames:
    """The names that a file binds or reads anywhere, and those that were chosen for new variables in it."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._chosen: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._chosen or (self._module.source.mentions(name) and name in self._own)

    def add(self, name: str) -> None:
        self._chosen.add(name)

    @cached_property
    def _own(self) -> frozenset[str]:
        module = self._module
        found = set(module.spellings())
        found |= {node.arg for node in module.nodes(ast.arg)}
        found |= {node.name for node in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)}
        for node in module.nodes(ast.Import, ast.ImportFrom):
            found |= {(item.asname or item.name).partition(".")[0] for item in node.names}
        for node in module.nodes(ast.Global, ast.Nonlocal):
            found.update(node.names)
        return frozenset(found)


def free(name: str, used: UsedNames, *, keep: bool = False) -> str:
    """A name that the file does not use; `keep` lets several steps share a variable that each of them sets before use."""
    number, found = 1, name
    while found in used:
        number += 1
        found = f"{name}_{number}"
    if not keep:
        used.add(found)
    return found


def report(
    findings: list[Finding], stays: Sequence[tuple[ast.expr, str | None]], translated: Sequence[tuple[ast.expr, Pair]],
    framework: str,
) -> None:  # fmt: skip
    """Say what should be known of what was translated, and, once, what was not."""
    first = {pair.place: (node, pair) for node, pair in reversed(translated)}
    for place, (node, pair) in first.items():
        for code, text in ((NAME_NOTE, pair.note), (NAME_DIFFERS, pair.warning)):
            if text is not None:
                path = pair.other.path or pair.one.path
                name = path.replace("x.", "Tensor.", 1) if path.startswith("x.") else path
                findings.append(Finding(code, f"{name}: {text}", node, place))
    if not stays:
        return
    nodes = sorted((node for node, _ in stays), key=lambda node: (node.lineno, node.col_offset))
    said: dict[str, list[ast.expr]] = {}
    for node, reason in stays:
        if reason is not None:
            said.setdefault(reason, []).append(node)
    reasons = [f"{lines_of(places)}: {reason}" for reason, places in said.items()]
    uses = "use" if len(nodes) == 1 else "uses"
    remain = "remains" if len(nodes) == 1 else "remain"
    short = [reason for place, reason in enumerate(reasons) if len("; ".join(reasons[: place + 1])) <= _ROOM]
    where = f"{lines_of(nodes)} ({'; '.join(short)})" if short else lines_of(nodes)
    if len(short) == len(reasons) and all(reason is not None for _, reason in stays):
        where = "; ".join(short)
    message = f"{len(nodes)} other {uses} of {framework} {remain}: {where}"
    findings.append(Finding(REMAINS, message, nodes[0], detail="; ".join(reasons[len(short) :]) or None))


def lines_of(nodes: Sequence[ast.expr]) -> str:
    """`line 3` or `lines 3, 5 and 8`, with only the first ones where there are many."""
    return lines_named([f"line {line}" for line in sorted({node.lineno for node in nodes})])
