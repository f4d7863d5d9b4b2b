"""The rows that hold at a version against the constructors that the releases have (tests/mapping/signatures.json)."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.mapping import versions
from optmap.mapping.load import load
from optmap.mapping.model import Api, Framework
from optmap.mapping.values import read_value

TABLES = load()
RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("signatures.json").read_text())
CASES = [
    pytest.param(api, version, id=f"{api.name}-{version}")
    for api in TABLES.apis.values()
    for version in RECORDED.get(api.module.package, {})
    if not (api.module.name == "tf.keras.mixed_precision" and versions.key(version) < versions.key("3"))
]
"""Before Keras 3 mixed precision was a package of its own, which is not recorded."""
CONSTANTS = {"DEFAULT_A": 3.4445, "DEFAULT_B": -4.775, "DEFAULT_C": 2.0315, "EPS": 1e-7, "DEFAULT_NS_STEPS": 5}
"""Names that torch/optim/_muon.py gives as defaults."""
ODD = {
    ("tf.keras.optimizers.Ftrl", "2.10.0"): ("name", "l2_shrinkage_regularization_strength", "beta"),
    ("tf.keras.optimizers.RMSprop", "3.0.0"): ("ema_overwrite_frequency",),
}
"""Parameters that the tables place or default as later releases do: the last version, and the names that are left out.

Up to 2.10 Ftrl has `name` before two of its own; up to 3.0 RMSprop's overwrite frequency is 100, which only use_ema wakes.
"""


@pytest.mark.parametrize(("api", "version"), CASES)
def test_the_rows_of_a_version_are_its_constructor(api: Api, version: str) -> None:
    recorded = RECORDED[api.module.package][version].get(api.class_name)
    at = api.with_version(version)
    assert at.exists == (recorded is not None)
    if recorded is None:
        return
    last, odd = next(((key[1], names) for key, names in ODD.items() if key[0] == api.name), ("0", ()))
    left_out = odd if versions.key(version) <= versions.key(last) else ()
    rows = [
        (row.name, row.keyword_only, None if row.required else _same(row.default))
        for row in at.current
        if row.name not in left_out and not (row.keyword_only and api.module.package == "keras")  # from its **kwargs
    ]
    expected = [
        (name, keyword_only, _value(name, default)) for name, keyword_only, default in recorded if name not in left_out
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


def test_a_pinned_path_holds_the_classes_of_its_version() -> None:
    legacy = TABLES.api_at("tensorflow.keras.optimizers.legacy.Adam")
    assert legacy is not None
    assert legacy.name == "tf.keras.optimizers.Adam"
    assert [row.name for row in legacy.current if not row.keyword_only][-1] == "name"
    assert legacy.by_name["lr"].name == "learning_rate"
    today = TABLES.api_at("tensorflow.keras.optimizers.Adam")
    assert today is not None
    assert "lr" not in today.by_name
