"""Which class does an entry of a configuration mean, and which arguments does it give it?"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from optmap.mapping.model import Api, Framework, MappingSet
from optmap.mapping.records import Literal
from optmap.mapping.values import UNKNOWN, Value, literal_value, write_literal
from optmap.translate.configs.entries import Entry, named
from optmap.translate.configs.nodes import Node, literal
from optmap.translate.constructors.as_text import GivenArgument
from optmap.values import NamedTuple


class Identified(NamedTuple):
    """The class, its arguments, and the keys beside it that look like arguments but were not taken."""

    api: Api
    arguments: tuple[GivenArgument, ...]
    beside: tuple[str, ...] = ()


def identify(entry: Entry, tables: MappingSet, sources: Collection[Framework]) -> Identified | str:
    """Find the class that the entry means, or say why none or several could be meant."""
    every = [tables.apis[name] for name in named(tables, entry.name)]
    apis = [api for api in every if api.framework in sources]
    if not apis:
        if every:
            return f"{entry.name} is {every[0].name} already, which is not among the frameworks to translate from"
        return f"no table describes {entry.name}"
    if entry.keras and len(_frameworks(apis)) > 1:
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


def _takes(api: Api, entry: Entry) -> bool:
    """Tell whether the class of today takes the arguments: all of them, or those that any class takes."""
    current = {parameter.name for parameter in api.current}
    return (
        all(name in current for name in entry.arguments)
        if entry.exact
        else "lr" not in entry.arguments or "lr" in current
    )


def _looks_meant(api: Api, name: str, entry: Entry) -> bool:
    """What stands beside a bare name is mentioned only if the class has such an argument."""
    return name != "name" and (name in api.by_name or name in entry.arguments)


def _odd(node: Node) -> str | None:
    """What a value is that no hyperparameter can be."""
    try:
        literal(node)
    except ValueError as error:
        return str(error)
    return None


def _written(name: str, node: Node) -> GivenArgument:
    plain = literal(node)
    if isinstance(plain, str) and ("${" in plain or "{{" in plain):
        return GivenArgument(name, plain, Value())
    return GivenArgument(name, write_literal(plain), _value(plain))


def _value(plain: Literal) -> Value:
    """The value, in whose lists an interpolation may stand for anything."""
    if isinstance(plain, tuple) and any(isinstance(item, str) and "${" in item for item in plain):
        return Value(UNKNOWN, tuple(Value() if isinstance(item, str) else literal_value(item) for item in plain))
    return literal_value(plain)
