"""Find the patterns of mappings/around in a file, and say what replaces each."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.diagnostics import CODES, Code
from optmap.mapping.around import ANY, OPTIMIZER, Pattern
from optmap.mapping.model import MappingSet
from optmap.source.names import Interest, collect
from optmap.source.scopes import Names, Reference, chain_of
from optmap.source.text import Source
from optmap.translate.discover.objects import Held, KnownObject, Objects, holders
from optmap.translate.discover.sites import Sites
from optmap.translate.findings import Finding
from optmap.translate.surroundings.gradients import is_gradient
from optmap.translate.surroundings.messages import CodeNames, arguments, message
from optmap.translate.surroundings.uses import MemberUse, uses_of
from optmap.translate.unit import Translation

_BY_NAME: Final = {code.name: code for code in CODES.values()}
_REFUSED: Final = "refused"
"""The kind of an optimizer that was not translated: nothing is said of its own members."""
_STEP: Final = ("value_and_grad", "grad", "GradOperation")
"""What takes optimizer.parameters as part of a training step."""
_TYPE_CHECKS: Final = ("isinstance", "issubclass", "type", "hasattr")
_RATES: Final = ("learning_rate", "lr", "_lr")


def pattern_findings(
    source: Source, sites: Sites, patterns: Sequence[Pattern], done: Sequence[Translation], tables: MappingSet
) -> Iterator[Finding]:
    """Yield a finding for each use of a pattern; `done` are the file's translated constructor calls, at least one."""
    present = [pattern for pattern in patterns if _mentioned(pattern, source.body)]
    if present:
        yield from _Matcher(source, sites, patterns, present, done, tables).findings()


def _mentioned(pattern: Pattern, body: bytes) -> bool:
    words = [path.rpartition(".")[2] for path in pattern.paths] or [name.partition(".")[0] for name in pattern.members]
    return any(word.encode() in body for word in words)


def diagnostic(pattern: Pattern) -> Code:
    """The diagnostic of a pattern, by its name in the table."""
    return _BY_NAME[pattern.diagnostic]


