"""The variables, functions and loops on the way from optimizers to their parameters, and what uses them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from optmap.source.model import Binding, Module, Variable
from optmap.translate.parameters.groups import Key, Lost, ParametersArgument
from optmap.translate.parameters.uses import changing_uses, is_harmless

DEEP: Final = 40
"""Links that are followed one behind the other."""


class Link:
    """A variable, a function or a loop that was followed, with every place that uses what was followed.

    `hidden` says why it cannot be followed to the end, `grouped` whether groups are built in it, `inner` has the links that
    it leads to.
    """

    def __init__(self, key: Key, text: str) -> None:
        self.key = key
        self.text = text
        self.uses: dict[int, ast.expr] = {}
        self.hidden: str | None = None
        self.grouped = False
        self.inner: dict[Key, None] = {}


class Account:
    """The links of all optimizers, and the ids of the uses and values that were understood."""

    def __init__(self) -> None:
        self.links: dict[Key, Link] = {}
        self.understood: set[int] = set()
        self.counted: set[object] = set()

    def link(self, key: Key, text: str) -> Link:
        if key not in self.links:
            self.links[key] = Link(key, text)
        return self.links[key]

    def count(self, link: Link, definition: object, uses: Callable[[], Iterable[ast.expr]]) -> None:
        """Note the uses of a definition; each definition counts once."""
        if definition not in self.counted:
            self.counted.add(definition)
            link.uses.update({id(use): use for use in uses()})

    def definition(self, module: Module, link: Link, variable: Variable, binding: Binding) -> Sequence[ast.expr]:
        """Note the uses of a definition, or of all that share a value with it; return those that may change that."""
        if variable.grows or len(variable.chain) > 1:
            self.count(link, variable, lambda: variable.uses)
            return changing_uses(module, variable, None)
        self.count(link, binding.target, lambda: module.uses_of(variable, binding))
        return changing_uses(module, variable, binding)

    def has_groups(self, key: Key) -> bool:
        """Tell whether groups are built in a link, or in one that it leads to."""
        found = {key: None}
        for item in (queue := list(found)):  # grows while it is walked
            if self.links[item].grouped:
                return True
            queue += (each for each in self.links[item].inner if each not in found)
            found.update(self.links[item].inner)
        return False

    def lost(self, module: Module) -> dict[Key, Lost]:
        """Why links cannot be followed, given what all optimizers together have understood."""
        found = {}
        for key, link in self.links.items():
            why = link.hidden or self._unaccounted(module, link)
            if why is not None:
                found[key] = Lost(f"{link.text} cannot be followed: {why}", self.has_groups(key))
        return found

    def _unaccounted(self, module: Module, link: Link) -> str | None:
        for use in link.uses.values():
            if id(use) not in self.understood and not is_harmless(module, use):
                return f"it is also used on line {use.lineno}"
        return None


class Walk:
    """The state of one walk from an optimizer to its parameters. `blocked` are links that must not be followed.

    `values` has the values that were read of each link, `stack` the links on the way to what is read.
    """

    def __init__(self, module: Module, account: Account, blocked: Mapping[Key, Lost]) -> None:
        self.module = module
        self.account = account
        self.blocked = blocked
        self.found = ParametersArgument()
        self.values: dict[Key, list[ast.AST]] = {}
        self.stack: list[Key] = []
        self.seen: set[tuple[object, ...]] = set()

    @property
    def link(self) -> Link | None:
        """The link that is being read."""
        return self.account.links[self.stack[-1]] if self.stack else None

    def first(self, *what: object) -> bool:
        """Tell whether this has not been read yet."""
        new = what not in self.seen
        self.seen.add(what)
        return new

    def enter(self, key: Key, text: str, node: ast.expr) -> Link | None:
        """Begin with a link that is used at a place; None where it must not be followed."""
        lost = self.blocked.get(key)
        if lost is None and len(self.stack) >= DEEP:
            lost = Lost(f"{text} cannot be followed: it stands behind {DEEP} others", False)
        if lost is not None:
            self.found.lost.append(lost)
            return None
        self.account.understood.add(id(node))
        outer, link = self.link, self.account.link(key, text)
        if outer is not None:
            outer.inner[key] = None
        self.stack.append(key)
        return link

    def leave(self) -> None:
        """End with the link that is being read."""
        self.stack.pop()

    def take(self, *nodes: ast.AST) -> None:
        """Note values that belong to the link that is being read."""
        if self.stack:
            self.account.understood.update(map(id, nodes))
            self.values.setdefault(self.stack[-1], []).extend(nodes)
