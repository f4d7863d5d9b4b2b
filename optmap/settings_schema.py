"""The JSON Schema of `[tool.optmap]`, made from the keys that `config.py` reads."""

from __future__ import annotations

import json
from typing import Any, Final

from optmap.config import KEYS

_TYPES: Final[dict[type[Any], dict[str, Any]]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    list: {"type": "array", "items": {"type": "string"}},
    dict: {"type": "object"},
}


def text() -> str:
    """The schema as JSON with a final newline."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "[tool.optmap] in pyproject.toml",
        "type": "object",
        "properties": {name: _TYPES[kind] for name, kind in KEYS.items()},
        "additionalProperties": False,
    }
    return json.dumps(schema, indent=2) + "\n"
