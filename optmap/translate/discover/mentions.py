"""Mentions of optimizers that are no constructor calls: what each is, as the finding that reports it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from typing import Final

from optmap.diagnostics import (
    ALIAS,
    ANNOTATION,
    ARGUMENT,
    DEFAULT_ARGUMENT,
    DOTTED_STRING,
    DYNAMIC,
    OTHER_MENTION,
    PARTIAL,
    SUBCLASS,
    TYPE_CHECK,
    UNEDITABLE,
    UNKNOWN_OPTIMIZER,
    Code,
)
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import OptimizerModule
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.source.model import Module, Reference
from optmap.source.syntax import called
from optmap.translate.findings import Finding
from optmap.values import NamedTuple

_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_TYPE_CHECKS: Final = ("isinstance", "issubclass", "type")
_LOOKUPS: Final = ("getattr", "hasattr", "setattr", "vars", "dir", "import_module", "__import__")
_DISPLAYS: Final = (ast.Tuple, ast.List, ast.Set)
_PASSED: Final = (
    *_DISPLAYS, ast.Subscript, ast.BinOp, ast.Starred, ast.Slice, ast.keyword, ast.arg, ast.arguments,
)  # fmt: skip
"""What a class may stand in without that saying how it is used."""
_STORES: Final = (ast.Assign, ast.AnnAssign, ast.Dict, ast.NamedExpr, ast.IfExp, ast.Return, ast.Yield)
_CHOICES: Final = (ast.IfExp, ast.Dict, ast.Subscript, ast.List, ast.Tuple, ast.BoolOp)


class ModuleMember(NamedTuple):
    """What an import path means: the API of a table, another member of an optimizer module, or that module (no `rest`).

    `through` is the path of the module that leads there.
    """

    home: OptimizerModule
    through: str
    rest: str
    api: Api | None

    @property
    def first(self) -> str:
        """The name that the module itself has."""
        return self.rest.partition(".")[0]

    @property
    def name(self) -> str:
        return self.rest.rpartition(".")[2]

    @property
    def text(self) -> str:
        """How messages name it: by the public name where there is one."""
        if self.api is not None or self.is_other:
            return f"{self.home.name}.{self.name}"
        return f"{self.through if '.' in self.rest else self.home.name}.{self.rest}"

    @property
    def is_schedule(self) -> bool:
        return self._is_among(self.home.schedules)

    @property
    def is_other(self) -> bool:
        """Tell whether the table knows it as something else than an optimizer."""
        return self._is_among(self.home.others)

    def _is_among(self, names: Collection[str]) -> bool:
        """A member of that name, or of a submodule, which defines what its package exports."""
        return self.first in names or (self.rest.count(".") == 1 and self.first.islower() and self.name in names)

    @property
    def holds_optimizers(self) -> bool:
        """Tell whether every class beside it is an optimizer: MindSpore's `nn.optim` is a part of `nn`."""
        return self.home.exclusive or self.through.rpartition(".")[2].startswith("optim")


def find_member(tables: MappingSet, path: str | None) -> ModuleMember | None:
    """What a path below an optimizer module means; None for any other."""
    found = tables.find(path) if path else None
    if found is None or path is None:
        return None
    home, rest = found
    return ModuleMember(home, path.removesuffix(f".{rest}"), rest, tables.api_at(path))


def mention_of(module: Module, reference: Reference, member: ModuleMember) -> Finding:
    """A known class, or what else a table names, that is not called to construct an optimizer."""
    node = reference.node
    if _is_chosen_at_run_time(module, node):
        return Finding(UNEDITABLE, "which class is constructed here is decided at run time", node)
    code, use = _use(module, node)
    return Finding(code, f"{member.text} {use}", node)


def mention_of_other(module: Module, tables: MappingSet, reference: Reference, member: ModuleMember) -> Finding | None:
    """A member of an optimizer module that no table names, or the module itself; None for what is no optimizer."""
    node, text, home = reference.node, ".".join(reference.chain), member.home
    if member.first in ("__dict__", "get", "deserialize"):
        return Finding(DYNAMIC, f"{text} looks an optimizer up by name", node)
    if not member.first:
        code, use = _use(module, node)
        if code is DYNAMIC:
            return Finding(DYNAMIC, f"{text} {use}", node)
        message = f"the module {text} is used as a value; what is done with it was left alone"
        return Finding(OTHER_MENTION, message, node) if not _is_followed(module, node) else None
    if tables.api_at(f"{home.paths[0]}.{member.first}") is not None:
        return Finding(OTHER_MENTION, f"{text} is a member of a class that optmap does not look into", node)
    if member.name[0].isupper() and (member.holds_optimizers or member.name.endswith("Optimizer")):
        message = f"no table describes {member.text}{_nearest(tables, member)}"
        return Finding(UNKNOWN_OPTIMIZER, message, node)
    return None


