"""optmap's own tables as one JSON file, so that a run need not import and run a YAML parser: a fifth of the start-up time.

The file holds a digest of the tables that it was made from and is used only while they are the same byte for byte. It is
written by scripts/generate.py; a test compares it with the tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final
from zlib import crc32

from optmap.mapping.model import (
    REQUIRED,
    Accepts,
    Algorithm,
    Api,
    Earlier,
    Effect,
    Framework,
    Hyperparameter,
    Interval,
    Literal,
    MappingSet,
    Module,
    Need,
    Parameter,
    Position,
    Required,
    Trait,
)

NAME: Final = "compiled.json"


def digest(contents: Iterable[tuple[str, bytes]]) -> str:
    """Return a digest of files given as (name, content), in order: it tells edits, not forgeries, and costs no import."""
    size = state = 0
    for name, data in contents:
        state = crc32(data, crc32(f"{name}\0{len(data)}\0".encode(), state))
        size += len(data)
    return f"{size}-{state:08x}"


def dump(tables: MappingSet, source: str) -> str:
    """Write the tables as JSON text; `source` is the digest of the files that they were loaded from."""
    document = {
        "digest": source,
        "hyperparameters": [_plain(item) for item in tables.hyperparameters.values()],
        "traits": [_plain(item) for item in tables.traits.values()],
        "modules": [_plain(item) for item in tables.modules.values()],
        "algorithms": [_plain(item._replace(apis=())) for item in tables.algorithms.values()],
        "apis": [_plain({**vars_of(item), "module": item.module.name}) for item in tables.apis.values()],
    }
    return json.dumps(document, indent=0) + "\n"


def vars_of(api: Api) -> dict[str, Any]:
    """The fields of an API by name."""
    return {name: getattr(api, name) for name in api.__dataclass_fields__ if name not in ("version", "original")}


def _plain(value: Any) -> Any:
    if isinstance(value, Required):
        return {"required": True}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def load(text: bytes, source: str) -> MappingSet | None:
    """Read the tables back; None where they were made from other files."""
    document = json.loads(text)
    if document.get("digest") != source:
        return None
    hyperparameters = {item[0]: _hyperparameter(*item) for item in document["hyperparameters"]}
    traits = {item[0]: _trait(*item) for item in document["traits"]}
    modules = {item[0]: _module(*item) for item in document["modules"]}
    apis = {item["name"]: _api(item, modules) for item in document["apis"]}
    algorithms = {}
    for name, title, reference, alternatives, instead, _, at in document["algorithms"]:
        own = tuple(api for api in apis.values() if api.algorithm == name)
        algorithms[name] = Algorithm(name, title, reference, tuple(alternatives), instead, own, Position(*at))
    return MappingSet(hyperparameters, traits, modules, algorithms, apis)


def _tuple(value: Any) -> Literal:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def _hyperparameter(
    name: str, about: str, has: bool, neutral: Any, also: Any, needs: str | None, remedy: str | None,
    effect: str, grows: str | None, samples: Any, remedies: dict[str, str], at: Any,
) -> Hyperparameter:  # fmt: skip
    return Hyperparameter(
        name, about, has, _tuple(neutral), tuple(map(_tuple, also)), needs, remedy, Effect(effect), grows,
        tuple(map(_tuple, samples)), remedies, Position(*at),
    )  # fmt: skip


def _trait(
    name: str, values: Any, default: str | None, effect: str, active: Any, ungrouped: bool, needs: str | None,
    advice: str | None, grows: str | None, advice_to: dict[str, str], at: Any,
) -> Trait:  # fmt: skip
    need = Need(needs) if needs else None
    return Trait(
        name, values, default, Effect(effect), tuple(active), ungrouped, need, advice, grows, advice_to, Position(*at)
    )


def _module(
    name: str, framework: str, package: str, docs: str | None, paths: Any, pinned: dict[str, str], exclusive: bool,
    others: Any, schedules: Any, keys: dict[str, Any], extras: dict[str, str], take_all: bool, at: Any, serves: Any,
    unserved: Any, superseded: bool,
) -> Module:  # fmt: skip
    group_keys = {key: tuple(names) for key, names in keys.items()}
    return Module(
        name, Framework(framework), package, docs, tuple(paths), pinned, exclusive, tuple(others), tuple(schedules),
        group_keys, extras, take_all, Position(*at), tuple(serves), tuple(unserved), superseded,
    )  # fmt: skip


def _api(item: dict[str, Any], modules: dict[str, Module]) -> Api:
    return Api(
        name=item["name"],
        module=modules[item["module"]],
        algorithm=item["algorithm"],
        verified=item["verified"],
        parameters=tuple(_parameter(*row) for row in item["parameters"]),
        extra_keywords=item["extra_keywords"],
        rule=item["rule"],
        rule_when=item["rule_when"],
        fixed={name: _tuple(value) for name, value in item["fixed"].items()},
        deprecated=item["deprecated"],
        note=item["note"],
        instead=item["instead"],
        not_run=item["not_run"],
        since=item["since"],
        until=item["until"],
        earlier=tuple(Earlier(*older) for older in item["earlier"]),
        at=Position(*item["at"]),
        sample={name: _tuple(value) for name, value in item["sample"].items()},
        group_keys=None if item["group_keys"] is None else tuple(item["group_keys"]),
    )


def _parameter(
    name: str, ties: Any, execution: bool, default: Any, keyword_only: bool, accepts: str, interval: Any,
    switches: dict[str, str], since: str | None, until: str | None, was: dict[str, str], note: str | None,
    at: Any, *measure: Any,
) -> Parameter:  # fmt: skip
    return Parameter(
        name, tuple(ties), execution, REQUIRED if isinstance(default, dict) else _tuple(default), keyword_only,
        Accepts(accepts), Interval(*interval) if interval else None, switches, since, until, was, note, Position(*at),
        *measure,
    )  # fmt: skip
