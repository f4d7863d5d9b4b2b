"""Is the learning rate a number, or an object of the source framework that the target cannot take?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from optmap.mapping.model import Framework, MappingSet
from optmap.source.scopes import Names, chain_of
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite


class RateKind(Enum):
    """What a learning rate is that is no plain number."""

    FUNCTION = auto()
    LIST = auto()
    ARRAY = auto()
    FRAMEWORK_VALUE = auto()
    SCHEDULE = auto()
    OWN_SCHEDULE = auto()
    OBJECT = auto()
    RETURNED = auto()


_TEXTS: Final = {
    RateKind.FUNCTION: "a function",
    RateKind.LIST: "a list with a value for each step",
    RateKind.ARRAY: "a numpy array with a value for each step",
    RateKind.FRAMEWORK_VALUE: "{}",
    RateKind.SCHEDULE: "the schedule {}",
    RateKind.OWN_SCHEDULE: "the schedule {}",
    RateKind.OBJECT: "an object of {}",
    RateKind.RETURNED: "what {}(...) returns, perhaps a rate for each step",
}


class RateObject(NamedTuple):
    """A learning rate that is no plain number; `name` is what the file calls its class or function, if anything."""

    kind: RateKind
    name: str = ""

    @property
    def text(self) -> str:
        """The object in a sentence."""
        return _TEXTS[self.kind].format(self.name)


_VARIABLES: Final = {
    **dict.fromkeys(("tensorflow.Variable", "tensorflow.compat.v1.Variable"), "a tf.Variable"),
    **dict.fromkeys(("tensorflow.constant", "tensorflow.convert_to_tensor"), "a TensorFlow tensor"),
    **dict.fromkeys(("tensorflow.placeholder", "tensorflow.compat.v1.placeholder"), "a TensorFlow placeholder"),
    **dict.fromkeys(("tensorflow.get_variable", "tensorflow.compat.v1.get_variable"), "a TensorFlow variable"),
    "keras.Variable": "a keras.Variable",
    **dict.fromkeys(("torch.tensor", "torch.Tensor", "torch.as_tensor", "torch.scalar_tensor"), "a torch tensor"),
    **dict.fromkeys(("mindspore.Tensor", "mindspore.tensor", "mindspore.Parameter"), "a MindSpore tensor"),
    **dict.fromkeys(("mindspore.common.tensor.Tensor", "mindspore.common.Tensor"), "a MindSpore tensor"),
    **dict.fromkeys(("mindspore.common.parameter.Parameter", "mindspore.common.Parameter"), "a MindSpore tensor"),
}
_DEPTH: Final = 4
_ARRAYS: Final = frozenset(
    ("array", "asarray", "linspace", "arange", "concatenate", "full", "ones", "zeros", "geomspace")
)
"""Functions of numpy that make an array with a value for each step."""
_RATES: Final = frozenset(
    ("lr", "lrs", "rate", "rates", "schedule", "scheduler", "warmup", "cosine", "decay", "annealing", "noam")
)
"""Words in the name of what makes learning rates, in MindSpore's examples mostly one for each step."""
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def learning_rate_object(
    source: Source, names: Names, site: CallSite, node: ast.expr, tables: MappingSet
) -> RateObject | None:
    """The object that the learning rate is; None where it may be a number."""
    return _Describer(source, names, site, tables).describe(node, _DEPTH)


