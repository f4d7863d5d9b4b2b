"""Which names and attributes of a file are provably optimizers, scalers or averaged models?

A name counts only if everything that binds it in its scope is such an object (or None); `self.x` only if everything that
the class assigns to it is. A name that may be two known objects, such as an optimizer that is wrapped, is both.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from optmap.source.scopes import Binding, Names, Reference, Scope, chain_of
from optmap.source.text import Source

_OWN: Final = ("self", "cls")
_DEPTH: Final = 4
_Values = list[ast.expr | None]


class Held(NamedTuple):
    """What an object is: `optimizer`, or the name of the pattern of its class; `target` names a translated optimizer's class."""

    kind: str
    target: str | None = None


class KnownObject(NamedTuple):
    """The objects that the first `length` names of a chain may stand for, and what to call the optimizer in code."""

    held: tuple[Held, ...]
    length: int
    text: str


class Assigned(NamedTuple):
    """Assignments of a file: values by (class, attribute) and by the name node of an unpacked tuple.

    `functions` maps the id of an attribute's value to the function that it stands in.
    """

    attributes: dict[tuple[int, str], _Values]
    unpacked: dict[int, ast.expr]
    functions: dict[int, ast.AST]


def holders(source: Source, calls: Collection[int], classes: Collection[str]) -> set[str]:
    """Return the names that may hold one of the calls (ids of nodes) or an instance of a class of one of these names."""
    found: set[str] = set()
    assignments = [node for node in source.nodes if isinstance(node, ast.Assign | ast.AnnAssign)]
    for _ in range(2):  # the second time for `alias = name`
        for node in assignments:
            for target, value in _pairs(node):
                if isinstance(target, ast.Name) and _interesting(value, calls, classes, found):
                    found.add(target.id)
    return found


def _interesting(
    value: ast.expr | None, calls: Collection[int], classes: Collection[str], found: Collection[str]
) -> bool:
    if isinstance(value, ast.Name):
        return value.id in found
    if isinstance(value, ast.Attribute):
        return (chain_of(value) or ("",))[0] in _OWN
    if not isinstance(value, ast.Call):
        return False
    chain = chain_of(value.func)
    return id(value) in calls or (chain is not None and chain[-1] in classes)


