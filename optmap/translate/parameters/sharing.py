"""Which variables and helper functions may be followed from the optimizers of a file, and edited with their calls.

A variable may be, if everything that uses it is understood: it goes into optimizers that are all translated, gets elements,
or is only looked at. What one optimizer leaves open another can account for, so all of a file's calls are read together.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from optmap.source.calls import read_call
from optmap.source.changes import Change, extent
from optmap.source.text import Source, SourceError
from optmap.translate.discover.sites import CallSite
from optmap.translate.parameters.edits import ParametersArgument, gathered
from optmap.translate.parameters.groups import Key, Lost
from optmap.translate.parameters.reader import Reader
from optmap.translate.unit import Veto, Vetoes

if TYPE_CHECKING:
    from optmap.source.variables import Variables


class Flows:
    """What the parameters arguments of one file's calls hold."""

    def __init__(self, source: Source, sites: Sequence[CallSite], vetoes: Vetoes) -> None:
        self.source = source
        self.sites = sites
        self.blocked: dict[Key, Lost] = {
            key: Lost(veto.reason, veto.groups) for key, veto in vetoes.items() if isinstance(key, tuple)
        }
        self.readers: dict[int, Reader] = {}

    @cached_property
    def variables(self) -> Variables:
        from optmap.source.variables import Variables

        return Variables(self.source)

    def parameters(self, site: CallSite, node: ast.expr) -> ParametersArgument:
        """What the parameters argument `node` of a call holds."""
        reader = self.readers.get(id(site.node))
        if reader is None:
            reader = self._read(site, node)
            if reader.follows:
                self._settle()
                reader = self.readers[id(site.node)]
        return gathered(reader)

    def _read(self, site: CallSite, node: ast.expr) -> Reader:
        reader = Reader(self.source, site.api.framework, lambda: self.variables, self.blocked)
        reader.run(node)
        return reader

    def _settle(self) -> None:
        """Read all calls, and block what cannot be accounted for, until nothing new turns up."""
        nodes = [(site, node) for site in self.sites if (node := self.argument(site)) is not None]
        while True:
            self.readers = {id(site.node): self._read(site, node) for site, node in nodes}
            reached = {use for reader in self.readers.values() if reader.follows for use in reader.trail.reached}
            new: dict[Key, Lost] = {}
            for reader in self.readers.values():
                for key, thing in reader.trail.followed.items() if reader.follows else ():
                    why = reader.trail.unaccounted(thing, reached)
                    if why is not None:
                        new.setdefault(key, Lost(f"{thing.text} cannot be followed: {why}", _grouped(reader, key)))
            if not new:
                return
            self.blocked.update(new)

    def argument(self, site: CallSite) -> ast.expr | None:
        """The parameters argument of a call; None where there is none, or where it cannot be read."""
        parameter = site.api.parameters_argument
        if parameter is None:
            return None
        try:
            call = read_call(self.source, site.node)
        except SourceError:
            return None
        for index, argument in enumerate(call.arguments):
            if argument.name == parameter.name or (argument.name is None and index == 0):
                return argument.node
        return None

    def clashes(self, changes: Mapping[int, Sequence[Change]]) -> Vetoes:
        """The variables that some calls would edit and others not, with those that could not be followed before.

        `changes` are those of the translated calls' parameters, by the id of the call's node.
        """
        new: dict[Key, Lost] = {}
        users: dict[int, list[tuple[CallSite, Key, ast.expr]]] = {}
        for site in self.sites:
            reader = self.readers.get(id(site.node))
            for key, nodes in reader.trail.regions.items() if reader is not None and reader.follows else ():
                for node in nodes:
                    users.setdefault(id(node), []).append((site, key, node))
        for shared in users.values():
            why = self._conflict(shared, changes) if len(shared) > 1 else None
            if why is not None:
                for _, key, _ in shared:
                    new[key] = Lost(f"{self._text(key)} cannot be changed: {why}", self._has_groups(key))
        lost = {**self.blocked, **new} if new else {}
        return {key: Veto(why.reason, groups=why.groups) for key, why in lost.items()}

    def _conflict(
        self, shared: Sequence[tuple[CallSite, Key, ast.expr]], changes: Mapping[int, Sequence[Change]]
    ) -> str | None:
        """Say why a value that several calls use cannot be edited; None where all want the same changes, or none."""
        inside: list[set[Change] | None] = []
        for site, _, node in shared:
            own, start, end = changes.get(id(site.node)), self.source.start(node), self.source.end(node)
            spans = [(item, extent(self.source, item)) for item in own or ()]
            found = {item for item, span in spans if start <= span.start and span.end <= end}
            inside.append(None if own is None else found)
        wanted = next((index for index, change in enumerate(inside) if change), None)
        if wanted is None:
            return None
        other = next((index for index, change in enumerate(inside) if change != inside[wanted]), None)
        if other is None:
            return None
        lines = sorted(shared[index][0].node.lineno for index in (wanted, other))
        if inside[other] is None:
            return f"the call on line {shared[other][0].node.lineno} uses it too and stays as it is"
        return f"the calls on lines {lines[0]} and {lines[1]} need different changes to it"

    def _text(self, key: Key) -> str:
        return next(
            reader.trail.followed[key].text
            for reader in self.readers.values()
            if reader.follows and key in reader.trail.followed
        )

    def _has_groups(self, key: Key) -> bool:
        return any(_grouped(reader, key) for reader in self.readers.values() if reader.follows)


def _grouped(reader: Reader, key: Key) -> bool:
    """Tell whether groups are built in the variable, or in one that it leads to."""
    stack, seen = [key], set()
    while stack:
        item = stack.pop()
        if item in reader.trail.grouped:
            return True
        if item not in seen:
            seen.add(item)
            stack.extend(reader.trail.inner.get(item, ()))
    return False
