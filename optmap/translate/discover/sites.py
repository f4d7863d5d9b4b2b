"""Where a file constructs optimizers, and where it mentions them in any other way."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final, NamedTuple

from optmap.diagnostics import (
    ALIAS,
    AMBIGUOUS_NAME,
    ANNOTATION,
    ARGUMENT,
    DEFAULT_ARGUMENT,
    DOTTED_STRING,
    DYNAMIC,
    MISSING_IMPORT,
    OTHER_MENTION,
    PARTIAL,
    SCHEDULER,
    SUBCLASS,
    TYPE_CHECK,
    UNEDITABLE,
    UNKNOWN_OPTIMIZER,
    Code,
)
from optmap.mapping.model import Api, Framework, MappingSet, Module
from optmap.source.names import Interest, collect
from optmap.source.scopes import Names, Reference, Scope
from optmap.source.text import Source
from optmap.translate.findings import Finding

CONVENTIONAL: Final = {
    "torch": "torch", "tf": "tensorflow", "tensorflow": "tensorflow", "keras": "keras", "mindspore": "mindspore",
    "ms": "mindspore", "optim": "torch.optim",
}  # fmt: skip
"""What names mean by convention where nothing binds them."""

_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_STAR: Final = re.compile(rb"\bimport\s*\(?\s*\*")
_TYPE_CHECKS: Final = ("isinstance", "issubclass", "type")
_LOOKUPS: Final = ("getattr", "hasattr", "setattr", "vars", "dir", "import_module", "__import__")
_CONTAINERS: Final = (ast.Tuple, ast.List, ast.Set, ast.Subscript, ast.BinOp, ast.Starred, ast.Slice)


WRAPPED: Final = "wrapped_optimizer"
"""The canonical name of the argument that holds the optimizer of a wrapper."""


class CallSite(NamedTuple):
    """A constructor call of a known optimizer."""

    node: ast.Call
    callee: ast.expr
    api: Api
    scope: Scope
    ancestors: tuple[ast.AST, ...]


class Sites(NamedTuple):
    """Everything that a file says about optimizers of the source frameworks.

    `mentions` are what is not translated, each with the code that says why; `constructing` the ids of the nodes among them
    that construct an optimizer.
    """

    calls: tuple[CallSite, ...]
    mentions: tuple[Finding, ...]
    already: tuple[CallSite, ...]
    names: Names
    schedules: tuple[Reference, ...] = ()
    constructing: frozenset[int] = frozenset()


class _Member(NamedTuple):
    """What a path means: an API, another member of an optimizer module, or the module itself (empty rest)."""

    module: Module
    rest: str
    api: Api | None


def roots(tables: MappingSet, frameworks: Collection[Framework]) -> frozenset[str]:
    """Return the packages through which optimizers of these frameworks are imported."""
    return frozenset(root for framework in frameworks for root in tables.roots[framework])


def may_mention(data: bytes, tables: MappingSet, sources: Collection[Framework]) -> bool:
    """Tell from the bytes alone whether the file can mention an optimizer of the sources at all."""
    if b"ptim" not in data:  # optim, optimizers, AdamOptimizer
        if Framework.MINDSPORE not in sources or b"mindspore" not in data:
            return False
        return any(name.encode() in data for name in tables.class_names)
    return any(root.encode() in data for framework in sources for root in tables.roots[framework])


def is_shadowed(source: Source, site: CallSite, name: str) -> bool:
    """Tell whether a builtin's name means something else where the call stands."""
    scopes = _scopes_of(source, name)
    for place in site.scope.enclosing():
        scope = scopes.get(id(place.node))
        if scope is not None:
            return scope.owner(name) is not None
    return False


@lru_cache(maxsize=4)
def _scopes_of(source: Source, name: str) -> dict[int, Scope]:
    """The scopes of a file by the ids of their nodes, with what they bind to one name."""
    names = collect(source, Interest(frozenset(), (), string_hint="\0"), {name})
    return {id(scope.node): scope for scope in reversed(names.scopes)}


