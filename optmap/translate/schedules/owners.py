"""Which optimizers does a schedule belong to, and which schedules share them? Proved from the file, or not at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from optmap.mapping.canonical import attached
from optmap.mapping.model import MappingSet
from optmap.mapping.vocabulary import OPTIMIZER
from optmap.source.model import How, Module
from optmap.translate.discover.flow import places_of
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.schedules.counters import Counters
from optmap.values import NamedTuple


class Owners(NamedTuple):
    """The optimizer calls that a schedule belongs to; where that cannot be proved none, and a clause that says why."""

    optimizers: tuple[CallSite, ...]
    reason: str | None = None


def schedule_calls(module: Module, sites: Sites, tables: MappingSet) -> list[CallSite]:
    """Return the calls of schedules that the tables know."""
    found = []
    for reference in sites.schedules:
        call = module.call_of(reference.node)
        paths = module.paths(reference.node)
        apis = [tables.api_at(path) if path else None for path in paths]
        if call is not None and len(apis) == 1 and apis[0] is not None:
            found.append(CallSite(call, reference.node, apis[0], module))
    return found


def rate_node(optimizer: CallSite) -> ast.expr | None:
    """The expression that an optimizer call gives as learning rate."""
    parameter = optimizer.api.by_tie.get("learning_rate")
    rows = optimizer.api.current if parameter is not None else ()
    return optimizer.given(*(row.name for row in rows if parameter is not None and row.ties == parameter.ties))


def optimizer_node(schedule: CallSite) -> ast.expr | None:
    """The expression that an attached schedule gives as its optimizer."""
    return schedule.given(OPTIMIZER)


def also_used(name: str, place: ast.expr) -> str:
    """Say that a schedule is used for more than what is translated."""
    return f"{name} is also used on line {place.lineno}, where the schedule itself is expected"


class Ownership:
    """Follows the schedules of one file to their optimizers."""

    def __init__(self, module: Module, optimizers: Sequence[CallSite], schedules: Sequence[CallSite]) -> None:
        self.module = module
        self.schedules = {id(site.node): site for site in schedules}
        self.optimizers = {id(site.node): site for site in optimizers}
        self.rates = {id(node): site for site in optimizers if (node := rate_node(site)) is not None}
        self.counters = Counters(module, self.optimizers)

    def find(self, schedule: CallSite) -> Owners:
        """The optimizers that a schedule is attached or passed to."""
        return self._attached(schedule) if attached(schedule.api) else self._passed(schedule)

    def passed_to(self, optimizer: CallSite) -> CallSite | None:
        """The schedule call that is an optimizer's learning rate, or that its name may hold."""
        node = rate_node(optimizer)
        variable = self.module.variable(node) if isinstance(node, ast.Name) else None
        if node is None or variable is None:
            return self.schedules.get(id(node))
        bindings = self.module.in_force(variable, node)
        values = (item.value for item in bindings if item.how is How.ASSIGNED)
        return next((self.schedules[id(value)] for value in values if id(value) in self.schedules), None)

    def _passed(self, schedule: CallSite) -> Owners:
        if id(schedule.node) in self.rates:
            return Owners((self.rates[id(schedule.node)],))
        variable = self.module.holder(schedule.node)
        statement = self.module.parent(schedule.node)
        local = variable is not None and len(variable.chain) == 1 and not isinstance(variable.scope, ast.ClassDef)
        if variable is None or not local or not isinstance(statement, ast.Assign | ast.AnnAssign):
            return Owners((), "it is neither the learning rate of an optimizer nor bound to a plain name")
        if len(variable.bindings) != 1:
            return Owners((), f"{variable.text} is bound more than once")
        other = next((use for use in variable.uses if id(use) not in self.rates), None)
        if other is not None:
            return Owners((), also_used(variable.text, other))
        users = tuple(self.rates[id(use)] for use in variable.uses)
        return Owners(users, None if users else f"{variable.text} is the learning rate of no optimizer in this file")

    def _attached(self, schedule: CallSite) -> Owners:
        node = optimizer_node(schedule)
        parts = self.parts(schedule) if node is None else []
        if parts:
            owners = [self._attached(part) for part in parts]
            shared = {id(site.node): site for item in owners for site in item.optimizers}
            return next((item for item in owners if item.reason is not None), Owners(tuple(shared.values())))
        if node is None:
            return Owners((), "the call does not show its optimizer")
        reaching = self.module.reaching(node)
        values = [item for item in reaching.values if not (isinstance(item, ast.Constant) and item.value is None)]
        sites = tuple(self.optimizers[id(item)] for item in values if id(item) in self.optimizers)
        if not sites or len(sites) < len(values) or not reaching.complete:
            return Owners((), f"the file does not show which optimizer {ast.unparse(node)} is")
        return Owners(sites)

    def parts(self, schedule: CallSite) -> list[CallSite]:
        """The schedules that a sequence or a chain is made of; none where the file does not show them all."""
        given = schedule.given("schedulers")
        written = given.elts if isinstance(given, ast.List | ast.Tuple) else []
        found = [self._schedule_at(item) for item in written]
        return [item for item in found if item is not None] if None not in found else []

    def _schedule_at(self, node: ast.expr) -> CallSite | None:
        """The one schedule call that an expression holds."""
        reaching = self.module.reaching(node)
        return self.schedules.get(id(reaching.values[0])) if reaching.complete and len(reaching.values) == 1 else None

    def uses_of(self, schedule: CallSite) -> Sequence[ast.expr]:
        """Where the variable that holds a schedule is read."""
        variable = self.module.holder(schedule.node)
        return variable.uses if variable is not None else ()

    def step_with_epoch(self, schedule: CallSite) -> ast.Call | None:
        """A call of a schedule's step() that is given an epoch."""
        for place, _ in places_of(self.module, [schedule.node]).values():
            member = self.module.parent(place)
            call = self.module.call_of(member) if isinstance(member, ast.Attribute) and member.attr == "step" else None
            if call is not None and (call.args or call.keywords):
                return call
        return None


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
