"""Steps that belong to no optimizer that was followed: calls that may step one, or take gradients where nothing else was seen."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from optmap.mapping.frameworks import Kind, Steps
from optmap.source.model import Module
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.events import Training
from optmap.translate.discover.sites import CallSite

_OTHERS: Final = ("sched", "scaler", "prof")
"""Parts of names of what has a method `step` and is no optimizer: schedules, gradient scalers, profilers."""


def unfollowed(training: Training, sites: tuple[CallSite, ...]) -> list[ast.expr]:
    """The calls of a file that may step one of its optimizers and are no events, in the order of the text."""
    finder = _Finder(training, sites)
    found = {
        id(node): node
        for steps in {site.api.framework: site for site in sites}
        for node in finder.find(steps.facts.steps)
    }
    return sorted(found.values(), key=lambda node: (node.lineno, node.col_offset))


class _Finder:
    def __init__(self, training: Training, sites: tuple[CallSite, ...]) -> None:
        self.module: Module = training.module
        self.sites = {id(site.node) for site in sites}
        self.roots = {package for site in sites for package in site.api.framework.facts.packages}
        self.known = {id(event.call) for event in training.events}
        self.seen = {id(self._outermost(event.call)) for event in training.events if event.kind is not Kind.ZERO_GRAD}

    def find(self, steps: Steps) -> Iterator[ast.expr]:
        module = self.module
        methods = (
            node
            for name, kind in steps.methods.items()
            if kind is not Kind.ZERO_GRAD
            for node in module.attributes(name)
        )
        for node in methods:
            call = self.module.call_of(node)
            if id(call) not in self.known and self._may_step(node, call):
                yield call or node
        yield from (call for call in self._calls(steps.takes) if id(self._outermost(call)) not in self.seen)
        yield from self._calls(steps.makes if not self.seen else ())
        yield from (call for call in self._calls(["getattr"]) if call.args and self._holds(call.args[0]))

    def _calls(self, names: Iterable[str]) -> Iterator[ast.Call]:
        """The calls of functions and methods with one of the names."""
        for name in names:
            for node in (*self.module.attributes(name), *self.module.names(name)):
                if (call := self.module.call_of(node)) is not None:
                    yield call

    def _outermost(self, node: ast.AST) -> ast.AST:
        """The function or class of the module around a node, or the module."""
        around = [
            item
            for item in self.module.ancestors(node)
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        ]
        return around[-1] if around else self.module.tree

    def _may_step(self, node: ast.Attribute, call: ast.Call | None) -> bool:
        """Tell whether the object of a method is an optimizer of the file, or may be one; `step` takes no arguments then."""
        if self._holds(node.value):
            return True
        plain = call is not None and (node.attr != "step" or not call.args)
        return plain and not any(map(self._is_other, (node.value, *self.module.reaching(node.value).values)))

    def _holds(self, node: ast.expr) -> bool:
        """Tell whether a value is an optimizer of the file, or is made of one."""
        return any(id(item) in self.sites for value in self.module.reaching(node).values for item in inner(value))

    def _is_other(self, node: ast.expr) -> bool:
        """Tell whether a value is of a class of the file or of a framework, or is called a scheduler or the like."""
        if self.module.instance(node) is not None:
            return True
        made = node.func if isinstance(node, ast.Call) else node
        words = [word.lower() for word in chain_of(made) or ()][-1:]
        paths = self.module.paths(made) if words else frozenset[str | None]()
        known = any(path is not None and path.partition(".")[0] in self.roots for path in paths)
        return known or any(part in word for word in words for part in _OTHERS)