def find_sites(source: Source, tables: MappingSet, sources: Collection[Framework], target: Framework) -> Sites:
    """Find every call and mention of an optimizer of the source frameworks."""
    wanted = frozenset(sources) | {target}
    interest = Interest(
        roots(tables, wanted), tuple(p for p, m in tables.modules_by_path.items() if m.framework in wanted)
    )
    unbound = {*CONVENTIONAL, *(f"_{root}" for root in interest.roots)}
    if _STAR.search(source.body):
        unbound |= tables.class_names
    names = collect(source, interest, unbound)
    return _Finder(tables, names, frozenset(sources), target).sites()


class _Finder:
    def __init__(self, tables: MappingSet, names: Names, sources: frozenset[Framework], target: Framework) -> None:
        self.tables = tables
        self.names = names
        self.sources = sources
        self.target = target
        self.calls: list[CallSite] = []
        self.already: list[CallSite] = []
        self.mentions: list[Finding] = []
        self.constructing: set[int] = set()
        self.schedules: list[Reference] = []

    def sites(self) -> Sites:
        for reference in self.names.references:
            self._reference(reference)
        for mention in self.names.mentions:
            self._string(mention.node, mention.ancestors)
        return Sites(
            tuple(self.calls), tuple(self.mentions), tuple(self.already), self.names, tuple(self.schedules),
            frozenset(self.constructing),
        )  # fmt: skip

    def _member(self, path: str | None) -> _Member | None:
        found = self.tables.find(path) if path else None
        if found is None or found[0].framework not in self.sources | {self.target}:
            return None
        return _Member(found[0], found[1], self.tables.api_at(path or ""))

    def _reference(self, reference: Reference) -> None:
        paths = self.names.paths(reference.chain, reference.scope, reference.node)
        if not paths:
            self._unbound(reference)
            return
        members = [self._member(path) for path in paths]
        known = [member for member in members if member is not None]
        if not known or all(member.module.framework not in self.sources for member in known):
            if len(known) == len(members) and all(member.api for member in known):
                self._call(reference, known[0], self.already)
            return
        meanings = {member and (member.module.name, member.rest) for member in members}
        if len(meanings) > 1:
            self._ambiguous(reference, paths, known)
        elif known[0].api is not None:
            if not self._call(reference, known[0], self.calls):
                self._mention(reference, known[0])
        else:
            self._other_member(reference, known[0])

    def _call(self, reference: Reference, member: _Member, found: list[CallSite]) -> bool:
        parent = reference.ancestors[-1] if reference.ancestors else None
        if not isinstance(parent, ast.Call) or parent.func is not reference.node or member.api is None:
            return False
        if any(isinstance(node, ast.JoinedStr) for node in reference.ancestors):
            message = f"{member.api.name} is called inside an f-string"
            self._add(reference.node, UNEDITABLE, message, call=True)
        else:
            found.append(CallSite(parent, reference.node, member.api, reference.scope, reference.ancestors))
        return True

    def _ambiguous(self, reference: Reference, paths: frozenset[str | None], known: list[_Member]) -> None:
        parent = reference.ancestors[-1] if reference.ancestors else None
        call = isinstance(parent, ast.Call) and parent.func is reference.node
        if not call or not any(member.api for member in known):
            return
        meanings = sorted(path or "something that is not an import" for path in paths)
        name = ".".join(reference.chain)
        self._add(reference.node, AMBIGUOUS_NAME, f"{name} may be {' or '.join(meanings)}; left as it is", call)

    def _unbound(self, reference: Reference) -> None:
        first, *rest = reference.chain
        for module_path, scope in self.names.stars:
            member = self._member(f"{module_path}.{first}")
            if member is not None and member.api is not None and scope in reference.scope.enclosing():
                self._starred(reference, member)
                return
        member = self._member(".".join((CONVENTIONAL[first], *rest))) if first in CONVENTIONAL else None
        if member is not None and member.api is not None and member.module.framework in self.sources:
            message = (
                f"{'.'.join(reference.chain)} looks like {member.api.name}, but nothing in the file binds {first!r}"
            )
            self._add(reference.node, MISSING_IMPORT, message, call=True)

    def _starred(self, reference: Reference, member: _Member) -> None:
        others = [path for path, _ in self.names.stars if self.tables.find(path) != (member.module, "")]
        foreign = [path for path in others if path.partition(".")[0] not in roots(self.tables, list(Framework))]
        if member.module.framework not in self.sources:
            self._call(reference, member, self.already)
        elif foreign and member.api is not None:
            message = f"{reference.chain[0]} comes from {member.module.name} or from {', '.join(foreign)} (import *)"
            self._add(reference.node, AMBIGUOUS_NAME, message, call=True)
        elif not self._call(reference, member, self.calls):
            self._mention(reference, member)

    def _other_member(self, reference: Reference, member: _Member) -> None:
        """A member of an optimizer module that no table describes, or the module itself."""
        first, _, deeper = member.rest.partition(".")
        text = ".".join(reference.chain)
        if first in member.module.schedules:
            if deeper or member.rest != "lr_scheduler":
                self.schedules.append(reference)
                self._add(reference.node, SCHEDULER, f"{text} is a learning-rate schedule of {member.module.framework}")
        elif first == "__dict__" or first in ("get", "deserialize"):
            self._add(reference.node, DYNAMIC, f"{text} looks an optimizer up by name")
        elif first in member.module.others:
            self._mention(reference, member)
        elif not first:
            code, how = _context(reference.node, reference.ancestors)
            if code is DYNAMIC:
                self._add(reference.node, DYNAMIC, f"{text} {how}")
            elif not _is_followed(reference):
                self._add(
                    reference.node,
                    OTHER_MENTION,
                    f"the module {text} is used as a value; what is done with it was left alone",
                )
        elif self.tables.api_at(f"{member.module.paths[0]}.{first}") is not None:
            self._add(reference.node, OTHER_MENTION, f"{text} is a member of a class that optmap does not look into")
        elif (first[0].isupper() or deeper) and (member.module.exclusive or first.endswith("Optimizer")):
            parent = reference.ancestors[-1] if reference.ancestors else None
            call = isinstance(parent, ast.Call) and parent.func is reference.node
            name = member.rest.rpartition(".")[2]
            if name[0].isupper():
                message = f"no table describes {member.module.name}.{member.rest}{self._nearest(member)}"
                self._add(reference.node, UNKNOWN_OPTIMIZER, message, call)

    def _nearest(self, member: _Member) -> str:
        """A hint where the class is known under a similar name, such as AdaMax for Adamax."""
        from difflib import get_close_matches

        name = member.rest.rpartition(".")[2]
        known = {api.class_name.lower(): api for api in self.tables.apis.values() if api.module is member.module}
        close = get_close_matches(name.lower(), known, n=1, cutoff=0.8)
        return f"; did you mean {known[close[0]].name}?" if close else ""

    def _mention(self, reference: Reference, member: _Member) -> None:
        if _chosen_at_run_time(reference):
            message = "which class is constructed here is decided at run time"
            self._add(reference.node, UNEDITABLE, message, call=True)
            return
        code, how = _context(reference.node, reference.ancestors)
        self._add(reference.node, code, f"{member.module.name}.{member.rest} {how}")

    def _add(self, node: ast.expr, code: Code, message: str, call: bool = False) -> None:
        self.mentions.append(Finding(code, message, node))
        if call:
            self.constructing.add(id(node))

    def _string(self, node: ast.Constant, ancestors: tuple[ast.AST, ...]) -> None:
        text = str(node.value)
        partial = text.endswith(".") or "%" in text or "{" in text
        text = re.split(r"[%{]", text)[0].removesuffix(".")
        if not _DOTTED.fullmatch(text):
            return
        first, _, rest = text.partition(".")
        path = f"tensorflow.{rest}" if first == "tf" else text
        member = self._member(path)
        if member is None or member.module.framework not in self.sources:
            return
        first = member.rest.partition(".")[0]
        if partial and not member.rest:
            self._add(node, DYNAMIC, f"a string that begins with {text!r} looks an optimizer up by name")
        elif member.api is not None or first in ("", *member.module.others, *member.module.schedules):
            self._add(node, DOTTED_STRING, f"the string {text!r} names an optimizer or its module")


