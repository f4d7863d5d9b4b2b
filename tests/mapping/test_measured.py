"""The kept levels are of exactly the pairs that the tables derive; a gate's results are compared with them in CI."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from optmap.conformance.calls import default_call, plans
from optmap.mapping.framework import Framework
from optmap.mapping.measured import NAME, measurements
from optmap.mapping.model import MappingSet
from optmap.mapping.stored import default_directory

KEPT: dict[str, Any] = json.loads(default_directory().joinpath(NAME).read_bytes())


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "levels.py"
    spec = importlib.util.spec_from_file_location("levels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_pair_at_its_defaults_is_measured_and_no_other(tables: MappingSet) -> None:
    derived = set()
    for api in tables.apis.values():
        for target in Framework:
            if target is api.framework or not api.exists:
                continue
            found = plans(tables, default_call(tables, api), target)
            assert not isinstance(found, str)
            derived |= {(api.name, item.target.name) for item in found if not (api.not_run or item.target.not_run)}
    known = measurements()
    assert known is not None
    assert known.pairs.keys() == derived


def test_the_file_says_how_it_was_made() -> None:
    assert KEPT["command"] == "optmap check --all --format json"
    assert set(KEPT["engines"]) == {"torch", "tensorflow", "mindspore"}
    assert all(KEPT["engines"].values())


def test_the_worst_level_is_that_of_a_scenario() -> None:
    for item in KEPT["pairs"]:
        assert item["float32"] == list(item["scenarios"])[-1]


def result(level: str | None, scenario: str = "dense-mae", **more: Any) -> dict[str, Any]:
    common = {"source": "a.A", "target": "b.B", "mode": "forced", "row": None, "dtype": "float32"}
    return {**common, "scenario": scenario, "level": level, **more}


def check(*levels: str, double: str = "EQUIVALENT", **more: Any) -> dict[str, Any]:
    results = [result(level, f"scenario{number}", **more) for number, level in enumerate(levels)]
    return {"engines": {"torch": "2"}, "results": [*results, result(double, dtype="float64", **more)]}


def test_levels_of_a_check(script: ModuleType) -> None:
    noise = [result("DIVERGENT", row="eps"), result("DIVERGENT", mode="free"), result(None)]
    document = check("EQUIVALENT", "CLOSE", "IDENTICAL")
    document["results"] += noise
    (pair,) = script.levels(document)["pairs"]
    assert pair == {
        "source": "a.A", "target": "b.B", "float32": "CLOSE", "float64": "EQUIVALENT",
        "scenarios": {"EQUIVALENT": ["scenario0", "scenario2"], "CLOSE": ["scenario1"]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (check("EQUIVALENT"), None),
        (check("IDENTICAL"), None),
        (check("CLOSE"), "a.A -> b.B in float32: levels.json has EQUIVALENT, measured CLOSE"),
        (
            check("EQUIVALENT", double="DIVERGENT"),
            "a.A -> b.B in float64: levels.json has EQUIVALENT, measured DIVERGENT",
        ),
        (check("EQUIVALENT", target="c.C"), "a.A -> b.B was not measured"),
    ],
)
def test_comparison(script: ModuleType, new: dict[str, Any], message: str | None) -> None:
    found = script.differences(script.levels(check("EQUIVALENT")), script.levels(new))
    assert found[:1] == ([message] if message else [])


def test_the_text_reads_back(script: ModuleType) -> None:
    assert json.loads(script.text(KEPT)) == KEPT
    assert script.text(KEPT) == default_directory().joinpath(NAME).read_text(encoding="utf-8")
