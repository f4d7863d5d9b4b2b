"""YAML text to values that keep their place, checked against a declared shape, with all errors collected.

Shapes are data (`Record`, `ListOf`, ...), so that the loader and the published JSON Schema cannot disagree.
Aliases are refused: no table needs them, and nested ones can make a small file expand without bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import yaml

from optmap.mapping.model import Literal, Position

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


class Any_(NamedTuple):
    """Any scalar, or a list of scalars: the literal default of a parameter."""


class Text(NamedTuple):
    """A string, from a closed set where `choices` is given."""

    choices: tuple[str, ...] = ()


class Flag(NamedTuple):
    """true or false."""


class Whole(NamedTuple):
    """A whole number."""


class ListOf(NamedTuple):
    """A list; with `or_one`, a single item stands for a list of one."""

    item: Shape
    or_one: bool = False


class MapOf(NamedTuple):
    """A mapping with free keys."""

    value: Shape


class Field(NamedTuple):
    """A key of a record."""

    shape: Shape
    about: str
    required: bool = False


class Record(NamedTuple):
    """A mapping with known keys."""

    name: str
    fields: Mapping[str, Field]


Shape = Any_ | Text | Flag | Whole | ListOf | MapOf | Record


class Parsed(NamedTuple):
    """A value and its place. Records and maps hold Parsed values; a broken record has errors that were reported."""

    value: Any
    at: Position
    broken: bool = False

    def get(self, key: str, default: Any = None) -> Any:
        """Return the bare value under a key of a record, or the default."""
        found = self.value.get(key)
        return default if found is None else found.plain()

    def plain(self) -> Any:
        """Return the value without positions; lists become tuples."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return tuple(item.plain() for item in self.value)
        return self.value

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


def nearest(name: str, known: Any) -> str:
    """Return `; did you mean 'x'?` for the closest known name, or the list of known names where none is close."""
    from difflib import get_close_matches

    names = [str(item) for item in known]
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {', '.join(sorted(names))}" if 0 < len(names) <= 12 else ""


def parse(data: bytes, file: str, shape: Shape, problems: Problems) -> Parsed | None:
    """Parse one YAML file and check its shape; None where nothing usable was found."""
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
    return _Checker(file, problems).check(node, shape)


_DEEPEST: Final = 100


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


class _Checker:
    """One file's walk from nodes to Parsed values."""

    def __init__(self, file: str, problems: Problems) -> None:
        self.file = file
        self.problems = problems
        self.seen: set[int] = set()

    def at(self, node: yaml.Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def check(self, node: yaml.Node, shape: Shape) -> Parsed | None:
        if id(node) in self.seen:
            self.problems.add(self.at(node), "this value is used through a YAML alias (*name); write it out instead")
            return None
        self.seen.add(id(node))
        if isinstance(shape, ListOf):
            return self._list(node, shape)
        if isinstance(shape, Record):
            return self._record(node, shape)
        if isinstance(shape, MapOf):
            return self._map(node, shape)
        if isinstance(shape, Any_):
            return self._literal(node)
        return self._scalar(node, shape)

    def _wrong(self, node: yaml.Node, expected: str) -> Parsed | None:
        kinds: dict[type[yaml.Node], str] = {yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list"}
        found = kinds.get(type(node)) or repr(node.value)
        self.problems.add(self.at(node), f"found {found}, expected {expected}")
        return None

    def _scalar(self, node: yaml.Node, shape: Text | Flag | Whole) -> Parsed | None:
        if isinstance(shape, Whole):
            if node.tag != _INT or not isinstance(node, yaml.ScalarNode):
                return self._wrong(node, "a whole number")
            return Parsed(int(node.value), self.at(node))
        if isinstance(shape, Flag):
            if node.tag != _BOOL or not isinstance(node, yaml.ScalarNode):
                return self._wrong(node, "true or false")
            return Parsed(node.value == "true", self.at(node))
        if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL:
            return self._wrong(node, "a string")
        if shape.choices and node.value not in shape.choices:
            self.problems.unknown(self.at(node), "value", node.value, shape.choices)
            return None
        return Parsed(node.value, self.at(node))

    def _literal(self, node: yaml.Node) -> Parsed | None:
        if isinstance(node, yaml.SequenceNode):
            items = [self.check(item, Any_()) for item in node.value]
            return None if None in items else Parsed(items, self.at(node))
        if not isinstance(node, yaml.ScalarNode):
            return self._wrong(node, "a scalar or a list of scalars")
        try:
            return Parsed(scalar(node.tag, node.value), self.at(node))
        except ValueError:
            shown = node.value if len(node.value) <= 30 else f"{node.value[:30]}..."
            self.problems.add(self.at(node), f"found {shown!r}, expected a number")
            return None

    def _list(self, node: yaml.Node, shape: ListOf) -> Parsed | None:
        if not isinstance(node, yaml.SequenceNode):
            if not shape.or_one:
                return self._wrong(node, "a list")
            self.seen.discard(id(node))
            only = self.check(node, shape.item)
            return only and Parsed([only], self.at(node))
        items = [self.check(item, shape.item) for item in node.value]
        return Parsed([item for item in items if item is not None], self.at(node))

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

    def _map(self, node: yaml.Node, shape: MapOf) -> Parsed | None:
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, "a mapping")
        items = {name: self.check(value, shape.value) for name, _, value in self._keys(node)}
        return Parsed({name: item for name, item in items.items() if item is not None}, self.at(node))

    def _record(self, node: yaml.Node, shape: Record) -> Parsed | None:
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, f"a mapping ({shape.name})")
        before = len(self.problems.found)
        items: dict[str, Parsed] = {}
        for name, key, value in self._keys(node):
            if name not in shape.fields:
                self.problems.unknown(self.at(key), "key", name, shape.fields)
                continue
            parsed = self.check(value, shape.fields[name].shape)
            if parsed is not None:
                items[name] = parsed
        absent = [name for name, item in shape.fields.items() if item.required and name not in items]
        if absent and len(self.problems.found) == before:
            self.problems.add(self.at(node), f"{shape.name} lacks {', '.join(map(repr, absent))}")
        return None if absent else Parsed(items, self.at(node), len(self.problems.found) > before)


def scalar(tag: str, text: str) -> Literal:
    """Read a scalar by its tag. Raises ValueError for a number that is none."""
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text == "true"
    if tag == _INT:
        return int(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan")) if tag == _FLOAT else text
