"""Do the expressions of a schedule have the same values where they would be evaluated later, or again and again?"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from optmap.source.bindings import position
from optmap.source.model import Module, Variable
from optmap.source.syntax import chain_of
from optmap.translate.discover.sites import CallSite

_PURE: Final = (
    ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.List, ast.Tuple, ast.operator, ast.unaryop, ast.Load,
)  # fmt: skip
_CHANGING: Final = ("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse")
_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Stability:
    """Answers the question for one file."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def unstable(
        self, schedule: CallSite, nodes: Sequence[ast.expr], users: Sequence[CallSite], before: ast.expr | None = None
    ) -> str | None:
        """Why expressions of a schedule may have other values at its optimizers; None where they cannot.

        Their names must be bound `before` a node, if one is given.
        """
        for node in nodes:
            inside = list(ast.walk(node))
            if not all(isinstance(item, _PURE) or _is_setting(item) for item in inside):
                return f"{ast.unparse(node)} would be evaluated again; bind its value to a name first and pass the name"
            names = sorted((item for item in inside if isinstance(item, ast.Name)), key=lambda item: item.id)
            settings = [item for item in inside if isinstance(item, ast.Attribute)]
            reasons = [
                *(self._name(item, schedule, users, before) for item in names),
                *(self._setting(item, schedule) for item in settings),
            ]
            reason = next((item for item in reasons if item is not None), None)
            if reason is not None:
                return reason
        return None

    def _name(
        self, node: ast.Name, schedule: CallSite, users: Sequence[CallSite], before: ast.expr | None
    ) -> str | None:
        variable = self.module.variable(node)
        if any(self.module.bound(node.id, user.node) is not variable for user in users):
            return f"{node.id} is not known where the optimizer is"
        if variable is None:
            return None
        bindings = [item for item in variable.bindings if not item.is_none]
        if len(bindings) != 1 or variable in self._deleted:
            return f"{node.id} is {'deleted' if len(bindings) == 1 else 'bound more than once'}"
        target = bindings[0].target
        own = (self.module.scope(item) for item in (schedule.node, users[0].node))
        if before is not None and variable.scope in own and position(target) >= position(before):
            return f"{node.id} is bound only below line {before.lineno}"
        if isinstance(self.module.enclosing(target, *_LOOPS, *_FUNCTIONS), _LOOPS):
            return f"{node.id} is bound again at each turn of a loop"
        changed = next(
            (use for use in variable.uses if self._changes(use) and not self._is_below(schedule.node, use)), None
        )
        return f"{node.id} is changed on line {changed.lineno}" if changed is not None else None

    def _changes(self, use: ast.expr) -> bool:
        """Tell whether a place changes a list: `rates.append(0.1)`, `rates[0] = 0.1`."""
        parent = self.module.parent(use)
        if isinstance(parent, ast.Subscript):
            return parent.value is use and not isinstance(parent.ctx, ast.Load)
        return isinstance(parent, ast.Attribute) and parent.attr in _CHANGING

    def _setting(self, node: ast.Attribute, schedule: CallSite) -> str | None:
        variable = self.module.variable(node)
        chain = chain_of(node)
        if variable is not None:
            places: Sequence[ast.AST] = [item.target for item in variable.bindings]
        else:
            places = self._assigned.get(chain, ()) if chain is not None else ()
        if len(places) > 1:
            return f"{ast.unparse(node)} is assigned more than once"
        if places and self._is_below(places[0], schedule.node):
            return f"{ast.unparse(node)} is assigned below, on line {position(places[0])[0]}"
        return None

    def _is_below(self, node: ast.AST, other: ast.AST) -> bool:
        """Tell whether a node stands below another in the same function."""
        inner, outer = (self.module.enclosing(item, *_FUNCTIONS) for item in (node, other))
        return inner is outer and position(node) > position(other)

    @cached_property
    def _deleted(self) -> frozenset[Variable | None]:
        """The variables that a `del` statement takes away."""
        return frozenset(
            self.module.variable(target)
            for statement in self.module.nodes(ast.Delete)
            for target in statement.targets
            if isinstance(target, ast.Name)
        )

    @cached_property
    def _assigned(self) -> dict[tuple[str, ...], list[ast.Attribute]]:
        """Where attributes are assigned or deleted, by their text: another variable may be the same object."""
        found: dict[tuple[str, ...], list[ast.Attribute]] = {}
        for node in self.module.nodes(ast.Attribute):
            chain = chain_of(node) if not isinstance(node.ctx, ast.Load) else None
            if chain is not None:
                found.setdefault(chain, []).append(node)
        return found


def _is_setting(node: ast.AST) -> bool:
    """Tell whether a node is an attribute of a name, such as `config.steps`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute)
