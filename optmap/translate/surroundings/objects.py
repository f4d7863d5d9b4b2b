"""Which names and attributes of a file are surely optimizers, scalers or averaged models?"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cached_property

from optmap.source.model import Module
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of
from optmap.values import NamedTuple


class Role(NamedTuple):
    """What an object is: `optimizer`, or the name of the pattern of its class; `target` names a translated optimizer's class."""

    kind: str
    target: str | None = None


class KnownObject(NamedTuple):
    """What an expression surely holds, one role for each object that it may be, and what to call the optimizer in code."""

    roles: tuple[Role, ...]
    text: str
    assumed: bool = False
    """Only its name says that it is an optimizer: it comes from another file, or from a model that is not seen."""

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(role.kind for role in self.roles)


class Objects:
    """Answers what expressions hold, given the calls (by id) that construct known objects."""

    def __init__(
        self,
        module: Module,
        calls: Mapping[int, Role],
        places: Mapping[int, tuple[Role, ...]],
        assumed: tuple[Role, ...],
    ) -> None:
        self.module = module
        self.calls = calls
        self.places = places
        """What places may hold, by their ids, as far as it was followed from where it is constructed."""
        self.assumed = assumed
        """What an optimizer is that comes from elsewhere."""

    def at(self, node: ast.expr) -> KnownObject | None:
        """The object that a name or attribute stands for; None where it may be something else, but for None."""
        chain = chain_of(node)
        if chain is None:
            return None
        if isinstance(node, ast.Attribute) and node.attr == "optimizer":
            found = self._compiled.get(self._model(node.value))
            if found is not None:
                return found
        roles = self.places.get(id(node)) or (self._roles(node) if self.module.variable(node) is not None else ())
        if not roles and chain[-1] == "optimizer" and self._is_unseen(node):
            return KnownObject(self.assumed, ".".join(chain), assumed=True)
        return KnownObject(roles, ".".join(chain)) if roles else None

    def _is_unseen(self, node: ast.expr) -> bool:
        """Tell whether nothing in the file says what an expression holds."""
        if isinstance(node, ast.Attribute) and self.module.variable(node) is None:
            return not any(self.module.paths(node))
        values, complete, _ = self.module.reaching(node)
        return not complete and not values

    def _roles(self, node: ast.expr) -> tuple[Role, ...]:
        """The roles of what an expression may hold; none as soon as one of its values is unknown."""
        values, complete, _ = self.module.reaching(node)
        objects = [item for item in values if not (isinstance(item, ast.Constant) and item.value is None)]
        if not complete or not all(id(item) in self.calls for item in objects):
            return ()
        return tuple(dict.fromkeys(self.calls[id(item)] for item in objects))

    @cached_property
    def _compiled(self) -> Mapping[object, KnownObject | None]:
        """The optimizer that `model.optimizer` is after `model.compile(optimizer)`; None where there are several."""
        found: dict[object, KnownObject | None] = {}
        for callee in self.module.attributes("compile"):
            call, model = self.module.parent(callee), self._model(callee.value)
            if not isinstance(call, ast.Call) or call.func is not callee or model is None:
                continue
            given = [*call.args[:1], *(item.value for item in call.keywords if item.arg == "optimizer")]
            roles = self._roles(given[0]) if given else ()
            known = KnownObject(roles, ".".join(chain_of(given[0]) or ("optimizer",))) if roles else None
            before = found.setdefault(model, known)
            if before is None or known is None or before.roles != known.roles:
                found[model] = None
        return found

    def _model(self, node: ast.expr) -> object:
        """What tells a model from others: its names, the first one with what it stands for."""
        root = root_of(node)
        if root is None:
            return None
        return self.module.self_class(root) or self.module.variable(root), *(chain_of(node) or ())
