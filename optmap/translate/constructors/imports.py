"""The imports that the changes of a file need, and those that nothing uses any more."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Sequence

from optmap.source.changes import Change, Delete, Insert, Replace, Where
from optmap.source.edits import rest_of_line, starts_line
from optmap.source.layout import first_offset
from optmap.source.model import How, Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import Function, statements
from optmap.source.templates import Template
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport
from optmap.translate.discover.sites import CallSite
from optmap.translate.unit import Outcome, Unit

_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*+(?!=(?!=))")
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*[-\w.]+")


def run(unit: Unit, before: Outcome) -> Outcome:
    """Add the imports that the changes need, and remove those that they leave without a use."""
    changes = list(before.rewritten)
    if not any(change.changes for change in changes):
        return before
    sites = [item.site for item in (*before.optimizers, *before.schedules)]
    needed = [new for change in changes for new in change.needed]
    gone = [node for change in changes for node in change.gone]
    added = import_changes(unit.source, needed, sites)
    removed = removal_changes(unit.source, gone, written_names(before.changes))
    return before._replace(imports=(*added, *removed))


def import_changes(source: Source, needed: Iterable[NewImport], replaced: Sequence[CallSite]) -> list[Change]:
    """Insert the imports after the docstring and the `__future__` imports; in cells, beside those that they replace."""
    lines = [Template(new.text) for new in dict.fromkeys(needed)]
    if not lines:
        return []
    if source.parts is not None and source.parts.anchors:
        at = _beside(source, source.parts.anchors, replaced)
        found = (node for node in statements(source.tree.body) if isinstance(node, ast.stmt))
        anchor = next(node for node in found if first_offset(source, node) == at)
        return [Insert(anchor, Where.BEFORE, line) for line in lines]
    following, previous = _anchor(source)
    if following is not None:
        return [Insert(following, Where.BEFORE, line) for line in lines]
    assert previous is not None
    return [Insert(previous, Where.AFTER, line) for line in lines]


def _beside(source: Source, anchors: Sequence[int], replaced: Sequence[CallSite]) -> int:
    """Of the anchors before the first call, that of an import which gave a callee its name, or else the best one."""
    first = min(source.start(site.node) for site in replaced)
    before = [at for at in anchors if at <= first] or anchors[:1]
    module = Module.of(source)
    variables = {module.variable(root) for site in replaced if (root := root_of(site.callee)) is not None}
    bindings = (binding for variable in variables if variable is not None for binding in variable.bindings)
    starts = {source.start(module.statement(item.target)) for item in bindings if item.how is How.IMPORT}
    return next((at for at in before if at in starts and not _kept(source, at)), before[0])


def _kept(source: Source, offset: int) -> bool:
    return source.parts is not None and any(first <= offset < last for first, last in source.parts.kept)


def _anchor(source: Source) -> tuple[ast.stmt | None, ast.stmt | None]:
    """Return the statement before which an import goes and the one before it."""
    previous: ast.stmt | None = None
    for index, statement in enumerate(source.tree.body):
        docstring = index == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) \
            and isinstance(statement.value.value, str)  # fmt: skip
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not docstring and not future:
            return statement, previous
        previous = statement
    return None, previous


def written_names(changes: Iterable[Change]) -> frozenset[str]:
    """The names that new code may use."""
    templates = (change.template for change in changes if isinstance(change, Insert | Replace))
    pieces = (piece for template in templates for piece in template.pieces if isinstance(piece, str))
    return frozenset(name for piece in pieces for name in _NAME.findall(piece))


def removal_changes(source: Source, left: Iterable[ast.expr], written: Collection[str] = ()) -> list[Change]:
    """Remove imports that nothing uses any more once the given references to what they import have gone.

    New code uses names that are `written`.
    """
    module = Module.of(source)
    roots = {id(root): root for node in left if (root := root_of(node)) is not None}
    variables = {variable for root in roots.values() if (variable := module.variable(root)) is not None}
    gone: dict[ast.AST | None, list[ast.AST]] = {}
    for variable in variables:
        used = variable.text in written or any(id(node) not in roots for node in module.names(variable.text))
        if not used and _is_removable(source, module, variable):
            for binding in variable.bindings:
                gone.setdefault(module.parent(binding.target), []).append(binding.target)
    return [change for statement, names in gone.items() for change in _without(statement, names)]


def _is_removable(source: Source, module: Module, variable: Variable) -> bool:
    """Tell whether imports alone bind a variable, each in a plain place, and no string may mean it."""
    if any(item.how is not How.IMPORT for item in variable.bindings) or _is_in_string(source, module, variable.text):
        return False
    return all(_is_plain(source, module, module.statement(item.target)) for item in variable.bindings)


def _is_in_string(source: Source, module: Module, name: str) -> bool:
    """Tell whether a string that is not a docstring holds the name as a word (`__all__`, annotations, getattr)."""
    if re.search(rb"['\"][^'\"\r\n]*\b" + name.encode() + rb"\b", source.body) is None:
        return False
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(
        isinstance(node.value, str) and word.search(node.value) and not isinstance(module.parent(node), ast.Expr)
        for node in module.nodes(ast.Constant)
    )


def _is_plain(source: Source, module: Module, statement: ast.stmt) -> bool:
    """Tell whether an import stands alone on its lines, in a block of a function or the module that keeps another one."""
    if not all(isinstance(item, Function | ast.Module) for item in module.ancestors(statement)):
        return False
    start, end = source.start(statement), source.end(statement)
    rest = rest_of_line(source, end)
    tail = source.body[rest.start : rest.end].strip()
    alone = starts_line(source, start) and (not tail or tail.startswith(b"#")) and not _kept(source, start)
    return alone and len(module.block(statement)[0]) > 1 and not _hides_cookie(source, statement)


def _hides_cookie(source: Source, statement: ast.stmt) -> bool:
    """Tell whether a comment would declare the file's encoding if a statement on one of the first two lines were gone."""
    last = statement.end_lineno or statement.lineno
    following = source.body[source.line_starts[last] :] if last < len(source.line_starts) else b""
    return statement.lineno <= 2 and any(_COOKIE.match(line) for line in following.splitlines()[:2])


def _without(statement: ast.AST | None, names: Sequence[ast.AST]) -> list[Change]:
    assert isinstance(statement, ast.Import | ast.ImportFrom)
    if len(names) == len(statement.names):
        return [Delete(statement)]
    return [Delete(item) for item in statement.names if any(item is name for name in names)]
