"""What a script uses beside the optimizer, as far as the table knows it: layers, losses, tensors, base classes, modes."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable

from optmap.mapping.model import Framework, MappingSet
from optmap.mapping.steps import Side, load_table
from optmap.source.model import Module
from optmap.source.names import Function, Interest, collect
from optmap.source.scopes import Names, Reference, Scope, chain_of
from optmap.source.templates import CallTemplate, Given, Template, copied, template
from optmap.source.text import Source
from optmap.translate.constructors.spelling import spell_path
from optmap.translate.discover.events import Holder
from optmap.translate.discover.holders import Finder
from optmap.translate.steps.names.calls import Stays, rewrite_call
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.tensors import TensorRewriter

_PLAIN = ("train", "eval", "parameters")
"""Methods of torch's models whose counterparts do the same."""
_NUMPY_TYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool_")


def frame_roots(tables: MappingSet, framework: Framework) -> frozenset[str]:
    return frozenset(tables.roots[framework])


class NameRewriter:
    """Rewrites the references of one source framework, given the names of the file and its models."""

    def __init__(
        self, source: Source, tables: MappingSet, pair: tuple[Framework, Framework], finder: Finder,
        done: Collection[ast.AST],
    ) -> None:  # fmt: skip
        self.source = source
        self.finder = finder
        self.table = load_table(*pair)
        self.roots = frame_roots(tables, pair[0])
        targets = frame_roots(tables, pair[1])
        self.conventional = str(pair[1])
        self.called = pair[1].facts.models.called
        self.methods = pair[1].facts.models.methods.get(pair[0], {})
        extra = {"functools", "_functools", *(f"_{root}" for root in targets), *targets}
        self.names: Names = collect(
            source, Interest(self.roots | targets | {"numpy"}, tuple(self.roots), string_hint="\0"), extra
        )
        self.done = {id(inner) for node in done for inner in ast.walk(node)}
        self.changes = NameChanges()
        self.models: set[str] = set()
        self.constructs: set[int] = set()

    def run(self, tensors: Iterable[tuple[ast.AST, str]], recorded: Iterable[ast.AST]) -> NameChanges:
        """`tensors` are (function, name) pairs that hold results of a rewritten step.

        `recorded` are the parts of the file that gradients are taken of: there a detached value must stay detached.
        """
        for reference in self.names.references:
            if id(reference.node) not in self.done:
                self._reference(reference)
        TensorRewriter(self.source, self.finder, self.changes, self.done, recorded, self._spell_in).run(
            set(tensors), self.constructs
        )
        self._modes()
        return self.changes

    def references(self) -> list[ast.expr]:
        """Every reference to the source framework."""
        return [reference.node for reference in self.names.references]

    def _path(self, reference: Reference) -> str | None:
        paths = self.names.paths(reference.chain, reference.scope)
        if len(paths) != 1:
            return None
        (path,) = paths
        if path is not None and path.partition(".")[0] in ("keras", "tf_keras"):
            path = "tensorflow.keras" + path[path.index("keras") + 5 :]
        for version in ("compat.v1.", "compat.v2."):
            if path is not None and path.startswith(f"tensorflow.{version}"):
                path = f"tensorflow.{path.removeprefix(f'tensorflow.{version}')}"
        return path

    def _reference(self, reference: Reference) -> None:
        path = self._path(reference)
        if path is None or path.partition(".")[0] not in self.roots:
            return
        parent = reference.ancestors[-1] if reference.ancestors else None
        node = reference.node
        if _is_alias(reference):
            return
        if path in self.table.callables and isinstance(parent, ast.Call) and parent.func is node:
            self._call(reference, parent, *self.table.callables[path])
        elif path in self.table.values and isinstance(getattr(node, "ctx", None), ast.Load):
            if self._given_to_what_stays(reference):
                self.changes.stay(node, None)
            else:
                self._replace(reference, self.table.values[path])
        elif path in self.table.bases and isinstance(parent, ast.ClassDef) and node in parent.bases:
            self._base(reference, parent, path)
        else:
            self.changes.stay(node, None)

    def _given_to_what_stays(self, reference: Reference) -> bool:
        """`torch.sparse_coo_tensor(..., dtype=torch.int64)`: a function that stays takes nothing of another framework."""
        outer = next((node for node in reversed(reference.ancestors) if not isinstance(node, ast.keyword)), None)
        return isinstance(outer, ast.Call) and any(outer.func is node for node, _ in self.changes.stays)

    def _spell(self, path: str, scope: Scope, node: ast.expr, conventional: str) -> str | None:
        spelling = spell_path(Module.of(self.source), path, conventional, node)
        if spelling is None:
            return None
        if spelling.needs is not None:
            self.changes.needed.append(spelling.needs)
        return spelling.text

    def _spell_in(self, path: str, function: ast.AST | None, node: ast.expr) -> str | None:
        """How a path of the target is written inside a function."""
        scope = next((item for item in self.names.scopes if item.node is function), self.names.module)
        return self._spell(path, scope, node, self.conventional)

    def _call(self, reference: Reference, call: ast.Call, one: Side, other: Side) -> None:
        before = len(self.changes.needed)
        callee = self._spell(other.path, reference.scope, reference.node, self.conventional)
        partial: str | None = "functools.partial"
        if any(item.call for item in other.parameters):
            partial = self._spell("functools.partial", reference.scope, reference.node, "functools")
        try:
            if callee is None or partial is None:
                raise Stays("the file binds the names that it needs to something else")
            rewritten = rewrite_call(self.source, call, one, other, callee, partial)
        except Stays as error:
            del self.changes.needed[before:]
            self.changes.stay(reference.node, str(error))
            return
        if not rewritten.partial:
            self.changes.needed[:] = [item for item in self.changes.needed if item.path != "functools"]
        if rewritten.new is None:
            self.changes.call(call, callee)
        else:
            self.changes.replace(call, rewritten.new)
        for value in (value for name, value in rewritten.kept if name == "dtype"):
            self._dtype(value, reference.scope)
        self.changes.gone.append(reference.node)
        self.done.update(id(inner) for node in rewritten.dropped for inner in ast.walk(node))
        if other.note is not None:
            self.changes.notes.append((reference.node, other))

    def _dtype(self, value: ast.expr, scope: Scope) -> None:
        """`dtype=np.float32`: MindSpore takes its own types alone, and has one of each of these names."""
        chain = chain_of(value)
        path = next(iter(self.names.paths(chain, scope)), None) if chain is not None else None
        root, _, name = (path or "").partition(".")
        if root == "numpy" and name in _NUMPY_TYPES:
            text = self._spell(f"mindspore.{name}", scope, value, self.conventional)
            if text is not None:
                self.changes.replace(value, Template(text))

    def _replace(self, reference: Reference, path: str) -> None:
        text = self._spell(path, reference.scope, reference.node, self.conventional)
        if text is None:
            self.changes.stay(reference.node, "the file binds the names that it needs to something else")
            return
        self.changes.replace(reference.node, Template(text))
        self.changes.gone.append(reference.node)

    def _base(self, reference: Reference, owner: ast.ClassDef, path: str) -> None:
        one, other = self.table.bases[path]
        family = self._family(owner)
        methods = [item for cls in family for item in cls.body if isinstance(item, Function)]
        if any(item.name == other.method for item in methods):
            self.changes.stay(reference.node, f"{owner.name} has a method {other.method} already")
            return
        self._replace(reference, other.path)
        self.models.update(cls.name for cls in family)
        self.constructs.update(id(item) for item in methods if item.name == one.method)
        for function in methods:
            if function.name == one.method and id(function) not in self.changes.touched:
                self.changes.rename_to(function, other.method)
        for cls in family:
            for node in ast.walk(cls):
                own = isinstance(node, ast.Attribute) and node.attr == one.method and (
                    ast.unparse(node.value) == "self" or ast.unparse(node.value).startswith("super(")
                )  # fmt: skip
                if own and isinstance(node, ast.Attribute) and id(node) not in self.changes.touched:
                    self.changes.rename_to(node, other.method)

    def _family(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """The class, and the classes of the file that derive from it."""
        found = [owner]
        for cls in found:
            found += [
                node
                for node in self.source.nodes
                if isinstance(node, ast.ClassDef) and node not in found
                and any(isinstance(base, ast.Name) and base.id == cls.name for base in node.bases)
            ]  # fmt: skip
        return found

    def _modes(self) -> None:
        """`model.train()` and `model.eval()` of models that a translated optimizer trains, or that the file makes."""
        for holder in self.finder.models(self._made()):
            for reference in self.finder.references(holder):
                rest = reference.chain[len(holder.chain) :]
                call = reference.ancestors[-1] if reference.ancestors else None
                if len(rest) != 1 or not isinstance(call, ast.Call) or call.func is not reference.node:
                    continue
                if {id(call), id(call.func)} & (self.done | self.changes.touched.keys()):
                    continue
                bare = not call.args and not call.keywords
                if rest[0] not in self.methods:
                    continue
                if (rest[0] in _PLAIN and bare) or rest[0] == "train":
                    assert isinstance(call.func, ast.Attribute)
                    self.changes.rename_to(call.func, self.methods[rest[0]].partition("(")[0])
                    self.done.update(id(inner) for inner in ast.walk(call) if bare)
                    outer = self.source.parents[id(call)]
                    if rest[0] == "eval":
                        self.changes.replace(call, CallTemplate(copied(call.func), (Given(None, Template("False")),)))
                    elif rest[0] == "parameters" and isinstance(outer, ast.Call) and chain_of(outer.func) == ("next",):
                        self.changes.replace(call, template("iter($call)", call=call))  # a list in MindSpore
        for node in self.source.nodes:
            method = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if method not in self.methods or not isinstance(node, ast.Call) or id(node) in self.done:
                continue
            if not {id(node), id(node.func)} & self.changes.touched.keys():
                self.changes.stay(node, f".{method}(): {self.called} has {self.methods[method]}")

    def _made(self) -> list[Holder]:
        """The variables that hold nothing but a model of the file's own classes, or one of the table's."""
        classes = [node for node in self.source.nodes if isinstance(node, ast.ClassDef)]
        found = [Holder(("self",), node, ()) for node in classes if node.name in self.models]
        for node in self.source.nodes:
            value = node.value if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
            chain = chain_of(node.targets[0]) if isinstance(node, ast.Assign) else None
            if not isinstance(value, ast.Call) or chain is None or not self._makes_model(value):
                continue
            if len(chain) == 1:
                places = [scope for scope in self.finder.names.scopes if _holds(scope, chain[0], value)]
                found += [Holder(chain, scope.node, ()) for scope in places if len(scope.bindings[chain[0]]) == 1]
            elif len(chain) == 2 and chain[0] == "self":
                found += [Holder(chain, item, ()) for item in classes if any(inner is node for inner in ast.walk(item))]
        return found

    def _makes_model(self, value: ast.Call) -> bool:
        if isinstance(value.func, ast.Name) and value.func.id in self.models:
            return True
        return self.changes.makes(value, ("Dense", "SequentialCell"))


def _holds(scope: Scope, name: str, value: ast.expr) -> bool:
    return any(binding.value is value for binding in scope.bindings.get(name, ()))


def _is_alias(reference: Reference) -> bool:
    """`nn = torch.nn` only gives a module another name; it goes or stays with its uses."""
    parent = reference.ancestors[-1] if reference.ancestors else None
    return isinstance(parent, ast.Assign) and parent.value is reference.node and all(
        isinstance(target, ast.Name) for target in parent.targets
    )  # fmt: skip
