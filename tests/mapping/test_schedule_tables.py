"""The tables of learning-rate schedules: against the live signatures, complete, satisfying the schema."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from optmap.mapping.load import SCHEDULES, load_files, load_schedules
from optmap.mapping.schema import schema
from optmap.mapping.stored import MappingError, default_directory
from optmap.mapping.vocabulary import OPTIMIZER

TABLES = load_schedules()
APIS = list(TABLES.apis.values())
MODULES = {
    "torch.optim.lr_scheduler": "torch.optim.lr_scheduler",
    "tf.keras.optimizers.schedules": "keras.optimizers.schedules",
    "tf.compat.v1.train": "tensorflow.compat.v1.train",
    "mindspore.nn": "mindspore.nn",
    "mindspore.experimental.optim.lr_scheduler": "mindspore.experimental.optim.lr_scheduler",
}
BASES = {"LRScheduler", "LearningRateSchedule"}


def live_module(name: str) -> Any:
    path = MODULES[name]
    package = path.partition(".")[0]
    pytest.importorskip(package, reason=f"{package} is not installed")
    if package == "tensorflow":
        found: Any = importlib.import_module(package)
        for part in path.split(".")[1:]:
            found = getattr(found, part)
        return found
    return importlib.import_module(path)


def names_in(module: str) -> set[str]:
    """Every public schedule of a module, from its own list of names."""
    live = live_module(module)
    if module == "mindspore.nn":
        parts = [importlib.import_module(f"mindspore.nn.{part}") for part in ("learning_rate_schedule", "dynamic_lr")]
        return {name for part in parts for name in part.__all__}
    if module == "tf.compat.v1.train":
        return {name for name in dir(live) if "decay" in name or "piecewise" in name}
    if module == "tf.keras.optimizers.schedules":
        return {name for name in dir(live) if name[0].isupper()} - BASES
    return set(live.__all__) - BASES


@pytest.mark.parametrize("module", MODULES)
def test_every_schedule_has_a_section(module: str) -> None:
    assert {api.class_name for api in APIS if api.module.name == module} == names_in(module)


def test_a_schedule_without_a_counterpart_says_what_to_do() -> None:
    for algorithm in TABLES.algorithms.values():
        frameworks = {api.framework for api in algorithm.apis}
        if len(frameworks) == 1 and not algorithm.alternatives:
            assert all(api.instead for api in algorithm.apis), algorithm.name


def test_measures_are_read() -> None:
    assert TABLES.apis["tf.keras.optimizers.schedules.CosineDecay"].by_name["alpha"].times == "learning_rate"
    assert TABLES.apis["mindspore.nn.piecewise_constant_lr"].by_name["milestone"].then == "total_steps"
    assert TABLES.apis["tf.keras.optimizers.schedules.PiecewiseConstantDecay"].by_name["boundaries"].plus == 1
    assert TABLES.modules["mindspore.nn"].unserved == ("FTRL", "AdaFactor", "LARS")


@pytest.mark.parametrize("path", sorted((default_directory() / SCHEDULES).glob("*.yaml")), ids=lambda path: path.stem)
def test_every_table_satisfies_the_schema(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra 'test'")
    text = path.read_text(encoding="utf-8")
    validator = jsonschema.Draft202012Validator(schema())
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
    assert text.splitlines()[0] == "# yaml-language-server: $schema=../schema.json"
    document = yaml.safe_load(text)
    assert document.get("algorithm", "common") == path.stem


def test_schedules_are_attached_or_passed() -> None:
    attached = {api.module.name for api in APIS if OPTIMIZER in api.by_tie}
    assert attached == {"torch.optim.lr_scheduler", "mindspore.experimental.optim.lr_scheduler"}
    assert all(OPTIMIZER in api.by_tie for api in APIS if api.module.name in attached)


def test_measures_are_checked() -> None:
    text = (
        "modules:\n  torch.optim: {framework: torch, paths: [torch.optim]}\n"
        "hyperparameters:\n  rate: {about: x}\nalgorithm: a\napis:\n  torch.optim.A:\n    verified: '1'\n    parameters:\n"
        "      - {name: a, is: rate, times: rat}\n      - {name: b, affects: execution, plus: x, default: null}\n"
    )
    with pytest.raises(MappingError) as caught:
        load_files([("a.yaml", text.encode())])
    assert caught.value.lines == (
        "a.yaml:10:36: unknown hyperparameter 'rat'; did you mean 'rate'?",
        "a.yaml:11:45: found 'x', expected a whole number",
    )
