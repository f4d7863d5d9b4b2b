"""What a script asks of tensors: to be detached, moved to a device, turned into numbers, printed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable

from optmap.source.calls import comments_in
from optmap.source.names import Function
from optmap.source.scopes import chain_of
from optmap.source.templates import template
from optmap.source.text import Source
from optmap.translate.discover.holders import Finder
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.numbers import wants_number

_DEVICES = ("cpu", "cuda", "mps")
_UNKNOWN_METHODS = ("cuda", "cpu", "detach", "requires_grad_")
_TENSOR_METHODS = (
    "detach", "cpu", "clone", "float", "double", "mean", "sum", "abs", "sqrt", "square", "exp", "log", "norm", "std", "var",
    "squeeze", "view", "reshape", "flatten",
)  # fmt: skip
"""Methods of a tensor that give a tensor."""
Spell = Callable[[str, "ast.AST | None", ast.expr], "str | None"]


class TensorRewriter:
    """Rewrites methods of tensors. `recorded` is what gradients are taken of: there a detached value must stay detached."""

    def __init__(
        self,
        source: Source,
        finder: Finder,
        changes: NameChanges,
        done: set[int],
        recorded: Iterable[ast.AST],
        spell: Spell,
    ) -> None:
        self.source = source
        self.finder = finder
        self.changes = changes
        self.done = done
        self.recorded = {id(inner) for node in recorded for inner in ast.walk(node)}
        self.spell = spell

    def run(self, tensors: set[tuple[ast.AST, str]], constructs: Collection[int]) -> None:
        """`tensors` are (function, name) pairs that hold tensors of the target, `constructs` ids of models' functions."""
        known = self._tensors(tensors)
        self._methods(known)
        self._numbers(known)
        self._sizes(known, constructs)

    def _numbers(self, known: set[tuple[ast.AST, str]]) -> None:
        """MindSpore's tensors take no format specification, and `round` no digits: numbers are made of them."""
        functions = _functions(self.source.tree)
        for node in self.source.nodes:
            for value, kind in wants_number(node):
                if not self._computes_tensor(value, functions.get(id(node), self.source.tree), known):
                    continue
                if id(value) in self.done or id(value) in self.changes.touched or not self._stands_there(value):
                    self.changes.stay(value, f"it is formatted as a number; write {kind}(...)")
                    continue
                self.changes.replace(value, template(f"{kind}($value)", value=value))

    def _stands_there(self, node: ast.expr) -> bool:
        """Tell whether the text at a node's place is the node's: inside f-strings, not every Python knows the place."""
        try:
            text = self.source.text(self.source.start(node), self.source.end(node))
            return ast.dump(ast.parse(f"({text})", mode="eval").body) == ast.dump(node)
        except (SyntaxError, ValueError, IndexError):
            return False

    def _sizes(self, known: set[tuple[ast.AST, str]], constructs: Collection[int]) -> None:
        """`x.size(0)` and `x.size()`: what torch computes, MindSpore keeps in `shape`; its `size` is a number."""
        functions = _functions(self.source.tree)
        for node in self.source.nodes:
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "size":
                continue
            place = functions.get(id(node), self.source.tree)
            fixed = not node.keywords and len(node.args) <= 1 and all(_is_index(item) for item in node.args)
            if id(node) in self.done or not fixed:
                continue
            sure = id(place) in constructs or self._computes_tensor(node.func.value, place, known)
            if not sure or comments_in(self.source, self.source.end(node.func.value), self.source.end(node)):
                self.changes.stay(node, f"{ast.unparse(node)[:40]}: a tensor of MindSpore has .shape")
                continue
            if node.args:
                self.changes.replace(node, template("$x.shape[$index]", x=node.func.value, index=node.args[0]))
            else:
                self.changes.replace(node, template("$x.shape", x=node.func.value))

    def _tensors(self, known: set[tuple[ast.AST, str]]) -> set[tuple[ast.AST, str]]:
        """Add the names that are assigned what is computed from known tensors, or what the table makes of them."""
        functions = _functions(self.source.tree)
        assigned = [
            (functions[id(node)], node.targets[0].id, node.value)
            for node in self.source.nodes
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ]
        assigned += [
            (functions[id(node)], node.target.id, node.value)
            for node in self.source.nodes
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
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
            made = self.changes.makes(node, ("tensor", "cat", "stack"))
            detached = isinstance(node.func, ast.Attribute) and node.func.attr in _TENSOR_METHODS
            return made or (detached and self._computes_tensor(node.func.value, place, known))  # type: ignore[attr-defined]
        return isinstance(node, ast.Name) and (place, node.id) in known

    def _methods(self, tensors: set[tuple[ast.AST, str]]) -> None:
        """`x.detach().cpu().numpy()` and what else is asked of tensors; devices, which MindSpore sets for the whole program."""
        functions = _functions(self.source.tree)
        edited: set[int] = set()
        for node in self.source.nodes:
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or id(node) in edited:
                continue
            if id(node) in self.done:
                continue
            root, words = _peel(node, self._is_device)
            edited.update(id(item) for item in _calls(node, len(words)))
            if not words:
                if node.func.attr in _UNKNOWN_METHODS and not node.args and id(node) not in self.changes.touched:
                    self.changes.stay(node, f".{node.func.attr}()")
                continue
            known = isinstance(root, ast.Name) and (functions.get(id(node)), root.id) in tensors
            numeric = words[-1] == "numpy" and ("detach" in words or "cpu" in words)
            placed = all(word in ("to", "cuda") for word in words)
            if id(node) in self.recorded and "detach" in words and not numeric:
                self._detach(node, root, functions.get(id(node)))
            elif numeric or (known and words == ["numpy"]):
                self.changes.replace(node, template("$x.asnumpy()", x=root))
            elif placed or (known and words[-1] != "numpy"):
                self.changes.replace(node, template("$x", x=root))
            elif words[-1] != "numpy":
                self.changes.stay(node, f".{words[-1]}()")

    def _detach(self, node: ast.Call, root: ast.expr, function: ast.AST | None) -> None:
        """`x.detach()` where gradients are recorded becomes `stop_gradient(x)`."""
        callee = self.spell("mindspore.ops.stop_gradient", function, node)
        if callee is None:
            self.changes.stay(node, ".detach()")
            return
        self.changes.replace(node, template(f"{callee}($x)", x=root))

    def _is_device(self, node: ast.expr) -> bool:
        """Tell whether an argument can only be a device: a literal, or a variable that only ever holds one."""
        if isinstance(node, ast.Constant):
            return isinstance(node.value, str) and node.value.partition(":")[0] in _DEVICES
        if isinstance(node, ast.Attribute):
            chain = chain_of(node)
            return chain is not None and (chain[-1] == "device" or chain[-1].endswith("_device"))
        if not isinstance(node, ast.Name):
            return False
        bindings = {
            id(binding): binding for scope in self.finder.names.scopes for binding in scope.bindings.get(node.id, ())
        }.values()
        return (bool(bindings) or node.id == "device") and all(
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


def _is_index(node: ast.expr) -> bool:
    value = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(value, ast.Constant) and isinstance(value.value, int)


def _peel(node: ast.Call, is_device: Callable[[ast.expr], bool]) -> tuple[ast.expr, list[str]]:
    """Take `.detach()`, `.cpu()`, `.cuda()`, `.to(device)` and a last `.numpy()` off: what is left, and their names."""
    words: list[str] = []
    current: ast.expr = node
    while isinstance(current, ast.Call) and isinstance(current.func, ast.Attribute):
        word = current.func.attr
        given = {item.arg: item.value for item in current.keywords}
        idle = all(isinstance(item, ast.Constant) for item in (given.pop("non_blocking", None),) if item is not None)
        places = [*current.args, *(given.pop(name) for name in ("device",) if name in given)]
        bare = word in ("detach", "cpu", "cuda", "numpy") and not current.args and not current.keywords
        placed = word in ("to", "cuda") and idle and not given and len(places) == 1 and is_device(places[0])
        placed = placed or (word == "cuda" and idle and not given and not places)
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
