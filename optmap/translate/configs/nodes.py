"""YAML, JSON and TOML text to values that keep their place. Nothing in a file is ever constructed but plain values."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

from optmap.mapping.records import Literal
from optmap.reading import parse_toml
from optmap.translate.configs.tomlplaces import Places, places
from optmap.values import NamedTuple

Scalar = str | int | float | bool | None


class Broken(Exception):
    """The text is not what its file name says; line and column count from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class ConfigNode(NamedTuple):
    """A value: a scalar, a list of nodes, or a dict of nodes by key; where it begins, line and column from 1."""

    value: Scalar | list[ConfigNode] | dict[str, ConfigNode]
    line: int
    column: int


_NESTED: Final = "nested too deeply"
_DEEPEST: Final = 200


def read_yaml(text: str) -> list[ConfigNode]:
    """Read every document of a YAML file. Raises Broken."""
    import yaml

    from optmap.mapping.yamlnodes import compose_all

    try:
        composed = compose_all(text, _DEEPEST)
        return [_Copy().node(node, 0) for node in composed]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise Broken(f"not valid YAML: {error.problem or error.context}", line, column) from None
    except yaml.reader.ReaderError as error:
        message = f"not valid YAML: character #x{error.character:04x} is not allowed"
        raise Broken(message, *Places(text)(error.position)) from None
    except (RecursionError, ValueError):
        raise Broken(_NESTED) from None


class _Copy:
    """Copies composed nodes, each once however many aliases lead to it; an alias into itself becomes nothing."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.done: dict[int, ConfigNode] = {}

    def node(self, node: Any, depth: int) -> ConfigNode:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if id(node) in self.done:
            return self.done[id(node)]
        if id(node) in self.open or depth > _DEEPEST:
            return ConfigNode(None, line, column)
        self.open.add(id(node))
        copied = self.done[id(node)] = ConfigNode(self._value(node, depth), line, column)
        self.open.discard(id(node))
        return copied

    def _value(self, node: Any, depth: int) -> Scalar | list[ConfigNode] | dict[str, ConfigNode]:
        from optmap.mapping.yamlnodes import scalar

        if node.id == "sequence":
            return [self.node(item, depth + 1) for item in node.value]
        if node.id == "scalar":
            try:
                value = scalar(node.tag, node.value)
            except (ValueError, OverflowError):
                return str(node.value)
            return value if isinstance(value, Scalar) else None
        pairs: dict[str, ConfigNode] = {}
        for key, value in node.value:
            if key.id == "scalar" and key.value == "<<":
                pairs = {**self._merged(value, depth), **pairs}
            elif key.id == "scalar":
                pairs[key.value] = self.node(value, depth + 1)
        return pairs

    def _merged(self, node: Any, depth: int) -> dict[str, ConfigNode]:
        """What `<<: *base` or `<<: [*one, *two]` adds; the first one that has a key gives it."""
        pairs: dict[str, ConfigNode] = {}
        for base in node.value if node.id == "sequence" else [node]:
            copied = self.node(base, depth + 1)
            pairs = {**(copied.value if isinstance(copied.value, dict) else {}), **pairs}
        return pairs


def read_json(text: str) -> list[ConfigNode]:
    """Read a JSON file. Raises Broken."""
    try:
        json.loads(text)
        return [_Json(text).value(0)[0]]
    except json.JSONDecodeError as error:
        raise Broken(f"not valid JSON: {error.msg}", error.lineno, error.colno) from None
    except RecursionError:
        raise Broken(_NESTED) from None
    except ValueError as error:
        raise Broken(f"not valid JSON: {error}") from None


_BLANK: Final = re.compile(r"[ \t\n\r]*")
_PLAIN: Final = re.compile(r"[^\s,\]}]+")


class _Json:
    """Finds the places of values in text that the json module has accepted."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = Places(text)

    def value(self, at: int) -> tuple[ConfigNode, int]:
        """Return the value that begins at or behind an offset, and the offset behind it."""
        at = self._skip(at)
        line, column = self.place(at)
        if self.text[at] == '"':
            found, end = scanstring(self.text, at + 1)
            return ConfigNode(found, line, column), end
        if self.text[at] in "{[":
            return self._container(at, line, column)
        match = _PLAIN.match(self.text, at)
        assert match is not None
        return ConfigNode(json.loads(match[0]), line, column), match.end()

    def _container(self, at: int, line: int, column: int) -> tuple[ConfigNode, int]:
        items: list[ConfigNode] = []
        pairs: dict[str, ConfigNode] = {}
        close = "}" if self.text[at] == "{" else "]"
        at = self._skip(at + 1)
        while self.text[at] != close:
            if close == "}":
                key, at = scanstring(self.text, at + 1)
                at = self._skip(at) + 1
                pairs[key], at = self.value(at)
            else:
                item, at = self.value(at)
                items.append(item)
            at = self._skip(at)
            if self.text[at] == ",":
                at = self._skip(at + 1)
        return ConfigNode(pairs if close == "}" else items, line, column), at + 1

    def _skip(self, at: int) -> int:
        match = _BLANK.match(self.text, at)
        assert match is not None
        return match.end()


def read_toml(text: str) -> list[ConfigNode]:
    """Read a TOML file. Raises Broken. A value's place is that of its key where it stands in an inline table."""
    try:
        document = parse_toml(text)
    except ValueError as error:
        match = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(match[1]), int(match[2])) if match else (text.count("\n") + 1, 1)
        raise Broken(f"not valid TOML: {str(error).partition(' (at')[0]}", line, column) from None
    except RecursionError:
        raise Broken(_NESTED) from None
    return [_from_toml(document, (), places(text), (1, 1))]


def _from_toml(
    value: Any, path: tuple[str | int, ...], known: dict[tuple[str | int, ...], tuple[int, int]], at: tuple[int, int]
) -> ConfigNode:
    at = known.get(path, at)
    if isinstance(value, dict):
        return ConfigNode({key: _from_toml(item, (*path, key), known, at) for key, item in value.items()}, *at)
    if isinstance(value, list):
        return ConfigNode([_from_toml(item, (*path, place), known, at) for place, item in enumerate(value)], *at)
    return ConfigNode(value if isinstance(value, Scalar) else str(value), *at)


def literal(node: ConfigNode) -> Literal:
    """A scalar or a list of scalars as a literal. Raises ValueError for anything else: no hyperparameter is."""
    if isinstance(node.value, dict):
        raise ValueError("a mapping")
    if not isinstance(node.value, list):
        return node.value
    items = [item.value for item in node.value]
    if not all(isinstance(item, Scalar) for item in items):
        raise ValueError("a list of lists or mappings")
    return tuple(item for item in items if isinstance(item, Scalar))