def _pairs(node: ast.Assign | ast.AnnAssign) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Yield (target, value); a tuple assigned to a tuple of the same length is taken apart."""
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        value = node.value
        if isinstance(target, ast.Tuple | ast.List):
            same = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
            whole = same and not any(isinstance(item, ast.Starred) for item in target.elts)
            values = value.elts if whole and isinstance(value, ast.Tuple | ast.List) else [None] * len(target.elts)
            yield from zip(target.elts, values, strict=True)
        else:
            yield target, value


def read_assignments(source: Source) -> Assigned:
    """Collect what is assigned to attributes of self, class by class, and to the names of unpacked tuples."""
    assigned = Assigned({}, {}, {})
    stack: list[tuple[ast.AST, ast.ClassDef | None, ast.AST]] = [(source.tree, None, source.tree)]
    while stack:
        node, owner, function = stack.pop()
        if isinstance(node, ast.ClassDef):
            owner = node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            function = node
        if isinstance(node, ast.Assign | ast.AnnAssign):
            _note(node, owner, function, assigned)
        elif (
            isinstance(node, ast.For | ast.AugAssign | ast.NamedExpr | ast.withitem | ast.Delete) and owner is not None
        ):
            _spoil(node, owner, assigned)
        stack.extend((child, owner, function) for child in ast.iter_child_nodes(node))
    return assigned


def _note(node: ast.Assign | ast.AnnAssign, owner: ast.ClassDef | None, function: ast.AST, assigned: Assigned) -> None:
    for target, value in _pairs(node):
        attribute = _own_attribute(target)
        if attribute and owner is not None and (value is not None or isinstance(node, ast.Assign)):
            assigned.attributes.setdefault((id(owner), attribute), []).append(value)
            if value is not None:
                assigned.functions[id(value)] = function
        elif isinstance(target, ast.Name) and value is not None and value is not node.value:
            assigned.unpacked[id(target)] = value


def _spoil(node: ast.AST, owner: ast.ClassDef, assigned: Assigned) -> None:
    """Whatever a loop, `with` or `del` binds is unknown."""
    target = getattr(node, "target", None) or getattr(node, "optional_vars", None)
    for each in [target] if target is not None else getattr(node, "targets", []):
        attribute = _own_attribute(each)
        if attribute:
            assigned.attributes.setdefault((id(owner), attribute), []).append(None)


def _own_attribute(node: ast.AST | None) -> str | None:
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in _OWN
    return node.attr if own and isinstance(node, ast.Attribute) else None


class Objects:
    """Answers what a chain of names stands for, given the calls that construct known objects."""

    def __init__(self, source: Source, names: Names, calls: dict[int, Held]) -> None:
        self.names = names
        self.calls = calls
        self.assigned = read_assignments(source)
        self.scopes = {id(scope.node): scope for scope in names.scopes}
        self.compiled: dict[tuple[str, ...], KnownObject] = {}
        self.compiled = self._compiled()

    def find(self, reference: Reference) -> KnownObject | None:
        """Return the object at the beginning of the chain, and how many names stand for it; None where there is none."""
        return self.at(reference.chain, reference.scope, reference.ancestors)

    def at(
        self, chain: Sequence[str], scope: Scope, ancestors: Sequence[ast.AST], depth: int = _DEPTH
    ) -> KnownObject | None:
        """As `find`, for a chain that stands in a scope, inside the ancestors."""
        if depth == 0:
            return None
        compiled = self._of_compiled(chain)
        if compiled is not None:
            return compiled
        if chain[0] in _OWN and len(chain) > 1:
            owner = next((node for node in reversed(ancestors) if isinstance(node, ast.ClassDef)), None)
            values = self.assigned.attributes.get((id(owner), chain[1])) or self._of_class(owner, chain[1])
            held = self._all(values, scope, ancestors, depth) if values else None
            return KnownObject(held, 2, ".".join(chain[:2])) if held else None
        place = scope.owner(chain[0])
        if place is None:
            return None
        values = [self._value(binding) for binding in place.bindings[chain[0]] if not binding.harmless]
        held = self._all(values, place, ancestors, depth)
        return KnownObject(held, 1, chain[0]) if held else None

    def _of_class(self, owner: ast.AST | None, name: str) -> _Values | None:
        """What the body of the class binds the attribute to."""
        scope = self.scopes.get(id(owner))
        bindings = scope.bindings.get(name) if scope is not None else None
        return [self._value(binding) for binding in bindings] if bindings else None

    def _value(self, binding: Binding) -> ast.expr | None:
        return binding.value if binding.value is not None else self.assigned.unpacked.get(id(binding.node))

    def _all(self, values: _Values, scope: Scope, ancestors: Sequence[ast.AST], depth: int) -> tuple[Held, ...] | None:
        """The objects that the values are; None as soon as one of them is unknown."""
        held: dict[Held, None] = {}
        for value in values:
            if isinstance(value, ast.Constant) and value.value is None:
                continue
            known = self._held(value, scope, ancestors, depth) if value is not None else None
            if known is None:
                return None
            held |= dict.fromkeys(known)
        return tuple(held) or None

    def _held(self, value: ast.expr, scope: Scope, ancestors: Sequence[ast.AST], depth: int) -> tuple[Held, ...] | None:
        if isinstance(value, ast.IfExp):
            return self._all([value.body, value.orelse], scope, ancestors, depth - 1) if depth > 1 else None
        if id(value) in self.calls:
            return (self.calls[id(value)],)
        chain = chain_of(value)
        function = self.assigned.functions.get(id(value))
        if function is not None:
            scope = self.scopes.get(id(function), self.names.module)
        found = self.at(chain, scope, ancestors, depth - 1) if chain else None
        return found.held if found is not None and chain is not None and found.length == len(chain) else None

    def _compiled(self) -> dict[tuple[str, ...], KnownObject]:
        """`model.compile(optimizer)`: the optimizer that `model.optimizer` is."""
        found: dict[tuple[str, ...], KnownObject] = {}
        for reference in self.names.references:
            parent = reference.ancestors[-1] if reference.ancestors else None
            if (
                reference.chain[-1] != "compile"
                or not isinstance(parent, ast.Call)
                or parent.func is not reference.node
            ):
                continue
            given = [*parent.args[:1], *(item.value for item in parent.keywords if item.arg == "optimizer")]
            model = reference.chain[:-1]
            held = self._held(given[0], reference.scope, reference.ancestors, _DEPTH) if given else None
            if held is None or (model in found and found[model].held != held):
                found[model] = KnownObject((), len(model) + 1, "")
            else:
                chain = chain_of(given[0])
                found[model] = KnownObject(held, len(model) + 1, ".".join(chain) if chain else "optimizer")
        return found

    def _of_compiled(self, chain: Sequence[str]) -> KnownObject | None:
        if "optimizer" not in chain:
            return None
        place = chain.index("optimizer")
        found = self.compiled.get(tuple(chain[:place]))
        return found if found is not None and found.held else None
