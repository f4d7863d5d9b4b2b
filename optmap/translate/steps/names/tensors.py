"""What a script asks of tensors: to be detached, moved to a device, turned into numbers, printed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from string import Formatter

from optmap.source.calls import comments_in
from optmap.source.model import How, Module, Variable
from optmap.source.syntax import chain_of, inner
from optmap.source.templates import template
from optmap.source.text import Source
from optmap.translate.steps.names.changes import NameChanges

_DEVICES = ("cpu", "cuda", "mps")
_UNKNOWN_METHODS = ("cuda", "cpu", "detach", "requires_grad_")
_TENSOR_METHODS = (
    "detach", "cpu", "clone", "float", "double", "mean", "sum", "abs", "sqrt", "square", "exp", "log", "norm", "std", "var",
    "squeeze", "view", "reshape", "flatten",
)  # fmt: skip
"""Methods of a tensor that give a tensor."""
Spell = Callable[[str, ast.expr], "str | None"]


class TensorRewriter:
    """Rewrites methods of tensors. `recorded` is what gradients are taken of: there a detached value must stay detached."""

    def __init__(
        self,
        source: Source,
        module: Module,
        changes: NameChanges,
        done: set[int],
        recorded: Iterable[ast.AST],
        spell: Spell,
    ) -> None:
        self.source = source
        self.module = module
        self.changes = changes
        self.done = done
        self.recorded = {id(item) for node in recorded for item in inner(node)}
        self.tensors: set[Variable] = set()
        self.spell = spell

    def run(self, tensors: Iterable[Variable], constructs: Collection[int]) -> None:
        """`tensors` hold tensors of the target, `constructs` are the ids of models' functions."""
        self.tensors.update(tensors)
        self._spread()
        self._methods()
        self._numbers()
        self._sizes(constructs)

    def _spread(self) -> None:
        """Find the variables that are assigned what is computed from known tensors, or what the table makes of them."""
        users: dict[Variable, list[Variable]] = {}
        for node in self.module.nodes(ast.Assign, ast.AugAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
            variable = self.module.variable(node.target if isinstance(node, ast.AugAssign) else target or node)
            if variable is None or len(variable.chain) > 1:
                continue
            for origin in self._origins(node.value):
                if isinstance(origin, ast.Call):
                    self.tensors.add(variable)
                elif (used := self.module.variable(origin)) is not None:
                    users.setdefault(used, []).append(variable)
        stack = list(self.tensors)
        while stack:
            new = set(users.pop(stack.pop(), ())) - self.tensors
            self.tensors |= new
            stack += new

    def _origins(self, node: ast.expr) -> Iterator[ast.Name | ast.Call]:
        """What makes an expression a tensor if it is one itself: names, and calls that are known to make tensors."""
        stack = [node]
        while stack:
            node = stack.pop()
            if isinstance(node, ast.BinOp):
                stack += (node.left, node.right)
            elif isinstance(node, ast.Name) or self.changes.makes(node, ("tensor", "cat", "stack")):
                yield node  # type: ignore[misc]
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _TENSOR_METHODS
            ):
                stack.append(node.func.value)

    def _is_tensor(self, node: ast.expr) -> bool:
        return any(
            isinstance(item, ast.Call) or self.module.variable(item) in self.tensors for item in self._origins(node)
        )

    def _numbers(self) -> None:
        """MindSpore's tensors take no format specification, and `round` no digits: numbers are made of them."""
        for node in self.module.nodes(ast.FormattedValue, ast.Call):
            for value, kind in self._formatted(node):
                if not self._is_tensor(value):
                    continue
                if id(value) in self.done or id(value) in self.changes.touched or not self._stands_there(value):
                    self.changes.stay(value, f"it is formatted as a number; write {kind}(...)")
                    continue
                self.changes.replace(value, template(f"{kind}($value)", value=value))

    def _formatted(self, node: ast.FormattedValue | ast.Call) -> Iterator[tuple[ast.expr, str]]:
        """The expressions that a node turns into text as numbers, or rounds, each with the kind of number."""
        if isinstance(node, ast.FormattedValue):
            if isinstance(node.format_spec, ast.JoinedStr):
                last = node.format_spec.values[-1] if node.format_spec.values else None
                yield node.value, _kind(str(last.value) if isinstance(last, ast.Constant) else "")
        elif isinstance(node.func, ast.Name) and len(node.args) == 2:
            if node.func.id in ("round", "format") and self.module.is_builtin(node.func.id, node):
                yield node.args[0], "float"
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            text = node.func.value.value if isinstance(node.func.value, ast.Constant) else None
            if isinstance(text, str):
                yield from _fields(text, node)

    def _stands_there(self, node: ast.expr) -> bool:
        """Tell whether the text at a node's place is the node's: inside f-strings, not every Python knows the place."""
        try:
            text = self.source.text(self.source.start(node), self.source.end(node))
            return ast.dump(ast.parse(f"({text})", mode="eval").body) == ast.dump(node)
        except (SyntaxError, ValueError, IndexError):
            return False

    def _sizes(self, constructs: Collection[int]) -> None:
        """`x.size(0)` and `x.size()`: what torch computes, MindSpore keeps in `shape`; its `size` is a number."""
        for function in self.module.attributes("size"):
            node = self.module.parent(function)
            if not isinstance(node, ast.Call) or node.func is not function or id(node) in self.done:
                continue
            if node.keywords or len(node.args) > 1 or not all(_is_index(item) for item in node.args):
                continue
            place = self.module.enclosing(node, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
            sure = id(place) in constructs or self._is_tensor(function.value)
            if not sure or comments_in(self.source, self.source.end(function.value), self.source.end(node)):
                self.changes.stay(node, f"{ast.unparse(node)[:40]}: a tensor of MindSpore has .shape")
            elif node.args:
                self.changes.replace(node, template("$x.shape[$index]", x=function.value, index=node.args[0]))
            else:
                self.changes.replace(node, template("$x.shape", x=function.value))

    def _methods(self) -> None:
        """`x.detach().cpu().numpy()` and what else is asked of tensors; devices, which MindSpore sets for the whole program."""
        edited: set[int] = set()
        for node in self.module.nodes(ast.Call):
            if not isinstance(node.func, ast.Attribute) or id(node) in edited or id(node) in self.done:
                continue
            root, words = _peel(node, self._is_device)
            edited.update(id(item) for item in _calls(node, len(words)))
            if words:
                self._chain(node, root, words)
            elif node.func.attr in _UNKNOWN_METHODS and not node.args and id(node) not in self.changes.touched:
                self.changes.stay(node, f".{node.func.attr}()")

    def _chain(self, node: ast.Call, root: ast.expr, words: list[str]) -> None:
        known = isinstance(root, ast.Name) and self.module.variable(root) in self.tensors
        numeric = words[-1] == "numpy" and ("detach" in words or "cpu" in words)
        placed = all(word in ("to", "cuda") for word in words)
        if id(node) in self.recorded and "detach" in words and not numeric:
            self._detach(node, root)
        elif numeric or (known and words == ["numpy"]):
            self.changes.replace(node, template("$x.asnumpy()", x=root))
        elif placed or (known and words[-1] != "numpy"):
            self.changes.replace(node, template("$x", x=root))
        elif words[-1] != "numpy":
            self.changes.stay(node, f".{words[-1]}()")

    def _detach(self, node: ast.Call, root: ast.expr) -> None:
        """`x.detach()` where gradients are recorded becomes `stop_gradient(x)`."""
        callee = self.spell("mindspore.ops.stop_gradient", node)
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
        variable = self.module.variable(node)
        bindings = variable.bindings if variable is not None else ()
        return (bool(bindings) or node.id == "device") and all(
            (binding.how is How.PARAMETER and node.id == "device")
            or (isinstance(binding.value, ast.Call) and self.module.paths(binding.value.func) == {"torch.device"})
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


def _fields(text: str, call: ast.Call) -> Iterator[tuple[ast.expr, str]]:
    """The arguments of `text.format(...)` whose fields have a specification."""
    keywords = {word.arg: word.value for word in call.keywords}
    count = 0
    with suppress(ValueError):
        for _, name, specification, _ in Formatter().parse(text):
            if name is None:
                continue
            key = name or str(count)
            count += not name
            if specification and key.isdecimal() and int(key) < len(call.args):
                yield call.args[int(key)], _kind(specification)
            elif specification and key in keywords:
                yield keywords[key], _kind(specification)


def _kind(specification: str) -> str:
    return "int" if specification.endswith(("d", "x", "X", "b", "o", "c")) else "float"
