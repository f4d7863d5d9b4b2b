"""What a script asks of tensors and models: each attribute and method becomes what its row says, or is refused."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from string import Formatter
from typing import Final

from optmap.mapping.steps import Pair, Side
from optmap.source.calls import comments_in
from optmap.source.model import How, Module
from optmap.source.syntax import chain_of
from optmap.source.templates import CallTemplate, Template, copied, template
from optmap.source.text import Source
from optmap.translate.steps.names.calls import SETTLED, Callee, Stays, bound, rewrite_call
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.classes import Classes
from optmap.translate.steps.names.kinds import Kind, Kinds, Value
from optmap.translate.steps.names.world import World

_DEVICES: Final = ("cpu", "cuda", "mps")
_MOVES: Final = ("detach", "cpu", "cuda", "to")
_UNKNOWN_METHODS: Final = ("cuda", "cpu", "detach", "requires_grad_")
_NUMBERS: Final = ("item", "tolist")
_STEPPING: Final = ("backward", "grad")
"""What steps of training are made of, of which they have findings of their own."""
PATH: Final = re.compile(r"(?<![$\w.])[a-z]\w*(?:\.[A-Za-z]\w*)+\b(?=\()")
"""A function of the target in code of the table."""
Spell = Callable[[str, ast.expr], "str | None"]


class TensorRewriter:
    """Rewrites what is asked of tensors and models. `methods` are those of models that are looked at elsewhere."""

    def __init__(
        self, source: Source, kinds: Kinds, world: World, changes: NameChanges, done: set[int], spell: Spell,
        methods: Collection[str], classes: Classes,
    ) -> None:  # fmt: skip
        self.classes = classes
        self.source = source
        self.kinds = kinds
        self.world = world
        self.table = kinds.table
        self.module: Module = kinds.module
        self.changes = changes
        self.done = done
        self.spell = spell
        self.methods = methods

    def run(self) -> None:
        self.ask(self.module.nodes(ast.Attribute))
        self._numbers()

    def ask(self, nodes: Iterable[ast.Attribute]) -> None:
        """Rewrite attributes, and calls of methods."""
        for node in nodes:
            if isinstance(node.ctx, ast.Load) and not self._is_settled(node):
                self._asked(node)

    def _is_settled(self, node: ast.Attribute) -> bool:
        path, call = self.kinds.path(node), self.module.call_of(node) or node
        elsewhere = path is not None and path.partition(".")[0] not in self.kinds.roots
        return any(id(item) in self.done or id(item) in self.changes.touched for item in (node, call)) or (
            id(node) in self.module.annotations
            or (path is not None and not (elsewhere and _is_in_place(node.attr)))
            or self.module.variable(node) is not None
        )

    def _asked(self, node: ast.Attribute) -> None:
        receiver = self.kinds.of(node.value)
        call = self.module.call_of(node)
        if receiver.kind is Kind.UNKNOWN and call is not None and self.module.function(call) is not None:
            return  # a method of a class of the file
        if receiver.kind is Kind.MODEL:
            self._of_model(node, call, receiver)
        elif receiver.kind in (Kind.UNKNOWN, Kind.TENSOR, Kind.PARAMETER) and node.attr in self.table.tensor_names:
            self._of_tensor(node, call, receiver)

    # Tensors

    def _of_tensor(self, node: ast.Attribute, call: ast.Call | None, receiver: Value) -> None:
        if node.attr in _STEPPING and node not in self.world:
            return
        every = self.table.methods.get(node.attr, ())
        rows = [pair for pair in every if (pair.one.parameters is None) == (call is None)]
        known = receiver.kind is not Kind.UNKNOWN or node in self.world
        to_array = self._becomes_array(call)
        inside, sure = node in self.world and not to_array, known or to_array
        if not rows and every and receiver.kind is Kind.UNKNOWN:
            return  # `config.size` is no method
        if receiver.kind is Kind.PARAMETER and node.attr == "data":
            if self._is_changed(node) or self._is_computed_with(node):
                return
            rows = []
        reason = ""
        for pair in rows:
            try:
                self._apply(pair, node, call, receiver, sure=sure, inside=inside)
                return
            except Stays as error:
                reason = f": {error}"
        if sure or (call is not None and _is_in_place(node.attr)):
            self.changes.refuse(node, f".{node.attr}{'()' if call is not None else ''}{reason}")
        elif node.attr in _UNKNOWN_METHODS and call is not None and not call.args:
            self.changes.stay(call, f".{node.attr}()")

    def _becomes_array(self, call: ast.Call | None) -> bool:
        """Tell whether a call is a part of `x.detach().cpu().numpy()`: nothing but tensors are asked that."""
        words: list[str] = []
        inner: ast.expr | None = call
        while isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if inner.func.attr not in (*_MOVES, "numpy"):
                break
            words.append(inner.func.attr)
            inner = inner.func.value
        outer: ast.AST | None = call
        while outer is not None and (not words or words[0] != "numpy"):
            function = self.module.parent(outer)
            outer = self.module.parent(function) if isinstance(function, ast.Attribute) else None
            if not isinstance(outer, ast.Call) or not isinstance(function, ast.Attribute) or outer.func is not function:
                break
            if function.attr not in (*_MOVES, "numpy"):
                break
            words.insert(0, function.attr)
        return words[:1] == ["numpy"] and bool({"detach", "cpu"} & set(words[1:]))

    def _becomes_number(self, call: ast.Call | None) -> bool:
        """Tell whether nothing but numbers is taken from what a call gives, which carry no gradients."""
        function = self.module.parent(call) if call is not None else None
        return self._becomes_array(call) or (isinstance(function, ast.Attribute) and function.attr in _NUMBERS)

    def _apply(
        self, pair: Pair, node: ast.Attribute, call: ast.Call | None, receiver: Value, *, sure: bool, inside: bool
    ) -> None:
        """Write what a row says. Raises Stays."""
        if pair.row.takes == "parameter" and receiver.kind is not Kind.PARAMETER:
            raise Stays("of what is not known to be a parameter")
        if pair.row.takes == "fresh" and not self._is_fresh(node.value):
            raise Stays("of what is not known to be a parameter")
        if (
            receiver.type
            and pair.row.takes != "any"
            and receiver.type not in ("float", pair.row.takes.replace("number", "int"))
        ):
            raise Stays(f"of {receiver.type} tensors")
        recorded = inside and receiver.type not in ("int", "bool")
        other = pair.other if recorded or pair.outside is None else pair.outside
        if other.text == "$x" and other is pair.outside and not self._becomes_number(call):
            other = pair.other  # after an error in a gradient function, MindSpore records outside of it, too
        if call is None:
            self._attribute(node, other, sure=sure)
            return
        if not other.text:
            self._call(pair, other, node, call, sure=sure)
            return
        given = bound(self.source, call, pair, self.fits)
        if "$to" in other.text:
            self._assign(node, call, other.text, given, pair)
            return
        if sure or (other.text == "$x" and node.attr in ("to", "cuda")) or self._asks_axis(node, given):
            self._text(call, node, other.text, given, pair)
        elif node.attr == "size":
            self.changes.stay(call, f"{ast.unparse(call)[:40]}: a tensor of MindSpore has .shape")

    def _asks_axis(self, node: ast.Attribute, given: Mapping[str, Sequence[ast.expr]]) -> bool:
        """`x.size(0)`, which tensors of every framework answer as `x.shape[0]`."""
        values = [item for one in given.values() for item in one]
        axis = len(values) == 1 and isinstance(values[0], ast.Constant | ast.UnaryOp)
        return node.attr == "size" and axis and self.module.instance(node.value) is None

    def _attribute(self, node: ast.Attribute, other: Side, *, sure: bool) -> None:
        if not sure or other.path == f"x.{node.attr}":
            return
        if other.text:
            self.changes.replace(node, template(other.text, x=node.value))
        elif other.path.startswith("x."):
            self.changes.rename_to(node, other.name)
        else:
            self.changes.replace(node, template(f"{self._spelled(other.path, node)}($x)", x=node.value))

    # Parameters that change

    def _assign(
        self, node: ast.Attribute, call: ast.Call, text: str, given: Mapping[str, Sequence[ast.expr]], pair: Pair
    ) -> None:
        """`p.data.mul_(x)`: what is computed of the parameter `$x` is assigned to it; `$to` is the parameter. Raises Stays."""
        outer = self.module.parent(call)
        if not isinstance(outer, ast.Expr) and not (isinstance(outer, ast.Attribute) and self._is_changed(outer)):
            raise Stays("its result is used")
        check_outside(self.module, self.world, call)
        value = self.without_data(node.value)
        held = value
        while isinstance(held, ast.Call) and isinstance(held.func, ast.Attribute):
            held = self.without_data(held.func.value)
        if chain_of(held) is None:
            raise Stays("of a parameter that has no name")
        self._text(call, node, text, {"to": [held], "x": [value], **given}, pair)

    def _is_fresh(self, node: ast.expr) -> bool:
        """Tell whether a function of the framework has just made a tensor, which nothing else holds."""
        rows = self.table.callables.get(self.kinds.path(node.func) or "", ()) if isinstance(node, ast.Call) else ()
        return bool(rows) and all(pair.row.gives not in ("same", "parameter") and not pair.makes_model for pair in rows)

    def without_data(self, node: ast.expr) -> ast.expr:
        """`p` in `p.data`."""
        data = isinstance(node, ast.Attribute) and node.attr == "data"
        if data and isinstance(node, ast.Attribute) and self.kinds.of(node.value).kind is Kind.PARAMETER:
            self.done.add(id(node))
            return node.value
        return node

    def _is_changed(self, node: ast.Attribute) -> bool:
        """Tell whether a parameter's method changes it, and a row knows how: of `p.data` in `p.data.mul_(x)`, or of `p.mul_`."""
        outer = node if node.attr != "data" else self.module.parent(node)
        call = self.module.parent(outer) if isinstance(outer, ast.Attribute) else None
        rows = self.table.methods.get(outer.attr, ()) if isinstance(outer, ast.Attribute) else ()
        return isinstance(call, ast.Call) and call.func is outer and any("$to" in pair.other.text for pair in rows)

    def _is_computed_with(self, node: ast.Attribute) -> bool:
        """Take `.data` away where a value is only computed with, or copied, outside of what gradients are taken of."""
        outer = self.module.parent(node)
        given = isinstance(outer, ast.Call) and node in outer.args and isinstance(outer.func, ast.Attribute)
        copied_in = given and isinstance(outer, ast.Call) and self._is_changed(outer.func)  # type: ignore[arg-type]
        if not copied_in and not isinstance(outer, ast.BinOp | ast.UnaryOp | ast.Compare):
            return False
        if any(id(item) in self.world.running for item in self.module.ancestors(node)):
            return False
        self.changes.replace(node, copied(node.value))
        return True

    def _text(
        self, call: ast.Call, node: ast.Attribute, text: str, given: Mapping[str, Sequence[ast.expr]], pair: Pair
    ) -> None:
        if comments_in(self.source, self.source.end(node.value), self.source.end(call)):
            raise Stays("there is a comment inside it")
        text = PATH.sub(lambda match: self._spelled(match[0], call), text)
        self.changes.replace(call, filled(completed(text, given, pair), {"x": [node.value], **given}))

    def _call(self, pair: Pair, other: Side, node: ast.Attribute, call: ast.Call, *, sure: bool) -> None:
        own = other.path.startswith("x.")
        callee = template(f"$x.{other.name}", x=node.value)
        values: tuple[tuple[str, str], ...] = tuple(pair.writes.items())
        before = len(self.changes.needed)
        if not own:
            callee = Template(self._spelled(other.path, call))
        how = Callee(callee, None if own else node.value, values=values, aliases=self.table.aliases)
        try:
            made = rewrite_call(self.source, call, pair._replace(other=other), how, self.fits)
        except Stays:
            del self.changes.needed[before:]
            raise
        if not sure:
            del self.changes.needed[before:]
            return
        if made.new is None:
            if other.name != node.attr:
                self.changes.rename_to(node, other.name)
        elif not own or other.name != node.attr or not is_same(made.new, call):
            self.changes.replace(call, made.new)
        self._noted(pair, call)

    def _noted(self, pair: Pair, node: ast.expr) -> None:
        if pair.warning is not None or pair.note is not None:
            self.changes.notes.append((node, pair))

    def _spelled(self, path: str, node: ast.expr) -> str:
        text = self.spell(path, node)
        if text is None:
            raise Stays("the file binds the names that it needs to something else")
        return text

    # Models

    def _of_model(self, node: ast.Attribute, call: ast.Call | None, receiver: Value) -> None:
        name, inside = node.attr, node in self.world
        if receiver.owner is not None and self.module.attribute_of(receiver.owner, name) is not None:
            if name in self.world.methods and receiver.owner is not None:
                self.changes.rename_to(node, self.table_method(name))
            return
        if receiver.row is not None and name in receiver.row.attributes:
            if receiver.row.attributes[name] != name:
                self.changes.rename_to(node, receiver.row.attributes[name])
            return
        if receiver.row is None and receiver.owner is None and name in ("weight", "bias"):
            self._of_some_model(node)
            return
        row = self.table.models.get(name)
        if row is not None and (row.one.parameters is None) == (call is None):
            try:
                self._apply(row, node, call, receiver._replace(type=""), sure=True, inside=inside)
            except Stays as error:
                self.changes.refuse(node, f".{name}(): {error}")
            return
        if name in self.methods or (receiver.owner is not None and name not in self.table.model_names):
            return
        if inside or name in self.table.taken or receiver.row is not None:
            self.changes.refuse(node, f".{name}{'()' if call is not None else ''} of a model")
        elif name in self.table.model_names:
            self.changes.stay(node, f".{name}")

    def _of_some_model(self, node: ast.Attribute) -> None:
        """The weight of a model that `isinstance` or the name of its class tells."""
        rows = self.classes.rows(node.value)
        names = {pair.attributes.get(node.attr) for pair in rows or ()}
        (name,) = names if len(names) == 1 else (None,)
        if name is None:
            self.changes.refuse(node, f"{ast.unparse(node)} of a model that may be of several classes")
        elif name != node.attr:
            self.changes.rename_to(node, name)

    def table_method(self, name: str) -> str:
        return next(other.method for one, other in self.table.bases.values() if one.method == name)

    # Numbers

    def _numbers(self) -> None:
        """MindSpore's tensors take no format specification, and `round` no digits: numbers are made of them."""
        for node in self.module.nodes(ast.FormattedValue, ast.Call):
            for value, kind in self._formatted(node):
                if self.kinds.of(value).kind is not Kind.TENSOR:
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

    # Arguments

    def fits(self, wanted: str, node: ast.expr) -> bool:
        """Tell whether an argument may be what a row says it must be."""
        if wanted == "device":
            return self._is_device(node)
        if wanted == "parameter":
            return self.kinds.of(node).kind is Kind.PARAMETER and chain_of(node) is not None
        if wanted == "tensor":
            return self.kinds.of(node).kind in (Kind.TENSOR, Kind.PARAMETER)
        if wanted == "size":
            call = self.module.parent(node)
            return isinstance(call, ast.Call) and len(call.args) > 1
        if wanted in ("dtype", "float_dtype"):
            type_of = self.table.values.get(self.kinds.path(node) or "", "")
            return bool(type_of) and (wanted == "dtype" or ".float" in type_of)
        if wanted == "items":
            made = self.kinds.of(node)
            return (
                isinstance(node, ast.List | ast.Tuple | ast.ListComp)
                or made.kind is Kind.ARRAY
                or made.item is not None
            )
        if wanted == "float":
            named = isinstance(node, ast.Name | ast.Attribute)
            values = self.module.reaching(node, calls=False).values if named else ()
            return not any(isinstance(item, ast.Constant) and type(item.value) is not float for item in values)
        if wanted in SETTLED:
            return isinstance(node, ast.Constant) and repr(node.value) == repr(SETTLED[wanted])
        if wanted == "literal" and not isinstance(node, ast.Constant | ast.UnaryOp):
            return False
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            node = node.operand
        if isinstance(node, ast.Constant):
            return type(node.value) in ((int, float) if wanted == "number" else (int,))
        return not isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.JoinedStr)

    def _is_device(self, node: ast.expr) -> bool:
        """Tell whether an argument can only be a device: a literal, or a variable that only ever holds one."""
        if isinstance(node, ast.Constant):
            return isinstance(node.value, str) and node.value.partition(":")[0] in _DEVICES
        if isinstance(node, ast.IfExp):
            return self._is_device(node.body) and self._is_device(node.orelse)
        root = node
        while isinstance(root, ast.Attribute | ast.Call) and self.kinds.path(root) is None:
            root = root.value if isinstance(root, ast.Attribute) else root.func
        if isinstance(root, ast.Attribute | ast.Name) and self.kinds.is_plain(root):
            return True
        if isinstance(node, ast.Attribute):
            return node.attr == "device" or node.attr.endswith("_device")
        variable = self.module.variable(node) if isinstance(node, ast.Name) else None
        if not isinstance(node, ast.Name) or (variable is None and node.id != "device"):
            return False
        return all(
            (binding.how is How.PARAMETER and node.id == "device")
            or (binding.how is How.ASSIGNED and binding.value is not None and self._is_device(binding.value))
            for binding in (variable.bindings if variable is not None else ())
        )


