"""Attached schedules that share optimizers: all of them are translated, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from optmap.translate.discover.sites import CallSite
from optmap.translate.schedules.owners import Owners
from optmap.values import NamedTuple


class AttachedGroup(NamedTuple):
    """Attached schedules and all optimizers that they are attached to."""

    schedules: tuple[CallSite, ...]
    optimizers: tuple[CallSite, ...]


def attached_groups(schedules: Sequence[CallSite], owners: Mapping[int, Owners]) -> Iterator[AttachedGroup]:
    """Join schedules that share an optimizer, in order; `owners` are theirs, by the id of the schedule's node."""
    beside: dict[int, list[int]] = {}
    for place, site in enumerate(schedules):
        for optimizer in owners[id(site.node)].optimizers:
            beside.setdefault(id(optimizer.node), []).append(place)
    seen: set[int] = set()
    for first in range(len(schedules)):
        members: list[int] = []
        optimizers: dict[int, CallSite] = {}
        more = {first} - seen
        while more:
            seen |= more
            members += sorted(more)
            found = [item for place in sorted(more) for item in owners[id(schedules[place].node)].optimizers]
            new = {id(item.node): item for item in found if id(item.node) not in optimizers}
            optimizers |= new
            more = {place for member in new for place in beside[member]} - seen
        if members:
            yield AttachedGroup(tuple(schedules[place] for place in members), tuple(optimizers.values()))