class _Matcher:
    def __init__(
        self, source: Source, sites: Sites, patterns: Sequence[Pattern], present: Sequence[Pattern],
        done: Sequence[Translation], tables: MappingSet,
    ) -> None:  # fmt: skip
        self.source = source
        self.present = present
        self.done = done
        self.by_path = {path: pattern for pattern in patterns for path in pattern.paths}
        frameworks = {pattern.framework for pattern in patterns}
        roots = frozenset(root for framework in frameworks for root in tables.roots[framework])
        optimizers = {id(site.node): Held(_REFUSED) for site in sites.calls}
        optimizers |= {id(item.site.node): Held(OPTIMIZER, item.target.name) for item in done}
        objects = {name for pattern in patterns for name in pattern.of}
        classes = {path.rpartition(".")[2] for p in patterns if p.name in objects for path in p.paths}
        followed = {*holders(source, optimizers, classes), "self", "cls"} | _compiling(source)
        self.names: Names = collect(source, Interest(roots, tuple(self.by_path), string_hint="\0"), followed)
        calls = dict(optimizers)
        for reference in self.names.references:
            pattern, call = self._path(reference)
            if pattern is not None and call is not None:
                calls[id(call)] = Held(pattern.name)
        self.objects = Objects(source, self.names, calls)
        self.taken: set[int] = set()
        """Nodes that the message about a call around them speaks of already."""
        self.said: dict[str, tuple[Finding, list[int]]] = {}

    def findings(self) -> Iterator[Finding]:
        for reference in self.names.references:
            pattern, call = self._path(reference)
            if pattern is not None and call is not None:
                self._function(pattern, call, reference)
            elif pattern is not None:
                self._passed(pattern, reference)
            elif id(reference.node) in self.taken:
                continue
            elif (found := self.objects.find(reference)) is not None and len(reference.chain) > found.length:
                self._member(found, reference)
        for finding, lines in self.said.values():
            more = sorted(set(lines))[1:]
            also = f" (also on line{'s' * (len(more) > 1)} {', '.join(map(str, more))})" if more else ""
            yield finding._replace(message=finding.message + also)

    def _path(self, reference: Reference) -> tuple[Pattern | None, ast.Call | None]:
        """The pattern whose function or class is called here, if it can be nothing else."""
        paths = self.names.paths(reference.chain, reference.scope, reference.node)
        path = next(iter(paths)) if len(paths) == 1 else None
        parent = reference.ancestors[-1] if reference.ancestors else None
        called = isinstance(parent, ast.Call) and parent.func is reference.node
        return self.by_path.get(path or ""), parent if called and isinstance(parent, ast.Call) else None

    def _function(self, pattern: Pattern, call: ast.Call, reference: Reference) -> None:
        bound = arguments(self.source, pattern, call)
        optimizer: str | None = None
        for name, what in pattern.given.items():
            nodes = [*call.args, *(item.value for item in call.keywords)] if name == ANY else [bound.get(name)]
            held = [(node, self._holds(node, what, reference)) for node in nodes if node is not None]
            answers = [answer for _, answer in held]
            if not any(answer is not None for answer in answers):
                return
            self.taken |= {id(node) for node, answer in held if answer is not None}
            optimizer = next((answer for answer in answers if answer), optimizer)
        names = CodeNames(optimizer or self._optimizer(), _holder(call, reference.ancestors))
        self._say(pattern, MemberUse("call", call, call=call), names, self.done[0], reference.node)

    def _passed(self, pattern: Pattern, reference: Reference) -> None:
        """A function or class that is handed to a call, such as functools.partial."""
        parent = next((node for node in reversed(reference.ancestors) if not isinstance(node, ast.keyword)), None)
        if isinstance(parent, ast.Call) and not pattern.given and getattr(parent.func, "id", "") not in _TYPE_CHECKS:
            self._say(
                pattern, MemberUse("read", reference.node), CodeNames(self._optimizer()), self.done[0], reference.node
            )

    def _holds(self, node: ast.expr, what: str, reference: Reference) -> str | None:
        """The optimizer's name if the expression is one, or its learning rate; empty for a gradient; else None."""
        if what == "gradient":
            return "" if is_gradient(node, (self.source.tree, *reference.ancestors)) else None
        chain = chain_of(node)
        found = self.objects.at(chain, reference.scope, reference.ancestors) if chain else None
        if found is None or chain is None or not any(held.kind == OPTIMIZER for held in found.held):
            return None
        rest = chain[found.length :]
        fits = len(rest) == 1 and rest[0] in _RATES if what == "rate" else not rest
        return found.text if fits else None

    def _member(self, found: KnownObject, reference: Reference) -> None:
        rest = reference.chain[found.length :]
        kinds = {held.kind for held in found.held}
        matching = [
            (pattern, len(member.split(".")))
            for pattern in self.present
            if kinds.intersection(pattern.of)
            for member in pattern.members
            if tuple(member.split(".")) == rest[: member.count(".") + 1]
        ]
        if not matching:
            return
        longest = max(length for _, length in matching)
        for use in uses_of(reference, found.length + longest):
            pattern = next((p for p, length in matching if length == longest and _fits(p, use)), None)
            if pattern is None or _in_step(pattern, reference):
                continue
            target = next((held.target for held in found.held if held.target is not None), None)
            done = next((item for item in self.done if item.target.name == target), self.done[0])
            own = found.text if OPTIMIZER in kinds else self._optimizer()
            self._say(pattern, use, CodeNames(own, found.text), done, reference.node)

    def _optimizer(self) -> str:
        """What the file calls its optimizer, if it has one only."""
        names = {_holder(item.site.node, item.site.ancestors) for item in self.done}
        return next(iter(names)) or "optimizer" if len(names) == 1 else "optimizer"

    def _say(self, pattern: Pattern, use: MemberUse, names: CodeNames, done: Translation, node: ast.expr) -> None:
        text = message(self.source, pattern, use, names, done.target)
        if text is None:
            return
        if text in self.said:
            finding, lines = self.said[text]
            lines.append(use.node.lineno)
            self.said[text] = (finding._replace(covers=finding.covers | {id(node)}), lines)
        else:
            finding = Finding(diagnostic(pattern), text, use.node, str(pattern.at), covers=frozenset({id(node)}))
            self.said[text] = (finding, [use.node.lineno])


def _fits(pattern: Pattern, use: MemberUse) -> bool:
    wanted = pattern.use in ("any", use.kind)
    return wanted and (not pattern.keys or use.key in pattern.keys)


def _in_step(pattern: Pattern, reference: Reference) -> bool:
    """`value_and_grad(forward, None, optimizer.parameters)` belongs to the training step."""
    if pattern.members != ("parameters",):
        return False
    calls = [node for node in reference.ancestors if isinstance(node, ast.Call)]
    return any((chain_of(call.func) or ("",))[-1] in _STEP for call in calls)


def _holder(call: ast.Call, ancestors: Sequence[ast.AST]) -> str | None:
    """The name or attribute that a call is bound to."""
    for parent in reversed(ancestors):
        if parent is call:
            continue
        if isinstance(parent, ast.Assign) and parent.value is call and len(parent.targets) == 1:
            chain = chain_of(parent.targets[0])
        elif isinstance(parent, ast.AnnAssign | ast.NamedExpr) and parent.value is call:
            chain = chain_of(parent.target)
        else:
            chain = None
        return ".".join(chain) if chain else None
    return None


def _compiling(source: Source) -> set[str]:
    """The first names of `model.compile(...)`."""
    if b".compile(" not in source.body:
        return set()
    chains = [chain_of(node.func) for node in source.nodes if isinstance(node, ast.Call)]
    return {chain[0] for chain in chains if chain is not None and len(chain) > 1 and chain[-1] == "compile"}
