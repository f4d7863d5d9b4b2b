"""Whether models surely hold no normalization layer, whose parameters MindSpore leaves out of weight decay by their names."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.model import Module
from optmap.source.syntax import argument_values
from optmap.translate.discover.sites import CallSite
from optmap.translate.parameters.groups import ParametersArgument

_PLAIN: Final = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.JoinedStr, ast.Lambda)
"""What is no layer, whatever it is made of."""
_NUMBERS: Final = ("int", "float", "bool", "str")
_REGISTERS: Final = (
    "add_module",
    "register_module",
    "register_parameter",
    "insert_child_to_cell",
    "insert_param_to_cell",
)
_GROWS: Final = ("append", "extend", "insert", "update", "setdefault")


def normalizes_nothing(site: CallSite, tables: MappingSet, parameters: ParametersArgument) -> bool:
    """Tell whether the file shows all that the models of a call's parameters are made of, and nothing of it normalizes.

    Nor is anything in them called by the names of normalization layers' parameters.
    """
    known = [call.func.value for call in parameters.accessors if isinstance(call.func, ast.Attribute)]
    if parameters.opaque or parameters.single or len(known) != len(parameters.accessors):
        return False
    source, module = site.api.framework, site.module
    parts = source.facts.models.normalizing
    if not known or not parts or _mentioning(parts).search(module.source.body):
        return False
    names = {name for item in tables.frameworks.values() for name in item.facts.parameters.scales.values()}
    search = _Search(module, source, names)
    return all(map(search.shows, known)) and search.grows_as_shown()


class _Search:
    """Follows models to the layers that they are made of."""

    def __init__(self, module: Module, source: Framework, names: Collection[str]) -> None:
        self.module = module
        self.models = source.facts.models
        self.names = names
        self.seen: set[int] = set()

    def shows(self, node: ast.expr) -> bool:
        """Whether all that an expression may hold is seen, and harmless."""
        if isinstance(node, _PLAIN):
            return True
        if isinstance(node, ast.Starred):
            return self.shows(node.value)
        if isinstance(node, ast.List | ast.Tuple):
            return all(map(self.shows, node.elts))
        found = self.module.reaching(node)
        seen = found.complete and bool(found.values) and all(map(self._value, found.values))
        return seen and not (any(isinstance(item, ast.List) for item in found.values) and self._is_given(node))

    def _is_given(self, node: ast.expr) -> bool:
        """Whether a function may put something into the list that a name holds."""
        variable = self.module.variable(node)
        uses = variable.uses if variable is not None else ()
        calls = (call for use in uses if isinstance(call := self.module.parent(use), ast.Call) and call.func is not use)
        return any(not self.module.builtin(call.func) for call in calls)

    def _value(self, value: ast.expr) -> bool:
        if not isinstance(value, ast.Call):
            return isinstance(value, _PLAIN) or (isinstance(value, ast.List | ast.Tuple) and self.shows(value))
        owner = self.module.definition(value.func) if isinstance(value.func, ast.Name) else None
        if isinstance(owner, ast.ClassDef):
            return self._class(owner)
        path = self.module.path(value.func)
        package, _, name = (path or "").rpartition(".")
        if path in self.models.tensors:
            return True
        normalizes = any(part in name for part in self.models.normalizing)
        if package not in self.models.layers or not name[:1].isupper() or normalizes:
            return False
        inside = argument_values(value) if name in self.models.containers else []
        return all(map(self.shows, inside))

    def grows_as_shown(self) -> bool:
        """Whether nothing but methods of the classes seen puts parts into objects, and all that is put into lists is seen."""
        for call in self.module.nodes(ast.Call):
            method = call.func
            if isinstance(method, ast.Attribute):
                inside = isinstance(method.value, ast.Attribute) and method.attr in _GROWS
                if method.attr in _REGISTERS or (inside and not all(map(self.shows, call.args))):
                    return False
        outside = [node for node in self.module.nodes(ast.Assign) if id(self.module.class_of(node)) not in self.seen]
        stores = [node for node in outside if any(isinstance(target, ast.Attribute) for target in node.targets)]
        return not self.module.names("setattr") and all(isinstance(node.value, _PLAIN) for node in stores)

    def _class(self, owner: ast.ClassDef) -> bool:
        """A class of the file: what it derives from, and what its methods put into its objects."""
        if id(owner) in self.seen:
            return True
        self.seen.add(id(owner))
        if owner.decorator_list or owner.keywords or not all(map(self._base, owner.bases)):
            return False
        return all(self._put(target, value) for target, value in _assigned(ast.walk(owner)))

    def _base(self, base: ast.expr) -> bool:
        owner = self.module.definition(base) if isinstance(base, ast.Name) else None
        if isinstance(owner, ast.ClassDef):
            return self._class(owner)
        return self.module.paths(base) <= set(self.models.bases)

    def _put(self, target: ast.expr, value: ast.expr | None) -> bool:
        """What an assignment puts into an attribute; any other target holds nothing of an object."""
        if not isinstance(target, ast.Attribute):
            return not isinstance(target, ast.Subscript)
        if any(name in target.attr for name in self.names) or value is None:
            return False
        parameter = self.module.variable(value) if isinstance(value, ast.Name) else None
        binding = parameter.bindings[0].target if parameter is not None and len(parameter.bindings) == 1 else None
        typed = isinstance(binding, ast.arg) and getattr(binding.annotation, "id", None) in _NUMBERS
        return typed or self.shows(value)


@cache
def _mentioning(parts: tuple[str, ...]) -> re.Pattern[bytes]:
    """Finds names of layers that normalize; `Normal` and `Normalize` name other things."""
    return re.compile("|".join(f"{re.escape(part)}(?!al)" for part in parts).encode())


def _assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """The targets of assignments with what they are given, where that is one value."""
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                several = isinstance(target, ast.Tuple | ast.List)
                for each in target.elts if isinstance(target, ast.Tuple | ast.List) else (target,):
                    yield each, None if several else node.value
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value is not None:
            yield node.target, node.value
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield node.target, None
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield node.optional_vars, None
