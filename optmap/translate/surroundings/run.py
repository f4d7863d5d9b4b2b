"""What stands around an optimizer: clipping, loss scaling, averages, its state and learning rate, and its name in strings.

Imported only for files that mention an optimizer and one of the words of mappings/around.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optmap.mapping.around import load_around
from optmap.mapping.model import MappingSet
from optmap.source.text import Source
from optmap.translate.discover.sites import Sites
from optmap.translate.options import Options
from optmap.translate.prefilter import looks_up_optimizers
from optmap.translate.surroundings.remark import Done, Remark

__all__ = ["Done", "Remark", "remarks"]


def remarks(
    source: Source, sites: Sites, done: Sequence[Done], tables: MappingSet, options: Options
) -> Iterator[Remark]:
    """Yield what there is to say about a file, whose translated constructor calls are `done`."""
    around = load_around()
    if looks_up_optimizers(source.body, sites.mentions, options.sources):
        from optmap.translate.discover.lookups import string_remarks

        yield from string_remarks(source, sites, around, tables, options)
    frameworks = {item.site.api.framework for item in done}
    if done:
        from optmap.translate.surroundings.patterns import pattern_remarks

        yield from pattern_remarks(source, sites, around.of(frozenset(frameworks)), done, tables)
