"""By which name can the target class be reached where the call stands, and which import does that need?"""

from __future__ import annotations

import ast

from optmap.mapping.sections import Api
from optmap.source.bindings import position
from optmap.source.model import Module
from optmap.source.syntax import imported
from optmap.translate.discover.sites import CallSite
from optmap.values import NamedTuple


class NewImport(NamedTuple):
    """An import that the file needs: `import path`, `import path as name`, or `from package import name`."""

    path: str
    name: str

    @property
    def text(self) -> str:
        package, _, name = self.path.rpartition(".")
        if package and name == self.name:
            return f"from {package} import {name}"
        return f"import {self.path}" if self.path == self.name else f"import {self.path} as {self.name}"


class Spelling(NamedTuple):
    """How to write a class at a place, and the import that this needs, if any."""

    text: str
    needs: NewImport | None


def spell(site: CallSite, target: Api) -> Spelling | None:
    """Find a name for the class that is provably right at the call; None where the file has taken every one."""
    path = f"{target.module.paths[0]}.{target.class_name}"
    return spell_path(site.module, path, target.module.name.partition(".")[0], site.node)


def spell_path(module: Module, path: str, conventional: str, at: ast.expr | ast.stmt) -> Spelling | None:
    """Find a name for what lies at a dotted path that is provably right at a place."""
    for local, leads in _reusable(module, path, at):
        variable = module.bound(local, at)
        if variable is not None and variable.scope is module.tree and paths_of(module, local, at) == {leads}:
            rest = path.removeprefix(leads)
            return Spelling(local + rest, None)
    root = path.partition(".")[0]
    for name in dict.fromkeys((conventional, root, f"_{root}")):
        if _is_free(module, name, at):
            return Spelling(name + path[len(root) :], NewImport(root, name))
    return None


def _reusable(module: Module, path: str, at: ast.expr | ast.stmt) -> list[tuple[str, str]]:
    """Names of imports that lead to the path, the most specific module first, what lies there itself last.

    An import among the module's own statements has surely run by the time of a use that stands below it.
    """
    names, imports = path.split("."), module.source.once(_imports, lambda: _imports(module))
    modules = [".".join(names[:end]) for end in range(len(names) - 1, 0, -1)]
    return [
        (local, leads)
        for leads in (*modules, path)
        for local, statement in imports.get(leads, ())
        if position(statement) < position(at)
    ]


def _imports(module: Module) -> dict[str, list[tuple[str, ast.stmt]]]:
    """The names that the module's own import statements bind, by what they stand for."""
    found: dict[str, list[tuple[str, ast.stmt]]] = {}
    for statement in module.tree.body:
        for _, local, leads in imported(statement) if isinstance(statement, ast.Import | ast.ImportFrom) else ():
            found.setdefault(leads, []).append((local, statement))
    return found


def paths_of(module: Module, name: str, at: ast.AST) -> set[str | None]:
    """What a name that is seen from a place may stand for at any time; None for what is no import, empty if unbound."""
    variable = module.bound(name, at)
    found: set[str | None] = set()
    for binding in variable.bindings if variable is not None else ():
        if binding.path is not None or binding.value is None:
            found.add(binding.path)
        elif not binding.is_none:
            found |= module.paths(binding.value) or {None}
    return found


def _is_free(module: Module, name: str, at: ast.AST) -> bool:
    """Tell whether a module-level import may bind the name without hiding anything or being hidden."""
    if module.bound(name, at) is not None or module.bound(name, module.tree) is not None:
        return False
    return not any(isinstance(node.ctx, ast.Load) for node in module.names(name))