def mention_of_string(node: ast.Constant, tables: MappingSet, sources: Collection[Framework]) -> Finding | None:
    """A string that is, or begins with, a dotted path to an optimizer."""
    text = str(node.value)
    partial = text.endswith(".") or "%" in text or "{" in text
    text = re.split(r"[%{]", text)[0].removesuffix(".")
    if not _DOTTED.fullmatch(text):
        return None
    first, _, rest = text.partition(".")
    means = tables.conventional.get(first, first)
    member = find_member(tables, f"{means}.{rest}" if "." not in means else text)
    if member is None or member.home.framework not in sources:
        return None
    if partial and not member.rest:
        return Finding(DYNAMIC, f"a string that begins with {text!r} looks an optimizer up by name", node)
    if member.api is not None or not member.rest or member.is_other or member.is_schedule:
        return Finding(DOTTED_STRING, f"the string {text!r} names an optimizer or its module", node)
    return None


def _nearest(tables: MappingSet, member: ModuleMember) -> str:
    """A hint where the class is known under a similar name, such as AdaMax for Adamax."""
    from difflib import get_close_matches

    known = {api.class_name.lower(): api for api in tables.apis.values() if api.module is member.home}
    close = get_close_matches(member.name.lower(), known, n=1, cutoff=0.8)
    return f"; did you mean {known[close[0]].name}?" if close else ""


def _is_followed(module: Module, node: ast.expr) -> bool:
    """`optim = torch.optim` binds a plain name, which is followed; a module stored anywhere else is lost from sight."""
    parent = module.parent(node)
    if isinstance(parent, ast.Assign):
        return all(isinstance(target, ast.Name) for target in parent.targets)
    return isinstance(parent, ast.AnnAssign) and isinstance(parent.target, ast.Name) and parent.value is node


def _is_chosen_at_run_time(module: Module, node: ast.expr) -> bool:
    """`(A if x else B)(...)` and `{"a": A}[name](...)` construct one of several classes."""
    child: ast.AST = node
    for parent in module.ancestors(node):
        if isinstance(parent, ast.Call):
            return child is parent.func and child is not node
        if not isinstance(parent, _CHOICES):
            return False
        child = parent
    return False


def _use(module: Module, node: ast.expr) -> tuple[Code, str]:
    """How a class is used where it is not called: the code, and the predicate of a sentence."""
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return OTHER_MENTION, "is assigned to or deleted"
    child: ast.AST = node
    for parent in module.ancestors(node):
        if isinstance(parent, ast.Call):
            is_called = OTHER_MENTION, "is called; optmap does not translate it"
            return is_called if child is parent.func else _argument(parent)
        if isinstance(parent, ast.Compare):
            return TYPE_CHECK, "is compared"
        if isinstance(parent, ast.ClassDef):
            return (SUBCLASS, f"is a base of {parent.name}") if child in parent.bases else _MENTIONED
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return _part_of_function(parent, child)
        if isinstance(parent, ast.AnnAssign) and child is parent.annotation:
            return ANNOTATION, "is an annotation"
        if isinstance(parent, _STORES):
            return ALIAS, "is stored under another name"
        if not isinstance(parent, _PASSED):
            break
        child = parent if not isinstance(parent, ast.arg | ast.arguments) else child
    stored = isinstance(module.parent(node), _DISPLAYS)
    return (ALIAS, "is stored in a container") if stored else (OTHER_MENTION, "is mentioned without being called")


_MENTIONED: Final = OTHER_MENTION, "is mentioned"


def _argument(call: ast.Call) -> tuple[Code, str]:
    name = called(call)
    if name in _TYPE_CHECKS:
        return TYPE_CHECK, f"is tested by {name}"
    if name in ("partial", "partialmethod"):
        return PARTIAL, f"is held by {name}; its arguments were not translated"
    if name in _LOOKUPS:
        return DYNAMIC, f"is used by {name}"
    return ARGUMENT, f"is passed to {name or 'a call'}"


def _part_of_function(
    function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, child: ast.AST
) -> tuple[Code, str]:
    if child in (*function.args.defaults, *function.args.kw_defaults):
        return DEFAULT_ARGUMENT, "is a default argument"
    if isinstance(function, ast.Lambda):
        return ALIAS, "is returned by a lambda"
    if child in function.decorator_list:
        return OTHER_MENTION, "is used in a decorator"
    return ANNOTATION, "is an annotation"
