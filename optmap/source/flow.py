"""Which names do statements read, bind and change, and what must have a value before them? Within one scope."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final

from optmap.source.syntax import Comprehension, Function, children, inner, parameters
from optmap.source.text import Source
from optmap.values import NamedTuple

_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Loop = ast.For | ast.AsyncFor | ast.While


class Use(NamedTuple):
    """One reading of a name. `called` says that it is called, or that only an attribute of it is asked for."""

    name: str
    called: bool


def reads(node: ast.AST) -> list[Use]:
    """The names of the surrounding scope that a node reads, in the order of the text; a name that grows is read, too."""
    found: list[Use] = []
    _reads(node, found, frozenset(), False)
    return found


def _reads(node: Any, found: list[Use], local: frozenset[str], called: bool) -> None:
    kind = node.__class__
    if kind is ast.Name:
        if node.ctx.__class__ is ast.Load and node.id not in local:
            found.append(Use(node.id, called))
    elif kind is ast.Attribute:
        _reads(node.value, found, local, True)
    elif kind is ast.Call:
        _reads(node.func, found, local, True)
        for part in (*node.args, *node.keywords):
            _reads(part, found, local, False)
    elif kind is ast.AugAssign:
        if isinstance(node.target, ast.Name):
            found.append(Use(node.target.id, False))
        _reads(node.target, found, local, False)
        _reads(node.value, found, local, False)
    elif kind is ast.Lambda:
        for default in (*node.args.defaults, *(item for item in node.args.kw_defaults if item)):
            _reads(default, found, local, False)
        _reads(node.body, found, local | {item.arg for item in parameters(node.args)}, False)
    elif kind in _COMPREHENSIONS:
        _reads_inside(node, found, local)
    else:
        for child in children(node):
            _reads(child, found, local, False)


def _reads_inside(node: Any, found: list[Use], local: frozenset[str]) -> None:
    """What a comprehension reads: its first iterable in the scope around it."""
    _reads(node.generators[0].iter, found, local, False)
    local = local | {name for part in node.generators for name in targets(part.target)}
    parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    for position, part in enumerate(node.generators):
        parts += (*((part.iter,) if position else ()), *part.ifs)
    for each in parts:
        _reads(each, found, local, False)


def targets(node: ast.AST) -> set[str]:
    """The names that an assignment target binds."""
    return {item.id for item in inner(node) if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load)}


def binds(node: ast.AST) -> set[str]:
    """The names that a statement binds or deletes in its own scope."""
    found: set[str] = set()
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Name):
            if not isinstance(item.ctx, ast.Load):
                found.add(item.id)
        elif isinstance(item, (Function, ast.ClassDef)):
            found.add(item.name)
        elif isinstance(item, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in item.names}
        elif isinstance(item, Comprehension):
            found |= {each.target.id for each in inner(item) if isinstance(each, ast.NamedExpr)}
        elif not isinstance(item, (ast.Lambda, ast.Constant)):
            for key in ("name", "rest"):
                value = getattr(item, key, None)
                if isinstance(value, str):
                    found.add(value)
            stack += children(item)
    return found


class Effect(NamedTuple):
    """What a statement does in its own scope: the names that it binds or deletes, and what it changes and reads.

    What it changes is what it binds, and objects that it may change: `x[0] = ...`, `x.append(...)`. Attributes of self
    stand for themselves, as `self.x`; where something is changed, `self` alone stands for all of them.
    """

    binds: frozenset[str]
    changes: frozenset[str]
    wants: frozenset[str]


class Effects:
    """The effects of the statements of a file, and of none other. Each is found once."""

    def __init__(self) -> None:
        self._known: dict[int, Effect] = {}

    @classmethod
    def of(cls, source: Source) -> Effects:
        """Those of a source, which keeps them."""
        found: Effects = source.memo.setdefault(cls, cls())
        return found

    def binds(self, statement: ast.stmt) -> frozenset[str]:
        return self.effect(statement).binds

    def effect(self, statement: ast.stmt) -> Effect:
        found = self._known.get(id(statement))
        if found is None:
            found = self._known[id(statement)] = effect_of(statement)
        return found


_APART: Final = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp, ast.Import, ast.ImportFrom, ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping,
)  # fmt: skip
"""What has a scope of its own, or binds names that are no nodes."""


def effect_of(statement: ast.stmt) -> Effect:
    """What a statement of any file does."""
    bound: set[str] = set()
    changed: set[str] = set()
    read: set[str] = set()
    own: set[str] = set()
    apart = False
    for node in inner(statement):
        kind = node.__class__
        if kind is ast.Name:
            (read if node.ctx.__class__ is ast.Load else bound).add(node.id)  # type: ignore[attr-defined]
        elif kind is ast.Attribute or kind is ast.Subscript or kind is ast.Expr:
            changed.add(_object(node))  # type: ignore[arg-type]
            if kind is ast.Attribute and _is_self(node.value):  # type: ignore[attr-defined]
                own.add(f"self.{node.attr}")  # type: ignore[attr-defined]
        elif kind is ast.AugAssign and isinstance(node.target, ast.Name):  # type: ignore[attr-defined]
            read.add(node.target.id)  # type: ignore[attr-defined]
        elif kind in _APART:
            apart = True
    if apart:
        bound, read = binds(statement), {use.name for use in reads(statement)}
    return Effect(frozenset(bound), frozenset(bound | changed) - {""}, frozenset(read - {"self"} | own))


def _object(node: ast.Attribute | ast.Subscript | ast.Expr) -> str:
    """The variable, or the attribute of self, that is changed where a node stores into it, or calls a method of it."""
    at: ast.expr = node if not isinstance(node, ast.Expr) else node.value
    if isinstance(node, ast.Expr):
        if not isinstance(at, ast.Call) or not isinstance(at.func, ast.Attribute):
            return ""
        at = at.func.value
    elif isinstance(node.ctx, ast.Load):
        return ""
    while isinstance(at, (ast.Attribute, ast.Subscript, ast.Call)):
        part = at.func if isinstance(at, ast.Call) else at.value
        if isinstance(at, ast.Attribute) and _is_self(part):
            return f"self.{at.attr}"
        at = part
    return at.id if isinstance(at, ast.Name) else ""


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


class Flow(NamedTuple):
    """`needed`: what must have a value before, in order; `sure`: what surely has one afterwards because of the statements."""

    needed: tuple[Use, ...]
    sure: frozenset[str]


def flow(body: Sequence[ast.stmt], *, once: bool = False) -> Flow:
    """Follow statements in order; loops are taken to run at least `once` where names without a value are errors anyway."""
    needed: list[Use] = []
    after = _follow(body, frozenset(), needed, once=once)
    return Flow(tuple(needed), after)


def certain(body: Sequence[ast.stmt], sure: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names that surely have a value once the statements have run; definitions and imports are not looked at.

    Those in `sure` have been bound by what comes before.
    """
    return _follow(body, sure, None)


