"""What stands around an optimizer: clipping, loss scaling, averages, its state and learning rate, and its name in strings.

Imported only for files that mention an optimizer and one of the words of mappings/around.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optmap.mapping.around import load_around
from optmap.mapping.model import MappingSet
from optmap.source.text import Source
from optmap.translate.around.remark import Done, Remark
from optmap.translate.call import Options
from optmap.translate.hints import looks_up_optimizers
from optmap.translate.sites import Sites

__all__ = ["Done", "Remark", "remarks"]


def remarks(
    source: Source, sites: Sites, done: Sequence[Done], tables: MappingSet, options: Options
) -> Iterator[Remark]:
    """Yield what there is to say about a file, whose translated constructor calls are `done`."""
    around = load_around()
    if looks_up_optimizers(source.body, sites.mentions, options.sources):
        from optmap.translate.around.strings import string_remarks

        yield from string_remarks(source, sites, around, tables, options)
    frameworks = {item.site.api.framework for item in done}
    if done:
        from optmap.translate.around.patterns import pattern_remarks

        yield from pattern_remarks(source, sites, around.of(frozenset(frameworks)), done, tables)
