"""Which optimizer does a schedule belong to? Proved from the file, or not at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from optmap.mapping.canonical import attached
from optmap.mapping.model import MappingSet
from optmap.source.names import Interest, collect
from optmap.source.scopes import Binding, Names, Reference, Scope, chain_of
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite, Sites


class Tie(NamedTuple):
    """The optimizer calls that a schedule belongs to; where that cannot be proved none, and a clause that says why."""

    optimizers: tuple[CallSite, ...]
    reason: str | None = None


def schedule_calls(sites: Sites, tables: MappingSet) -> list[CallSite]:
    """Return the calls of schedules that the tables know."""
    found = []
    for reference in sites.schedules:
        call = sites.module.parent(reference.node)
        if not isinstance(call, ast.Call) or call.func is not reference.node:
            continue
        paths = sites.module.paths(reference.node)
        apis = [tables.api_at(path) if path else None for path in paths]
        if len(apis) == 1 and apis[0] is not None:
            found.append(CallSite(call, reference.node, apis[0], sites.module))
    return found


def rate_node(site: CallSite) -> ast.expr | None:
    """The expression that an optimizer call gives as learning rate, where that can be seen."""
    parameter = site.api.by_tie.get("learning_rate")
    for keyword in site.node.keywords:
        known = site.api.by_name.get(keyword.arg or "")
        if parameter is not None and known is not None and known.ties == parameter.ties:
            return keyword.value
    positional = [item for item in site.api.current if not item.keyword_only]
    for given, item in zip(site.node.args, positional, strict=False):
        if isinstance(given, ast.Starred):
            return None
        if item is parameter:
            return given
    return None


class Ties:
    """Follows schedules to the optimizers of one file."""

    def __init__(self, source: Source, sites: Sites, calls: Sequence[CallSite]) -> None:
        self.source = source
        self.calls = {id(site.node): site for site in calls}
        self.optimizers = {id(site.node): site for site in sites.calls}
        self.rates = {id(node): site for site in sites.calls if (node := rate_node(site)) is not None}
        self._known = frozenset(
            node.id
            for site in (*calls, *sites.calls)
            for part in (site.node, *_targets(site))
            for node in ast.walk(part)
            if isinstance(node, ast.Name)
        )
        self._names: dict[str, Names] = {}
        self._places: dict[int, dict[int, Scope]] = {}

    def find(self, schedule: CallSite) -> Tie:
        """The optimizers that a schedule is attached or passed to."""
        return self._attached(schedule) if attached(schedule.api) else self._passed(schedule)

    def behind(self, optimizer: CallSite) -> CallSite | None:
        """The schedule call that an optimizer's learning rate is, or that its name is bound to, among other things."""
        node = rate_node(optimizer)
        if isinstance(node, ast.Name):
            values = (binding.value for binding in self.bindings(node.id, optimizer.scope)[1])
            return next((self.calls[id(value)] for value in values if id(value) in self.calls), None)
        return self.calls.get(id(node))

    def _passed(self, schedule: CallSite) -> Tie:
        site = self.rates.get(id(schedule.node))
        if site is not None:
            return Tie((site,))
        name = _name_of(schedule)
        if name is None:
            return Tie((), "it is neither the learning rate of an optimizer nor bound to a plain name")
        owner, bindings = self.bindings(name, schedule.scope)
        if owner is None or len(bindings) != 1:
            return Tie((), f"{name} is bound more than once")
        users = []
        for reference in self._uses(name, owner):
            user = self.rates.get(id(reference.node)) if reference.chain == (name,) else None
            if user is None:
                line = reference.node.lineno
                return Tie((), f"{name} is also used on line {line}, which expects what it is now")
            users.append(user)
        return Tie(tuple(users), None if users else f"{name} is the learning rate of no optimizer in this file")

    def parts(self, schedule: CallSite) -> list[CallSite]:
        """The schedules that a sequence or a chain is made of; none where the file does not show them all."""
        given = next((item.value for item in schedule.node.keywords if item.arg == "schedulers"), None)
        names = [item.name for item in schedule.api.current]
        if given is None and "schedulers" in names and len(schedule.node.args) > names.index("schedulers"):
            given = schedule.node.args[names.index("schedulers")]
        written = given.elts if isinstance(given, ast.List | ast.Tuple) else []
        found = [self.schedule_at(item, schedule.scope) for item in written]
        return [item for item in found if item is not None] if None not in found else []

    def _attached(self, schedule: CallSite) -> Tie:
        node = optimizer_node(schedule)
        parts = self.parts(schedule) if node is None else []
        if parts:
            ties = [self._attached(part) for part in parts]
            lost = next((tie for tie in ties if tie.reason is not None), None)
            shared = {id(site.node): site for tie in ties for site in tie.optimizers}
            return lost or Tie(tuple(shared.values()))
        if node is None:
            return Tie((), "the call does not show its optimizer")
        if id(node) in self.optimizers:
            return Tie((self.optimizers[id(node)],))
        chain = chain_of(node)
        shown = self.source.text(self.source.start(node), self.source.end(node))
        if chain is None:
            return Tie((), f"which optimizer {shown} is cannot be seen in this file")
        values = list(self._values(chain, schedule))
        sites = [self.optimizers[id(value)] for value in values if id(value) in self.optimizers]
        if not sites or len(sites) != len(values):
            return Tie((), f"which optimizer {shown} is cannot be seen in this file")
        return Tie(tuple(sites))

    def _values(self, chain: tuple[str, ...], schedule: CallSite) -> Iterator[ast.expr | None]:
        """What is assigned to a name, or to an attribute of self in the class."""
        if len(chain) == 1:
            for binding in self.bindings(chain[0], schedule.scope)[1]:
                if not binding.harmless:
                    yield binding.value
        elif len(chain) == 2 and chain[0] == "self":
            owner = next((node for node in reversed(schedule.ancestors) if isinstance(node, ast.ClassDef)), None)
            for node in ast.walk(owner) if owner is not None else ():
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and chain_of(node) == chain:
                    yield _assigned(owner, node)

    def bindings(self, name: str, scope: Scope) -> tuple[Scope | None, Sequence[Binding]]:
        """The scope that binds a name which is seen from another, and how it does."""
        places = self._scopes(self._collected(name))
        for place in scope.enclosing():
            own = places.get(id(place.node))
            if own is not None:
                owner = own.owner(name)
                return owner, owner.bindings[name] if owner is not None else ()
        return None, ()

    def _uses(self, name: str, owner: Scope) -> list[Reference]:
        if name in self._known:
            found: Sequence[Reference] = self._references.get(name, ())
        else:
            found = self._collected(name).references
        return [item for item in found if item.chain[0] == name and item.scope.owner(name) is owner]

    def uses_of(self, schedule: CallSite) -> list[Reference]:
        """Where the name that a schedule is bound to is used."""
        name = _name_of(schedule)
        if name is None:
            return []
        owner, _ = self.bindings(name, schedule.scope)
        return self._uses(name, owner) if owner is not None else []

    def schedule_at(self, node: ast.expr, scope: Scope) -> CallSite | None:
        """The one schedule call that an expression is, or that its name is bound to."""
        if isinstance(node, ast.Name):
            _, bindings = self.bindings(node.id, scope)
            return self.calls.get(id(bindings[0].value)) if len(bindings) == 1 else None
        return self.calls.get(id(node))

    def _collected(self, name: str) -> Names:
        """Every reference of one local name, with the scopes that bind it; names of the calls themselves share one walk."""
        if name in self._known:
            return self._shared
        if name not in self._names:
            self._names[name] = collect(self.source, Interest(frozenset(), (), string_hint="\0"), {name})
        return self._names[name]

    def _scopes(self, names: Names) -> dict[int, Scope]:
        """The scopes of a walk by the ids of their nodes."""
        if id(names) not in self._places:
            self._places[id(names)] = {id(item.node): item for item in reversed(names.scopes)}
        return self._places[id(names)]

    @cached_property
    def _shared(self) -> Names:
        return collect(self.source, Interest(frozenset(), (), string_hint="\0"), self._known)

    @cached_property
    def _references(self) -> dict[str, list[Reference]]:
        found: dict[str, list[Reference]] = {}
        for reference in self._shared.references:
            found.setdefault(reference.chain[0], []).append(reference)
        return found

    @cached_property
    def method_calls(self) -> dict[tuple[str, str], list[ast.Call]]:
        """The calls of methods in the file, by the text of the object and the name of the method."""
        found: dict[tuple[str, str], list[ast.Call]] = {}
        for node in self.source.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and chain_of(node.func) is not None:
                found.setdefault((ast.unparse(node.func.value), node.func.attr), []).append(node)
        return found


