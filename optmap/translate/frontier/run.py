"""The pass over what touches the planned changes: a value of one framework in code of another is refused, or said once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optmap.source.model import Module
from optmap.translate.findings import Finding
from optmap.translate.frontier.contexts import context_findings
from optmap.translate.frontier.frozen import frozen_layers
from optmap.translate.frontier.given import given_away
from optmap.translate.frontier.listing import Item
from optmap.translate.frontier.origins import Origins
from optmap.translate.frontier.remains import remaining
from optmap.translate.unit import Outcome, Unit


def run(unit: Unit, before: Outcome) -> Outcome:
    """Veto what would mix frameworks, and report the crossings that are left."""
    if not any(item.changes for item in before.rewritten):
        return before
    origins = _origins(unit, before)
    unknown: list[Item] = []
    if before.steps:
        from optmap.translate.frontier.code import RewrittenCode
        from optmap.translate.frontier.mixed import refusals

        code = RewrittenCode(origins, before.steps)
        vetoes = refusals(unit, before.steps, code)
        if any(member not in before.vetoes for member in vetoes):
            return before._replace(found={**before.found, **vetoes})
        unknown += code.unknown()
    found = _findings(unit, before, origins, unknown)
    return before.reporting(item for item in found if not unit.skips(item.node))


def _origins(unit: Unit, outcome: Outcome) -> Origins:
    sites = [item.site for item in (*outcome.optimizers, *outcome.schedules)]
    sources = list(dict.fromkeys(site.api.framework for site in sites))
    gone = {id(node) for item in outcome.rewritten for node in item.gone}
    made = {id(site.callee) for site in sites}
    bridged = frozenset[int]().union(*(item.bridged for item in outcome.steps))
    return Origins(Module.of(unit.source), unit.tables, sources, unit.options.target, gone, made, bridged)


def _findings(unit: Unit, outcome: Outcome, origins: Origins, unknown: Sequence[Item]) -> Iterator[Finding]:
    yield from remaining(unit, outcome, origins, unknown)
    yield from context_findings(unit, outcome, origins)
    yield from given_away(unit, outcome, origins)
    for source in dict.fromkeys(item.site.api.framework for item in outcome.optimizers):
        yield from frozen_layers(origins.module, source, unit.options.target)
    if unit.options.params is not None:
        from optmap.translate.frontier.params import unbound_params

        yield from unbound_params(unit, outcome)
