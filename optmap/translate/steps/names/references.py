"""What a script uses beside the optimizer, as far as the table knows it: layers, losses, tensors, base classes, modes."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from optmap.mapping.model import Framework, MappingSet
from optmap.mapping.steps import Side, load_table
from optmap.source.model import Variable
from optmap.source.syntax import Function, chain_of, inner, is_alias, positional
from optmap.source.templates import CallTemplate, Given, Template, copied, template
from optmap.source.text import Source
from optmap.translate.constructors.spelling import spell_path
from optmap.translate.discover.events import Training, model_uses
from optmap.translate.steps.names.calls import Stays, rewrite_call
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.tensors import TensorRewriter

_PLAIN = ("train", "eval", "parameters")
"""Methods of torch's models whose counterparts do the same."""
_NUMPY_TYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool_")


class NameRewriter:
    """Rewrites the references of one source framework, given the names of the file and its models."""

    def __init__(
        self, source: Source, tables: MappingSet, pair: tuple[Framework, Framework], training: Training,
        done: Collection[ast.AST],
    ) -> None:  # fmt: skip
        self.source = source
        self.training = training
        self.module = training.module
        self.table = load_table(*pair)
        self.roots = frozenset(tables.roots[pair[0]])
        self.conventional = str(pair[1])
        self.called = pair[1].facts.models.called
        self.methods = pair[1].facts.models.methods.get(pair[0], {})
        self.done = {id(item) for node in done for item in inner(node)}
        self.changes = NameChanges()
        self.models: dict[int, tuple[str, str]] = {}
        self.constructs: set[int] = set()

    def run(self, tensors: Iterable[Variable], recorded: Iterable[ast.AST]) -> NameChanges:
        """`tensors` are variables that hold results of a rewritten step.

        `recorded` are the parts of the file that gradients are taken of: there a detached value must stay detached.
        """
        for node in self.references():
            if id(node) not in self.done:
                self._reference(node)
        self._rename_methods()
        rewriter = TensorRewriter(self.source, self.module, self.changes, self.done, recorded, self._spell)
        rewriter.run(tensors, self.constructs)
        self._modes()
        return self.changes

    def references(self) -> list[ast.expr]:
        """Every reference to the source framework."""
        return [reference.node for reference in self.module.references(self.roots).references]

    def _path(self, node: ast.expr) -> str | None:
        paths = self.module.paths(node)
        if len(paths) != 1:
            return None
        (path,) = paths
        if path is not None and path.partition(".")[0] in ("keras", "tf_keras"):
            path = "tensorflow.keras" + path[path.index("keras") + 5 :]
        for version in ("compat.v1.", "compat.v2."):
            if path is not None and path.startswith(f"tensorflow.{version}"):
                path = f"tensorflow.{path.removeprefix(f'tensorflow.{version}')}"
        return path

    def _reference(self, node: ast.expr) -> None:
        path, parent = self._path(node), self.module.parent(node)
        if path is None or path.partition(".")[0] not in self.roots or is_alias(parent, node):
            return
        if path in self.table.callables and isinstance(parent, ast.Call) and parent.func is node:
            self._call(node, parent, *self.table.callables[path])
        elif path in self.table.values and isinstance(getattr(node, "ctx", None), ast.Load):
            if self._given_to_what_stays(node):
                self.changes.stay(node, None)
            else:
                self._replace(node, self.table.values[path])
        elif path in self.table.bases and isinstance(parent, ast.ClassDef) and node in parent.bases:
            self._base(node, parent, path)
        else:
            self.changes.stay(node, None)

    def _given_to_what_stays(self, node: ast.expr) -> bool:
        """`torch.sparse_coo_tensor(..., dtype=torch.int64)`: a function that stays takes nothing of another framework."""
        outer = next((item for item in self.module.ancestors(node) if not isinstance(item, ast.keyword)), None)
        return isinstance(outer, ast.Call) and self.changes.leaves(outer.func)

    def _spell(self, path: str, node: ast.expr, conventional: str | None = None) -> str | None:
        """How a path, of the target where no other framework is given, is written at a place."""
        spelling = spell_path(self.module, path, conventional or self.conventional, node)
        if spelling is None:
            return None
        if spelling.needs is not None:
            self.changes.needed.append(spelling.needs)
        return spelling.text

    def _call(self, node: ast.expr, call: ast.Call, one: Side, other: Side) -> None:
        before = len(self.changes.needed)
        callee = self._spell(other.path, node)
        partial: str | None = "functools.partial"
        if any(item.call for item in other.parameters):
            partial = self._spell("functools.partial", node, "functools")
        try:
            if callee is None or partial is None:
                raise Stays("the file binds the names that it needs to something else")
            rewritten = rewrite_call(self.source, call, one, other, callee, partial)
        except Stays as error:
            del self.changes.needed[before:]
            self.changes.stay(node, str(error))
            return
        if not rewritten.partial:
            self.changes.needed[:] = [item for item in self.changes.needed if item.path != "functools"]
        if rewritten.new is None:
            self.changes.call(call, callee)
        else:
            self.changes.replace(call, rewritten.new)
        for value in (value for name, value in rewritten.kept if name == "dtype"):
            self._dtype(value)
        self.changes.gone.append(node)
        self.done.update(id(item) for value in rewritten.dropped for item in inner(value))
        if other.note is not None:
            self.changes.notes.append((node, other))

    def _dtype(self, value: ast.expr) -> None:
        """`dtype=np.float32`: MindSpore takes its own types alone, and has one of each of these names."""
        root, _, name = str(next(iter(self.module.paths(value)), "")).partition(".")
        if root == "numpy" and name in _NUMPY_TYPES:
            text = self._spell(f"mindspore.{name}", value)
            if text is not None:
                self.changes.replace(value, Template(text))

    def _replace(self, node: ast.expr, path: str) -> None:
        text = self._spell(path, node)
        if text is None:
            self.changes.stay(node, "the file binds the names that it needs to something else")
            return
        self.changes.replace(node, Template(text))
        self.changes.gone.append(node)

    def _base(self, base: ast.expr, owner: ast.ClassDef, path: str) -> None:
        one, other = self.table.bases[path]
        family = self.module.subclasses(owner)
        if any(item.name == other.method for cls in family for item in _methods(cls)):
            self.changes.stay(base, f"{owner.name} has a method {other.method} already")
            return
        self._replace(base, other.path)
        self.models.update((id(cls), (one.method, other.method)) for cls in family)

    def _rename_methods(self) -> None:
        """`forward` becomes `construct` where models define it, and where they call it of themselves."""
        for owner in self.module.nodes(ast.ClassDef):
            own, new = self.models.get(id(owner), ("", ""))
            for function in _methods(owner):
                if function.name == own:
                    self.constructs.add(id(function))
                    self.changes.rename_to(function, new)
        for name in {own for own, _ in self.models.values()}:
            for node in self.module.attributes(name):
                own, new = self.models.get(id(self._own_class(node.value)), ("", ""))
                if own == name and id(node) not in self.changes.touched:
                    self.changes.rename_to(node, new)

    def _own_class(self, node: ast.expr) -> ast.ClassDef | None:
        """The class of the method that `self` or `super()` stands in."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super":
            return self.module.class_of(node)
        return self.module.self_class(node)

    def _modes(self) -> None:
        """`model.train()` and `model.eval()` of models that a translated optimizer trains, or that the file makes."""
        for model in model_uses(self.training, self._made()):
            function = self.module.parent(model)
            call = self.module.parent(function) if isinstance(function, ast.Attribute) else None
            if not isinstance(function, ast.Attribute) or not isinstance(call, ast.Call) or call.func is not function:
                continue
            if self._is_settled(call):
                continue
            word, bare = function.attr, not call.args and not call.keywords
            if word in self.methods and ((word in _PLAIN and bare) or word == "train"):
                self.changes.rename_to(function, self.methods[word].partition("(")[0])
                self.done.update(id(item) for item in inner(call) if bare)
                outer = self.module.parent(call)
                if word == "eval":
                    self.changes.replace(call, CallTemplate(copied(function), (Given(None, Template("False")),)))
                elif word == "parameters" and isinstance(outer, ast.Call) and chain_of(outer.func) == ("next",):
                    self.changes.replace(call, template("iter($call)", call=call))  # a list in MindSpore
        for node in self.module.nodes(ast.Call):
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if method in self.methods and not self._is_settled(node):
                self.changes.stay(node, f".{method}(): {self.called} has {self.methods[method]}")

    def _is_settled(self, call: ast.Call) -> bool:
        """Tell whether a call, or what it calls, is changed or reported already."""
        return any(id(node) in self.done or id(node) in self.changes.touched for node in (call, call.func))

    def _made(self) -> Iterator[Variable]:
        """The variables that hold nothing but a model of the file's own classes, or one of the table's."""
        for owner in self.module.nodes(ast.ClassDef):
            methods = _methods(owner) if id(owner) in self.models else []
            for first in (positional(item.args)[:1] for item in methods):
                variable = self.module.variable(first[0]) if first else None
                if variable is not None and any(self.module.self_class(use) is owner for use in variable.uses):
                    yield variable
        for value in self.module.nodes(ast.Call):
            held = self.module.holder(value)
            if held is not None and self._makes_model(value) and (len(held.chain) > 1 or len(held.bindings) == 1):
                yield held

    def _makes_model(self, value: ast.Call) -> bool:
        own = id(self.module.definition(value.func)) in self.models
        return own or self.changes.makes(value, ("Dense", "SequentialCell"))


def _methods(owner: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [item for item in owner.body if isinstance(item, Function)]
