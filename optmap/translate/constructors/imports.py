"""The imports that the changes of a file need, and those that nothing uses any more."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from optmap.source.changes import Change, Delete, Insert, Where, extent, texts_of
from optmap.source.edits import has_own_lines
from optmap.source.layout import first_offset
from optmap.source.model import How, Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import Function, statements
from optmap.source.templates import Template
from optmap.source.text import Source
from optmap.translate.constructors.import_places import Places, lines_of
from optmap.translate.constructors.short_names import shortened
from optmap.translate.constructors.spelling import NewImport
from optmap.translate.discover.sites import CallSite
from optmap.translate.unit import Outcome, Unit

_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*+(?!=(?!=))")
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*[-\w.]+")


def run(unit: Unit, before: Outcome) -> Outcome:
    """Add the imports that the changes need, and remove those that they leave without a use."""
    if not any(change.changes for change in before.rewritten):
        return before
    source, module = unit.source, Module.of(unit.source)
    gone = [node for change in before.rewritten for node in change.gone]
    lost = _lost(source, gone, written_names(before.changes))
    before = shortened(module, unit.options.target, before, lost)
    removed = removal_changes(module, lost)
    needed = list(dict.fromkeys(new for change in before.rewritten for new in change.needed))
    if not needed:
        return before._replace(imports=tuple(removed))
    first = min(extent(source, change).start for item in before.rewritten if item.needed for change in item.changes)
    sites = [item.site for item in (*before.optimizers, *before.schedules)]
    near = _replaced(module, sites, first)
    leaving = {id(change.node) for change in removed}
    if source.parts is not None and source.parts.anchors:
        added = _in_cells(source, needed, sites)
    else:
        added = Places(source, first, near, leaving).changes(needed)
    return before._replace(imports=(*added, *removed))


def _replaced(module: Module, sites: Sequence[CallSite], first: int) -> ast.stmt | None:
    """The last of the module's own imports in front of an offset that gave a callee its name."""
    return max(
        (item for item in _imports_of(module, sites) if module.parent(item) is module.tree and module.source.end(item) <= first),
        key=module.source.start, default=None,
    )  # fmt: skip


def _imports_of(module: Module, sites: Iterable[CallSite]) -> Iterator[ast.stmt]:
    """The imports that gave callees their names."""
    variables = {module.variable(root) for site in sites if (root := root_of(site.callee)) is not None}
    bindings = (binding for variable in variables if variable is not None for binding in variable.bindings)
    return (module.statement(item.target) for item in bindings if item.how is How.IMPORT)


def _in_cells(source: Source, needed: Iterable[NewImport], replaced: Sequence[CallSite]) -> list[Change]:
    """Insert imports beside one that they replace."""
    assert source.parts is not None
    at = _beside(source, source.parts.anchors, replaced)
    found = (node for node in statements(source.tree.body) if isinstance(node, ast.stmt))
    anchor = next(node for node in found if first_offset(source, node) == at)
    return [Insert(anchor, Where.BEFORE, Template(text)) for text in lines_of(needed)]


def _beside(source: Source, anchors: Sequence[int], replaced: Sequence[CallSite]) -> int:
    """Of the anchors before the first call, that of an import which gave a callee its name, or else the best one."""
    first = min(source.start(site.node) for site in replaced)
    before = [at for at in anchors if at <= first] or anchors[:1]
    starts = {source.start(item) for item in _imports_of(Module.of(source), replaced)}
    return next((at for at in before if at in starts and not _kept(source, at)), before[0])


def _kept(source: Source, offset: int) -> bool:
    return source.parts is not None and any(first <= offset < last for first, last in source.parts.kept)


def written_names(changes: Iterable[Change]) -> frozenset[str]:
    """The names that new code may use."""
    return frozenset(name for text in texts_of(changes) for name in _NAME.findall(text))


def _lost(source: Source, left: Iterable[ast.expr], written: Collection[str]) -> list[Variable]:
    """What imports bind that nothing uses any more once the given references have gone; new code uses what is `written`."""
    module = Module.of(source)
    roots = {id(root): root for node in left if (root := root_of(node)) is not None}
    variables = dict.fromkeys(variable for root in roots.values() if (variable := module.variable(root)) is not None)

    def is_used(name: str) -> bool:
        return name in written or any(id(node) not in roots for node in module.names(name))

    return [item for item in variables if not is_used(item.text) and _is_removable(source, module, item)]


def removal_changes(module: Module, lost: Iterable[Variable]) -> list[Delete]:
    """Remove the imports of what is used no more."""
    gone: dict[ast.AST | None, list[ast.AST]] = {}
    for binding in (binding for variable in lost for binding in variable.bindings):
        gone.setdefault(module.parent(binding.target), []).append(binding.target)
    return [change for statement, names in gone.items() for change in _without(statement, names)]


def _is_removable(source: Source, module: Module, variable: Variable) -> bool:
    """Tell whether imports alone bind a variable, each in a plain place, and no string may mean it."""
    if any(item.how is not How.IMPORT for item in variable.bindings) or _is_in_string(source, module, variable.text):
        return False
    return all(_is_plain(source, module, module.statement(item.target)) for item in variable.bindings)


def _is_in_string(source: Source, module: Module, name: str) -> bool:
    """Tell whether a string that is not a docstring holds the name as a word (`__all__`, annotations, getattr)."""
    texts = source.once(_is_in_string, lambda: "\n".join(_strings(module)))
    if name not in texts or re.search(rf"\b{re.escape(name)}\b", texts) is None:
        return False
    return re.search(rb"['\"][^'\"\r\n]*\b" + name.encode() + rb"\b", source.body) is not None


def _strings(module: Module) -> Iterator[str]:
    """The strings of a file but its docstrings."""
    for node in module.nodes(ast.Constant):
        if isinstance(node.value, str) and not isinstance(module.parent(node), ast.Expr):
            yield node.value


def _is_plain(source: Source, module: Module, statement: ast.stmt) -> bool:
    """Tell whether an import stands alone on its lines, in a block of a function or the module that keeps another one."""
    if not all(isinstance(item, Function | ast.Module) for item in module.ancestors(statement)):
        return False
    alone = has_own_lines(source, statement) and not _kept(source, source.start(statement))
    return alone and len(module.block(statement)[0]) > 1 and not _hides_cookie(source, statement)


def _hides_cookie(source: Source, statement: ast.stmt) -> bool:
    """Tell whether a comment would declare the file's encoding if a statement on one of the first two lines were gone."""
    last = statement.end_lineno or statement.lineno
    following = source.body[source.line_starts[last] :] if last < len(source.line_starts) else b""
    return statement.lineno <= 2 and any(_COOKIE.match(line) for line in following.splitlines()[:2])


def _without(statement: ast.AST | None, names: Sequence[ast.AST]) -> list[Delete]:
    assert isinstance(statement, ast.Import | ast.ImportFrom)
    if len(names) == len(statement.names):
        return [Delete(statement)]
    return [Delete(item) for item in statement.names if any(item is name for name in names)]
