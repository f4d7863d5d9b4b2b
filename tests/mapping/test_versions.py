"""The rows that hold at a version against the constructors that the releases have (tests/mapping/signatures.json)."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import optmap
from optmap.mapping import versions
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.sections import Api
from optmap.mapping.values import read_value

TABLES = load()
RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("signatures.json").read_text())


def releases(api: Api) -> list[tuple[str, str]]:
    """The recorded releases whose classes a section describes, as (package, version): up to 2.15 TensorFlow has its own Keras."""
    name, package = api.module.name, api.module.package
    packages = ("tensorflow", "keras") if package == "keras" else (package,)
    found = [(package, version) for package in packages for version in RECORDED.get(package, {})]
    if name == "tf.keras.mixed_precision":  # before Keras 3 it was a package of its own, which is not recorded
        return [item for item in found if versions.holds(item[1], "3", None)]
    alone = [
        item for item in found if versions.holds(item[1], None, {"tensorflow": "1.14", "keras": "2.4"}.get(item[0]))
    ]
    return found if package != "keras" else alone if api.name in TABLES.older else [x for x in found if x not in alone]


CASES = [
    pytest.param(api, *release, id=f"{api.name}-{'-'.join(release)}")
    for api in (*TABLES.apis.values(), *TABLES.older.values())
    for release in releases(api)
]
CONSTANTS = {"DEFAULT_A": 3.4445, "DEFAULT_B": -4.775, "DEFAULT_C": 2.0315, "EPS": 1e-7, "DEFAULT_NS_STEPS": 5}
"""Names that torch/optim/_muon.py gives as defaults."""
ODD = {
    ("tf.keras.optimizers.Ftrl", "2.10.0"): ("name", "l2_shrinkage_regularization_strength", "beta"),
    ("tf.keras.optimizers.RMSprop", "3.0.0"): ("ema_overwrite_frequency",),
}
"""Parameters that the tables place or default as later releases do: the last version, and the names that are left out.

Up to 2.10 Ftrl has `name` before two of its own; up to 3.0 RMSprop's overwrite frequency is 100, which only use_ema wakes.
"""


@pytest.mark.parametrize(("api", "package", "version"), CASES)
def test_the_rows_of_a_version_are_its_constructor(api: Api, package: str, version: str) -> None:
    recorded = RECORDED[package][version].get(api.class_name)
    at = api.with_version(version)
    assert at.exists == (recorded is not None)
    if recorded is None:
        return
    last, odd = next(((key[1], names) for key, names in ODD.items() if key[0] == api.name), ("0", ()))
    left_out = odd if versions.key(version) <= versions.key(last) else ()
    current = [row for row in at.current if row.name not in left_out]
    rows = [
        (row.name, row.keyword_only, None if row.required else _same(None if row.name == "name" else row.default))
        for row in current
        if not (row.keyword_only and api.module.package == "keras")  # from its **kwargs
    ]
    stands_for = {row.name: row.none_is for row in current}
    expected = [
        (
            name,
            keyword_only,
            repr(stands_for[name]) if default == "None" and stands_for.get(name) else _value(name, default),
        )
        for name, keyword_only, default in recorded
        if name not in left_out
    ]
    assert rows == expected


def _same(default: Any) -> str:
    return repr(default)


def _value(name: str, default: str | None) -> str | None:
    """The default as the tables would have it; a class's own name is the same nothing in all releases."""
    if default in (None, "required"):
        return None
    if name == "name":
        return repr(None)
    tree = ast.parse(default, mode="eval").body
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if names:
        return repr(eval(compile(ast.Expression(tree), "default", "eval"), {}, CONSTANTS))
    return repr(read_value(tree).literal)


def test_versions_compare_as_numbers() -> None:
    assert versions.key("1.13") == versions.key("v1.13.0") == versions.key("1.13.0+cpu")
    assert versions.key("2.9") < versions.key("2.10") < versions.key("3")
    assert versions.key("3.0.0rc1") == versions.key("3")


@pytest.mark.parametrize("text", ["", "v", "latest", ">=2", "2.x", "2..1", "1,2"])
def test_what_is_no_version_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected numbers such as"):
        versions.key(text)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=3), st.lists(st.integers(0, 99), min_size=1, max_size=3))
def test_a_row_holds_from_since_up_to_until(since: list[int], until: list[int]) -> None:
    first, last = (".".join(map(str, part)) for part in (since, until))
    for point in (first, last):
        expected = versions.key(first) <= versions.key(point) < versions.key(last)
        assert versions.holds(point, first, last) == expected


JOINED = {package: ("tensorflow", number) for package, number in Framework("tensorflow").facts.joined.items()}


