"""The JSON Schema of a table file, generated from its shape, for completion in editors."""

from __future__ import annotations

import json
from typing import Any

from optmap.mapping.shape import TABLE
from optmap.mapping.yamlnodes import Any_, Flag, ListOf, MapOf, Record, Shape, Text, Whole


def schema() -> dict[str, Any]:
    """Return the schema (JSON Schema draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "optmap mapping table",
        "description": "Optimizer classes of one algorithm, every framework side by side.",
        **_schema(TABLE),
    }


def schema_text() -> str:
    """Return the schema as the file `mappings/schema.json` holds it."""
    return json.dumps(schema(), indent=2) + "\n"


def _schema(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, Record):
        fields = {name: {"description": item.about, **_schema(item.shape)} for name, item in shape.fields.items()}
        required = [name for name, item in shape.fields.items() if item.required]
        return {
            "type": "object",
            "properties": fields,
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }
    if isinstance(shape, MapOf):
        return {"type": "object", "additionalProperties": _schema(shape.value)}
    if isinstance(shape, ListOf):
        items = {"type": "array", "items": _schema(shape.item)}
        return {"anyOf": [items, _schema(shape.item)]} if shape.or_one else items
    if isinstance(shape, Flag):
        return {"type": "boolean"}
    if isinstance(shape, Whole):
        return {"type": "integer"}
    if isinstance(shape, Any_):
        return {"type": ["null", "boolean", "number", "string", "array"]}
    assert isinstance(shape, Text)
    return {"type": "string", **({"enum": list(shape.choices)} if shape.choices else {})}
