"""YAML text to values that keep their place, checked against the record that they are to make, with all errors collected.

Aliases are refused: no table needs them, and nested ones can make a small file expand without bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import yaml

from optmap.mapping.records import Field, Literal, Position, Record, Shape, keys
from optmap.nearest import nearest
from optmap.values import NamedTuple

R = TypeVar("R", bound=Record)

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """A safe loader that reads scalars as YAML 1.2 does: `1e-8` is a float, `on` and `no` are strings."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float"))
_Loader.add_implicit_resolver(_NULL, re.compile(r"^(?:null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver(_INT, re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_FLOAT_TEXT = r"^(?:[-+]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|\.inf)|\.nan)$"
_Loader.add_implicit_resolver(_FLOAT, re.compile(_FLOAT_TEXT), list("-+.0123456789"))


class Parsed(NamedTuple):
    """A value and its place; records, maps and lists hold Parsed values. A broken record has errors that were reported."""

    value: Any
    at: Position
    form: Any = None
    broken: bool = False

    def get(self, key: str, default: Any = None) -> Any:
        """Return the bare value under a key of a record, or the default."""
        found = self.value.get(key)
        return default if found is None else found.plain()

    def plain(self, under: str = "") -> Any:
        """Return the value without positions: lists become tuples, and records what their classes make of them."""
        if self.form is tuple:
            return tuple(item.plain() for item in self.value)
        if self.form is dict:
            return {key: item.plain(key) for key, item in self.value.items()}
        return self.make(self.form, under) if self.form is not None else self.value

    def make(self, record: type[R], under: str = "") -> R:
        """Make a record of the keys that it knows."""
        known = keys(record)
        return record.read({key: item.plain() for key, item in self.value.items() if key in known}, self.at, under)

    def items(self) -> Iterator[tuple[str, Parsed]]:
        return iter(self.value.items())


@dataclass
class Problems:
    """The errors found so far, each with its place."""

    found: list[tuple[Position, str]] = field(default_factory=list)

    def add(self, at: Position, message: str) -> None:
        self.found.append((at, message))

    def unknown(self, at: Position, what: str, name: str, known: Iterator[str] | Any) -> None:
        """Report an unknown name together with the nearest known one."""
        self.add(at, f"unknown {what} {name!r}{nearest(name, known)}")

    def lines(self) -> list[str]:
        ordered = sorted(self.found, key=lambda item: (item[0].file, item[0].line, item[0].column))
        return [f"{at}: {message}" for at, message in ordered]


def parse(data: bytes, file: str, record: type[Record], problems: Problems) -> Parsed | None:
    """Parse one YAML file and check it against the record of a whole file; None where nothing usable was found."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        problems.add(Position(file, line, column), f"not UTF-8: found byte 0x{data[error.start]:02x}")
        return None
    if _depth(text) > _DEEPEST:
        problems.add(Position(file, 1, 1), f"nested too deeply; expected at most {_DEEPEST} levels")
        return None
    try:
        node = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        problems.add(where, f"not valid YAML: {error.problem or error.context}")
        return None
    except yaml.reader.ReaderError as error:
        offset = next((place for place, char in enumerate(text) if ord(char) == error.character), 0)
        line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
        problems.add(Position(file, line, column), f"not valid YAML: character #x{error.character:04x} is not allowed")
        return None
    except RecursionError:
        problems.add(Position(file, 1, 1), "nested too deeply")
        return None
    if node is None:
        problems.add(Position(file, 1, 1), "the file is empty; expected a mapping")
        return None
    return _Checker(file, problems).check(node, Shape(record))


_DEEPEST: Final = 100
_SCALARS: Final = {
    bool: ((_BOOL,), "true or false"),
    int: ((_INT,), "a whole number"),
    float: ((_INT, _FLOAT), "a number"),
}


def _depth(text: str) -> int:
    """An upper bound of the nesting, found without the parser, which overflows the C stack on hostile input."""
    deepest = depth = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        depth += 1 if bracket[0] in "[{" else -1
        deepest = max(deepest, depth)
    dashes = max((line.count("- ") + line.count("? ") for line in text.splitlines()), default=0)
    indent = max((len(match) for match in re.findall(r"^ +", text, re.MULTILINE)), default=0)
    return deepest + dashes + indent


def _compose(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def compose_all(text: str, deepest: int) -> list[Any]:
    """Compose every document of a text, constructing nothing. Raises yaml.YAMLError, and ValueError if nested deeper."""
    if _depth(text) > deepest:
        raise ValueError("nested too deeply")
    loader = _Loader(text)
    found = []
    try:
        while loader.check_node():
            found.append(loader.get_node())
    finally:
        loader.dispose()
    return found


def _steers(letter: str) -> bool:
    """Tell whether a character could steer a terminal that shows it, or turn its text around."""
    return not letter.isprintable() and letter not in "\n\t"


class _Checker:
    """One file's walk from nodes to Parsed values."""

    def __init__(self, file: str, problems: Problems) -> None:
        self.file = file
        self.problems = problems
        self.seen: set[int] = set()

    def at(self, node: yaml.Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def check(self, node: yaml.Node, kind: Shape) -> Parsed | None:
        if id(node) in self.seen:
            self.problems.add(self.at(node), "this value is used through a YAML alias (*name); write it out instead")
            return None
        self.seen.add(id(node))
        if isinstance(node, yaml.ScalarNode) and any(map(_steers, node.value)):
            self.problems.add(self.at(node), "this value holds a character that cannot be printed")
            return None
        if kind.form is tuple:
            return self._list(node, kind)
        if kind.form is dict:
            return self._map(node, kind)
        if kind.form is object:
            return self._literal(node)
        return self._record(node, kind.form) if issubclass(kind.form, Record) else self._scalar(node, kind)

    def _wrong(self, node: yaml.Node, expected: str) -> Parsed | None:
        kinds: dict[type[yaml.Node], str] = {yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list"}
        found = kinds.get(type(node)) or repr(node.value)
        self.problems.add(self.at(node), f"found {found}, expected {expected}")
        return None

    def _scalar(self, node: yaml.Node, kind: Shape) -> Parsed | None:
        scalar_node = isinstance(node, yaml.ScalarNode)
        tags, expected = _SCALARS.get(kind.form, ((), "a string"))
        if not scalar_node or (node.tag not in tags if tags else node.tag == _NULL):
            return self._wrong(node, expected)
        if kind.choices and node.value not in kind.choices:
            self.problems.unknown(self.at(node), "value", node.value, kind.choices)
            return None
        if tags:
            return self._literal(node)
        return Parsed(kind.form(node.value), self.at(node))

    def _literal(self, node: yaml.Node) -> Parsed | None:
        if isinstance(node, yaml.SequenceNode):
            items = [self.check(item, Shape(object)) for item in node.value]
            return None if None in items else Parsed(items, self.at(node), tuple)
        if not isinstance(node, yaml.ScalarNode):
            return self._wrong(node, "a scalar or a list of scalars")
        try:
            return Parsed(scalar(node.tag, node.value), self.at(node))
        except ValueError:
            shown = node.value if len(node.value) <= 30 else f"{node.value[:30]}..."
            self.problems.add(self.at(node), f"found {shown!r}, expected a number")
            return None

    def _list(self, node: yaml.Node, kind: Shape) -> Parsed | None:
        if not isinstance(node, yaml.SequenceNode):
            if not kind.or_one:
                return self._wrong(node, "a list")
            self.seen.discard(id(node))
            only = self.check(node, kind.item)
            return only and Parsed([only], self.at(node), tuple)
        items = [self.check(item, kind.item) for item in node.value]
        return Parsed([item for item in items if item is not None], self.at(node), tuple)

    def _keys(self, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(key, "a plain key")
            elif key.value in seen:
                first = seen[key.value]
                self.problems.add(self.at(key), f"duplicate key {key.value!r}; first given on line {first}")
            else:
                seen[key.value] = key.start_mark.line + 1
                yield key.value, key, value

    def _map(self, node: yaml.Node, kind: Shape) -> Parsed | None:
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, "a mapping")
        names = {str(name): name for name in kind.keys}
        items: dict[str, Parsed] = {}
        for name, key, value in self._keys(node):
            if names and name not in names:
                self.problems.unknown(self.at(key), "key", name, names)
                continue
            parsed = self.check(value, kind.item)
            if parsed is not None:
                items[names.get(name, name)] = parsed
        return Parsed(items, self.at(node), dict)

    def _record(self, node: yaml.Node, record: type[Record]) -> Parsed | None:
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, f"a mapping ({record.record_name})")
        before = len(self.problems.found)
        fields = keys(record)
        items: dict[str, Parsed] = {}
        for name, key, value in self._keys(node):
            if name not in fields:
                self.problems.unknown(self.at(key), "key", name, fields)
                continue
            parsed = self._field(value, fields[name])
            if parsed is not None:
                items[name] = parsed
        absent = [name for name, item in fields.items() if item.required and name not in items]
        if absent and len(self.problems.found) == before:
            self.problems.add(self.at(node), f"{record.record_name} lacks {', '.join(map(repr, absent))}")
        return None if absent else Parsed(items, self.at(node), record, len(self.problems.found) > before)

    def _field(self, node: yaml.Node, field: Field) -> Parsed | None:
        parsed = self.check(node, field.kind)
        if parsed is None or field.read is None or field.composed:
            return parsed
        try:
            return Parsed(field.read(parsed.value), parsed.at)
        except ValueError as error:
            self.problems.add(parsed.at, str(error))
            return None


def scalar(tag: str, text: str) -> Literal:
    """Read a scalar by its tag. Raises ValueError for a number that is none."""
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text == "true"
    if tag == _INT:
        return int(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan")) if tag == _FLOAT else text
