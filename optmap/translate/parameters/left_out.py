"""The parameters argument where the target's constructor takes none: say what becomes of it."""

from __future__ import annotations

import ast
from typing import Final

from optmap.diagnostics import PARAMETERS_ELSEWHERE, PARAMETERS_PICKED
from optmap.mapping.model import Api
from optmap.source.scopes import chain_of
from optmap.source.text import Source
from optmap.translate.findings import Finding, Place

_SAME: Final = ("list", "tuple", "iter")
"""Builtins that return what they are given, as far as an optimizer is concerned."""
_LONGEST: Final = 60


def left_out(source: Source, node: ast.expr, at: Place, api: Api, target: Api) -> Finding:
    """Say that the parameters were left out; a warning where they may be but some of a model's."""
    text = source.text(source.start(node), source.end(node))
    shown = text if len(text) <= _LONGEST and "\n" not in text and "\r" not in text else "the parameters argument"
    said = target.framework.facts.parameters
    if _is_whole_model(node, api):
        message = f"{shown} was left out: {target.name} {said.left_out}"
        return Finding(PARAMETERS_ELSEWHERE, message, at)
    message = (
        f"{shown} was left out, which may be some of a model's parameters, or groups of them: {target.name} "
        f"{said.left_out_some}"
    )
    return Finding(PARAMETERS_PICKED, message, at)


def _is_whole_model(node: ast.expr, api: Api) -> bool:
    """Whether the expression is what a model's own method gives: `net.parameters()`, `self.net.trainable_params()`."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name) and node.func.id in _SAME and len(node.args) == 1 and not node.keywords:
        return _is_whole_model(node.args[0], api)
    chain = chain_of(node.func)
    names = api.framework.facts.parameters
    if chain is None or node.args or node.keywords or chain[-1] not in (names.trainable, *names.also):
        return False
    model = [name for name in chain[:-1] if name not in ("self", "module")]
    return len(model) <= 1
