"""Which variables hold the translated optimizers, and where are they used for training?"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from optmap.source.names import Function, Interest, collect
from optmap.source.scopes import Names, Reference, Scope, chain_of
from optmap.source.text import Source
from optmap.translate.discover.events import Event, Holder, called_kind, in_place
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.tracing import assigned, class_of, kept_as, parameter, passed, returned, values
from optmap.translate.parameters.edits import read_parameters

_MANY = 100


def everything(source: Source) -> Names:
    """Every binding and reference of every name of the file."""
    identifiers: set[str] = set()
    for node in source.nodes:
        if isinstance(node, ast.Name):
            identifiers.add(node.id)
        elif isinstance(node, ast.arg):
            identifiers.add(node.arg)
        elif isinstance(node, Function | ast.ClassDef):
            identifiers.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            identifiers |= {(item.asname or item.name).partition(".")[0] for item in node.names}
    return collect(source, Interest(frozenset(), (), string_hint="\0"), identifiers)


class Finder:
    """The holders of translated optimizers, and what is done with them."""

    def __init__(self, source: Source, names: Names, sites: Sequence[CallSite]) -> None:
        self.source = source
        self.names = names
        self.by_node = {id(site.node): site for site in sites}
        self.scopes = {id(scope.node): scope for scope in names.scopes}
        self.by_name: dict[str, list[Reference]] = {}
        for reference in names.references:
            self.by_name.setdefault(reference.chain[0], []).append(reference)
        self.holders: list[Holder] = []
        for site in sites:
            self._hold(site)
            self._hold_result(site)
        self._follow_all(self.holders)

    def _follow_all(self, holders: list[Holder]) -> None:
        for holder in holders:  # grows while it is walked: a parameter may be passed on
            if len(holders) < _MANY:
                self._follow(holder, holders)
                self._follow_returned(holder, holders)

    def models(self, more: Sequence[Holder] = ()) -> list[Holder]:
        """The variables that hold models, `more` and those which the optimizers train, under whatever name they are passed on."""
        found = list(more)
        for holder in self.holders:
            least = 2 if ("self",) in [chain[:1] for chain in holder.models or ()] else 1
            whole = [chain[:least] for chain in holder.models or () if len(chain) > least]
            for chain in (*(holder.models or ()), *whole):
                place: ast.AST | None = holder.place
                if chain[0] != "self":
                    owner = self.scopes[id(holder.place)].owner(chain[0]) if id(holder.place) in self.scopes else None
                    place = owner.node if owner is not None else None
                if place is not None and not any(item.chain == chain and item.place is place for item in found):
                    found.append(Holder(chain, place, holder.sites))
        self._follow_all(found)
        return found

    def owner(self, name: str, scope: Scope) -> Scope | None:
        """The scope of this collection that binds the name as seen from a scope of any collection."""
        for place in scope.enclosing():
            found = self.scopes.get(id(place.node))
            if found is not None:
                return found.owner(name)
        return None

    def _hold(self, site: CallSite) -> None:
        chain = holder_chain(site)
        if chain is None or any(site in holder.sites for holder in self.holders):
            return
        if len(chain) == 1:
            owner = self.owner(chain[0], site.scope)
            values = [binding.value for binding in owner.bindings[chain[0]] if not binding.harmless] if owner else []
            place = owner.node if owner else None
        else:
            place = class_of(site.ancestors)
            values = list(assigned(place, chain)) if place else []
        sites = [self.by_node.get(id(value)) for value in values]
        if place is None or site not in sites:
            return
        known = tuple(item for item in sites if item is not None)
        doubt = None if len(known) == len(sites) else f"{'.'.join(chain)} is bound to other things as well"
        trained = {self._seen_from(place, item, self.trained(item)) for item in known}
        self.holders.append(Holder(chain, place, known, doubt, trained.pop() if len(trained) == 1 else None))

    def _seen_from(
        self, place: ast.AST, site: CallSite, models: tuple[tuple[str, ...], ...] | None
    ) -> tuple[tuple[str, ...], ...] | None:
        """The names of models, which are those at the constructor, wherever the variable of the optimizer can be used."""
        found = [self._seen(place, site, model) for model in models or ()]
        return tuple(item for item in found if item is not None) if found and None not in found else None

    def _seen(self, place: ast.AST, site: CallSite, model: tuple[str, ...]) -> tuple[str, ...] | None:
        if model[0] == "self":
            inside = isinstance(place, ast.ClassDef) or any(node is place for node in site.ancestors)
            return model if inside and place is not self.source.tree else None
        owner = self.owner(model[0], site.scope)
        if owner is None:
            return None
        outer = site.scope if isinstance(place, ast.ClassDef) else self.scopes.get(id(place))
        if outer is None:
            return None
        if isinstance(place, ast.ClassDef):
            within = any(node is owner.node for node in site.ancestors[site.ancestors.index(place) :])
            return kept_as(place, model) if within else model
        return model if self.owner(model[0], outer) is owner else None

    def trained(self, site: CallSite) -> tuple[tuple[str, ...], ...] | None:
        """The models whose parameters the constructor is given, as written there."""
        if site.api.parameters_argument is None or not (site.node.args or site.node.keywords):
            return None
        name = site.api.parameters_argument.name
        value = next((item.value for item in site.node.keywords if item.arg == name), None)
        value = value if value is not None else site.node.args[0] if site.node.args else None
        if value is None:
            return None
        found = read_parameters(self.source, value, site.api.framework)
        chains = [
            chain_of(call.func.value)
            for call in (*found.accessors, *found.unnamed)
            if isinstance(call.func, ast.Attribute)
        ]
        named = tuple(dict.fromkeys(chain for chain in chains if chain is not None))
        return named if named and None not in chains and not found.opaque and found.unreadable is None else None

    def references(self, holder: Holder) -> Iterator[Reference]:
        """Every place that speaks of the holder."""
        for reference in self.by_name.get(holder.chain[0], ()):
            if reference.chain[: len(holder.chain)] != holder.chain:
                continue
            if holder.chain[0] != "self":
                owner = reference.scope.owner(holder.chain[0])
                if owner is not None and owner.node is holder.place:
                    yield reference
            elif class_of(reference.ancestors) is holder.place:
                yield reference

    def _follow(self, holder: Holder, found: list[Holder]) -> None:
        """Find the functions of the file that are given the object."""
        for reference in self.references(holder):
            parents = [node for node in reference.ancestors[-2:] if not isinstance(node, ast.keyword)]
            call = parents[-1] if parents else None
            if reference.chain != holder.chain or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            owner = reference.scope.owner(call.func.id)
            bound = owner.bindings[call.func.id] if owner else []
            if len(bound) == 1 and isinstance(bound[0].node, ast.FunctionDef):
                function = bound[0].node
                name = parameter(function, call, reference.node)
                if name is not None and not any(h.place is function and h.chain == (name,) for h in found):
                    doubt = holder.doubt or self._doubt(function, name, holder)
                    models = passed(function, call, holder.models)
                    found.append(Holder((name,), function, holder.sites, doubt, models))

    def _hold_result(self, site: CallSite) -> None:
        """`return Adam(...)`: whoever calls the function holds the optimizer."""
        parent = site.ancestors[-2] if len(site.ancestors) > 1 else None
        if isinstance(parent, ast.Return) and parent.value is site.node:
            self._results(parent, site.ancestors[:-2], None, Holder(("",), site.node, (site,)), self.holders)

    def _follow_returned(self, holder: Holder, found: list[Holder]) -> None:
        """Find the variables that are given the object as the result of a function, or as one of its results."""
        for reference in self.references(holder):
            parents = reference.ancestors
            if reference.chain == holder.chain and parents and isinstance(parents[-1], ast.Return):
                self._results(parents[-1], parents[:-1], None, holder, found)
            elif reference.chain == holder.chain and len(parents) > 1 and isinstance(parents[-1], ast.Tuple):
                result, display = parents[-2], parents[-1]
                if isinstance(result, ast.Return) and result.value is display:
                    index = next(i for i, item in enumerate(display.elts) if item is reference.node)
                    self._results(result, parents[:-2], (display, index), holder, found)

    def _results(
        self, result: ast.Return, around: Sequence[ast.AST], piece: tuple[ast.Tuple, int] | None, holder: Holder,
        found: list[Holder],
    ) -> None:  # fmt: skip
        function = next((node for node in reversed(around) if isinstance(node, Function)), None)
        if function is None or function not in self.source.tree.body:
            return
        several = sum(isinstance(node, ast.Return) for node in ast.walk(function)) > 1
        for reference in self.by_name.get(function.name, ()):
            parents = reference.ancestors
            owner = reference.scope.owner(function.name) if reference.chain == (function.name,) else None
            if owner is None or [binding.node for binding in owner.bindings[function.name]] != [function]:
                continue
            call, assign = (parents[-1], parents[-2]) if len(parents) > 1 else (None, None)
            if not isinstance(call, ast.Call) or call.func is not reference.node or not isinstance(assign, ast.Assign):
                continue
            if len(assign.targets) != 1 or assign.value is not call:
                continue
            target, size = assign.targets[0], len(piece[0].elts) if piece else 0
            unpacked = target.elts if isinstance(target, ast.Tuple) and len(target.elts) == size else []
            mine = unpacked[piece[1]] if piece and unpacked else target if piece is None else None
            if isinstance(mine, ast.Name):
                models = returned(holder.models, piece, unpacked)
                self._receive(mine.id, reference.scope, several, function.name, models, holder, found)

    def _receive(
        self, name: str, scope: Scope, several: bool, function: str, models: tuple[tuple[str, ...], ...] | None,
        holder: Holder, found: list[Holder],
    ) -> None:  # fmt: skip
        owner = scope.owner(name)
        if owner is None or any(item.chain == (name,) and item.place is owner.node for item in found):
            return
        doubt = holder.doubt
        if len(owner.bindings[name]) > 1:
            doubt = doubt or f"{name} is bound to other things as well"
        if several:
            doubt = doubt or f"{function} returns in several places"
        found.append(Holder((name,), owner.node, holder.sites, doubt, models))

    def _doubt(self, function: ast.FunctionDef, name: str, holder: Holder) -> str | None:
        """Say why a function's parameter may be another optimizer; None where every call in the file passes this one."""
        scope = self.scopes[id(function)]
        if len(scope.bindings.get(name, ())) != 1:
            return f"{name} is bound again in {function.name}"
        passed = {id(item.node) for item in self.references(holder) if item.chain == holder.chain}
        for reference in self.by_name.get(function.name, ()):
            owner = reference.scope.owner(function.name)
            if owner is None or not any(binding.node is function for binding in owner.bindings[function.name]):
                continue
            call = reference.ancestors[-1] if reference.ancestors else None
            if not isinstance(call, ast.Call) or call.func is not reference.node:
                return f"{function.name} is used without being called"
            if not any(id(value) in passed for value in values(function, call, name)):
                return f"{function.name} is called with another optimizer on line {call.lineno}"
        return None

    def events(self) -> list[Event]:
        """Every use of a translated optimizer for training, in the order of the text."""
        found = [event for holder in self.holders for event in self._held(holder)]
        for site in self.by_node.values():
            event = in_place(site)
            if event is not None:
                found.append(event)
        return sorted(found, key=lambda event: (event.call.end_lineno or 0, event.call.end_col_offset or 0))

    def _held(self, holder: Holder) -> Iterator[Event]:
        site = holder.sites[0]
        for reference in self.references(holder):
            rest = reference.chain[len(holder.chain) :]
            parents = [node for node in reference.ancestors if not isinstance(node, ast.keyword)]
            call = parents[-1] if parents else None
            if not isinstance(call, ast.Call):
                continue
            around = tuple(parents[:-1])
            methods = site.api.framework.facts.steps.methods
            if len(rest) == 1 and call.func is reference.node and rest[0] in methods:
                yield Event(methods[rest[0]], call, around, holder, site)
            elif not rest:
                kind = called_kind(call, reference.node, site.api.framework)
                if kind is not None:
                    yield Event(kind, call, around, holder, site)


def holder_chain(site: CallSite) -> tuple[str, ...] | None:
    """The name, or the attribute of self, that the constructor's result is assigned to."""
    parent = site.ancestors[-2] if len(site.ancestors) > 1 else None
    chain = None
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and parent.value is site.node:
        chain = chain_of(parent.targets[0])
    elif isinstance(parent, ast.AnnAssign) and parent.value is site.node:
        chain = chain_of(parent.target)
    return chain if chain and (len(chain) == 1 or (len(chain) == 2 and chain[0] == "self")) else None
