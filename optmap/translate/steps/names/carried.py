"""Forward parts whose models stay the source's: what they compute becomes the target's, and nothing else may stand in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from optmap.source.syntax import inner
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.references import NameRewriter
from optmap.translate.steps.reasons import NotPlain, Why


def carry(names: NameRewriter, parts: Iterable[ast.AST], paused: Sequence[ast.With] = ()) -> NameChanges:
    """What becomes of names in a forward part and the functions that it calls. Raises NotPlain where no row knows one."""
    roots = names.module.with_called(parts)
    losses = list(_losses(names, roots))
    changes = names.carry([*roots, *losses], paused)
    left = {id(node) for loss in losses for node in inner(loss)}  # a loss that no row takes stays, as models do
    stays = (
        (node, ast.unparse(node) + (f" ({why})" if why else "")) for node, why in changes.stays if id(node) not in left
    )
    for line, used in sorted((getattr(node, "lineno", 0), used) for node, used in (*changes.refused, *stays)):
        raise NotPlain(Why.NOT_IN_TABLE, line=line, used=used)
    return changes


def _losses(names: NameRewriter, roots: Iterable[ast.AST]) -> Iterator[ast.Call]:
    """The calls that make the losses which code calls, where a row may know what becomes of them."""
    module = names.module
    calls = (node for root in roots for node in inner(root) if isinstance(node, ast.Call))
    for call in calls:
        for made in module.reaching(call.func, calls=False).values if module.function(call) is None else ():
            rows = names.table.callables.get(names.path(made.func) or "", ()) if isinstance(made, ast.Call) else ()
            if isinstance(made, ast.Call) and any(pair.makes_model for pair in rows):
                yield made
