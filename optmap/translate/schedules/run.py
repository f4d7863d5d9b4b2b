"""The pass over a file's schedules: each is translated together with its optimizers, or none of them is touched.

An optimizer and what sets its learning rate stand or fall together: the bonds between them say so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from optmap.diagnostics import SCHEDULE_MEMBER, SCHEDULE_REFUSED, SCHEDULER
from optmap.mapping.canonical import attached
from optmap.translate.constructors.resolve import Serving
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding
from optmap.translate.results import Status
from optmap.translate.schedules.advice import advice
from optmap.translate.schedules.translate import TranslatedSchedule, uncounted
from optmap.translate.schedules.translations import Translations, translate_schedules
from optmap.translate.unit import Bond, Outcome, Rewritten, Tied, Translation, Unit, failed_on


def run(unit: Unit, before: Outcome) -> Outcome:
    """Translate the schedules that are not vetoed, and tell the optimizers what theirs ask for."""
    room = translate_schedules(unit, before.vetoes)
    done = tuple(room.done())
    mentions = tuple(_mentions(room, done))
    refused = frozenset(id(item.node) for item in mentions if item.code is SCHEDULE_REFUSED)
    results = [unit.result(item.site.node, item.site.api.name, item.target, Status.TRANSLATED) for item in done]
    after = before._replace(
        mentions=mentions,
        constructing=before.constructing | refused,
        bonds=tuple(_bonds(room)),
        tied=_tied(room),
        names={name: optimizer for item in done for name, optimizer in item.names.items()},
        schedules=tuple(Translation(item.site, item.target, _rewritten(room, item)) for item in done),
        calls=(*before.calls, *results),
    )
    return after.reporting(_findings(room, done))


def _rewritten(room: Translations, made: TranslatedSchedule) -> Rewritten:
    """What becomes of a schedule; where it cannot be proved, its optimizers stay as they are."""
    optimizers = tuple(item.node for item in room.owners[id(made.site.node)].optimizers)
    return Rewritten(optimizers, made.changes, made.needed, (made.site.callee,))


def _bonds(room: Translations) -> Iterator[Bond]:
    """Each schedule stands only with all of its optimizers."""
    for group in room.groups:
        if room.stands(group):
            optimizers = tuple(item.node for item in group.optimizers)
            for schedule in group.schedules:
                yield Bond(id(schedule.node), optimizers, "the optimizer on line {line} is not translated")
    for schedule in room.calls:
        if not attached(schedule.api) and isinstance(room.of(schedule), TranslatedSchedule):
            users = tuple(item.node for item in room.owners[id(schedule.node)].optimizers)
            reason = "it is also the learning rate of the call on line {line}, which is not translated"
            yield Bond(id(schedule.node), users, reason, blames=True)


def _tied(room: Translations) -> dict[int, Tied]:
    """What the schedules say of each optimizer that is not left alone."""
    groups = {id(item.node): group for group in room.groups for item in group.optimizers}
    apis = room.unit.tables.apis.values()
    advised = next((api.module for api in apis if api.framework == room.unit.options.target and attached(api)), None)
    found: dict[int, Tied] = {}
    for optimizer in room.unit.sites.calls:
        if id(optimizer.node) in room.vetoes or room.unit.skips(optimizer.node):
            continue
        group = groups.get(id(optimizer.node))
        first = room.of(group.schedules[0]) if group is not None and room.stands(group) else None
        schedule = room.ownership.passed_to(optimizer)
        tied = Tied()
        if schedule is not None:
            tied = _tied_to_passed(room, optimizer, schedule, also=first is not None)
        elif group is not None and isinstance(first, TranslatedSchedule):
            line = group.schedules[0].node.lineno
            why = f"the schedule on line {line} is attached, which only these take"
            tied = Tied(_serving(first, why), schedules=tuple(id(item.node) for item in group.schedules))
        elif group is not None and advised is not None:
            line = group.schedules[0].node.lineno
            why = f"what replaces the schedule on line {line} is attached, which only these take"
            tied = Tied(Serving(advised.serves, advised.unserved, why, needed=False))
        found[id(optimizer.node)] = tied
    return found


def _tied_to_passed(room: Translations, optimizer: CallSite, schedule: CallSite, *, also: bool) -> Tied:
    """What the schedule that is an optimizer's learning rate says; `also` if another one is attached to it."""
    veto = room.vetoes.get(id(schedule.node))
    blamed = veto is not None and id(optimizer.node) in veto.blamed
    made = room.made[id(schedule.node)] if blamed else room.of(schedule)
    if isinstance(made, str):
        return Tied(refusal=_refusal(room, schedule, made, optimizer))
    if also:
        return Tied(refusal="the learning rate is a schedule, and another one is attached to the optimizer")
    return Tied(_serving(made, f"only these take the schedule {made.target.name}"))


