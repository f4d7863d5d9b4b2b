"""The JSON Schema of a table file, generated from its record, for completion in editors."""

from __future__ import annotations

import json
from typing import Any, Final

from optmap.mapping.model import TableFile
from optmap.mapping.records import Field, Kind, Record, keys

_TYPES: Final[dict[Any, Any]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    object: ["null", "boolean", "number", "string", "array"],
}


def schema() -> dict[str, Any]:
    """Return the schema of the optimizers' tables (JSON Schema draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "optmap mapping table",
        "description": "Optimizer classes of one algorithm, every framework side by side.",
        **record_schema(TableFile),
    }


def schema_text() -> str:
    """Return the schema as the file `mappings/schema.json` holds it."""
    return json.dumps(schema(), indent=2) + "\n"


def record_schema(record: type[Record]) -> dict[str, Any]:
    """Return the schema of a mapping that makes a record."""
    required = [name for name, field in keys(record).items() if field.required]
    return {
        "type": "object",
        "properties": {name: _field(field) for name, field in keys(record).items()},
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _field(field: Field) -> dict[str, Any]:
    return {"description": field.about, **_schema(field.kind)}


def _schema(kind: Kind) -> dict[str, Any]:
    if kind.form is tuple:
        items = {"type": "array", "items": _schema(kind.item)}
        return {"anyOf": [items, _schema(kind.item)]} if kind.or_one else items
    if kind.form is dict:
        names = {"propertyNames": {"enum": list(map(str, kind.keys))}} if kind.keys else {}
        return {"type": "object", **names, "additionalProperties": _schema(kind.item)}
    if kind.form in _TYPES:
        return {"type": _TYPES[kind.form]}
    if issubclass(kind.form, Record):
        return record_schema(kind.form)
    return {"type": "string", **({"enum": list(kind.choices)} if kind.choices else {})}
