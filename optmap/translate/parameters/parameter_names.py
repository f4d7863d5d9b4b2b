"""What conditions on parameters' names select once the other framework names the parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from optmap.mapping.model import Framework

_SHOWN: Final = 4


def names_message(literals: Sequence[str], target: Framework, attribute: bool = False) -> str:
    """Say, for the strings that names are compared with, what they stand for in the target.

    `attribute` says that the parameters are asked for their own name, which only MindSpore's have.
    """
    named, called = target.facts.parameters.named, target.facts.parameters.scales
    says = []
    if attribute and named is not None and not target.facts.parameters.own_names:
        says.append(f"a parameter's name is not in its attribute name, which is None, but in {named}()")
    others = []
    for literal in literals:
        found = re.fullmatch(rf"(.*?)({'|'.join(called)})", literal) if called else None
        if found is None:
            if literal not in called.values():
                others.append(literal)
            continue
        prefix, part = found.groups()
        if prefix.strip("._"):
            says.append(f"{literal!r} is {prefix}{called[part]} if that is a normalization layer")
        else:
            says.append(f"normalization layers have {called[part]} in place of {literal!r}")
    if others:
        shown = ", ".join(map(repr, others[:_SHOWN])) + (", ..." if len(others) > _SHOWN else "")
        says.append(f"{shown} must stand in the names of the {target} model")
    if not says:
        says = [f"normalization layers have {' and '.join(called.values()) or 'other names'} there"]
    return f"parameters are picked by name, and the frameworks name them differently: {'; '.join(says)}"
