"""The pass over a file's constructor calls: each is translated or refused, and either way it is reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optmap.source.changes import Change
from optmap.translate.constructors.call import CallContext
from optmap.translate.constructors.translate import CallTranslation
from optmap.translate.constructors.write import CallOutcome
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding
from optmap.translate.parameters.sharing import Sharing
from optmap.translate.results import CallResult, Status
from optmap.translate.unit import STEPS, Bond, Member, Outcome, Tied, Translation, Unit, Veto, failed_on


def run(unit: Unit, before: Outcome) -> Outcome:
    """Translate the constructor calls that are not vetoed."""
    room = _Constructors(unit, before)
    lost = room.sharing.unaccounted()
    if lost:
        return before._replace(found=lost)
    for site in unit.sites.calls:
        room.call(site)
    for site in unit.sites.already:
        room.results.append(unit.result(site.node, site.api.name, site.api, Status.UNCHANGED))
    return room.outcome()


class _Constructors:
    """Gathers what becomes of each call."""

    def __init__(self, unit: Unit, before: Outcome) -> None:
        self.unit = unit
        self.before = before
        steps = unit.options.rewrite_step and STEPS not in before.vetoes
        self.options = unit.options._replace(rewrite_step=steps)
        sites = [site for site in unit.sites.calls if failed_on(before.vetoes, site.node) is None]
        self.sharing = Sharing(unit.source, sites, before.vetoes)
        self.optimizers = frozenset(id(site.node) for site in (*unit.sites.calls, *unit.sites.already))
        self.findings: list[Finding] = []
        self.results: list[CallResult] = []
        self.done: list[Translation] = []
        self.given_up: dict[Member, Veto] = {}
        self.inside: dict[int, Sequence[Change]] = {}
        self.names = dict(before.names)
        self.taken = dict(before.names)
        self.unscaled = False

    def call(self, site: CallSite) -> None:
        veto = self.before.vetoes.get(id(site.node))
        if self.unit.skips(site.node):
            self._result(site, Status.UNCHANGED)
        elif veto is not None:
            self._result(site, Status.REFUSED)
            self.findings += [veto.finding] if veto.finding is not None else []
        else:
            tied = self.before.tied.get(id(site.node), Tied())
            context = CallContext(self.unit, self.options, site, tied, self.taken, self.before.vetoes)
            self._translated(site, CallTranslation(context, self.sharing, self.optimizers).run())

    def _translated(self, site: CallSite, outcome: CallOutcome) -> None:
        self.findings += outcome.findings
        for member, veto in outcome.given_up:
            self.given_up.setdefault(member, veto)
        if outcome.done is None:
            self._result(site, Status.REFUSED)
        else:
            self.done.append(outcome.done)
            self.names.update(outcome.names)
            self.taken.update(outcome.taken)
            self.unscaled = self.unscaled or outcome.unscaled
            self.inside[id(site.node)] = outcome.inside
            self.results.append(self.unit.result(site.node, site.api.name, outcome.done.target, Status.TRANSLATED))

    def _result(self, site: CallSite, status: Status) -> None:
        self.results.append(self.unit.result(site.node, site.api.name, None, status))

    def _scale_bonds(self) -> Iterator[Bond]:
        """The optimizers of a file that divide by a loss scale do so no more, or go on all together."""
        if self.unscaled:
            from optmap.translate.constructors.loss_scale import bond, gives_scale

            scaled = [site for site in self.unit.sites.calls if gives_scale(site)]
            yield from (bond(site, scaled) for site in scaled)

    def outcome(self) -> Outcome:
        done = {id(item.site.node) for item in self.done}
        left = frozenset[Member](id(site.node) for site in self.unit.sites.calls if id(site.node) not in done)
        after = self.before._replace(
            found=self.given_up,
            clashes=self.sharing.clashes(self.inside),
            left=left,
            names=self.names,
            bonds=(*self.before.bonds, *self._scale_bonds()),
            optimizers=tuple(self.done),
            calls=(*self.before.calls, *self.results),
        )
        return after.reporting(self.findings)
