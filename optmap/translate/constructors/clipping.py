"""Clipping that an optimizer does by itself, where the target's do not: steps that are rewritten do it in its place."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from optmap.mapping.sections import Api
from optmap.source.bind import Signature, bind
from optmap.translate.discover.flow import places_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.unit import Member

_HOW: Final = {"clip_norm": "each", "clip_value": "value", "global_clip_norm": "global"}
"""Hyperparameter -> how gradients are clipped, a key of `clip` in the frameworks' facts."""


def clipping(site: CallSite) -> Member:
    """What is vetoed where the steps of an optimizer cannot clip in its place."""
    return id(site.node), "the clipping"


def clipped(site: CallSite, target: Api | None = None) -> Mapping[str, tuple[str, ast.Constant]]:
    """The hyperparameters by which an optimizer clips, and which a target has not, each with how and the bound.

    There are none where a bound is no positive number, or where the optimizer goes where its steps are not seen.
    """
    bound = bind(Signature(site.api.current, site.api.by_name), site.node)
    found: dict[str, tuple[str, ast.Constant]] = {}
    for tie, how in _HOW.items():
        parameter = site.api.by_tie.get(tie)
        given = bound.get(parameter.name) if parameter is not None else None
        if given is None or given.index is None or (target is not None and tie in target.by_tie):
            continue
        value = given.value
        number = value.value if isinstance(value, ast.Constant) else None
        if not isinstance(value, ast.Constant) or not isinstance(number, int | float) or number <= 0:
            return {}
        found[tie] = how, value
    return found if found and _is_followed(site) else {}


def _is_followed(site: CallSite) -> bool:
    """Tell whether an optimizer is only asked for members and given to functions of the file."""
    module = site.module
    for place, _ in places_of(module, [site.node]).values():
        outer = module.parent(place)
        call = module.parent(outer) if isinstance(outer, ast.keyword) else outer
        given = isinstance(call, ast.Call) and call.func is not place and place is not site.node
        if given and isinstance(call, ast.Call) and module.function(call) is None:
            return False
        if not given and not isinstance(outer, ast.Attribute | ast.Assign | ast.AnnAssign):
            return False
    return True