def _follow(
    body: Sequence[ast.stmt], sure: frozenset[str], needed: list[Use] | None, *, once: bool = False
) -> frozenset[str]:
    for statement in body:
        sure = _after(statement, sure, needed, once=once)
    return sure


def _after(node: ast.stmt, sure: frozenset[str], needed: list[Use] | None, *, once: bool) -> frozenset[str]:
    """What is surely bound behind a statement; what it reads without that is added to `needed`."""

    def note(*parts: ast.AST) -> None:
        if needed is not None:
            needed.extend(use for part in parts for use in reads(part) if use.name not in sure)

    if isinstance(node, ast.If):
        note(node.test)
        return _follow(node.body, sure, needed, once=once) & _follow(node.orelse, sure, needed, once=once)
    if isinstance(node, ast.For):
        note(node.iter, node.target)
        body = _follow(node.body, sure | targets(node.target), needed, once=once)
        rest = _follow(node.orelse, sure, needed, once=once)
        return body if once and not node.orelse else sure & body & rest
    if isinstance(node, ast.With):
        note(*node.items)
        return _follow(node.body, sure | heads(node), needed, once=once)
    note(node)
    if isinstance(node, ast.Delete):
        return sure.difference(*map(targets, node.targets))
    if isinstance(node, ast.Assign):
        return sure.union(*map(targets, node.targets))
    if isinstance(node, (ast.AugAssign, ast.AnnAssign)) and node.value is not None:
        return sure | targets(node.target)
    return sure


def heads(node: ast.For | ast.With) -> frozenset[str]:
    """The names that the head of a loop or of a with statement binds."""
    if isinstance(node, ast.For):
        return frozenset(targets(node.target))
    return frozenset(name for item in node.items if item.optional_vars for name in targets(item.optional_vars))