@pytest.mark.parametrize(
    ("tensorflow", "keras"), [("2.10", "2.10"), ("2.15.1", "2.15.1"), ("2.16", None), ("2.21.0", None)]
)
def test_tensorflow_brings_its_keras(tensorflow: str, keras: str | None) -> None:
    assert versions.with_joined({"tensorflow": tensorflow}, JOINED).get("keras") == keras
    assert versions.with_joined({"tensorflow": tensorflow, "keras": "3.3"}, JOINED)["keras"] == "3.3"


def test_tables_at_a_version_change_apis_and_algorithms_together() -> None:
    old = TABLES.at({"torch": "1.13"})
    assert old.apis["torch.optim.SGD"].by_name["lr"].required
    assert not TABLES.apis["torch.optim.SGD"].by_name["lr"].required
    assert old.algorithms["sgd"].apis[0] is old.apis["torch.optim.SGD"]
    assert old.apis["mindspore.nn.SGD"].version is None
    assert TABLES.at({}) is TABLES


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"torch": "9.9"}, "found torch 9.9, but the tables cover torch 1.8 to 2.15 only"),
        ({"torch": "1.7"}, "found torch 1.7, but"),
        ({"keras": "2.1.6"}, "the tables cover keras 2.2 to"),
        ({"tensorflow": "1.12"}, "the tables cover tensorflow 1.13 to"),
        ({"torch": "latest"}, "expected numbers such as"),
        ({"pytorch": "1.13"}, "unknown package 'pytorch'; did you mean 'torch'?"),
    ],
)
def test_versions_that_no_table_covers(chosen: dict[str, str], found: str) -> None:
    with pytest.raises(ValueError, match=re.escape(found)):
        TABLES.at(chosen)
    with pytest.raises(ValueError, match=re.escape(found)):
        optmap.translate_source("x = 1\n", versions=chosen)


def test_a_range_ends_with_all_releases_of_the_last() -> None:
    assert TABLES.at({"torch": "1.8"}).apis["torch.optim.SGD"].version == "1.8"
    assert TABLES.at({"torch": "2.15.3"}).apis["torch.optim.SGD"].version == "2.15.3"


@pytest.mark.parametrize(
    ("chosen", "path", "name", "rate"),
    [
        ({"keras": "2.3.1"}, "keras.optimizers.Adadelta", "keras.optimizers.Adadelta", 1.0),
        ({"keras": "2.2.4"}, "keras.optimizers.adadelta.Adadelta", "keras.optimizers.Adadelta", 1.0),
        ({"keras": "2.4.3"}, "keras.optimizers.Adadelta", "tf.keras.optimizers.Adadelta", 0.001),
        ({"tensorflow": "1.13.1"}, "tensorflow.keras.optimizers.Adadelta", "keras.optimizers.Adadelta", 1.0),
        ({"tensorflow": "1.15"}, "tensorflow.keras.optimizers.Adadelta", "tf.keras.optimizers.Adadelta", 0.001),
        ({"tensorflow": "1.15", "keras": "2.3.1"}, "keras.optimizers.Adadelta", "keras.optimizers.Adadelta", 1.0),
        ({"tensorflow": "2.4"}, "keras.optimizers.Adadelta", "tf.keras.optimizers.Adadelta", 0.001),
        ({"keras": "2.3.1"}, "tensorflow.keras.optimizers.Adadelta", "tf.keras.optimizers.Adadelta", None),
        ({"tensorflow": "1.13.1"}, "keras.optimizers.Adadelta", "tf.keras.optimizers.Adadelta", None),
        ({"tensorflow": "1.15"}, "keras.optimizers.Adadelta", "keras.optimizers.Adadelta", None),
    ],
)
def test_keras_alone_and_in_tensorflow(chosen: dict[str, str], path: str, name: str, rate: float | None) -> None:
    """The one's rate was a thousand times the other's; where the version of neither is given the class is not known."""
    api = TABLES.at(chosen).api_at(path)
    assert api is not None
    assert api.name == name
    assert api.exists == (rate is not None)
    if rate is not None:
        assert api.by_tie["learning_rate"].default == rate


def test_a_module_that_is_no_more_has_no_classes_today() -> None:
    assert not set(TABLES.older) & set(TABLES.apis)
    assert all(api not in TABLES.older.values() for item in TABLES.algorithms.values() for api in item.apis)


def test_a_pinned_path_holds_the_classes_of_its_version() -> None:
    legacy = TABLES.api_at("tensorflow.keras.optimizers.legacy.Adam")
    assert legacy is not None
    assert legacy.name == "tf.keras.optimizers.Adam"
    assert [row.name for row in legacy.current if not row.keyword_only][-1] == "name"
    assert legacy.by_name["lr"].name == "learning_rate"
    today = TABLES.api_at("tensorflow.keras.optimizers.Adam")
    assert today is not None
    assert "lr" not in today.by_name
