"""The JSON Schemas of table files, generated from their records, for completion in editors."""

from __future__ import annotations

import json
from typing import Any, Final

from optmap.mapping.frameworks import FOLDER, Facts
from optmap.mapping.records import Field, Record, Shape, keys
from optmap.mapping.sections import TableFile

_TYPES: Final[dict[Any, Any]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    object: ["null", "boolean", "number", "string", "array"],
}


FOLDERS: Final[dict[str, tuple[type[Record], str]]] = {
    "": (TableFile, "Optimizer classes of one algorithm, every framework side by side."),
    FOLDER: (Facts, "What the code has to know of a framework."),
}
"""The tables that have a schema, by their folder."""


def schema(folder: str = "") -> dict[str, Any]:
    """Return the schema of a folder's tables (JSON Schema draft 2020-12)."""
    record, about = FOLDERS[folder]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"optmap {record.record_name}" if folder else "optmap mapping table",
        "description": about,
        **record_schema(record),
    }


def schema_text(folder: str = "") -> str:
    """Return the schema as the file `schema.json` of a folder of tables holds it."""
    return json.dumps(schema(folder), indent=2) + "\n"


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


def _schema(kind: Shape) -> dict[str, Any]:
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
