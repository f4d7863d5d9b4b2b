"""What an optimizer was translated without: models, losses and data that still are of the source framework, said once."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.diagnostics import REMAINS, STILL_SOURCE, TARGET_EXPECTED
from optmap.source.model import Module
from optmap.source.paths import root_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import constructed_with
from optmap.translate.findings import Finding
from optmap.translate.frontier.listing import Item, foremost, listed, short
from optmap.translate.frontier.origins import Origin, Origins
from optmap.translate.frontier.sorts import Sort
from optmap.translate.parameters.reader import read_parameters
from optmap.translate.parameters.training import models_in_use
from optmap.translate.unit import Outcome, Unit

_CALLED: Final = {Sort.LOSS: "the loss", Sort.SCHEDULE: "the schedule", Sort.DATA: "the data"}


def remaining(unit: Unit, outcome: Outcome, origins: Origins, unknown: Sequence[Item]) -> Iterator[Finding]:
    """Yield at most one finding about what still is of the source, and one about what cannot be told.

    `unknown` is what rewritten steps read of which that cannot be told.
    """
    still: list[Item] = []
    unclear: list[Item] = []
    for model in _models(origins, [item.site for item in outcome.optimizers]):
        if isinstance(model, ast.ClassDef):
            still.append(Item(model.name, model))
            continue
        value, owner = origins.of(model), origins.module.self_class(model)
        text = owner.name if owner is not None else short(model)
        if Origin.SOURCE in value.origins:
            still.append(Item(text, value.sources[0]))
        elif Origin.UNKNOWN in value.origins and _is_bound(origins.module, model):
            unclear.append(Item(text, model))
    if still and not any(item.code is REMAINS for item in outcome.findings):
        still += _others(outcome, origins)
    source, target = unit.source, unit.options.target.facts
    if still:
        titles = " and ".join(dict.fromkeys(item.site.api.framework.facts.title for item in outcome.optimizers))
        message = f"still {titles}'s: {listed(source, still)}"
        yield Finding(STILL_SOURCE, message, foremost(still))
    unclear += (item for item in unknown if item.text not in [known.text for known in unclear])
    if unclear:
        message = f"make sure that this is {target.title}'s: {listed(source, unclear)}"
        yield Finding(TARGET_EXPECTED, message, foremost(unclear))


def _is_bound(module: Module, node: ast.expr) -> bool:
    """Tell whether the file gives an expression a value; in a fragment of a program it need not."""
    root = root_of(node)
    return root is None or module.variable(root) is not None or bool(module.stars(node))


def _models(origins: Origins, sites: Sequence[CallSite]) -> Iterator[ast.expr | ast.ClassDef]:
    """The models that optimizers train, each once for each way to write it.

    Where none is seen, it is the class of the source around a constructor.
    """
    module, seen = origins.module, set[str]()
    for site in sites:
        found = models_in_use(module, site) if site.api.parameters_argument is None else list(_given(module, site))
        owner = module.class_of(site.node) if not found else None
        if owner is not None and Origin.SOURCE in origins.of_class(owner).origins:
            yield owner
        for model in found:
            if short(model) not in seen:
                seen.add(short(model))
                yield model


def _given(module: Module, site: CallSite) -> Iterator[ast.expr]:
    """The models whose parameters a constructor is given, as far as they are seen."""
    argument = constructed_with(site)
    if argument is not None:
        found = read_parameters(module.source, argument, site.api.framework)
        for call in (*found.accessors, *found.unnamed):
            if isinstance(call.func, ast.Attribute):
                yield call.func.value


def _others(outcome: Outcome, origins: Origins) -> Iterator[Item]:
    """Losses, data and schedules of the source that no other finding is about."""
    module = origins.module
    told = {id(item.node) for item in (*outcome.findings, *outcome.mentions)}
    told = told.union(*(item.covers for item in outcome.findings))
    for node, _ in module.references(frozenset(origins.by_root)).references:
        call = module.call_of(node)
        if call is not None and told.isdisjoint((id(node), id(call))):
            found = origins.sort(node) if id(node) not in origins.gone else None
            if found is not None and found[1] in _CALLED:
                yield Item(_CALLED[found[1]], node)