def _serving(made: TranslatedSchedule, why: str) -> Serving:
    module = made.target.module
    return Serving(module.serves, module.unserved, why, made.target.name if made.moves else "")


def _refusal(room: Translations, schedule: CallSite, reason: str, optimizer: CallSite | None) -> str:
    """Why a schedule stays as it is, and what to do; code stands below the first line."""
    from optmap.translate.schedules.inline import paced, rewritten

    whole, group = room.wholes.get(id(schedule.node)), room.group.get(id(schedule.node))
    shown, miscount = None, uncounted(room.ownership, schedule)
    parts = room.ownership.parts(schedule)
    others = [item for item in group.schedules if item not in (schedule, *parts)] if group is not None else []
    if (whole is None or whole.api.algorithm != "sequential") and not (miscount is not None and miscount.wrong):
        known = paced(room.unit, room.ownership, schedule, optimizer) if optimizer is not None else None
        alone = not others and (optimizer is None or rewritten(room.ownership.module, optimizer) is None)
        shown = advice(known or room.unit, schedule, optimizer, parts, alone=alone, counts=known is not None)
    return f"{schedule.api.class_name} stays as it is: {reason}" + (f"; {shown}" if shown else "")


def _mentions(room: Translations, done: Sequence[TranslatedSchedule]) -> Iterator[Finding]:
    """The file's mentions, without those that were translated, and with a reason for attached ones that were not."""
    made = {id(item.site.callee) for item in done}
    calls = {id(site.callee): site for site in room.calls}
    passed = (room.ownership.passed_to(site) for site in room.unit.sites.calls)
    reported = {
        id(site.node) for site in passed if site is not None and not room.unit.options.todo
    }  # it has its own mark
    for mention in room.unit.sites.mentions:
        site = calls.get(id(mention.node))
        around = room.ownership.module.parent(mention.node) if isinstance(mention.node, ast.expr) else None
        failure = failed_on(room.vetoes, around)
        if failure is not None:
            yield failure
        elif mention.code is not SCHEDULER or site is None:
            yield mention
        elif id(mention.node) not in made and id(site.node) not in reported:
            yield _left(room, mention, site)


def _left(room: Translations, mention: Finding, site: CallSite) -> Finding:
    """What to report of a schedule that is left as it is."""
    owners, own = room.owners[id(site.node)], room.of(site)
    if site.api.instead is not None and owners.reason is not None and own == owners.reason:
        return mention._replace(message=f"{mention.message}; {site.api.instead}")
    reason = own if isinstance(own, str) else _shared(room, site)
    if not attached(site.api) or reason is None:
        return mention
    if owners.reason is not None:
        return mention._replace(message=f"{mention.message}; {reason}")
    message, _, shown = _refusal(room, site, reason, owners.optimizers[0]).partition("\n")
    return mention._replace(code=SCHEDULE_REFUSED, message=message, replacement=shown or None)


def _shared(room: Translations, site: CallSite) -> str | None:
    """Why an attached schedule is left as it is that could be translated: another one of the same optimizer is."""
    group = room.group.get(id(site.node))
    other = (
        next((item for item in group.schedules if isinstance(room.of(item), str)), None) if group is not None else None
    )
    return f"so is the one on line {other.node.lineno}, which shares its optimizer" if other else None


def _findings(room: Translations, done: Sequence[TranslatedSchedule]) -> Iterator[Finding]:
    """What to report of translated schedules, and of uses of them that the target does not know."""
    lacking = room.unit.options.target.facts.schedules.lacking
    for made in done:
        yield from made.findings
        for use in room.ownership.uses_of(made.site) if attached(made.target) else ():
            member = room.ownership.module.parent(use)
            if isinstance(member, ast.Attribute) and member.attr in lacking:
                message = f"{made.target.name} has no {member.attr}; {lacking[member.attr]}"
                yield Finding(SCHEDULE_MEMBER, message, member, str(made.target.at))
