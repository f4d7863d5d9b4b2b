"""Statements that a rewrite leaves without an effect: `data, label = data, label`, where `.to(device)` went away."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from optmap.mapping.frameworks import Facts
from optmap.source.changes import Change, Delete, Replace
from optmap.source.model import How, Variable
from optmap.source.syntax import chain_of, inner
from optmap.translate.steps.names.references import NameRewriter


def without_leftovers(names: NameRewriter, own: Facts) -> list[Change]:
    """The changes, with statements deleted that do nothing any more; `own` are the facts of what the file was written for."""
    return _Leftovers(names, own).run()


class _Leftovers:
    """`stays` is what is left of an expression, by its id, `dropped` what is not, `gone` the statements that go."""

    def __init__(self, names: NameRewriter, own: Facts) -> None:
        self.names = names
        self.module = names.module
        self.devices = own.frontier.devices
        self.made = names.changes.changes
        kept = dict(_kept(self.made))
        self.stays = {key: new for key, (_, new) in kept.items()}
        self.dropped = {id(node) for change in self.made for node in _dropped(change)}
        self.gone: dict[int, ast.stmt] = {}
        self.moved = [self.module.statement(node) for node, _ in kept.values()]

    def run(self) -> list[Change]:
        new = [*(item for item in self.moved if self._is_idle(item)), *self._devices()]
        while new:
            self.gone |= {id(item): item for item in new}
            self.dropped.update(id(node) for item in new for node in inner(item))
            found = {id(item): item for item in (*self._emptied(new), *self._devices())}
            new = [item for key, item in found.items() if key not in self.gone]
        inside = {id(node) for item in self.gone.values() for node in inner(item)}
        changes = self.names.changes
        changes.stays[:] = [item for item in changes.stays if id(item[0]) not in inside]
        changes.gone += (node for node in self.names.references() if id(node) in inside)
        outer = [item for item in self.gone.values() if id(self.module.parent(item)) not in self.gone]
        return [*(item for item in self.made if id(getattr(item, "node", None)) not in inside), *map(Delete, outer)]

    def _is_idle(self, statement: ast.stmt) -> bool:
        """Tell whether a statement assigns variables to themselves alone, or is a name alone."""
        if isinstance(statement, ast.Expr):
            return chain_of(self._left(statement.value)) is not None
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return False
        target, value = statement.targets[0], statement.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            pairs = list(zip(target.elts, value.elts, strict=False)) if len(target.elts) == len(value.elts) else []
        chains = [(chain_of(one), chain_of(self._left(other))) for one, other in pairs]
        return bool(chains) and all(one is not None and one == other for one, other in chains)

    def _left(self, value: ast.expr) -> ast.expr:
        while id(value) in self.stays:
            value = self.stays[id(value)]
        return value

    def _emptied(self, new: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
        """`if torch.cuda.is_available():` of which nothing is left."""
        for outer in (self.module.parent(item) for item in new):
            empty = isinstance(outer, ast.If) and all(id(item) in self.gone for item in (*outer.body, *outer.orelse))
            if isinstance(outer, ast.If) and empty and self._is_silent(outer.test):
                yield outer

    def _devices(self) -> Iterator[ast.stmt]:
        """`device = torch.device("cuda")` which nothing reads any more."""
        assigned = (item for item in self.module.nodes(ast.Assign) if self._names_device(item.value))
        targets = (item.targets[0] for item in assigned if isinstance(item.targets[0], ast.Name))
        variables = {variable for target in targets if (variable := self.module.variable(target)) is not None}
        for variable in variables:
            if all(id(use) in self.dropped for use in variable.uses) and self._is_device(variable):
                yield from (self.module.statement(binding.target) for binding in variable.bindings)

    def _is_device(self, variable: Variable) -> bool:
        """Tell whether a variable of the module or of a function is only ever assigned what has no other effect."""
        if any(variable.text in node.names for node in self.module.nodes(ast.Global, ast.Nonlocal)):
            return False
        for binding in variable.bindings:
            statement = self.module.statement(binding.target)
            plain = isinstance(statement, ast.Assign) and len(statement.targets) == 1
            if (
                not plain
                or binding.how is not How.ASSIGNED
                or binding.value is None
                or not self._is_silent(binding.value)
            ):
                return False
        return not isinstance(variable.scope, ast.ClassDef)

    def _names_device(self, value: ast.expr) -> bool:
        return any(isinstance(node, ast.Call) and self._asks_devices(node) for node in ast.walk(value))

    def _asks_devices(self, call: ast.Call) -> bool:
        path = self.names.path(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else None
        return path is not None and any(fnmatchcase(path, pattern) for pattern in self.devices)

    def _is_silent(self, value: ast.expr) -> bool:
        """Tell whether an expression may go, as nothing but devices is asked for in it."""
        silent = (
            ast.Name | ast.Attribute | ast.Constant | ast.IfExp | ast.BoolOp | ast.UnaryOp | ast.Compare | ast.JoinedStr
        )
        for node in ast.walk(value):
            if isinstance(node, ast.Call):
                if not self._asks_devices(node):
                    return False
            elif isinstance(node, ast.expr) and not isinstance(node, silent | ast.FormattedValue):
                return False
        return True


def _kept(changes: Iterable[Change]) -> Iterator[tuple[int, tuple[ast.expr, ast.expr]]]:
    """The expressions of which only a part stays, by id, and that part."""
    for item in changes:
        if isinstance(item, Replace) and isinstance(item.node, ast.expr):
            pieces = item.template.pieces
            if len(pieces) == 1 and isinstance(pieces[0], ast.expr):
                yield id(item.node), (item.node, pieces[0])


def _dropped(change: Change) -> Iterator[ast.AST]:
    """What a change takes away, but for what it writes again."""
    if isinstance(change, Delete):
        yield from inner(change.node)
    elif isinstance(change, Replace) and isinstance(change.node, ast.expr):
        kept = {id(node) for piece in change.template.pieces if isinstance(piece, ast.expr) for node in inner(piece)}
        yield from (node for node in inner(change.node) if id(node) not in kept)
