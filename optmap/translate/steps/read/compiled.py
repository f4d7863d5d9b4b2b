"""Decorators such as `tf.function` that compile a function: without them it must do the same.

What is compiled runs once as Python, when it is traced: whatever else than the framework computes there must give the same
at every call, and change nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.diagnostics import COMPILED
from optmap.mapping.framework import Framework
from optmap.source.calls import comments_in
from optmap.source.edits import starts_line
from optmap.source.model import How, Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import Function, inner
from optmap.translate.findings import Finding

_OPTIONS: Final = frozenset({"jit_compile", "reduce_retracing", "experimental_relax_shapes", "experimental_compile", "autograph",
                             "input_signature", "mode", "jit_level", "backend"})  # fmt: skip
"""Arguments that say how a function is compiled."""
_CHANGES: Final = ("append", "extend", "insert", "add", "update", "pop", "remove", "clear", "setdefault", "write")
_ONCE: Final = frozenset({"next", "input", "open", "exec", "eval", "setattr", "delattr", "globals", "iter"})
"""Builtins that change something, or give something else at each call."""
_PURE: Final = ("numpy", "math", "builtins", "functools", "operator", "typing", "collections", "itertools")
"""Packages whose functions do the same at each call."""
_VARYING: Final = ("random", "time", "datetime", "numpy.random", "os", "uuid")
"""What gives something else at each call."""


def compiling(module: Module, framework: Framework) -> tuple[ast.expr, ...]:
    """The decorators of the file that only compile, and may go."""
    known: tuple[ast.expr, ...] | None = module.source.memo.get(compiling)
    if known is None:
        known = module.source.memo[compiling] = tuple(_find(module, framework))
    return known


def _find(module: Module, framework: Framework) -> Iterator[ast.expr]:
    paths = frozenset(framework.facts.steps.compiles)
    for function in module.nodes(ast.FunctionDef):
        for node in function.decorator_list:
            callee = node.func if isinstance(node, ast.Call) else node
            if module.paths(callee) <= paths and _is_plain(module, node) and _Traced(module).same(function):
                yield node


def callee(decorator: ast.expr) -> ast.expr:
    """What a decorator names."""
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def no_longer_compiled(module: Module, framework: Framework) -> Iterator[Finding]:
    """Report what decorators that go away compiled of other files: whether it does the same at each call is not seen."""
    packages = {*framework.facts.packages, *_PURE}
    for decorator in compiling(module, framework):
        function, traced = module.parent(decorator), _Traced(module)
        if function is None or not traced.same(function):
            continue
        calls = [call for call in traced.calls if (own := _packages(module, call)) and packages.isdisjoint(own)]
        if calls:
            names = ", ".join(dict.fromkeys(ast.unparse(call.func) for call in calls))
            said = f"@{ast.unparse(callee(decorator))} ran the Python of {names}, of another file, once: now it runs at each call"
            yield Finding(COMPILED, said, calls[0].func)


def _packages(module: Module, call: ast.Call) -> set[str]:
    """The packages that what is called comes from, if it is imported."""
    return {path.lstrip(".").partition(".")[0] for path in module.paths(call.func) if path is not None}


def _is_plain(module: Module, decorator: ast.expr) -> bool:
    """Tell whether a decorator stands on lines of its own, with nothing but options."""
    source = module.source
    start, end = source.start(decorator), source.end(decorator)
    at = source.body.rindex(b"@", 0, start)
    if isinstance(decorator, ast.Call) and (
        decorator.args or any(word.arg not in _OPTIONS for word in decorator.keywords)
    ):
        return False
    return starts_line(source, at) and not comments_in(source, start, end)


class _Traced:
    """Looks for what a function does as Python. `seen` are the functions that were looked at, `calls` their calls."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.seen: list[ast.AST] = []
        self.calls: list[ast.Call] = []

    def same(self, function: ast.AST) -> bool:
        """Tell whether a function gives the same at each call, but for what the framework computes, and changes nothing."""
        if any(function is item for item in self.seen):
            return True
        self.seen.append(function)
        own = [node for part in getattr(function, "body", ()) for node in inner(part)]
        return all(self._same(node, function) for node in own)

    def _same(self, node: ast.AST, function: ast.AST) -> bool:
        if isinstance(node, ast.Global | ast.Nonlocal | ast.Delete | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            return False
        if isinstance(node, ast.Call):
            return self._calls(node, function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            variable = self.module.variable(node)
            return variable is None or self._is_own(variable, function) or all(map(self._is_fixed, variable.bindings))
        if isinstance(node, ast.Attribute) and self.module.self_class(node.value) is not None:
            variable = self.module.variable(node)
            return variable is None or all(self._is_made(item.target, item.how) for item in variable.bindings)
        return True

    def _calls(self, call: ast.Call, function: ast.AST) -> bool:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        self.calls.append(call)
        if name in _ONCE and self.module.is_builtin(name, call.func):
            return False
        if any(path is not None and _below(path) for path in self.module.paths(call.func)):
            return False
        if isinstance(call.func, ast.Attribute) and call.func.attr in _CHANGES:
            root = root_of(call.func.value)
            variable = self.module.variable(root) if root is not None else None
            if variable is None or len(call.func.value.__class__._fields) != 2 or not self._is_own(variable, function):
                return False
        called = self.module.definition(call.func)
        return not isinstance(called, Function) or self.same(called)

    def _is_own(self, variable: Variable, function: ast.AST) -> bool:
        return variable.scope is function or any(item is function for item in self.module.ancestors(variable.scope))

    def _is_fixed(self, binding: object) -> bool:
        """Tell whether a variable around the function is bound once, before, to nothing that Python changes."""
        how, target, value = binding.how, binding.target, binding.value  # type: ignore[attr-defined]
        if how in (How.DEFINITION, How.IMPORT, How.PARAMETER):
            return True
        variable = self.module.variable(target)
        once = how in (How.ASSIGNED, How.UNPACKED) and variable is not None and len(variable.bindings) == 1
        looped = any(isinstance(item, ast.For | ast.While) for item in self.module.ancestors(target))
        collection = isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
        return once and not looped and not (how is How.ASSIGNED and collection)

    def _is_made(self, target: ast.AST, how: How) -> bool:
        """Tell whether an attribute of self is set where the object is made, or by the class."""
        method = self.module.function_of(target)
        return how is not How.OUTSIDE and (method is None or method.name in ("__init__", "build", "setup"))


def _below(path: str) -> bool:
    return any(path == item or path.startswith(f"{item}.") for item in _VARYING)