def check_outside(module: Module, world: World, node: ast.AST) -> None:
    """Raises Stays where a parameter would change in what gradients are taken of."""
    if any(id(item) in world.running for item in module.ancestors(node)):
        raise Stays("where the model computes")


def completed(text: str, given: Mapping[str, Sequence[ast.expr]], pair: Pair) -> str:
    """Code of the table with the defaults of what is not given. Raises Stays."""
    for parameter in pair.one.parameters or ():
        name = parameter.tie or parameter.name
        if name not in given and not parameter.required and not parameter.any:
            text = re.sub(rf"\${name}\b", repr(parameter.default), text)
        calls = any(isinstance(item, ast.Call) for one in given.get(name, ()) for item in ast.walk(one))
        if calls and len(re.findall(rf"\${name}\b", text)) > 1:
            raise Stays(f"{name} would be computed twice")
    return text


def filled(text: str, given: Mapping[str, Sequence[ast.expr]]) -> Template:
    """Code of the table with what is given in its slots; several values stand beside one another."""
    slots: dict[str, ast.expr] = {}
    for name, values in given.items():
        names = [f"{name}_{index}" for index in range(len(values))] if len(values) > 1 else [name]
        if re.search(rf"\${name}\b", text):
            text = re.sub(rf"\${name}\b", ", ".join(f"${item}" for item in names), text)
            slots.update(zip(names, values, strict=True))
    return template(text, **slots)


def is_same(new: CallTemplate | Template, call: ast.Call) -> bool:
    """Tell whether a new call has the arguments of the old one, in the same order and by the same names."""
    if not isinstance(new, CallTemplate):
        return False
    names = [None] * len(call.args) + [word.arg for word in call.keywords]
    return [item.name for item in new.arguments] == names and all(item.place is not None for item in new.arguments)


def _is_in_place(name: str) -> bool:
    """Tell whether a name of tensors, such as `clamp_`, is that of a method which changes them."""
    return name.endswith("_") and name != "requires_grad_"


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
