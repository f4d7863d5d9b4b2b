"""What stands around an optimizer: clipping, loss scaling, averages, its state and learning rate, and its name in strings."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from optmap.diagnostics import FOREIGN_OPTIMIZER
from optmap.mapping.around import load_around
from optmap.translate.discover.flow import places_of
from optmap.translate.findings import Finding
from optmap.translate.prefilter import has_surroundings, looks_up_optimizers, names_packages
from optmap.translate.surroundings.unknown import OptimizerUse, unknown_uses
from optmap.translate.unit import Outcome, Unit


def run(unit: Unit, before: Outcome) -> Outcome:
    """Report what stands around the translated optimizers; mentions that this covers need no finding of their own."""
    found = list(_elsewhere(unit))
    found += _around(unit, before, found)
    covered = frozenset[int]().union(*(item.covers for item in found))
    mentions = [item for item in before.mentions if id(item.node) not in covered]
    mentions += [
        item for item in found if item.code is FOREIGN_OPTIMIZER
    ]  # constructor calls, as others that are refused
    constructing = before.constructing | {id(item.node) for item in mentions if item.code is FOREIGN_OPTIMIZER}
    others = [item for item in found if item.code is not FOREIGN_OPTIMIZER and not unit.skips(item.node)]
    return before._replace(mentions=tuple(mentions), constructing=constructing).reporting(others)


def _elsewhere(unit: Unit) -> Iterator[Finding]:
    """Optimizers that are named by strings, or that come from other packages."""
    source, sites, tables, options, _ = unit
    named: list[Finding] = []
    if looks_up_optimizers(source.body, sites.mentions, tables, options.sources):
        from optmap.translate.discover.lookups import lookup_findings

        named += lookup_findings(source, sites, load_around(tables.extra), tables, options)
    yield from named
    if names_packages(source, options.sources, tables.extra):
        from optmap.translate.surroundings.foreign import foreign_findings

        yield from foreign_findings(unit, {id(item.node) for item in (*named, *sites.mentions)})


def _around(unit: Unit, before: Outcome, found: Sequence[Finding]) -> Iterator[Finding]:
    """What the tables know of the uses of translated optimizers, and which uses they do not know."""
    done = before.optimizers
    if not done:
        return
    module, frameworks = unit.sites.module, frozenset(item.site.api.framework for item in done)
    places = places_of(module, [site.node for site in unit.sites.calls])
    known = {id(site.node) for site in (*unit.sites.calls, *unit.sites.already)}
    known |= {id(reference.node) for reference in unit.sites.schedules}
    known |= {id(mention.node) for mention in unit.sites.mentions}.union(*(item.covers for item in found))
    if has_surroundings(unit.source.body, frameworks, unit.tables.extra):
        from optmap.translate.surroundings.patterns import Matcher

        settled = frozenset[int]().union(*(item.covers for item in before.findings))
        matcher = Matcher(unit, load_around(unit.tables.extra).of(frameworks), done, places, settled)
        yield from matcher.findings()
        known |= matcher.known
    made = {id(item.site.node): item for item in done}
    reads: list[OptimizerUse] = []
    for node, calls in places.values():
        first = next((made[id(call)] for call in calls if id(call) in made), None)
        if first is not None and not isinstance(module.parent(node), ast.Expr):
            reads.append(OptimizerUse(node, first))
    yield from unknown_uses(module, reads, known)
