"""The code that is rewritten, and what it holds or reads that stays the source's."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from optmap.source.changes import Change, Insert, Replace
from optmap.source.syntax import Function, argument_values, inner, is_alias
from optmap.source.templates import Template
from optmap.translate.frontier.listing import Item, short
from optmap.translate.frontier.origins import Origin, Origins, Provenance
from optmap.translate.frontier.sorts import Sort
from optmap.translate.steps.reasons import Reason, Why, because
from optmap.translate.unit import Rewritten

_AROUND: Final = (Sort.MODEL, Sort.CONTEXT)
"""What holds a model or runs it."""
_COMPUTED: Final = (Sort.TENSOR, Sort.LOSS)
"""What rewritten code computes with; a whole model that it only calls is to be translated next, and reported."""


class RewrittenCode:
    """The code that is rewritten: forward parts of steps, classes of models, and the functions of the file that they call."""

    def __init__(self, origins: Origins, steps: Sequence[Rewritten]) -> None:
        self.origins = origins
        self.module = origins.module
        self.gone = {id(node) for item in steps for node in item.gone}
        self.nodes: dict[int, ast.AST] = {}
        self.moved: list[ast.AST] = []
        self.places: list[ast.stmt] = []
        self.models: list[ast.ClassDef] = []
        for item in steps:
            for change in item.changes:
                self._add_moved(change)
                self._add_place(change)
        self._add_models()
        self._add_differentiated()

    def _add_moved(self, change: Change) -> None:
        """Add the statements and values of a step that stand in new code."""
        statement = isinstance(change, Insert) or (
            isinstance(change, Replace) and not isinstance(change.node, ast.expr)
        )
        if isinstance(change, Insert | Replace) and statement and isinstance(change.template, Template):
            for piece in change.template.pieces:
                moved = piece if isinstance(piece, tuple) else (piece,) if isinstance(piece, ast.AST) else ()
                self.moved += moved
                self._add(moved)

    def _add_place(self, change: Change) -> None:
        """Add a statement that others take the place of."""
        node = change.node if isinstance(change, Replace) else None
        node = node[0] if isinstance(node, tuple) else node
        if isinstance(node, ast.stmt):
            self.places.append(node)

    def _add_models(self) -> None:
        """Add the classes whose base class is replaced, and those that derive from them."""
        for owner in self.module.nodes(ast.ClassDef):
            if any(id(base) in self.gone for base in owner.bases):
                self.models += self.module.subclasses(owner)
        self._add(self.models)

    def _add_differentiated(self) -> None:
        """Add the functions of which a function of the source that goes away made gradient functions."""
        for node in self.module.nodes(ast.Name, ast.Attribute):
            call = self.module.call_of(node) if id(node) in self.gone else None
            for given in argument_values(call) if call is not None else ():
                variable = self.module.variable(given)
                bound = [item.target for item in variable.bindings] if variable is not None else []
                self._add(item for item in (given, *bound) if isinstance(item, ast.Lambda | Function))

    def _add(self, roots: Iterable[ast.AST]) -> None:
        queue = list(roots)
        for item in queue:  # grows while it is walked
            for node in inner(item) if id(item) not in self.nodes else ():
                self.nodes[id(node)] = node
                function = self.module.function(node) if isinstance(node, ast.Call) else None
                queue += [function] if function is not None else []

    def mixture(self) -> Reason | None:
        """The first thing that stays the source's, or may, and that the code uses or holds.

        Where no names are rewritten with steps, models and losses are to be translated next.
        """
        inside = chain(self._parts(), self._reads()) if self.origins.renames else ()
        return next(chain(self._stays(), self._run_by(), inside), None)

    def references(self) -> Iterator[tuple[ast.expr, Sort]]:
        """What stays of the source framework in the file, and gives more than plain values."""
        origins = self.origins
        for node, _ in self.module.references(frozenset(origins.by_root)).references:
            stays = id(node) not in origins.gone and not is_alias(self.module.parent(node), node)
            found = origins.sort(node) if stays else None
            if found is not None and found[1] is not Sort.PLAIN and id(node) not in origins.module.annotations:
                yield node, found[1]

    def _stays(self) -> Iterator[Reason]:
        """References in the code, or around its models and steps, that the changes leave to the source framework."""
        for node, sort in self.references():
            call = self.module.call_of(node)
            given = argument_values(call) if call is not None and sort in _AROUND else ()
            values = (self.origins.of(item).origins for item in given)
            if id(node) in self.nodes or any(_is_target(item) for item in values):
                yield self._foreign(node)

    def _run_by(self) -> Iterator[Reason]:
        """What of the source is given a function that steps: `torch.compile(train)`, `strategy.run(step)`."""
        found: dict[int, ast.AST] = {}
        queue: list[ast.AST | None] = [self.module.function_of(place) for place in self.places]
        for function in queue:  # grows while it is walked
            if function is None or id(function) in found:
                continue
            found[id(function)] = function
            variable = self.module.variable(function)
            for use in variable.uses if variable is not None else ():
                if (call := self.module.call_of(use)) is not None:
                    queue.append(self.module.function_of(call))
                elif (taking := self.module.call_with(use)) is not None:
                    yield from map(self._foreign, self.origins.of(taking.func).sources)

    def _foreign(self, node: ast.AST) -> Reason:
        found = self.origins.sort(node) if isinstance(node, ast.expr) else None
        names = [item.facts.title for item in self.origins.by_root.values()]
        title = found[0].facts.title if found is not None else names[0]
        text = short(node) if isinstance(node, ast.expr) else "an import"
        return because(Why.FOREIGN, name=text, line=getattr(node, "lineno", 0), framework=title)

    def _reads(self) -> Iterator[Reason]:
        """Tensors and losses of the source that the code computes with."""
        for node in self.nodes.values():
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and self._is_held(node):
                sources = self.origins.of(node).sources if id(node) not in self.origins.module.annotations else ()
                yield from (self._foreign(item) for item in sources if self._sort(item) in _COMPUTED)

    def unknown(self) -> Iterator[Item]:
        """What the forward parts of steps read of which the file does not show where it belongs, each name once."""
        seen: set[object] = set()
        for node in (item for root in self.moved for item in inner(root)):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and self._is_held(node):
                variable = self.module.variable(node)
                if variable not in seen and self.origins.of(node).origins == {Origin.UNKNOWN}:
                    seen.add(variable)
                    yield Item(short(node), node)

    def _is_held(self, node: ast.expr) -> bool:
        """Tell whether a name or an attribute of self has a value of its own: it is no import, nor what leads to one."""
        return self.module.variable(node) is not None and self.module.paths(node) <= {None}

    def _sort(self, node: ast.AST) -> Sort | None:
        found = self.origins.sort(node) if isinstance(node, ast.expr) else None
        return found[1] if found is not None else None

    # What models hold

    def _parts(self) -> Iterator[Reason]:
        """Layers of rewritten models that are the source's, or may be: the target's model would not train them."""
        for node in self.module.nodes(ast.Name, ast.Attribute):
            owner = self.module.class_of(node) if id(node) in self.gone and self._sort(node) is Sort.MODEL else None
            if owner is not None:
                yield from self._derived(owner)
        for owner in self.models:
            yield from self._made_elsewhere(owner)
        for name, target, node in self._attributes():
            yield from self._part(self.origins.of(node), name, target)
        for call in self.module.nodes(ast.Call):
            values = map(self.origins.of, argument_values(call))
            if id(call.func) in self.gone and self._sort(call.func) is Sort.MODEL:
                yield from (found for value in values for found in self._part(value, short(call.func), None))
            elif isinstance(call.func, ast.Attribute) and self._is_model(call.func.value):
                models = (item for value in values for item in value.sources if self._sort(item) is Sort.MODEL)
                yield from map(self._foreign, models)

    def _derived(self, owner: ast.ClassDef) -> Iterator[Reason]:
        """A class with layers that are rewritten, whose base class is not."""
        value = self.origins.of_class(owner)
        yield from map(self._foreign, value.sources)
        for node in value.imports:
            name = short(node) if isinstance(node, ast.expr) else "a class"
            yield because(Why.UNKNOWN_BASE, name=name, line=getattr(node, "lineno", 0), model=owner.name)

    def _made_elsewhere(self, owner: ast.ClassDef) -> Iterator[Reason]:
        """Objects of classes of other files that a model makes, wherever it keeps them."""
        for node in inner(owner):
            if isinstance(node, ast.Call) and not isinstance(self.module.parent(node), ast.Raise):
                yield from self._part(self.origins.of(node.func), owner.name, None)

    def _attributes(self) -> Iterator[tuple[str, ast.Attribute, ast.expr]]:
        """What is assigned to attributes of models."""
        for node in self.module.nodes(ast.Assign, ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else (node.target,):
                if isinstance(target, ast.Attribute) and node.value is not None:
                    owner = self.module.self_class(target.value)
                    if owner is not None and any(owner is item for item in self.models):
                        yield owner.name, target, node.value
                    elif owner is None and self._is_model(target.value):
                        yield short(target.value), target, node.value

    def _is_model(self, node: ast.expr) -> bool:
        return Origin.TARGET in self.origins.of(node).origins

    def _part(self, value: Provenance, owner: str, target: ast.Attribute | None) -> Iterator[Reason]:
        yield from (self._foreign(item) for item in value.sources)
        for node in value.imports:
            if isinstance(node, ast.expr) and (
                self._is_class(node) or (target is not None and self._is_called(target))
            ):
                yield because(Why.UNKNOWN_PART, name=short(node), line=node.lineno, model=owner)

    def _is_class(self, node: ast.expr) -> bool:
        """Tell whether an import is named as classes are."""
        names = (path.rpartition(".")[2] for path in self.module.paths(node) if path is not None)
        return any(name[:1].isupper() for name in names)

    def _is_called(self, target: ast.Attribute) -> bool:
        """Tell whether an attribute is called anywhere in the file."""
        return any(self.module.call_of(use) is not None for use in self.module.attributes(target.attr))


def _is_target(origins: frozenset[Origin]) -> bool:
    return Origin.TARGET in origins and Origin.SOURCE not in origins
