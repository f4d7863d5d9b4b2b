"""Would the translation of a call lose something, or change what a name means?"""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Final

from optmap.diagnostics import NAME_TAKEN, UNEDITABLE
from optmap.mapping.plan import FromArgument, Plan
from optmap.source.calls import CallText, comments_in
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding

_EFFECTS: Final = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)


def unsafe_edit(
    source: Source, site: CallSite, call: CallText, plan: Plan, optimizers: Collection[int]
) -> Finding | None:
    """The refusal of edits that would lose a comment or an effect, or use a builtin that the file hides.

    `optimizers` are the ids of all constructor calls.
    """
    if comments_in(source, call.callee.start, call.callee.end):
        return Finding(UNEDITABLE, "there is a comment inside the name of the class", site.node)
    for item in plan.dropped:
        argument = call.arguments[item.index]
        inside = list(ast.walk(argument.node))
        constructs = any(id(inner) in optimizers for inner in inside)
        if constructs or any(isinstance(inner, _EFFECTS) for inner in inside):
            effect = "constructs an optimizer" if constructs else "assigns or awaits"
            return Finding(UNEDITABLE, f"{item.parameter.name} would be dropped, but it {effect}", argument.span)
    pieces = [piece for argument in plan.arguments for piece in argument.pieces]
    wanted = {str(piece.conversion) for piece in pieces if isinstance(piece, FromArgument)} - {"none"}
    taken = [name for name in sorted(wanted) if not site.module.is_builtin(name, site.node)]
    if taken:
        message = f"the builtin {taken[0]} is needed, but the file binds that name to something else"
        return Finding(NAME_TAKEN, message, site.node)
    return None
