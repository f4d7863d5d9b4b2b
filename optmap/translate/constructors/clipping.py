"""Clipping that an optimizer does by itself, where the target's do not: steps that are rewritten do it in its place."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from optmap.mapping.sections import Api
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
    found: dict[str, tuple[str, ast.Constant]] = {}
    for tie, how in _HOW.items():
        parameter = site.api.by_tie.get(tie)
        value = site.given(parameter.name) if parameter is not None else None
        if value is None or (target is not None and tie in target.by_tie):
            continue
        number = value.value if isinstance(value, ast.Constant) else None
        if not isinstance(value, ast.Constant) or not isinstance(number, int | float) or number <= 0:
            return {}
        found[tie] = how, value
    return found if found and _is_followed(site) else {}


def _is_followed(site: CallSite) -> bool:
    """Tell whether an optimizer is only asked for members and given to functions of the file."""
    module = site.module
    for place, _ in places_of(module, [site.node]).values():
        call = module.call_with(place) if place is not site.node else None
        if call is not None and module.function(call) is None:
            return False
        if call is None and not isinstance(module.parent(place), ast.Attribute | ast.Assign | ast.AnnAssign):
            return False
    return True
