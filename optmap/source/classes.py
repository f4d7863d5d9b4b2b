"""The classes of a file: their bases, their methods, and what is set as an attribute of their objects."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from optmap.source.bindings import Binding, How, Symbols, Variable, position
from optmap.source.scopes import ScopeKind
from optmap.values import NamedTuple

_FEW = 4
_WRITERS = ("update", "setdefault", "pop", "clear", "__setitem__")


class Bases(NamedTuple):
    """The bases of a class that the file defines, in order; `unknown` where there are others."""

    known: tuple[ast.ClassDef, ...]
    unknown: bool


class _Written(NamedTuple):
    """A call or statement that may set an attribute whose name, or whose object, is not written as usual."""

    node: ast.expr
    name: str | None
    owner: ast.ClassDef | None


class Classes:
    """What a file says about the attributes of its classes' objects."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.index = symbols.index
        self._bases: dict[int, Bases] = {}
        self._related: dict[int, tuple[ast.ClassDef, ...]] = {}
        self._children: dict[int, list[ast.ClassDef]] | None = None
        self._grouped: dict[str, dict[int | None, list[ast.Attribute]]] = {}
        self._indirect: dict[tuple[int | None, str | None], _Written] | None = None
        self._found: dict[tuple[int, str], Variable | None] = {}

    def named(self, node: ast.expr) -> ast.ClassDef | None:
        """The class of the file that a name stands for, if it stands for nothing else."""
        variable = self.symbols.named(node) if isinstance(node, ast.Name) else None
        targets = [item.target for item in variable.bindings] if variable is not None else []
        return targets[0] if len(targets) == 1 and isinstance(targets[0], ast.ClassDef) else None

    def bases(self, owner: ast.ClassDef) -> Bases:
        """The bases of a class; one that is not a class of this file, or a metaclass, is unknown."""
        found = self._bases.get(id(owner))
        if found is None:
            classes = [self.named(item) for item in owner.bases if not self._is_object(item)]
            unknown = None in classes or bool(owner.keywords)
            found = self._bases[id(owner)] = Bases(tuple(item for item in classes if item is not None), unknown)
        return found

    def _is_object(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == "object" and self.symbols.named(node) is None

    def ancestors(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """The class and the classes of the file that it derives from, nearest first."""
        return _closed([owner], lambda item: self.bases(item).known)

    def open(self, owner: ast.ClassDef) -> bool:
        """Tell whether the class derives from one that is not seen here."""
        return any(self.bases(item).unknown for item in self.ancestors(owner))

    def subclasses(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """The class and the classes of the file that derive from it."""
        return _closed([owner], lambda item: self._derived().get(id(item), ()))

    def _derived(self) -> dict[int, list[ast.ClassDef]]:
        if self._children is None:
            self._children = {}
            for node in self.index.kinds[ast.ClassDef]:
                for base in self.bases(node).known:
                    self._children.setdefault(id(base), []).append(node)
        return self._children

    def related(self, owner: ast.ClassDef) -> tuple[ast.ClassDef, ...]:
        """The classes whose methods may have an object of the class, or of one that derives from it, as `self`."""
        found = self._related.get(id(owner))
        if found is None:
            below = self.subclasses(owner)
            every = _closed(below, lambda item: self.bases(item).known)
            found = self._related[id(owner)] = tuple(every)
        return found

    def method(self, owner: ast.ClassDef, name: str) -> ast.FunctionDef | None:
        """The function that a class, or the first of its bases that has the name, defines; None where that is not sure."""
        for item in self.ancestors(owner):
            variable = self.symbols.in_class(item, name)
            if variable is not None:
                targets = [binding.target for binding in variable.bindings]
                return targets[0] if len(targets) == 1 and isinstance(targets[0], ast.FunctionDef) else None
            if self.bases(item).unknown:
                return None
        return None

    def attribute(self, node: ast.Attribute) -> Variable | None:
        """The variable of `self.x`, or of `C.x` for a class of the file."""
        owner = self.symbols.self_class(node.value) or self.named(node.value)
        return self.of_class(owner, node.attr) if owner is not None else None

    def of_class(self, owner: ast.ClassDef, name: str) -> Variable | None:
        """The attribute of a class or its objects; None where nothing here binds it."""
        scope = self.index.opened[id(owner)]
        name = scope.spelled(name)
        key = (id(owner), name)
        if key not in self._found:
            related = self.related(owner)
            bindings = [*self._in_bodies(related, name), *self._set(related, name)]
            made: Variable | None = None
            if bindings:
                bindings += self._set_indirectly(related, name)
                bindings.sort(key=lambda item: position(item.target))
                groups = self._groups(name)
                places = [groups[each] for item in (*related, None) if (each := id(item) if item else None) in groups]
                made = Variable(scope, ("self", name), tuple(bindings), places)
            self._found[key] = made
        return self._found[key]

    def _in_bodies(self, related: tuple[ast.ClassDef, ...], name: str) -> Iterator[Binding]:
        for owner in related:
            variable = self.symbols.in_class(owner, name)
            yield from variable.bindings if variable is not None else ()

    def _set(self, related: tuple[ast.ClassDef, ...], name: str) -> Iterator[Binding]:
        """Bindings through `self` in methods, and the first few of other objects, which may be the same."""
        groups = self._groups(name)
        for owner in related:
            for node in groups.get(id(owner), ()):
                if not isinstance(node.ctx, ast.Load) and (binding := self.symbols.binding(node)) is not None:
                    yield binding
        for node in islice((node for node in groups.get(None, ()) if isinstance(node.ctx, ast.Store)), _FEW):
            binding = self.symbols.binding(node)
            yield Binding(node, How.OUTSIDE, binding.value if binding is not None else None)

    def _groups(self, name: str) -> dict[int | None, list[ast.Attribute]]:
        """The attributes of a name, by the id of the class whose `self` they are asked of; None for other objects."""
        found = self._grouped.get(name)
        if found is None:
            found = self._grouped[name] = {}
            for node in self._spelled(name):
                owner = self.symbols.self_class(node.value)
                found.setdefault(id(owner) if owner is not None else None, []).append(node)
        return found

    def _spelled(self, name: str) -> Sequence[ast.Attribute]:
        """The attributes of a name as Python spells it, which is not how a private one is written in its class."""
        attributes = self.index.attributes
        if "__" not in name:
            return attributes.get(name, ())
        written = {name, *(each for each in attributes if each.startswith("__") and name.endswith(each))}
        nodes = (node for each in written for node in attributes.get(each, ()))
        return [node for node in nodes if self.symbols.scope(node).spelled(node.attr) == name]

    def _set_indirectly(self, related: tuple[ast.ClassDef, ...], name: str) -> Iterator[Binding]:
        if self._indirect is None:
            self._indirect = {}
            for item in (*self._setattr_calls(), *self._dict_writes()):
                key = (id(item.owner) if item.owner is not None else None, item.name)
                self._indirect.setdefault(key, item)
        for owner in (*related, None):
            for each in (name, None):
                found = self._indirect.get((id(owner) if owner is not None else None, each))
                if found is not None:
                    yield Binding(found.node, How.OUTSIDE)

    def _setattr_calls(self) -> Iterator[_Written]:
        """`setattr(self, name, value)`, `object.__setattr__(self, name, value)`."""
        for call in self.index.kinds[ast.Call]:
            called = getattr(call.func, "id", getattr(call.func, "attr", ""))
            if called in ("setattr", "__setattr__", "delattr") and len(call.args) > 1:
                name = call.args[1].value if isinstance(call.args[1], ast.Constant) else None
                yield _Written(call, str(name) if name is not None else None, self.symbols.self_class(call.args[0]))

    def _dict_writes(self) -> Iterator[_Written]:
        """`self.__dict__.update(...)`, `vars(self)[name] = value`."""
        made = [call for call in self.index.kinds[ast.Call] if getattr(call.func, "id", "") == "vars" and call.args]
        places = [(item, item.value) for item in self._spelled("__dict__")]
        for node, holder in [*places, *((call, call.args[0]) for call in made)]:
            parent = self.index.parents.get(id(node))
            writes = isinstance(parent, ast.Attribute) and parent.attr in _WRITERS
            writes = writes or (isinstance(parent, ast.Subscript) and not isinstance(parent.ctx, ast.Load))
            writes = writes or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
            if writes:
                yield _Written(node, None, self.symbols.self_class(holder))

    def attribute_is_open(self, binding: Binding) -> bool:
        """Tell whether something unseen may replace what the body of a class binds: a decorator, or fields of a base."""
        scope = self.symbols.scope(binding.target)
        owner = scope.node
        if scope.kind is not ScopeKind.CLASS or not isinstance(owner, ast.ClassDef):
            return False
        parent = self.index.parents.get(id(binding.target))
        return bool(owner.decorator_list) or (isinstance(parent, ast.AnnAssign) and self.open(owner))


def _closed(
    start: Iterable[ast.ClassDef], more: Callable[[ast.ClassDef], Iterable[ast.ClassDef]]
) -> list[ast.ClassDef]:
    """The classes that the given ones lead to, themselves first."""
    found: dict[int, ast.ClassDef] = {id(item): item for item in start}
    queue = list(found.values())
    for item in queue:  # grows while it is walked
        for other in more(item):
            if id(other) not in found:
                found[id(other)] = other
                queue.append(other)
    return list(found.values())