def _is_followed(reference: Reference) -> bool:
    """`optim = torch.optim` binds a plain name, which is followed; a module stored anywhere else is lost from sight."""
    parent = reference.ancestors[-1] if reference.ancestors else None
    if isinstance(parent, ast.Assign):
        return all(isinstance(target, ast.Name) for target in parent.targets)
    return isinstance(parent, ast.AnnAssign) and isinstance(parent.target, ast.Name) and parent.value is reference.node


def _chosen_at_run_time(reference: Reference) -> bool:
    """`(A if x else B)(...)` and `{"a": A}[name](...)` construct one of several classes."""
    child: ast.AST = reference.node
    for parent in reversed(reference.ancestors):
        if isinstance(parent, ast.Call):
            return child is parent.func and child is not reference.node
        if not isinstance(parent, ast.IfExp | ast.Dict | ast.Subscript | ast.List | ast.Tuple | ast.BoolOp):
            return False
        child = parent
    return False


def _context(node: ast.expr, ancestors: tuple[ast.AST, ...]) -> tuple[Code, str]:
    """Say how a class is used where it is not called: the code, and the predicate of a sentence."""
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return OTHER_MENTION, "is assigned to or deleted"
    child: ast.AST = node
    for parent in reversed(ancestors):
        if isinstance(parent, ast.Call):
            return (
                (OTHER_MENTION, "is called; optmap does not translate it")
                if child is parent.func
                else _call_context(parent)
            )
        if isinstance(parent, ast.Compare):
            return TYPE_CHECK, "is compared"
        if isinstance(parent, ast.ClassDef):
            return (
                (SUBCLASS, f"is a base of {parent.name}") if child in parent.bases else (OTHER_MENTION, "is mentioned")
            )
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return _function_context(parent, child)
        if isinstance(parent, ast.AnnAssign) and child is parent.annotation:
            return ANNOTATION, "is an annotation"
        if isinstance(
            parent, ast.Assign | ast.AnnAssign | ast.Dict | ast.NamedExpr | ast.IfExp | ast.Return | ast.Yield
        ):
            return ALIAS, "is stored under another name"
        if not isinstance(parent, (*_CONTAINERS, ast.keyword, ast.arg)):
            break
        child = parent
    stored = any(isinstance(parent, ast.Tuple | ast.List | ast.Set) for parent in ancestors[-1:])
    return (ALIAS, "is stored in a container") if stored else (OTHER_MENTION, "is mentioned without being called")


def _call_context(call: ast.Call) -> tuple[Code, str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _TYPE_CHECKS:
        return TYPE_CHECK, f"is tested by {name}"
    if name in ("partial", "partialmethod"):
        return PARTIAL, f"is held by {name}; its arguments were not translated"
    if name in _LOOKUPS:
        return DYNAMIC, f"is used by {name}"
    return ARGUMENT, f"is passed to {name or 'a call'}"


def _function_context(function: ast.AST, child: ast.AST) -> tuple[Code, str]:
    arguments: ast.arguments = function.args  # type: ignore[attr-defined]
    if child in (*arguments.defaults, *arguments.kw_defaults):
        return DEFAULT_ARGUMENT, "is a default argument"
    if isinstance(function, ast.Lambda):
        return ALIAS, "is returned by a lambda"
    if child in function.decorator_list:  # type: ignore[attr-defined]
        return OTHER_MENTION, "is used in a decorator"
    return ANNOTATION, "is an annotation"
