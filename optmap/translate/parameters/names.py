"""Names of parameters: what conditions on them select once the other framework names them, and which of them are equal.

MindSpore's optimizers take no two parameters of one name. A Cell's parameters are named after the attributes from it down, so
that `first.fc.weight` and `second.fc.weight` are both called `fc.weight` until the two are parts of one Cell, or are renamed
(measured with 2.10).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from optmap.mapping.frameworks import fill
from optmap.mapping.model import Framework
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import constructed_with
from optmap.translate.parameters.groups import ParametersArgument
from optmap.translate.parameters.models import models_together

_SHOWN: Final = 4


def names_message(literals: Collection[str], target: Framework, attribute: bool = False) -> str:
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


def clash_message(site: CallSite, found: ParametersArgument, target: Framework) -> str | None:
    """Say how the parameters of the several models that one optimizer is given get names of their own."""
    rename, join = target.facts.parameters.rename, target.facts.parameters.join
    argument, accessors = constructed_with(site), [*found.accessors, *found.unnamed]
    if argument is None or rename is None or not accessors or accessors == [argument]:
        return None
    models = models_together(site.module, site.node, argument, accessors)
    if not models:
        return None
    *first, last = models
    several = len(first) > 1
    one = models[1] if several else last
    renamed = f"call {fill(rename, model=one, prefix=repr(f'{one}.'))}{' and so on for all but one' if several else ''} before"
    return (
        f"the optimizer is given parameters of {', '.join(first)} and {last}; {target.facts.title} takes no two of one name, "
        f"and separate models give identical layers identical names: {renamed}{f', or {join}' if join is not None else ''}"
    )
