"""The net below the tables: uses of translated optimizers that no row knows, each said once with its lines."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from optmap.diagnostics import PASSED_ON, UNKNOWN_USE
from optmap.source.model import Module
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of
from optmap.translate.discover.events import done_with
from optmap.translate.findings import Finding
from optmap.translate.surroundings.flow import received_by
from optmap.translate.surroundings.foreign import also_on
from optmap.translate.unit import Translation

_LOOKS: Final = ("print", "len", "isinstance", "issubclass", "type", "id", "repr", "str", "hasattr", "bool", "callable")
_GATHERS: Final = ("list", "tuple", "dict", "set", "zip", "enumerate", "iter", "super")
_LOGGERS: Final = ("debug", "info", "warning", "error", "log", "write", "append", "extend", "update", "setdefault")


class Place(NamedTuple):
    """A place that reads a translated optimizer."""

    node: ast.expr
    made: Translation


def unknown_uses(module: Module, places: Collection[Place], known: Collection[int]) -> Iterator[Finding]:
    """Yield a finding for each attribute and for each receiver that nothing else speaks of.

    `known` are the ids of attributes and calls that the tables or other passes understand.
    """
    said: dict[str, tuple[Finding, list[int]]] = {}
    for place in sorted(places, key=lambda item: (item.node.lineno, item.node.col_offset)):
        finding = _finding(module, place, known)
        if finding is not None:
            first, lines = said.setdefault(finding.message, (finding, []))
            lines.append(finding.node.lineno)  # type: ignore[union-attr]
            said[finding.message] = first, lines
    for finding, lines in said.values():
        yield also_on(finding, lines)


def _finding(module: Module, place: Place, known: Collection[int]) -> Finding | None:
    node, made = place
    parent = module.parent(node)
    call = module.parent(parent) if isinstance(parent, ast.keyword) else parent
    around = (node, parent, call, getattr(call, "func", None))
    if any(item is not None and id(item) in known for item in around) or list(
        done_with(module, node, made.site.api.framework)
    ):
        return None
    if isinstance(parent, ast.Attribute):
        return _attribute(module, node, parent.attr, made)
    if isinstance(call, ast.Call) and call.func is not node:
        return _passed(module, node, call, made)
    return None


def _attribute(module: Module, node: ast.expr, name: str, made: Translation, value: str = "") -> Finding:
    text, parent = _shown(node), module.parent(node)
    assert parent is not None
    sets = bool(value) or not isinstance(getattr(parent, "ctx", ast.Load()), ast.Load)
    done = f"{text}.{name} is set" if sets else f"{text}.{name} is used"
    advice = "give the value to the constructor, where it is translated" if sets else "see what it becomes there"
    target = made.target.name
    message = f"{done}, but {text} is now a {target} and no table says what that means to it: {advice}"
    return Finding(UNKNOWN_USE, message, module.statement(node) if sets else node)


def _passed(module: Module, node: ast.expr, call: ast.Call, made: Translation) -> Finding | None:
    chain = chain_of(call.func)
    name = chain[-1] if chain else "a call"
    builtin = isinstance(call.func, ast.Name) and module.is_builtin(name, call)
    if builtin and name in ("setattr", "getattr", "delattr") and len(call.args) > 1 and call.args[0] is node:
        given = call.args[1]
        attribute = given.value if isinstance(given, ast.Constant) else "attribute"
        return _attribute(module, node, str(attribute), made, value="set" if name != "getattr" else "")
    if (builtin and name in (*_LOOKS, *_GATHERS)) or (not builtin and name in _LOGGERS) or received_by(module, call):
        return None
    text = ".".join(chain) if chain else ast.unparse(call.func)[:40]
    message = f"{_shown(node)} is passed to {text}, which optmap does not see into: it now gets a {made.target.name}"
    return Finding(PASSED_ON, message, call)


def _shown(node: ast.expr) -> str:
    return ".".join(chain_of(node) or ("the optimizer",)) if root_of(node) is not None else "the optimizer"
