"""Rewritten training steps and models that would hold both frameworks: such a rewrite is refused, with the first cause."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from optmap.source.changes import Change, Insert, Replace
from optmap.source.syntax import inner, is_alias
from optmap.source.templates import Template
from optmap.translate.frontier.contexts import around
from optmap.translate.frontier.listing import short
from optmap.translate.frontier.origins import Origin, Origins, Value, arguments
from optmap.translate.frontier.sorts import Sort
from optmap.translate.steps.reasons import Reason, Why, because
from optmap.translate.unit import STEPS, Rewritten, Unit, Veto, Vetoes, alone

_AROUND: Final = (Sort.MODEL, Sort.CONTEXT)
"""What holds a model or runs it."""


def refusals(unit: Unit, steps: Sequence[Rewritten], origins: Origins) -> Vetoes:
    """What must not be rewritten: all steps of the file, or single names and calls beside them."""
    changes = [change for item in steps for change in item.changes]
    code = _Code(origins)
    for change in changes:
        code.add_moved(change)
    code.add_models()
    reason = next(_contexts(changes, origins), None) or code.stays() or code.unknown_part()
    if reason is not None:
        return {STEPS: Veto(str(reason))}
    mixed = [node for item in steps for node in item.gone if _meets_source(origins, node)]
    lacking = (item.facts.models.lacking.get(unit.options.target, {}) for item in origins.by_root.values())
    mixed += _converted(changes, origins, frozenset(word for words in lacking for word in words))
    beside = (node for node in mixed if id(node) not in code.nodes and id(node) not in origins.made)
    titles = " or ".join(dict.fromkeys(item.facts.title for item in origins.by_root.values()))
    return {alone(node): Veto(f"it works on values of {titles}") for node in beside}


def _contexts(changes: Sequence[Change], origins: Origins) -> Iterator[Reason]:
    """The contexts of the source that steps run under."""
    for node in _places(changes):
        for item in around(origins, node):
            yield because(Why.CONTEXT, context=item.text, line=item.line)


def _meets_source(origins: Origins, node: ast.expr) -> bool:
    """Tell whether what a name gives, or what it is called with, surely meets values that stay the source's."""
    module = origins.module
    parent = module.parent(node)
    if isinstance(parent, ast.Call) and parent.func is node:
        if any(_is_source(origins.of(item)) for item in arguments(parent)):
            return True
        node, parent = parent, module.parent(parent)
    parent = module.parent(parent) if isinstance(parent, ast.keyword) else parent
    if isinstance(parent, ast.BinOp):
        return _is_source(origins.of(parent.right if parent.left is node else parent.left))
    return isinstance(parent, ast.Call) and parent.func is not node and _is_source(origins.of(parent.func))


def _is_source(value: Value) -> bool:
    return Origin.SOURCE in value.origins and Origin.TARGET not in value.origins


def _converted(changes: Sequence[Change], origins: Origins, words: Collection[str]) -> Iterator[ast.expr]:
    """The calls that become methods which the values that they are asked of lack."""
    for change in changes:
        node, new = (change.node, change.template) if isinstance(change, Replace) else (None, None)
        asked = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        converts = isinstance(new, Template) and any(f".{word}" in new.text for word in words)
        if asked is not None and converts and isinstance(node, ast.expr) and _is_source(origins.of(asked)):
            yield node


def _places(changes: Sequence[Change]) -> Iterator[ast.stmt]:
    """The statements that others take the place of."""
    for change in changes:
        node = change.node if isinstance(change, Replace) else None
        node = node[0] if isinstance(node, tuple) else node
        if isinstance(node, ast.stmt):
            yield node


class _Code:
    """The code that is rewritten: forward parts of steps, classes of models, and the functions of the file that they call."""

    def __init__(self, origins: Origins) -> None:
        self.origins = origins
        self.module = origins.module
        self.nodes: dict[int, ast.AST] = {}
        self.models: list[ast.ClassDef] = []

    def add_moved(self, change: Change) -> None:
        """Add the statements and values of a step that stand in new code."""
        statement = isinstance(change, Insert) or (
            isinstance(change, Replace) and not isinstance(change.node, ast.expr)
        )
        if isinstance(change, Insert | Replace) and statement and isinstance(change.template, Template):
            for piece in change.template.pieces:
                for node in piece if isinstance(piece, tuple) else (piece,):
                    self._add(node) if isinstance(node, ast.AST) else None

    def add_models(self) -> None:
        """Add the classes whose base class is replaced, and those that derive from them."""
        for owner in self.module.nodes(ast.ClassDef):
            if any(id(base) in self.origins.gone for base in owner.bases):
                for item in self.module.subclasses(owner):
                    self.models.append(item)
                    self._add(item)

    def _add(self, root: ast.AST) -> None:
        queue = [root]
        for item in queue:  # grows while it is walked
            for node in inner(item) if id(item) not in self.nodes else ():
                self.nodes[id(node)] = node
                function = self.module.function(node) if isinstance(node, ast.Call) else None
                queue += [function] if function is not None else []

    def stays(self) -> Reason | None:
        """The first reference in it, or around models of it, that the changes leave to the source framework."""
        origins = self.origins
        for node, _ in self.module.references(frozenset(origins.by_root)).references:
            parent = self.module.parent(node)
            found = origins.sort(node) if id(node) not in origins.gone and not is_alias(parent, node) else None
            if found is None or found[1] is Sort.PLAIN or id(node) in origins.types:
                continue
            if id(node) in self.nodes or (found[1] in _AROUND and self._takes_target(parent, node)):
                return because(Why.FOREIGN, name=short(node), line=node.lineno, framework=found[0].facts.title)
        return None

    def _takes_target(self, call: ast.AST | None, callee: ast.expr) -> bool:
        """Tell whether a call is given what surely is the target's: `torch.compile(net)`, `nn.DataParallel(net)`."""
        called = isinstance(call, ast.Call) and call.func is callee
        values = [self.origins.of(item).origins for item in arguments(call)] if called else []  # type: ignore[arg-type]
        return any(Origin.TARGET in item and Origin.SOURCE not in item for item in values)

    def unknown_part(self) -> Reason | None:
        """The first layer of a rewritten model that another file makes: it may be the source's, and would not be trained."""
        for owner in self.models:
            for node in inner(owner):
                if isinstance(node, ast.Call) and self._is_kept(node) and self._is_imported(node.func):
                    return because(Why.UNKNOWN_PART, name=short(node.func), line=node.lineno, model=owner.name)
        return None

    def _is_kept(self, call: ast.Call) -> bool:
        """Tell whether an object becomes an attribute of self, alone or in another one."""
        statement = self.module.statement(call)
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        mine = (isinstance(item, ast.Attribute) and self.module.self_class(item.value) is not None for item in targets)
        return any(mine) and self.module.enclosing(call, ast.Lambda) is None

    def _is_imported(self, node: ast.expr) -> bool:
        """Tell whether a class is imported from a file or package of which nothing is known."""
        paths = self.module.paths(node)
        classy = any(path is not None and path.rpartition(".")[2][:1].isupper() for path in paths)
        return classy and None not in paths and Origin.UNKNOWN in self.origins.of(node).origins
