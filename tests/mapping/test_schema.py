"""The published JSON Schema: fresh, satisfied by every table, and as strict as the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from optmap.mapping.frameworks import FOLDER
from optmap.mapping.schema import FOLDERS, schema, schema_text
from optmap.mapping.stored import default_directory

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra 'test'")

TABLES = sorted(default_directory().glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(schema())


def small() -> dict[str, Any]:
    parameter = {"name": "lr", "is": "learning_rate", "default": 0.1, "keyword_only": True, "accepts": "float"}
    api = {"verified": "1.0", "parameters": [parameter, {"include": "keras"}], "rule": {"a": "b"}, "fixed": {"x": None}}
    return {
        "algorithm": "adam",
        "apis": {"torch.optim.Adam": api},
        "traits": {"a": {"values": {"b": "c"}, "effect": "close"}},
        "modules": {"torch.optim": {"framework": "torch", "paths": ["torch.optim"]}},
        "parameter_lists": {"keras": [{"name": "betas", "is": ["beta1", "beta2"], "default": [0.9, 0.999]}]},
        "hyperparameters": {"h": {"about": "x", "neutral": None, "also_neutral": [1, False]}},
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_published_file_is_fresh(folder: str) -> None:
    published = (default_directory() / folder / "schema.json").read_text(encoding="utf-8")
    assert published == schema_text(folder), "run scripts/generate.py"
    assert json.loads(published) == schema(folder)


@pytest.mark.parametrize("path", sorted((default_directory() / FOLDER).glob("*.yaml")), ids=lambda path: path.stem)
def test_the_facts_satisfy_their_schema(path: Path) -> None:
    jsonschema.Draft202012Validator(schema(FOLDER)).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", TABLES, ids=[path.name for path in TABLES])
def test_every_table_satisfies_the_schema(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json", "editors find the schema by this line"


def test_a_small_document_satisfies_the_schema() -> None:
    assert list(VALIDATOR.iter_errors(small())) == []


PLACES: dict[str, tuple[str | int, ...]] = {
    "top": (),
    "api": ("apis", "torch.optim.Adam"),
    "parameter": ("apis", "torch.optim.Adam", "parameters", 0),
    "include": ("apis", "torch.optim.Adam", "parameters", 1),
    "trait": ("traits", "a"),
    "module": ("modules", "torch.optim"),
    "hyperparameter": ("hyperparameters", "h"),
    "list": ("parameter_lists", "keras", 0),
}


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_key_is_rejected(place: str) -> None:
    document = small()
    at(document, PLACES[place])["unknown"] = "x"
    assert [error.validator for error in VALIDATOR.iter_errors(document)] == ["additionalProperties"]


@pytest.mark.parametrize(
    ("place", "key"),
    [("api", "verified"), ("api", "parameters"), ("trait", "effect"), ("list", "name")],
)
def test_a_missing_key_is_rejected(place: str, key: str) -> None:
    document = small()
    del at(document, PLACES[place])[key]
    assert [error.validator for error in VALIDATOR.iter_errors(document)] == ["required"]


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ("parameter", "accepts", "complex"),
        ("parameter", "keyword_only", "true"),
        ("parameter", "default", {"a": 1}),
        ("parameter", "is", 3),
        ("parameter", "affects", "numerics"),
        ("parameter", "range", [0, 1]),
        ("module", "paths", "torch.optim"),
        ("trait", "effect", "none"),
        ("trait", "values", ["a"]),
        ("api", "parameters", {}),
        ("api", "rule", {"a": 1}),
        ("top", "apis", []),
        ("hyperparameter", "also_neutral", 1),
    ],
)
def test_a_wrong_value_is_rejected(place: str, key: str, value: object) -> None:
    document = small()
    at(document, PLACES[place])[key] = value
    assert len(list(VALIDATOR.iter_errors(document))) == 1


def test_every_key_is_described() -> None:
    def described(part: Any) -> bool:
        properties = part.get("properties", {}).values()
        inner = [part.get("items"), part.get("additionalProperties"), *properties]
        return all("description" in item for item in properties) and all(
            described(x) for x in inner if isinstance(x, dict)
        )

    assert described(schema())
