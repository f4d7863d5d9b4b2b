"""Of which framework is the value of an expression, once the planned changes are made?"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.model import Binding, How, Module, Variable
from optmap.source.syntax import Comprehension, argument_values
from optmap.translate.frontier.sorts import Sort, roots_of, sort_of
from optmap.values import NamedTuple

_DEEP: Final = 60
"""Expressions behind each other after which a value counts as unknown."""
_FEW: Final = 30
"""Definitions of one variable that are looked at."""
_PASS_ON: Final = frozenset(
    ("enumerate", "zip", "iter", "next", "list", "tuple", "set", "dict", "sum", "min", "max", "abs", "sorted", "reversed",
     "map", "filter", "getattr")
)  # fmt: skip
"""Builtins that give back what they are given, or parts of it."""
_ITERATES: Final = frozenset(
    ("tqdm.tqdm", "tqdm.auto.tqdm", "tqdm.trange", "tqdm.notebook.tqdm", "itertools.islice", "itertools.cycle",
     "itertools.chain", "copy.deepcopy", "copy.copy", "functools.partial")
)  # fmt: skip
"""The same of other packages."""
_PLAIN_PACKAGES: Final = frozenset(
    ("numpy", "math", "random", "os", "sys", "time", "argparse", "pathlib", "json", "collections", "functools", "itertools",
     "datetime", "logging", "typing", "re", "copy", "pickle", "csv", "glob", "shutil", "string", "warnings", "operator",
     "pandas", "scipy", "sklearn", "matplotlib", "cv2", "PIL", "gym", "gymnasium", "tqdm", "yaml", "dataclasses")
)  # fmt: skip


_ADDS: Final = frozenset(("append", "extend", "insert", "add", "update", "setdefault"))


class Origin(Enum):
    """Where a value belongs: to what the file was written for, to the target, to Python and numpy, or it cannot be told.

    Data of the source are apart: they have to become the target's, which is reported, and count as if they were.
    """

    SOURCE = auto()
    DATA = auto()
    TARGET = auto()
    PLAIN = auto()
    UNKNOWN = auto()


class Provenance(NamedTuple):
    """Where the value of an expression may belong. `sources` are the references that make it one of the source.

    `imports` are those to other files and packages of which nothing is known.
    """

    origins: frozenset[Origin] = frozenset()
    sources: tuple[ast.AST, ...] = ()
    imports: tuple[ast.AST, ...] = ()


_NOTHING: Final = Provenance()
_PLAIN: Final = Provenance(frozenset({Origin.PLAIN}))
_UNKNOWN: Final = Provenance(frozenset({Origin.UNKNOWN}))
_TARGET: Final = Provenance(frozenset({Origin.TARGET}))
_GIVEN: Final = {Sort.PLAIN: _PLAIN, Sort.DATA: Provenance(frozenset({Origin.DATA}))}


class Origins:
    """Answers for one file. `gone` are the ids of references to the sources that the changes replace.

    `bridged` are those of names that are given the target's values. Those in `made` are the classes of optimizers and schedules,
    of which other findings speak.
    """

    def __init__(
        self, module: Module, tables: MappingSet, sources: Collection[Framework], target: Framework,
        gone: Collection[int], made: Collection[int], bridged: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.module = module
        self.gone = gone
        self.made = made
        self.bridged = bridged
        self.by_root = {root: item for item in sources for root in roots_of(tables, item)}
        self.renames = target.facts.steps.renames
        self.target = frozenset(roots_of(tables, target))
        self.members = frozenset(name for item in (*sources, target) for name in item.facts.frontier.members)
        self._known: dict[int, Provenance] = {}
        self._deep = 0

    def sort(self, node: ast.expr) -> tuple[Framework, Sort] | None:
        """What a reference to a source framework gives; None for anything else, and where it may be something else."""
        path = self.module.path(node)
        framework = self.by_root.get(path.partition(".")[0]) if path is not None else None
        return (
            (framework, sort_of(framework.facts.frontier, path)) if framework is not None and path is not None else None
        )

    def of(self, node: ast.expr) -> Provenance:
        """Where the value of an expression belongs."""
        found = self._known.get(id(node))
        if found is None:
            if self._deep > _DEEP:
                return _UNKNOWN
            self._known[id(node)] = _NOTHING  # what leads back here adds nothing
            self._deep += 1
            found = self._known[id(node)] = self._find(node)
            self._deep -= 1
        return found

    def any_of(self, nodes: Iterable[ast.expr]) -> Provenance:
        """Where the value of one of some expressions may belong."""
        values = [self.of(node) for node in nodes]
        return _joined(values)

    def _find(self, node: ast.expr) -> Provenance:
        if isinstance(node, ast.Name | ast.Attribute):
            return self._named(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.BinOp):
            return self.any_of((node.left, node.right))
        if isinstance(node, ast.Compare):
            return self.any_of((node.left, *node.comparators))
        if isinstance(node, ast.IfExp):
            return self.any_of((node.body, node.orelse))
        if isinstance(node, ast.BoolOp):
            return self.any_of(node.values)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return self.any_of(node.elts) if node.elts else _PLAIN
        if isinstance(node, ast.Dict):
            return self.any_of(node.values) if node.values else _PLAIN
        if isinstance(node, Comprehension):
            return self.of(node.value if isinstance(node, ast.DictComp) else node.elt)
        if isinstance(node, ast.Subscript | ast.Starred | ast.NamedExpr | ast.Await):
            return self.of(node.value)
        return self.of(node.operand) if isinstance(node, ast.UnaryOp) else _PLAIN

    def _named(self, node: ast.Name | ast.Attribute) -> Provenance:
        reference = self._reference(node)
        if reference is not None:
            return reference
        variable = self.module.variable(node)
        if variable is not None:
            return self._variable(variable, node)
        if isinstance(node, ast.Name):
            return _PLAIN if self.module.is_builtin(node.id, node) else self._self(node) or _UNKNOWN
        return _PLAIN if node.attr in self.members else self.of(node.value)

    def _reference(self, node: ast.expr) -> Provenance | None:
        """A name or chain that stands for an import alone."""
        if id(node) in self.gone:
            return _PLAIN if id(node) in self.made else _TARGET
        paths = self.module.paths(node)
        if not paths or None in paths:
            return None
        return _joined([self._path(node, str(path)) for path in paths])

    def _path(self, node: ast.AST, path: str) -> Provenance:
        root = path.partition(".")[0]
        framework = self.by_root.get(root)
        if framework is not None:
            given = _GIVEN.get(sort_of(framework.facts.frontier, path))
            return given or Provenance(frozenset({Origin.SOURCE}), (node,))
        if root in self.target:
            return _TARGET
        return _PLAIN if root in _PLAIN_PACKAGES else Provenance(frozenset({Origin.UNKNOWN}), (), (node,))

    def _self(self, node: ast.Name) -> Provenance | None:
        owner = self.module.self_class(node)
        return self.of_class(owner) if owner is not None else None

    def _variable(self, variable: Variable, node: ast.expr) -> Provenance:
        own = self._self(node) if isinstance(node, ast.Name) else None
        if own is not None:
            return own
        bindings = self.module.in_force(variable, node)[:_FEW]
        found = [self._binding(item) for item in bindings if not item.is_none]
        if any(isinstance(item.value, ast.List | ast.Dict | ast.Set) for item in bindings):
            found += map(self.of, self._added(variable))
        return _joined(found) if bindings else _UNKNOWN

    def _added(self, variable: Variable) -> Iterator[ast.expr]:
        """What methods add to a list, a dictionary or a set."""
        for use in variable.uses:
            method = self.module.parent(use)
            call = self.module.call_of(method) if isinstance(method, ast.Attribute) and method.attr in _ADDS else None
            if call is not None:
                yield from argument_values(call)

    def _binding(self, binding: Binding) -> Provenance:
        how, value = binding.how, binding.value
        if id(binding.target) in self.bridged:
            return _TARGET
        if how is How.PARAMETER and isinstance(binding.target, ast.arg):
            passed = self.module.passed(binding.target)
            other = [self._annotated(binding.target)] if passed.unknown is not None else []
            return _joined([*map(self.of, passed.values), *other])
        if how is How.DEFINITION and isinstance(binding.target, ast.ClassDef):
            return self.of_class(binding.target)
        if how is How.IMPORT and binding.path is not None:
            return self._path(binding.target, binding.path)
        if value is None:
            return _UNKNOWN
        if how is How.UNPACKED and isinstance(value, ast.Tuple | ast.List) and binding.element is not None:
            whole = not any(isinstance(item, ast.Starred) for item in value.elts)
            return self.of(value.elts[binding.element]) if whole and binding.element < len(value.elts) else _UNKNOWN
        return self.of(value)

    def _annotated(self, parameter: ast.arg) -> Provenance:
        """What a parameter is that nobody in the file gives a value: `net: nn.Module` is a model."""
        kind = parameter.annotation
        found = self.sort(kind) if kind is not None else None
        return self.of(kind) if kind is not None and found is not None and found[1] is Sort.MODEL else _UNKNOWN

    def _call(self, node: ast.Call) -> Provenance:
        function = self.module.function(node)
        if function is not None:
            returns = self.module.returns(function)
            return self.any_of((*returns, *self.module.yields(function))) if returns else _PLAIN
        func = node.func
        if builtin := self.module.builtin(func):
            return self.any_of(argument_values(node)) if builtin in _PASS_ON else _PLAIN
        if isinstance(func, ast.Name | ast.Attribute) and not _ITERATES.isdisjoint(self.module.paths(func)):
            return self.any_of(node.args)
        if isinstance(func, ast.Call) and isinstance(func.func, ast.Name) and func.func.id == "super":
            return _UNKNOWN
        return self.of(func)

    def of_class(self, owner: ast.ClassDef) -> Provenance:
        """Where objects of a class of the file belong: where its bases do; one without bases is Python's."""
        found = self._known.get(id(owner))
        if found is None:
            self._known[id(owner)] = _PLAIN
            found = self._known[id(owner)] = self.any_of(owner.bases) if owner.bases else _PLAIN
        return found


def _joined(values: Sequence[Provenance]) -> Provenance:
    """A value that may be any of several."""
    if len(values) == 1:
        return values[0]
    origins = frozenset[Origin]().union(*(item.origins for item in values))
    sources = {id(node): node for item in values for node in item.sources}
    imports = {id(node): node for item in values for node in item.imports}
    return Provenance(origins, tuple(sources.values()), tuple(imports.values()))
