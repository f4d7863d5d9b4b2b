"""Is the learning rate a number, or an object of the source framework that the target cannot take?"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.mapping.model import Framework, MappingSet
from optmap.source.scopes import Names, chain_of
from optmap.source.text import Source
from optmap.translate.sites import CallSite

_VARIABLES: Final = {
    **dict.fromkeys(("tensorflow.Variable", "tensorflow.compat.v1.Variable"), "a tf.Variable"),
    **dict.fromkeys(("tensorflow.constant", "tensorflow.convert_to_tensor"), "a TensorFlow tensor"),
    **dict.fromkeys(("tensorflow.placeholder", "tensorflow.compat.v1.placeholder"), "a TensorFlow placeholder"),
    **dict.fromkeys(("tensorflow.get_variable", "tensorflow.compat.v1.get_variable"), "a TensorFlow variable"),
    "keras.Variable": "a keras.Variable",
    **dict.fromkeys(("torch.tensor", "torch.Tensor", "torch.as_tensor", "torch.scalar_tensor"), "a torch tensor"),
    **dict.fromkeys(("mindspore.Tensor", "mindspore.tensor", "mindspore.Parameter"), "a MindSpore tensor"),
}
_DEPTH: Final = 4


def learning_rate_object(
    source: Source, names: Names, site: CallSite, node: ast.expr, tables: MappingSet
) -> str | None:
    """Describe the object that the learning rate is; None where it may be a number."""
    return _Describer(source, names, site, tables).describe(node, _DEPTH)


class _Describer:
    def __init__(self, source: Source, names: Names, site: CallSite, tables: MappingSet) -> None:
        self.source = source
        self.names = names
        self.site = site
        self.tables = tables

    def describe(self, node: ast.expr, depth: int) -> str | None:
        """Look through conditions, arithmetic and names for an object that is no number."""
        if depth == 0:
            return None
        if isinstance(node, ast.Lambda):
            return "a function"
        if isinstance(node, ast.List | ast.Tuple | ast.ListComp) and self.site.api.framework is Framework.MINDSPORE:
            return "a list with a value for each step"
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

    def _call(self, node: ast.Call, depth: int) -> str | None:
        chain = chain_of(node.func)
        if chain is None:
            inner = node.func.value if isinstance(node.func, ast.Attribute) else None
            return self.describe(inner, depth - 1) if inner is not None else None
        for path in self.names.paths(chain, self.site.scope):
            if path in _VARIABLES:
                return _VARIABLES[path]
            if self._is_schedule(path):
                return f"the schedule {'.'.join(chain)}"
        return self._own_schedule(chain)

    def _is_schedule(self, path: str | None) -> bool:
        found = self.tables.find(path) if path else None
        return found is not None and found[1].partition(".")[0] in found[0].schedules

    def _own_schedule(self, chain: tuple[str, ...]) -> str | None:
        """A class of this file that derives from a schedule of the framework."""
        for node in ast.walk(self.source.tree):
            if isinstance(node, ast.ClassDef) and chain == (node.name,):
                for base in node.bases:
                    path = chain_of(base)
                    paths = self.names.paths(path, self.names.module) if path else ()
                    if any(self._is_schedule(item) for item in paths):
                        return f"the schedule {node.name}"
        return None

    def _assigned(self, chain: tuple[str, ...]) -> Iterator[ast.expr]:
        """Values assigned to the name in the function of the call, or further out; to `self.x` in the class."""
        for node in (*reversed(self.site.ancestors), self.source.tree):
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