class _Describer:
    def __init__(self, source: Source, names: Names, site: CallSite, tables: MappingSet) -> None:
        self.source = source
        self.names = names
        self.site = site
        self.tables = tables
        self.ancestors = site.ancestors

    def describe(self, node: ast.expr, depth: int) -> RateObject | None:
        """Look through conditions, arithmetic and names for an object that is no number."""
        if depth == 0:
            return None
        if isinstance(node, ast.Lambda):
            return RateObject(RateKind.FUNCTION)
        if isinstance(node, ast.List | ast.Tuple | ast.ListComp) and self.site.api.framework is Framework.MINDSPORE:
            return RateObject(RateKind.LIST)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        for inner in _parts(node):
            found = self.describe(inner, depth - 1)
            if found is not None:
                return found
        chain = chain_of(node)
        if chain is None:
            return None
        described = (self.describe(value, depth - 1) for value in self._assigned(chain))
        return next((what for what in described if what is not None), None)

    def _call(self, node: ast.Call, depth: int) -> RateObject | None:
        chain = chain_of(node.func)
        if chain is None:
            inner = node.func.value if isinstance(node.func, ast.Attribute) else None
            return self.describe(inner, depth - 1) if inner is not None else None
        for path in self.names.paths(chain, self.site.scope):
            if path in _VARIABLES:
                return RateObject(RateKind.FRAMEWORK_VALUE, _VARIABLES[path])
            if self._is_schedule(path):
                return RateObject(RateKind.SCHEDULE, ".".join(chain))
        own = self._own_schedule(chain)
        return self._made(chain, depth) if own is None and self.site.api.framework is Framework.MINDSPORE else own

    def _made(self, chain: tuple[str, ...], depth: int) -> RateObject | None:
        """What a function gives that MindSpore's optimizers may take one rate for each step from."""
        if chain[0] in ("np", "numpy") and chain[-1] in _ARRAYS:
            return RateObject(RateKind.ARRAY)
        functions = [node for node in self.source.nodes if _has_names(node) and getattr(node, "name", "") == chain[-1]]
        if functions and (len(chain) == 1 or chain[0] == "self"):
            returned = [item.value for item in ast.walk(functions[-1]) if isinstance(item, ast.Return) and item.value]
            inside = _Describer(self.source, self.names, self.site, self.tables)
            inside.ancestors = (functions[-1],)
            found = next((what for item in returned if (what := inside.describe(item, depth - 1)) is not None), None)
            if found is not None or all(map(_is_number, returned)):
                return found
        if not _RATES & {word.lower() for word in _WORDS.findall(chain[-1])}:
            return None
        if chain[-1][:1].isupper():
            return RateObject(RateKind.OBJECT, chain[-1])
        return RateObject(RateKind.RETURNED, ".".join(chain))

    def _is_schedule(self, path: str | None) -> bool:
        found = self.tables.find(path) if path else None
        return found is not None and found[1].partition(".")[0] in found[0].schedules

    def _own_schedule(self, chain: tuple[str, ...]) -> RateObject | None:
        """A class of this file that derives from a schedule of the framework."""
        for node in self.source.nodes:
            if isinstance(node, ast.ClassDef) and chain == (node.name,):
                for base in node.bases:
                    path = chain_of(base)
                    paths = self.names.paths(path, self.names.module) if path else ()
                    if any(self._is_schedule(item) for item in paths):
                        return RateObject(RateKind.OWN_SCHEDULE, node.name)
        return None

    def _assigned(self, chain: tuple[str, ...]) -> Iterator[ast.expr]:
        """Values assigned to the name in the function of the call, or further out; to `self.x` in the class."""
        for node in (*reversed(self.ancestors), self.source.tree):
            inside = isinstance(node, ast.ClassDef) if len(chain) > 1 else _has_names(node)
            if not inside:
                continue
            found = list(_assignments(node, chain))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found += _defaults(node.args, chain[0])
                if not found and chain[0] in {
                    argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)
                }:
                    return
            if found:
                yield from found
                return


def _is_number(node: ast.expr) -> bool:
    """Arithmetic that has a number in it, and no list: `base * 0.9 ** epoch`."""
    numbers = (isinstance(item, ast.Constant) and isinstance(item.value, int | float) for item in ast.walk(node))
    return isinstance(node, ast.Constant | ast.BinOp | ast.UnaryOp) and any(numbers)


def _has_names(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    elif isinstance(node, ast.NamedExpr):
        yield node.value


def _assignments(scope: ast.AST, chain: tuple[str, ...]) -> Iterator[ast.expr]:
    for node in ast.walk(scope):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value is not None and any(chain_of(target) == chain for target in targets):
            yield value


def _defaults(arguments: ast.arguments, name: str) -> list[ast.expr]:
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    pairs += [
        (item, default) for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default
    ]
    return [default for item, default in pairs if item.arg == name]
