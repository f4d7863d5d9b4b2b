"""What stands around an optimizer: clipping, loss scaling, averages, its state and learning rate, and its name in strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optmap.mapping.around import load_around
from optmap.translate.findings import Finding
from optmap.translate.prefilter import has_surroundings, looks_up_optimizers
from optmap.translate.unit import Outcome, Translation, Unit


def run(unit: Unit, before: Outcome) -> Outcome:
    """Report what stands around the translated optimizers; mentions that this covers need no finding of their own."""
    found = list(_findings(unit, before.optimizers))
    covered = frozenset[int]().union(*(item.covers for item in found))
    mentions = tuple(item for item in before.mentions if id(item.node) not in covered)
    return before._replace(mentions=mentions).reporting(item for item in found if not unit.skips(item.node))


def _findings(unit: Unit, done: Sequence[Translation]) -> Iterator[Finding]:
    source, sites, tables, options, _ = unit
    if looks_up_optimizers(source.body, sites.mentions, options.sources):
        from optmap.translate.discover.lookups import lookup_findings

        yield from lookup_findings(source, sites, load_around(), tables, options)
    frameworks = frozenset(item.site.api.framework for item in done)
    if done and has_surroundings(source.body, frameworks):
        from optmap.translate.surroundings.patterns import pattern_findings

        yield from pattern_findings(source, sites, load_around().of(frameworks), done, tables)
