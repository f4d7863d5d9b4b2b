"""What a script uses beside the optimizer, as far as the table knows it: layers, losses, tensors, base classes, modes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field

from optmap.mapping.model import Framework, MappingSet
from optmap.source.names import Function, Interest, collect
from optmap.source.scopes import Names, Reference, Scope, chain_of
from optmap.source.text import Source
from optmap.translate.edits import Edit
from optmap.translate.imports import NewImport, spell_path
from optmap.translate.steps.callables import Stays, rewrite_call
from optmap.translate.steps.find import Finder
from optmap.translate.steps.table import Side, load_table

_DEVICES = ("cpu", "cuda", "mps")
_MODES = {"train": "set_train()", "eval": "set_train(False)", "parameters": "trainable_params()"}
_NUMPY_TYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool_")
_UNKNOWN_METHODS = ("cuda", "cpu", "detach", "requires_grad_")


@dataclass
class NameChanges:
    """The edits, what they do to the tree, which references go away, what stays, and what should be known."""

    edits: list[Edit] = field(default_factory=list)
    expressions: dict[int, ast.AST] = field(default_factory=dict)
    fresh: list[ast.AST] = field(default_factory=list)
    gone: list[ast.expr] = field(default_factory=list)
    needed: list[NewImport] = field(default_factory=list)
    stays: list[tuple[ast.expr, str | None]] = field(default_factory=list)
    notes: list[tuple[ast.expr, Side]] = field(default_factory=list)


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
        extra = {"functools", "_functools", *(f"_{root}" for root in targets), *targets}
        self.names: Names = collect(
            source, Interest(self.roots | targets | {"numpy"}, tuple(self.roots), string_hint="\0"), extra
        )
        self.done = {id(inner) for node in done for inner in ast.walk(node)}
        self.changes = NameChanges()
        self.recorded: set[int] = set()

    def run(self, tensors: Iterable[tuple[ast.AST, str]], recorded: Iterable[ast.AST]) -> NameChanges:
        """`tensors` are (function, name) pairs that hold results of a rewritten step.

        `recorded` are the parts of the file that gradients are taken of: there a detached value must stay detached.
        """
        self.recorded = {id(inner) for node in recorded for inner in ast.walk(node)}
        for reference in self.names.references:
            if id(reference.node) not in self.done:
                self._reference(reference)
        self._methods(self._tensors(set(tensors)))
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
            self._replace(reference, self.table.values[path])
        elif path in self.table.bases and isinstance(parent, ast.ClassDef) and node in parent.bases:
            self._base(reference, parent, path)
        else:
            self._stay(node, None)

    def _stay(self, node: ast.expr, reason: str | None) -> None:
        self.changes.stays.append((node, reason))

    def _spell(self, path: str, scope: Scope, node: ast.expr, conventional: str) -> str | None:
        spelling = spell_path(self.source, self.names, path, conventional, scope, self.source.start(node))
        if spelling is None:
            return None
        if spelling.needs is not None:
            self.changes.needed.append(spelling.needs)
        return spelling.text

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
            self._stay(reference.node, str(error))
            return
        if "partial" not in ast.unparse(rewritten.becomes):
            self.changes.needed[:] = [item for item in self.changes.needed if item.path != "functools"]
        self.changes.edits += rewritten.edits
        self.changes.expressions[id(call)] = rewritten.becomes
        self.changes.fresh += rewritten.fresh
        if isinstance(rewritten.becomes, ast.Call):
            placed = zip((item.name for item in other.parameters), rewritten.becomes.args, strict=False)
            written = [*placed, *((str(word.arg), word.value) for word in rewritten.becomes.keywords)]
            for value in (value for name, value in written if name == "dtype"):
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
                self._edit(value, text)

    def _replace(self, reference: Reference, path: str) -> None:
        text = self._spell(path, reference.scope, reference.node, self.conventional)
        if text is None:
            self._stay(reference.node, "the file binds the names that it needs to something else")
            return
        self._edit(reference.node, text)
        self.changes.gone.append(reference.node)

    def _edit(self, node: ast.expr, text: str) -> None:
        becomes = ast.parse(text, mode="eval").body
        self.changes.edits.append(Edit(self.source.start(node), self.source.end(node), text))
        self.changes.expressions[id(node)] = becomes
        self.changes.fresh += ast.walk(becomes)

    def _base(self, reference: Reference, owner: ast.ClassDef, path: str) -> None:
        one, other = self.table.bases[path]
        family = self._family(owner)
        methods = [item for cls in family for item in cls.body if isinstance(item, Function)]
        if any(item.name == other.method for item in methods):
            self._stay(reference.node, f"{owner.name} has a method {other.method} already")
            return
        self._replace(reference, other.path)
        for function in methods:
            if function.name == one.method and id(function) not in self.changes.expressions:
                self._rename(function, one.method, other.method)
        for cls in family:
            for node in ast.walk(cls):
                own = isinstance(node, ast.Attribute) and node.attr == one.method and (
                    ast.unparse(node.value) == "self" or ast.unparse(node.value).startswith("super(")
                )  # fmt: skip
                if own and isinstance(node, ast.Attribute) and id(node) not in self.changes.expressions:
                    end = self.source.end(node)
                    self.changes.edits.append(Edit(end - len(one.method), end, other.method))
                    self._becomes(node, ast.Attribute(node.value, other.method, node.ctx))

    def _family(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """The class, and the classes of the file that derive from it."""
        found = [owner]
        for cls in found:
            found += [
                node
                for node in ast.walk(self.source.tree)
                if isinstance(node, ast.ClassDef) and node not in found
                and any(isinstance(base, ast.Name) and base.id == cls.name for base in node.bases)
            ]  # fmt: skip
        return found

    def _becomes(self, old: ast.AST, new: ast.AST) -> None:
        self.changes.expressions[id(old)] = new
        self.changes.fresh.append(new)

    def _rename(self, function: ast.FunctionDef | ast.AsyncFunctionDef, old: str, new: str) -> None:
        start = self.source.start(function)
        at = self.source.body.index(old.encode(), self.source.body.index(b"def", start) + 3)
        self.changes.edits.append(Edit(at, at + len(old), new))
        renamed = copy(function)
        renamed.name = new
        self._becomes(function, renamed)

    def _tensors(self, known: set[tuple[ast.AST, str]]) -> set[tuple[ast.AST, str]]:
        """Add the names that are assigned what is computed from known tensors, or what the table makes of them."""
        functions = _functions(self.source.tree)
        assigned = [
            (functions[id(node)], node.targets[0].id, node.value)
            for node in ast.walk(self.source.tree)
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ]
        before = -1
        while before != (before := len(known)):
            for place, name, value in assigned:
                if self._computes_tensor(value, place, known):
                    known.add((place, name))
        return known

    def _computes_tensor(self, node: ast.expr, place: ast.AST, known: set[tuple[ast.AST, str]]) -> bool:
        if isinstance(node, ast.BinOp):
            return self._computes_tensor(node.left, place, known) or self._computes_tensor(node.right, place, known)
        if isinstance(node, ast.Call):
            becomes = self.changes.expressions.get(id(node))
            made = isinstance(becomes, ast.Call) and ast.unparse(becomes.func).rpartition(".")[2] in (
                "tensor",
                "cat",
                "stack",
            )
            detached = isinstance(node.func, ast.Attribute) and node.func.attr in ("detach", "cpu", "clone")
            return made or (detached and self._computes_tensor(node.func.value, place, known))  # type: ignore[attr-defined]
        return isinstance(node, ast.Name) and (place, node.id) in known

    def _methods(self, tensors: set[tuple[ast.AST, str]]) -> None:
        """`x.detach().cpu().numpy()` and what else is asked of tensors; devices, which MindSpore sets for the whole program."""
        functions = _functions(self.source.tree)
        edited: set[int] = set()
        for node in ast.walk(self.source.tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or id(node) in edited:
                continue
            if id(node) in self.done:
                continue
            root, words = _peel(node, self._is_device)
            edited.update(id(item) for item in _calls(node, len(words)))
            if not words:
                if node.func.attr in _UNKNOWN_METHODS and not node.args and not self._in_table(node):
                    self._stay(node, f".{node.func.attr}()")
                continue
            known = isinstance(root, ast.Name) and (functions.get(id(node)), root.id) in tensors
            numeric = words[-1] == "numpy" and ("detach" in words or "cpu" in words)
            placed = all(word in ("to", "cuda") for word in words)
            if id(node) in self.recorded and "detach" in words and not numeric:
                self._detach(node, root, functions.get(id(node)))
            elif numeric:
                self._cut(node, root, ".asnumpy()")
            elif placed or (known and words[-1] != "numpy"):
                self._cut(node, root, "")
            elif words[-1] != "numpy":
                self._stay(node, f".{words[-1]}()")

    def _detach(self, node: ast.Call, root: ast.expr, function: ast.AST | None) -> None:
        """`x.detach()` where gradients are recorded becomes `stop_gradient(x)`."""
        scope = next((item for item in self.names.scopes if item.node is function), self.names.module)
        callee = self._spell("mindspore.ops.stop_gradient", scope, node, self.conventional)
        if callee is None:
            self._stay(node, ".detach()")
            return
        start, end = self.source.start(node), self._end(root)
        self.changes.edits += [Edit(start, start, f"{callee}("), Edit(end, self.source.end(node), ")")]
        name = ast.parse(callee, mode="eval").body
        self.changes.fresh += ast.walk(name)
        self._becomes(node, ast.Call(name, [root], []))

    def _end(self, root: ast.expr) -> int:
        """The end of an expression with the brackets around it."""
        end = self.source.end(root)
        while self.source.body[end : end + 1] == b")":
            end += 1
        return end

    def _in_table(self, node: ast.Call) -> bool:
        return id(node) in self.changes.expressions

    def _cut(self, node: ast.Call, root: ast.expr, text: str) -> None:
        end = self._end(root)
        self.changes.edits.append(Edit(end, self.source.end(node), text))
        if text:
            function = ast.Attribute(root, text[1:-2], ast.Load())
            self.changes.fresh.append(function)
            self._becomes(node, ast.Call(function, [], []))
        else:
            self.changes.expressions[id(node)] = root

    def _is_device(self, node: ast.expr) -> bool:
        """Tell whether an argument can only be a device: a literal, or a variable that only ever holds one."""
        if isinstance(node, ast.Constant):
            return isinstance(node.value, str) and node.value.partition(":")[0] in _DEVICES
        if not isinstance(node, ast.Name):
            return False
        bindings = {
            id(binding): binding for scope in self.finder.names.scopes for binding in scope.bindings.get(node.id, ())
        }.values()
        return bool(bindings) and all(
            (isinstance(binding.node, ast.arg) and node.id == "device")
            or (
                isinstance(binding.value, ast.Call)
                and chain_of(binding.value.func) in (("torch", "device"), ("device",))
            )
            or (
                binding.value is not None and isinstance(binding.value, ast.Constant) and self._is_device(binding.value)
            )
            for binding in bindings
        )

    def _modes(self) -> None:
        """`model.train()` and `model.eval()` of models that a translated optimizer trains."""
        for holder in self.finder.models():
            for reference in self.finder.references(holder):
                rest = reference.chain[len(holder.chain) :]
                call = reference.ancestors[-1] if reference.ancestors else None
                plain = (
                    isinstance(call, ast.Call) and call.func is reference.node and not call.args and not call.keywords
                )
                word = _MODES.get(rest[0]) if len(rest) == 1 else None
                if word is None or not plain or id(call) in self.changes.expressions or id(call) in self.done:
                    continue
                assert isinstance(call, ast.Call)
                text = f"{holder.text}.{word}"
                self._edit(call, text)
                self.done.update(id(inner) for inner in ast.walk(call))


def _is_alias(reference: Reference) -> bool:
    """`nn = torch.nn` only gives a module another name; it goes or stays with its uses."""
    parent = reference.ancestors[-1] if reference.ancestors else None
    return isinstance(parent, ast.Assign) and parent.value is reference.node and all(
        isinstance(target, ast.Name) for target in parent.targets
    )  # fmt: skip


def _peel(node: ast.Call, is_device: Callable[[ast.expr], bool]) -> tuple[ast.expr, list[str]]:
    """Take `.detach()`, `.cpu()`, `.cuda()`, `.to(device)` and a last `.numpy()` off: what is left, and their names."""
    words: list[str] = []
    current: ast.expr = node
    while isinstance(current, ast.Call) and isinstance(current.func, ast.Attribute) and not current.keywords:
        word = current.func.attr
        bare = word in ("detach", "cpu", "cuda", "numpy") and not current.args
        placed = word == "to" and len(current.args) == 1 and is_device(current.args[0])
        if (not bare and not placed) or (word == "numpy" and words):
            break
        words.insert(0, word)
        current = current.func.value
    return current, words


def _calls(node: ast.Call, count: int) -> list[ast.Call]:
    found: list[ast.Call] = []
    current: ast.expr = node
    while len(found) < count and isinstance(current, ast.Call) and isinstance(current.func, ast.Attribute):
        found.append(current)
        current = current.func.value
    return found


def _functions(tree: ast.Module) -> dict[int, ast.AST]:
    """The innermost function or module around each node, by the node's id."""
    found: dict[int, ast.AST] = {}

    def visit(node: ast.AST, around: ast.AST) -> None:
        found[id(node)] = around
        inner = node if isinstance(node, Function | ast.Lambda) else around
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(tree, tree)
    return found


def lines_of(nodes: Sequence[ast.expr]) -> str:
    """`line 3` or `lines 3, 5 and 8`, with only the first ones where there are many."""
    lines = sorted({node.lineno for node in nodes})
    shown = [str(line) for line in lines[:12]]
    if len(lines) > 12:
        shown.append(f"{len(lines) - 12} more")
    return f"line {shown[0]}" if len(shown) == 1 else f"lines {', '.join(shown[:-1])} and {shown[-1]}"
