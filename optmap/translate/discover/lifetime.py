"""How long an optimizer lives that is bound to a module's name: until the name is plainly bound again."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final, NamedTuple

from optmap.source.scopes import Reference
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite

_LATER: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp)
"""Their bodies run at a time that their place does not tell."""


class Lifetime(NamedTuple):
    """Offsets of the statement that binds the optimizer, and of the end of the one that binds the name again."""

    start: int
    end: int

    def holds(self, source: Source, reference: Reference) -> bool:
        """Tell whether the reference may mean this optimizer."""
        return _runs_later(reference) or self.start <= source.start(reference.node) < self.end


def lifetime(source: Source, site: CallSite, holder: Sequence[str]) -> Lifetime | None:
    """The lifetime of what a statement of the module itself binds to a name; None where order does not tell it."""
    statement = site.ancestors[0]
    if (
        len(site.ancestors) != 2
        or len(holder) != 1
        or not isinstance(statement, ast.Assign)
        or b"global" in source.body
    ):
        return None
    start = source.start(statement)
    for other in source.tree.body:
        if source.start(other) > start and isinstance(other, ast.Assign | ast.AnnAssign) and other.value is not None:
            targets = other.targets if isinstance(other, ast.Assign) else [other.target]
            if any(isinstance(target, ast.Name) and target.id == holder[0] for target in targets):
                return Lifetime(start, source.end(other))
    return Lifetime(start, len(source.body))


def last_use(source: Source, references: Sequence[Reference]) -> int | None:
    """The offset behind the module's statements that hold the references; None where one of them may run later."""
    if any(_runs_later(reference) for reference in references):
        return None
    ends = [
        source.end(outer)
        for reference in references
        if isinstance(outer := next(iter(reference.ancestors), None), ast.stmt)
    ]
    return max(ends, default=None)


def _runs_later(reference: Reference) -> bool:
    return any(isinstance(node, _LATER) for node in reference.ancestors)
