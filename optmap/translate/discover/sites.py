"""Where a file constructs optimizers: calls whose callee is surely a class that a table describes."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import Any, Final

from optmap.diagnostics import AMBIGUOUS_NAME, MISSING_IMPORT, SCHEDULER, UNEDITABLE, UNKNOWN_OPTIMIZER, Code
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.source.bind import Bound, Signature, Unbound, bind
from optmap.source.model import Module, Reference
from optmap.source.text import Source
from optmap.translate.discover.mentions import (
    ModuleMember,
    find_member,
    mention_of,
    mention_of_other,
    mention_of_string,
)
from optmap.translate.findings import Finding
from optmap.translate.prefilter import spells_modules
from optmap.values import NamedTuple

WRAPPED: Final = "wrapped_optimizer"
"""The canonical name of the argument that holds the optimizer of a wrapper."""


def bind_to(api: Api, call: ast.Call | Sequence[Sequence[Any]]) -> Bound | Unbound:
    """Bind the arguments of a call to the signature of a class in the tables."""
    return bind(Signature(api.current, api.by_name), call)


class CallSite(NamedTuple):
    """A constructor call of a known optimizer, in the file of a model."""

    node: ast.Call
    callee: ast.expr
    api: Api
    module: Module

    def given(self, *names: str) -> ast.expr | None:
        """The expression that the call surely gives for the first of these parameters that gets one."""
        bound = bind_to(self.api, self.node)
        found = (bound.get(name) for name in names)
        return next((item.value for item in found if item is not None and item.index is not None), None)


class Sites(NamedTuple):
    """Everything that a file says about optimizers of the source frameworks.

    `references` is every place that may lead to one of their modules. `already` are calls of the target's classes,
    `schedules` the references to schedules of the sources. `mentions` are what
    is not translated, each with the code that says why; `constructing` the ids of the nodes among them that construct an
    optimizer.
    """

    module: Module
    references: tuple[Reference, ...]
    calls: tuple[CallSite, ...]
    already: tuple[CallSite, ...]
    schedules: tuple[Reference, ...]
    mentions: tuple[Finding, ...]
    constructing: frozenset[int]


def roots(tables: MappingSet, frameworks: Collection[Framework]) -> frozenset[str]:
    """Return the packages through which optimizers of these frameworks are imported."""
    return frozenset(root for framework in frameworks for root in tables.roots[framework])


def find_sites(source: Source, tables: MappingSet, sources: Collection[Framework], target: Framework) -> Sites:
    """Find every call and mention of an optimizer of the source frameworks."""
    wanted = frozenset(sources) | {target}
    module = Module.of(source)
    if not spells_modules(source.words, tables, frozenset(sources), target):  # no model is needed then
        return Sites(module, (), (), (), (), (), frozenset())
    unbound = tables.conventional.keys() | (tables.class_names if module.stars() else frozenset())
    prefixes = tables.once((find_sites, wanted), lambda: frozenset(tables.paths_of(wanted)))
    finder = _Finder(module, tables, frozenset(sources), target)
    found = module.references(prefixes, unbound=unbound, hint="optim")
    for reference in found.references:
        finder.reference(reference)
    for node in found.strings:
        finder.string(node)
    return Sites(
        module, found.references, tuple(finder.calls), tuple(finder.already), tuple(finder.schedules), tuple(finder.mentions),
        frozenset(finder.constructing),
    )  # fmt: skip


class _Finder:
    """Sorts the references of one file."""

    def __init__(self, module: Module, tables: MappingSet, sources: frozenset[Framework], target: Framework) -> None:
        self.module = module
        self.tables = tables
        self.sources = sources
        self.target = target
        self.calls: list[CallSite] = []
        self.already: list[CallSite] = []
        self.schedules: list[Reference] = []
        self.mentions: list[Finding] = []
        self.constructing: set[int] = set()

    def reference(self, reference: Reference) -> None:
        """Sort a name or chain that may lead to optimizers."""
        paths = self.module.paths(reference.node)
        if not paths:
            self._unbound(reference)
            return
        members = [self._member(path) for path in paths]
        known = [member for member in members if member is not None]
        if not known or all(member.home.framework not in self.sources for member in known):
            if len(known) == len(members) and all(member.api for member in known):
                self._call(reference, known[0], self.already)
            return
        meanings = {member and (member.home.name, member.rest) for member in members}
        if len(meanings) > 1:
            self._ambiguous(reference, paths, known)
        elif known[0].api is None:
            self._other(reference, known[0])
        elif not self._call(reference, known[0], self.calls):
            self._mention(reference, known[0])

    def string(self, node: ast.Constant) -> None:
        """A string that may be a dotted name."""
        finding = mention_of_string(node, self.tables, self.sources)
        self.mentions += [finding] if finding is not None else []

    def _member(self, path: str | None) -> ModuleMember | None:
        found = find_member(self.tables, path)
        return found if found is not None and found.home.framework in self.sources | {self.target} else None

    def _call(self, reference: Reference, member: ModuleMember, found: list[CallSite]) -> bool:
        call = self.module.call_of(reference.node)
        if call is None or member.api is None:
            return False
        if self.module.nodes(ast.JoinedStr) and self.module.enclosing(call, ast.JoinedStr):
            self._add(reference, UNEDITABLE, f"{member.api.name} is called inside an f-string", call=True)
        else:
            found.append(CallSite(call, reference.node, member.api, self.module))
        return True

    def _ambiguous(self, reference: Reference, paths: frozenset[str | None], known: list[ModuleMember]) -> None:
        if self.module.call_of(reference.node) is not None and any(member.api for member in known):
            meanings = sorted(path or "something that is not an import" for path in paths)
            name = ".".join(reference.chain)
            self._add(reference, AMBIGUOUS_NAME, f"{name} may be {' or '.join(meanings)}; left as it is", call=True)

    def _unbound(self, reference: Reference) -> None:
        first, *rest = reference.chain
        for path in self.module.stars(reference.node):
            member = self._member(f"{path}.{first}")
            if member is not None and member.api is not None:
                self._starred(reference, member)
                return
        means = self.tables.conventional.get(first)
        member = self._member(".".join((means, *rest))) if means is not None else None
        if member is not None and member.api is not None and member.home.framework in self.sources:
            name = ".".join(reference.chain)
            message = f"{name} looks like {member.api.name}, but nothing in the file binds {first!r}"
            self._add(reference, MISSING_IMPORT, message, call=True)

    def _starred(self, reference: Reference, member: ModuleMember) -> None:
        """A name that nothing but `from m import *` may bind."""
        others = [path for path in self.module.stars() if self.tables.find(path) != (member.home, "")]
        foreign = [
            path for path in others if path.partition(".")[0] not in roots(self.tables, self.tables.frameworks.values())
        ]
        if member.home.framework not in self.sources:
            self._call(reference, member, self.already)
        elif foreign:
            message = f"{reference.chain[0]} comes from {member.home.name} or from {', '.join(foreign)} (import *)"
            self._add(reference, AMBIGUOUS_NAME, message, call=True)
        elif not self._call(reference, member, self.calls):
            self._mention(reference, member)

    def _mention(self, reference: Reference, member: ModuleMember) -> None:
        finding = mention_of(self.module, reference, member)
        self._add(reference, finding.code, finding.message, call=finding.code is UNEDITABLE)

    def _other(self, reference: Reference, member: ModuleMember) -> None:
        """A member of an optimizer module that no table describes, or the module itself."""
        if member.is_schedule:
            if member.rest != "lr_scheduler":
                self.schedules.append(reference)
                message = f"{'.'.join(reference.chain)} is a learning-rate schedule of {member.home.framework}"
                self._add(reference, SCHEDULER, message)
        elif member.is_other:
            self._mention(reference, member)
        elif (finding := mention_of_other(self.module, self.tables, reference, member)) is not None:
            call = finding.code is UNKNOWN_OPTIMIZER and self.module.call_of(reference.node) is not None
            self._add(reference, finding.code, finding.message, call)

    def _add(self, reference: Reference, code: Code, message: str, call: bool = False) -> None:
        self.mentions.append(Finding(code, message, reference.node))
        if call:
            self.constructing.add(id(reference.node))
