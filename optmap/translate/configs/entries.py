"""Which entries of a configuration name an optimizer? The forms of Hydra, Lightning, Keras, mmcv, DeepSpeed and plain keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.values import UNKNOWN, Value, literal_value, write_literal
from optmap.translate.configs.nodes import ConfigNode, literal
from optmap.translate.constructors.as_text import GivenArgument
from optmap.values import NamedTuple

_KEY: Final = re.compile(
    r"(?:\w+[_-])?(?:optimizer|optimiser|optim|opt)s?(?:[_-](?:config|cfg|conf|type|name|class|spec))?", re.IGNORECASE
)
_NAMES: Final = ("_target_", "class_path", "class_name", "type", "name", "class", "optimizer", "opt", "kind", "method")
_INNER: Final = (
    "config",
    "init_args",
    "params",
    "args",
    "kwargs",
    "hyperparameters",
    "parameters",
    "options",
    "dict_kwargs",
)
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


class ConfigEntry(NamedTuple):
    """One optimizer: the key that it stands under, its name and where that is, and its hyperparameters.

    `exact` says that `arguments` are all meant for the constructor; else some may be settings of the program. `serialized`
    marks the form that a framework itself writes. `beside` are scalars next to a bare name.
    """

    key: str
    name: str
    at: ConfigNode
    arguments: Mapping[str, ConfigNode]
    exact: bool
    serialized: bool = False
    beside: Mapping[str, ConfigNode] = {}


def find_entries(documents: Sequence[ConfigNode], tables: MappingSet) -> list[ConfigEntry]:
    """Return every entry of the documents, each place once."""
    found: dict[tuple[int, int], ConfigEntry] = {}
    for document in documents:
        for entry in _Walk(tables).walk(document, ""):
            found.setdefault((entry.at.line, entry.at.column), entry)
    return list(found.values())


class _Walk:
    def __init__(self, tables: MappingSet) -> None:
        self.tables = tables
        self.seen: set[tuple[int, str]] = set()
        """Nodes that were looked at, by the key they stand under: YAML aliases may lead to one in many ways."""

    def walk(self, node: ConfigNode, key: str) -> Iterator[ConfigEntry]:
        if (id(node), key) in self.seen:
            return
        self.seen.add((id(node), key))
        if isinstance(node.value, list):
            for item in node.value:
                yield from self.walk(item, key)
        elif isinstance(node.value, dict):
            entry = self._mapping(node.value, key)
            if entry is not None:
                yield entry
                return
            for name, item in node.value.items():
                if name == "defaults" and isinstance(item.value, list):
                    continue  # Hydra's list of the files that make up the configuration
                bare = self._bare(name, item, node.value)
                if bare is not None:
                    yield bare
                else:
                    yield from self.walk(item, name)

    def _mapping(self, items: Mapping[str, ConfigNode], key: str) -> ConfigEntry | None:
        """A mapping that names a class and may hold its arguments."""
        for form in ("_target_", "class_path"):
            name = _text(items.get(form))
            if name is not None and self._in_optimizer_module(name):
                return self._entry(items, form, name, key or form)
        if not _KEY.fullmatch(key):
            return None
        for form in _NAMES:
            name = _text(items.get(form))
            if name is not None and (self.known(name) or form in ("class_name", "type")):
                return self._entry(items, form, name, key)
        classes = [name for name, item in items.items() if self.known(name) and isinstance(item.value, dict | None)]
        if len(classes) == 1:
            inner = items[classes[0]]
            arguments = inner.value if isinstance(inner.value, dict) else {}
            return ConfigEntry(key, classes[0], inner, arguments, True)
        return None

    def _entry(self, items: Mapping[str, ConfigNode], form: str, name: str, key: str) -> ConfigEntry:
        inner = next((items[each] for each in _INNER if each in items and isinstance(items[each].value, dict)), None)
        serialized = form == "class_name"
        if inner is not None and isinstance(inner.value, dict):
            return ConfigEntry(key, name, items[form], inner.value, True, serialized)
        if serialized or form == "class_path":
            return ConfigEntry(key, name, items[form], {}, True, serialized)
        rest = {each: item for each, item in items.items() if each != form and not _private(each)}
        return ConfigEntry(key, name, items[form], rest, form == "_target_")

    def _bare(self, key: str, node: ConfigNode, beside: Mapping[str, ConfigNode]) -> ConfigEntry | None:
        """`optimizer: AdamW`; under a key that may mean other things only if the name is known."""
        name = _text(node)
        if name is None or not _KEY.fullmatch(key) or not re.fullmatch(r"[A-Za-z][\w.-]*", name):
            return None
        if not (self.known(name) or key.lower() in ("optimizer", "optimiser")):
            return None
        others = {each: item for each, item in beside.items() if each != key}
        return ConfigEntry(key, name, node, {}, True, beside=others)

    def known(self, name: str) -> bool:
        """Tell whether any table has a class of this name."""
        return bool(named(self.tables, name))

    def _in_optimizer_module(self, name: str) -> bool:
        if not _DOTTED.fullmatch(name):
            return False
        return bool(self.tables.named(name)) or self.tables.find(name) is not None


def named(tables: MappingSet, name: str) -> list[str]:
    """The full names of the classes that a name may mean, whatever its case, dashes and underscores."""
    exact = tables.named(name)
    if exact or "." in name:
        return [api.name for api in exact]
    plain = name.replace("_", "").replace("-", "").lower()
    return [api.name for api in tables.apis.values() if api.class_name.lower() in (plain, f"{plain}optimizer")]


def _text(node: ConfigNode | None) -> str | None:
    return node.value if node is not None and isinstance(node.value, str) else None


def _private(key: str) -> bool:
    """Hydra's own keys."""
    return key.startswith("_") and key.endswith("_")


