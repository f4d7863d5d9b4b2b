"""Which variables and functions may be followed from the optimizers of a file, and changed with their calls.

A variable may be, if everything that uses it is understood: it goes into optimizers that are all translated, gets elements,
or is only looked at. What one optimizer leaves open another can account for, so all of a file's calls are read together.
"""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from optmap.source.calls import Span
from optmap.source.changes import Change, extent
from optmap.source.model import Module
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import constructed_with
from optmap.translate.parameters.account import Account
from optmap.translate.parameters.groups import Key, Lost, ParametersArgument
from optmap.translate.parameters.reader import Reader
from optmap.translate.unit import Member, Veto, Vetoes


class Sharing:
    """What the parameters arguments of one file's calls hold; variables that are vetoed are not followed."""

    def __init__(self, source: Source, sites: Sequence[CallSite], vetoes: Vetoes) -> None:
        self.source = source
        self.blocked = {key: Lost(veto.reason, veto.groups) for key, veto in vetoes.items() if isinstance(key, tuple)}
        self.account = Account()
        self.readers: dict[int, Reader] = {}
        self.sites = {id(site.node): site for site in sites}
        for site in sites:
            node = constructed_with(site)
            if node is not None:
                self.parameters(site, node)

    def parameters(self, site: CallSite, node: ast.expr) -> ParametersArgument:
        """What the parameters argument `node` of a call holds."""
        if id(site.node) not in self.readers:
            reader = Reader(self.source, site.api.framework, self.account, self.blocked)
            self.readers[id(site.node)] = reader
            reader.run(node)
        return self.readers[id(site.node)].found

    def unaccounted(self) -> Vetoes:
        """What cannot be followed, since something else uses it, or since a value of it cannot be seen."""
        lost = self.account.lost(Module.of(self.source)) if self.account.links else {}
        return {key: Veto(why.reason, groups=why.groups) for key, why in lost.items()}

    def clashes(self, changes: Mapping[int, Sequence[Change]]) -> Vetoes:
        """The variables that some calls would change and others not, or in another way.

        `changes` are those of the translated calls' parameters, by the id of the call's node.
        """
        users: dict[int, list[tuple[int, Key, ast.AST]]] = {}
        for call, reader in self.readers.items():
            for key, nodes in reader.walk.values.items():
                for node in nodes:
                    users.setdefault(id(node), []).append((call, key, node))
        inside = {call: _Inside(self.source, own) for call, own in changes.items()}
        new: dict[Member, Veto] = {}
        for shared in users.values():
            calls = list(dict.fromkeys(call for call, _, _ in shared))
            why = self._conflict(calls, shared[0][2], inside) if len(calls) > 1 else None
            for _, key, _ in shared if why is not None else ():
                reason = f"{self.account.links[key].text} cannot be changed: {why}"
                new[key] = Veto(reason, groups=self.account.has_groups(key))
        return new

    def _conflict(self, calls: Sequence[int], node: ast.AST, inside: Mapping[int, _Inside]) -> str | None:
        """Say why a value that several calls use cannot be changed; None where all want the same changes, or none."""
        wishes = [inside[call].of(node) if call in inside else None for call in calls]
        wanted = next((index for index, wish in enumerate(wishes) if wish), None)
        if wanted is None:
            return None
        other = next((index for index, wish in enumerate(wishes) if wish != wishes[wanted]), None)
        if other is None:
            return None
        lines = [self.sites[calls[index]].node.lineno for index in (wanted, other)]
        if wishes[other] is None:
            return f"the call on line {lines[1]} uses it too and stays as it is"
        return f"the calls on lines {min(lines)} and {max(lines)} need different changes to it"


class _Inside:
    """The changes of one call's parameters, by where they are."""

    def __init__(self, source: Source, changes: Sequence[Change]) -> None:
        self.source = source
        spans = ((extent(source, change), change) for change in changes)
        self.changes: list[tuple[Span, Change]] = sorted(spans, key=lambda item: item[0].start)
        self.starts = [span.start for span, _ in self.changes]

    def of(self, node: ast.AST) -> set[Change]:
        """The changes inside a value."""
        start, end = self.source.start(node), self.source.end(node)  # type: ignore[arg-type]
        found = self.changes[bisect_left(self.starts, start) : bisect_right(self.starts, end)]
        return {change for span, change in found if span.end <= end}
