"""The values of expressions of a user's file, as far as the file shows them. It is parsed, never executed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from optmap.mapping.records import Literal
from optmap.mapping.values import Value, literal_value, read_value, write_literal
from optmap.source.bindings import How
from optmap.source.model import Module
from optmap.source.text import Source

_DEEP: Final = 12
_PARSERS: Final = ("parse_args", "parse_known_args", "parse_intermixed_args")
_SWITCHES: Final = {"store_true": False, "store_false": True}
_CONVERTED: Final = {"float": float, "int": int}
_ONLY_READS: Final = ("get", "keys", "values", "items", "copy")
_CLEARED: Final = ("dataclass", "dataclasses.dataclass")


class KnownValue(NamedTuple):
    """A value. `why` is empty for what the file says; else it tells why it is likely, such as "the default of --lr"."""

    value: Value
    why: str = ""


class FileValues:
    """Reads expressions. `settings` are the user's own values, by the text of the expression; `used` are those that served."""

    def __init__(self, source: Source, settings: Mapping[str, Literal]) -> None:
        self.source = source
        self.module = Module.of(source)
        self.settings = settings
        self.used: set[str] = set()
        self._open = any(self._writes_names(call) for call in self.module.nodes(ast.Call, ast.Subscript))

    def read(self, node: ast.expr) -> KnownValue:
        """What is known of an expression where it stands; items of a display may be known one by one."""
        return self._read(node, 0)

    def _read(self, node: ast.expr, depth: int) -> KnownValue:
        own = read_value(node)
        if own.known or depth > _DEEP:
            return KnownValue(own)
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
            return self._held(node, depth + 1) or KnownValue(own)
        if isinstance(node, ast.IfExp):
            return self._chosen(node, depth)
        if not isinstance(node, ast.Tuple | ast.List | ast.UnaryOp | ast.BinOp):
            return KnownValue(own)
        return self._composed(node, depth)

    def _chosen(self, node: ast.IfExp, depth: int) -> KnownValue:
        test = self._read(node.test, depth + 1)
        if not test.value.known:
            return KnownValue(read_value(node))
        found = self._read(node.body if test.value.literal else node.orelse, depth + 1)
        return found._replace(why=", ".join(filter(None, (test.why, found.why))))

    def _composed(self, node: ast.expr, depth: int) -> KnownValue:
        """Arithmetic and displays, with constants in place of the parts that are known."""
        parts = [item for item in ast.iter_child_nodes(node) if isinstance(item, ast.expr)]
        found = [self._read(item, depth + 1) for item in parts]
        memo = {
            id(item): ast.parse(write_literal(each.value.literal), mode="eval").body  # type: ignore[arg-type, attr-defined]
            for item, each in zip(parts, found, strict=True) if each.value.known
        }  # fmt: skip
        value = read_value(copy.deepcopy(node, dict(memo)))
        return KnownValue(value, ", ".join(dict.fromkeys(each.why for each in found if each.why)))

    def _held(self, node: ast.expr, depth: int) -> KnownValue | None:
        """What a name, an attribute, an item or a conversion holds."""
        text = ast.unparse(node)
        if text in self.settings:
            self.used.add(text)
            return KnownValue(literal_value(self.settings[text]))
        if isinstance(node, ast.Call):
            return self._converted(node, depth) or self._item(node, depth) or self._reached(node, depth)
        if isinstance(node, ast.Subscript):
            return self._item(node, depth)
        found = self._reached(node, depth)
        return self._member(node, depth) if found is None and isinstance(node, ast.Attribute) else found

    def _reached(self, node: ast.expr, depth: int) -> KnownValue | None:
        """The one expression that a place holds; the default of a parameter is likely if nothing else is seen."""
        values, complete, unknown = self.module.reaching(node)
        if len(values) != 1 or values[0] is node or self._hidden(node):
            return None
        if complete:
            return self._read(values[0], depth)
        if not isinstance(unknown, ast.arg) or self.module.passed(unknown).values != values:
            return None
        found = self._read(values[0], depth)
        return (
            found._replace(why=found.why or f"the default of the parameter {unknown.arg}")
            if found.value.known
            else None
        )

    def _hidden(self, node: ast.expr) -> bool:
        """Whether `exec`, `globals()[...] = x` or an import of everything may bind a global name again."""
        variable = self.module.variable(node) if isinstance(node, ast.Name) else None
        return (
            variable is not None
            and isinstance(variable.scope, ast.Module)
            and (self._open or bool(self.module.stars()))
        )

    def _writes_names(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id == "exec" and self.module.is_builtin("exec", node)
        holder = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") not in ("update", "setdefault", "__setitem__"):
            return False
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            holder = node.value
        return isinstance(holder, ast.Call) and getattr(holder.func, "id", "") in ("globals", "locals", "vars")

    def _converted(self, node: ast.Call, depth: int) -> KnownValue | None:
        """`float(x)` and `int(x)`."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _CONVERTED or len(node.args) != 1 or node.keywords or not self.module.is_builtin(name, node):
            return None
        found = self._read(node.args[0], depth)
        return _changed(found, name)

    def _item(self, node: ast.Call | ast.Subscript, depth: int) -> KnownValue | None:
        """`settings["lr"]` and `settings.get("lr", 0.1)` of a dictionary that is written in the file and only read."""
        if isinstance(node, ast.Subscript):
            holder, key = node.value, node.slice
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
            holder, key = node.func.value, node.args[0]
        else:
            return None
        if (
            not isinstance(key, ast.Constant)
            or not isinstance(holder, ast.Name | ast.Attribute)
            or self._hidden(holder)
        ):
            return None
        values, complete, _ = self.module.reaching(holder)
        variable = self.module.variable(holder)
        if not complete or len(values) != 1 or not isinstance(values[0], ast.Dict) or variable is None:
            return None
        if self.module.holder(values[0]) is not variable or not all(map(self._only_reads, variable.uses)):
            return None
        keys = [item.value if isinstance(item, ast.Constant) else None for item in values[0].keys]
        if None in keys or keys.count(key.value) != 1:
            return None
        return self._read(values[0].values[keys.index(key.value)], depth)

    def _only_reads(self, use: ast.expr) -> bool:
        """Whether a use of a dictionary leaves it as it is, and hands it to nobody."""
        parent = self.module.parent(use)
        if isinstance(parent, ast.Attribute):
            return parent.attr in _ONLY_READS
        if isinstance(parent, ast.keyword):
            return parent.arg is None
        printed = isinstance(parent, ast.Call) and getattr(parent.func, "id", "") in ("print", "len", "sorted")
        return printed or (
            isinstance(parent, ast.Subscript) and parent.value is use and isinstance(parent.ctx, ast.Load)
        )

    def _member(self, node: ast.Attribute, depth: int) -> KnownValue | None:
        """An option of the command line, or an attribute that a class of the file gives its objects."""
        if self._hidden(node.value):
            return None
        owner = self.module.instance(node.value)
        if owner is not None:
            return self._of_instance(node, owner, depth)
        values, complete, unknown = self.module.reaching(node.value)
        made = list(values) if complete else [unknown] if not values else []
        if len(made) == 1 and isinstance(made[0], ast.Call) and getattr(made[0].func, "attr", "") in _PARSERS:
            return self._option(node.attr, depth)
        return None

    def _of_instance(self, node: ast.Attribute, owner: ast.ClassDef, depth: int) -> KnownValue | None:
        variable = self.module.attribute_of(owner, node.attr)
        bindings = variable.bindings if variable is not None else ()
        plain = len(bindings) == 1 and bindings[0].how is How.ASSIGNED and bindings[0].value is not None
        if not plain or self.module.bases(owner).unknown or len(self.module.subclasses(owner)) > 1:
            return None
        decorators = [ast.unparse(item.func if isinstance(item, ast.Call) else item) for item in owner.decorator_list]
        made = self.module.reaching(node.value).values
        if decorators and not (
            set(decorators) <= set(_CLEARED)
            and all(isinstance(call, ast.Call) and not call.args and not call.keywords for call in made)
        ):
            return None
        assert bindings[0].value is not None
        return self._read(bindings[0].value, depth)

    def _option(self, name: str, depth: int) -> KnownValue | None:
        """The default of `parser.add_argument("--lr", default=0.1)`, unless something else may set it."""
        added = [call for call in self.module.nodes(ast.Call) if getattr(call.func, "attr", "") == "add_argument"]
        named = [call for call in added if _destination(call) in (name, None)]
        if len(named) != 1 or _destination(named[0]) != name or self._set_elsewhere(name):
            return None
        given = {item.arg: item.value for item in named[0].keywords}
        action = getattr(given.get("action"), "value", None)
        if "default" in given:
            found = self._read(given["default"], depth)
            if isinstance(found.value.literal, str):
                found = _changed(found, getattr(given.get("type"), "id", "")) or found
        elif action in _SWITCHES:
            found = KnownValue(literal_value(_SWITCHES[action]))
        else:
            return None
        return found._replace(why=f"the default of {_flag(named[0])}") if found.value.known else None

    def _set_elsewhere(self, name: str) -> bool:
        """Whether the file sets an attribute of that name, or some that it does not name."""
        if any(not isinstance(node.ctx, ast.Load) for node in self.module.attributes(name)):
            return True
        return any(self._sets(call, name) for call in self.module.nodes(ast.Call)) or any(
            not isinstance(node.ctx, ast.Load) and getattr(getattr(node.value, "func", None), "id", "") == "vars"
            for node in self.module.nodes(ast.Subscript)
        )

    def _sets(self, call: ast.Call, name: str) -> bool:
        called = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if called in ("setattr", "__setattr__"):
            return len(call.args) < 2 or getattr(call.args[1], "value", name) == name
        if called == "set_defaults":
            return any(item.arg in (name, None) for item in call.keywords)
        holder = call.func.value if isinstance(call.func, ast.Attribute) and called == "update" else None
        return getattr(holder, "attr", "") == "__dict__" or getattr(getattr(holder, "func", None), "id", "") == "vars"


def _changed(found: KnownValue, name: str) -> KnownValue | None:
    """The value after a conversion by `float` or `int`; None where it cannot be."""
    literal = found.value.literal
    if name not in _CONVERTED or not isinstance(literal, int | float | str):
        return None
    try:
        return found._replace(value=literal_value(_CONVERTED[name](literal)))
    except (ValueError, OverflowError):
        return None


def _options(call: ast.Call) -> Iterator[str]:
    for item in call.args:
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            yield item.value


def _flag(call: ast.Call) -> str:
    """The option as people write it: the first long one."""
    options = list(_options(call))
    return next((item for item in options if item.startswith("--")), options[0] if options else "an option")


def _destination(call: ast.Call) -> str | None:
    """The attribute that an option is stored under; None where it cannot be seen."""
    for item in call.keywords:
        if item.arg is None:
            return None
        if item.arg == "dest":
            return item.value.value if isinstance(item.value, ast.Constant) else None  # type: ignore[return-value]
    if not call.args or len(list(_options(call))) != len(call.args):
        return None
    return _flag(call).lstrip("-").replace("-", "_")