def _targets(site: CallSite) -> Sequence[ast.expr]:
    """What the statement around a call assigns to."""
    parent = site.ancestors[-2] if len(site.ancestors) > 1 else None
    if isinstance(parent, ast.Assign):
        return parent.targets
    return [parent.target] if isinstance(parent, ast.AnnAssign) else []


def optimizer_node(schedule: CallSite) -> ast.expr | None:
    """The expression that an attached schedule gives as its optimizer."""
    for keyword in schedule.node.keywords:
        if keyword.arg == "optimizer":
            return keyword.value
    positional = [item.name for item in schedule.api.current if not item.keyword_only]
    place = positional.index("optimizer") if "optimizer" in positional else len(positional)
    given = schedule.node.args[: place + 1]
    plain = len(given) == place + 1 and not any(isinstance(item, ast.Starred) for item in given)
    return given[place] if plain else None


def _name_of(schedule: CallSite) -> str | None:
    """The plain name that a call is bound to."""
    parent = schedule.ancestors[-2] if len(schedule.ancestors) > 1 else None
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and parent.value is schedule.node:
        target = parent.targets[0]
    elif isinstance(parent, ast.AnnAssign) and parent.value is schedule.node:
        target = parent.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _assigned(owner: ast.AST | None, target: ast.expr) -> ast.expr | None:
    """The value that a plain assignment gives to the target."""
    for node in ast.walk(owner) if owner is not None else ():
        if isinstance(node, ast.Assign) and node.targets == [target]:
            return node.value
        if isinstance(node, ast.AnnAssign) and node.target is target:
            return node.value
    return None
