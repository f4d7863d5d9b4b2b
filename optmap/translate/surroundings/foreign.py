"""Other packages that stand in for a framework's optimizers, take them, or train with them: each use is reported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence, Set

from optmap.diagnostics import FOREIGN_OPTIMIZER, FOREIGN_PACKAGE
from optmap.mapping.around import Foreign, load_around
from optmap.source.model import Module
from optmap.source.syntax import imported
from optmap.translate.findings import Finding
from optmap.translate.unit import Unit
from optmap.values import NamedTuple

_NOT_USED = (ast.arg, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.Compare, ast.ExceptHandler)
"""Nodes around a name that only speaks of a class: annotations, comparisons."""


class PackageUse(NamedTuple):
    """A reference to a member of a package, and the call that it is called by."""

    package: Foreign
    node: ast.expr | ast.stmt
    member: str
    call: ast.Call | None = None


def uses(unit: Unit) -> Iterator[PackageUse]:
    """The uses of other packages in a file, in the order of the text."""
    module = unit.sites.module
    packages = [item for item in load_around(unit.tables.extra).foreign if item.framework in unit.options.sources]
    homes = {path: item for item in packages for path in item.paths}
    for reference in module.references(homes).references:
        found = [(home, path) for path in module.paths(reference.node) if path and (home := _home(homes, path))]
        if not found:
            continue
        call = module.call_of(reference.node)
        if call is not None or not isinstance(module.parent(reference.node), _NOT_USED):
            yield PackageUse(found[0][0], reference.node, found[0][1].rpartition(".")[2], call)
    yield from _defined(module, packages)


def _home(homes: Mapping[str, Foreign], path: str) -> Foreign | None:
    """The package that a path belongs to, by the longest of its paths."""
    while path and path not in homes:
        path = path.rpartition(".")[0]
    return homes.get(path)


def _defined(module: Module, packages: Sequence[Foreign]) -> Iterator[PackageUse]:
    """Methods that a package calls, in files that import it."""
    imports = {path for node in module.nodes(ast.Import, ast.ImportFrom) for _, _, path in imported(node)}
    for item in packages:
        roots = {each.partition(".")[0] for each in item.paths}
        if item.methods and any(path.partition(".")[0] in roots for path in imports):
            found = (node for node in module.nodes(ast.FunctionDef) if node.name in item.methods)
            yield from (PackageUse(item, node, node.name) for node in found)


def foreign_findings(unit: Unit, told: Set[int]) -> Iterator[Finding]:
    """A finding for each member of a package that the file uses; for each call where it constructs an optimizer.

    Nothing is said of the nodes (ids) that were `told` of already.
    """
    said: dict[tuple[str, int], Finding] = {}
    for use in (item for item in uses(unit) if not {id(item.call), id(item.node)} & told):
        package, constructs = use.package, _constructs(use)
        instead = package.instead.get(use.member)
        shown = instead if instead and _is_call(instead) else None
        lead = (
            f"; write {instead}" if instead and shown is None else "; write this, which is translated" if shown else ""
        )
        text = f"{use.member}: {package.about}{lead}"
        code, covers = FOREIGN_OPTIMIZER if constructs else FOREIGN_PACKAGE, frozenset({id(use.node)})
        finding = Finding(code, text, use.node, str(package.at), shown, covers)
        first = said.setdefault((text, id(use.node) if constructs else use.node.lineno), finding)
        said[text, id(use.node) if constructs else use.node.lineno] = first._replace(covers=first.covers | covers)
    yield from said.values()


def _constructs(use: PackageUse) -> bool:
    """Tell whether an optimizer is constructed: by its class, or by a function that makes one."""
    makes = use.member[:1].isupper() or use.member.startswith(("create", "build", "get"))
    return use.call is not None and use.package.role == "optimizer" and makes


def _is_call(text: str) -> bool:
    """Tell whether a text is code that can stand on a line of its own, and no name or sentence."""
    try:
        return isinstance(ast.parse(text, mode="eval").body, ast.Call)
    except SyntaxError:
        return False
