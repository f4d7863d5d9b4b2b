"""Find the patterns of mappings/around in a file, and say what replaces each."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from optmap.diagnostics import CODES, Code
from optmap.mapping.around import ANY, OPTIMIZER, Pattern
from optmap.source.model import Module, Reference
from optmap.source.syntax import argument_values, chain_of
from optmap.translate.findings import Finding
from optmap.translate.parameters.training import target_of
from optmap.translate.surroundings.gradients import is_gradient
from optmap.translate.surroundings.messages import CodeNames, advice, arguments_of
from optmap.translate.surroundings.objects import KnownObject, MemberUse, ObjectRole, Objects, uses_of
from optmap.translate.unit import Translation, Unit

Places: TypeAlias = Mapping[int, tuple[ast.expr, tuple[ast.Call, ...]]]
"""The places that may read an optimizer, by their ids, with the calls that construct it."""

_BY_NAME: Final = {code.name: code for code in CODES.values()}
_REFUSED: Final = "refused"
"""The kind of an optimizer that was not translated: nothing is said of its own members."""
_STEP: Final = ("value_and_grad", "grad", "GradOperation")
"""What takes optimizer.parameters as part of a training step."""
_TYPE_CHECKS: Final = ("isinstance", "issubclass", "type", "hasattr")
_RATES: Final = ("learning_rate", "lr", "_lr")


def _mentioned(pattern: Pattern, body: bytes) -> bool:
    words = [path.rpartition(".")[2] for path in pattern.paths] or [name.partition(".")[0] for name in pattern.members]
    return any(word.encode() in body for word in words)


def diagnostic(pattern: Pattern) -> Code:
    """The diagnostic of a pattern, by its name in the table."""
    return _BY_NAME[pattern.diagnostic]


class Matcher:
    """Matches one file's functions and attributes; `known` gathers the ids of what a pattern understands."""

    def __init__(
        self, unit: Unit, patterns: Sequence[Pattern], done: Sequence[Translation], places: Places,
        settled: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.source = unit.source
        self.module = unit.sites.module
        self.present = [pattern for pattern in patterns if _mentioned(pattern, unit.source.body)]
        self.tables = unit.tables
        self.done = done
        self.settled = {id(node) for item in done for node in item.change.gone}.union(settled)
        self.by_path = {path: pattern for pattern in patterns for path in pattern.paths}
        roots = {root for pattern in patterns for root in self.tables.roots[pattern.framework]}
        paths = [path for path in self.by_path if path.partition(".")[0] in roots]
        self.references = [(item, *self._path(item)) for item in self.module.references(paths).references]
        calls = {id(site.node): ObjectRole(_REFUSED) for site in unit.sites.calls}
        calls |= {id(item.site.node): ObjectRole(OPTIMIZER, item.target.name) for item in done}
        calls |= {id(call): ObjectRole(pattern.name) for _, pattern, call in self.references if pattern and call}
        roles = {key: tuple(dict.fromkeys(calls[id(call)] for call in made)) for key, (_, made) in places.items()}
        assumed = tuple(dict.fromkeys(ObjectRole(OPTIMIZER, item.target.name) for item in done))
        self.objects = Objects(self.module, calls, roles, assumed)
        self.known: set[int] = set()
        self.taken: set[int] = set()
        """Nodes that the message about a call around them speaks of already."""
        self.said: dict[tuple[str, str | None, int], Finding] = {}

    def findings(self) -> Iterator[Finding]:
        for reference, pattern, call in self.references:
            if id(reference.node) in self.settled:
                continue
            if pattern is not None and call is not None:
                self._function(pattern, call, reference)
            elif pattern is not None:
                self._passed(pattern, reference)
        first = {member.partition(".")[0] for pattern in self.present if pattern.of for member in pattern.members}
        nodes = [node for name in first for node in self.module.attributes(name)]
        for node in sorted(nodes, key=lambda item: (item.lineno, item.col_offset, item.end_col_offset)):
            found = self.objects.at(node.value)
            if found is not None and id(node) not in self.taken:
                self._member(found, node)
        yield from self.said.values()

    def _path(self, reference: Reference) -> tuple[Pattern | None, ast.Call | None]:
        """The pattern whose function or class is called here, if it can be nothing else."""
        return self.by_path.get(self.module.path(reference.node) or ""), self.module.call_of(reference.node)

    def _function(self, pattern: Pattern, call: ast.Call, reference: Reference) -> None:
        bound = arguments_of(pattern, call)
        optimizer: str | None = None
        for name, what in pattern.given.items():
            nodes = argument_values(call) if name == ANY else [bound.get(name)]
            held = [(node, self._holds(node, what)) for node in nodes if node is not None]
            answers = [answer for _, answer in held]
            if not any(answer is not None for answer in answers):
                return
            self.taken |= {id(node) for node, answer in held if answer is not None}
            self.known |= self.taken
            optimizer = next((answer for answer in answers if answer), optimizer)
        names = CodeNames(optimizer or self._optimizer(), _target(self.module, call))
        self._say(pattern, MemberUse("call", call, call=call), names, self.done[0], reference.node)

    def _passed(self, pattern: Pattern, reference: Reference) -> None:
        """A function or class that is handed to a call, such as functools.partial."""
        parent = next(node for node in self.module.ancestors(reference.node) if not isinstance(node, ast.keyword))
        if isinstance(parent, ast.Call) and not pattern.given and getattr(parent.func, "id", "") not in _TYPE_CHECKS:
            self._say(
                pattern, MemberUse("read", reference.node), CodeNames(self._optimizer()), self.done[0], reference.node
            )

    def _holds(self, node: ast.expr, what: str) -> str | None:
        """The optimizer's name if the expression is one, or its learning rate; empty for a gradient; else None."""
        if what == "gradient":
            return "" if is_gradient(self.module, node) else None
        if what == "rate":
            rate = isinstance(node, ast.Attribute) and node.attr in _RATES
            found = self.objects.at(node.value) if rate and isinstance(node, ast.Attribute) else None
        else:
            found = self.objects.at(node)
        return found.text if found is not None and OPTIMIZER in found.kinds else None

    def _member(self, found: KnownObject, node: ast.Attribute) -> None:
        """An attribute of a known object; the pattern that says most of it counts."""
        chain = self._chain(node)
        names = [item.attr for item in chain]
        matching = [
            (pattern, len(member))
            for pattern in self.present
            if found.kinds.intersection(pattern.of)
            for member in (each.split(".") for each in pattern.members)
            if names[: len(member)] == member
        ]
        longest = max((length for _, length in matching), default=0)
        for use in uses_of(self.module, chain[longest - 1]) if matching else ():
            pattern = next((p for p, length in matching if length == longest and _fits(p, use)), None)
            if pattern is None or (found.assumed and use.kind == "read" and not use.key):
                continue
            self.known.add(id(node))
            if self._is_in_step(pattern, node):
                continue
            target = next((role.target for role in found.roles if role.target is not None), None)
            done = next((item for item in self.done if item.target.name == target), self.done[0])
            own = found.text if OPTIMIZER in found.kinds else self._optimizer()
            self._say(pattern, use, CodeNames(own, found.text), done, node)

    def _optimizer(self) -> str:
        """What the file calls its optimizer, if it has one only."""
        names = {_target(self.module, item.site.node) for item in self.done}
        return next(iter(names)) or "optimizer" if len(names) == 1 else "optimizer"

    def _say(self, pattern: Pattern, use: MemberUse, names: CodeNames, done: Translation, node: ast.expr) -> None:
        self.known |= {id(item) for item in (node, use.node, use.call) if item is not None}
        modules = self.tables.modules
        told = {modules[name].framework if name in modules else name for name in pattern.to}
        said = advice(self.source, pattern, use, names, done.target, told)
        if said is None:
            return
        covers = frozenset({id(node)})
        finding = Finding(diagnostic(pattern), said.text, use.node, str(pattern.at), said.code, covers, said.detail)
        first = self.said.setdefault((said.text, said.code, use.node.lineno), finding)
        self.said[said.text, said.code, use.node.lineno] = first._replace(covers=first.covers | covers)

    def _chain(self, node: ast.Attribute) -> list[ast.Attribute]:
        """The attributes of a chain from a node outwards."""
        found = [node]
        while isinstance(parent := self.module.parent(found[-1]), ast.Attribute):
            found.append(parent)
        return found

    def _is_in_step(self, pattern: Pattern, node: ast.expr) -> bool:
        """`value_and_grad(forward, None, optimizer.parameters)` belongs to the training step."""
        if pattern.members != ("parameters",):
            return False
        calls = (item for item in self.module.ancestors(node) if isinstance(item, ast.Call))
        return any((chain_of(call.func) or ("",))[-1] in _STEP for call in calls)


def _fits(pattern: Pattern, use: MemberUse) -> bool:
    wanted = pattern.use in ("any", use.kind)
    return wanted and (not pattern.keys or use.key in pattern.keys)


def _target(module: Module, call: ast.Call) -> str | None:
    """The name or attribute that a call is bound to."""
    target = target_of(module, call)
    return ".".join(chain_of(target) or ()) if target is not None else None