class Identified(NamedTuple):
    """The class, its arguments, and the keys beside it that look like arguments but were not taken."""

    api: Api
    arguments: tuple[GivenArgument, ...]
    beside: tuple[str, ...] = ()


def identify(entry: ConfigEntry, tables: MappingSet, sources: Collection[Framework]) -> Identified | str:
    """Find the class that the entry means, or say why none or several could be meant."""
    every = [tables.apis[name] for name in named(tables, entry.name)]
    apis = [api for api in every if api.framework in sources]
    if not apis:
        if every:
            return f"{entry.name} is {every[0].name} already, which is not among the frameworks to translate from"
        return f"no table describes {entry.name}"
    if entry.serialized and len(_frameworks(apis)) > 1:
        apis = [api for api in apis if api.framework.facts.serialized] or apis
    fitting = [api for api in apis if _takes(api, entry)] if len(apis) > 1 else apis
    chosen = fitting or apis
    if len(_frameworks(chosen)) > 1:
        meanings = " or ".join(dict.fromkeys(api.name for api in chosen))
        return f"{entry.name} may be {meanings}; --from says which framework is meant"
    api = chosen[0]
    taken = {
        name: node for name, node in entry.arguments.items() if name != "name" and (entry.exact or name in api.by_name)
    }
    left = [name for name in (*entry.arguments, *entry.beside) if name not in taken and _looks_meant(api, name, entry)]
    odd = [f"{name} is {what}" for name, node in taken.items() if (what := _odd(node))]
    if odd:
        return f"{entry.name}: {'; '.join(odd)}, expected a number, a text or a list of such"
    return Identified(api, tuple(_written(name, node) for name, node in taken.items()), tuple(left))


def _frameworks(apis: Sequence[Api]) -> set[Framework]:
    return {api.framework for api in apis}


def _takes(api: Api, entry: ConfigEntry) -> bool:
    """Tell whether the class of today takes the arguments: all of them, or those that any class takes."""
    current = {parameter.name for parameter in api.current}
    return (
        all(name in current for name in entry.arguments)
        if entry.exact
        else "lr" not in entry.arguments or "lr" in current
    )


def _looks_meant(api: Api, name: str, entry: ConfigEntry) -> bool:
    """What stands beside a bare name is mentioned only if the class has such an argument."""
    return name != "name" and (name in api.by_name or name in entry.arguments)


def _odd(node: ConfigNode) -> str | None:
    """What a value is that no hyperparameter can be."""
    try:
        literal(node)
    except ValueError as error:
        return str(error)
    return None


def _written(name: str, node: ConfigNode) -> GivenArgument:
    plain = literal(node)
    if isinstance(plain, str) and ("${" in plain or "{{" in plain):
        return GivenArgument(name, plain, Value())
    return GivenArgument(name, write_literal(plain), _value(plain))


def _value(plain: Literal) -> Value:
    """The value, in whose lists an interpolation may stand for anything."""
    if isinstance(plain, tuple) and any(isinstance(item, str) and "${" in item for item in plain):
        return Value(UNKNOWN, tuple(Value() if isinstance(item, str) else literal_value(item) for item in plain))
    return literal_value(plain)
