"""The table behind --rewrite-step, and the inner modules of optimizers, against the frameworks that they name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import reduce
from importlib.util import find_spec
from typing import Any

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.steps import Parameter, Side, load_table

_PAIRS = ((Framework("torch"), Framework("mindspore")), (Framework("tensorflow"), Framework("mindspore")))


def sides() -> Iterator[tuple[Framework, Side]]:
    """Every class and function of the table, once."""
    seen = set()
    for source, target in _PAIRS:
        for pair in (item for pairs in load_table(source, target).callables.values() for item in pairs):
            for framework, side in ((source, pair.one), (target, pair.other)):
                if side.path and side not in seen and not any(item.any for item in side.parameters or ()):
                    seen.add(side)
                    yield framework, side


SIDES = list(sides())


def parameters_of(side: Side) -> tuple[Parameter, ...]:
    """The parameters of a side that is called."""
    assert side.parameters is not None
    return side.parameters


Row = tuple[str, bool, object, str]


def live(framework: Framework, path: str) -> list[Row] | None:
    """The parameters of what stands at a path of the framework: name, required, plain default, kind. None where it has no signature."""
    found = at_path(framework, path)
    function = inspect.unwrap(found.__init__ if inspect.isclass(found) else found)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return None
    return [(p.name, p.default is p.empty, _plain(p.default), p.kind.name) for p in parameters if p.name != "self"]


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | str) else None


def at_path(framework: Framework, path: str) -> Any:
    """What a dotted path leads to; the test is skipped where its framework is not installed."""
    if find_spec(str(framework)) is None:
        pytest.skip(f"{framework} is not installed")
    parts = path.split(".")
    for size in range(len(parts) - 1, 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:size]))
        except ImportError:
            continue
        return reduce(getattr, parts[size:], module)
    raise ImportError(path)


@pytest.mark.parametrize(("framework", "side"), SIDES, ids=[side.path for _, side in SIDES])
def test_rows_have_the_live_names_order_and_defaults(framework: Framework, side: Side) -> None:
    found = live(framework, side.path)
    if found is None or (found and all("VAR_" in item[3] for item in found)):
        return  # a built-in function has no signature to read: tests/translate/steps/test_rows.py runs it by each name
    if any(item.any for item in parameters_of(side)):
        assert found[0][3] == "VAR_POSITIONAL"
        return
    compare(side, found)


def compare(side: Side, found: list[Row]) -> None:
    """Assert that a row is what the framework says; defaults that are no literals are null in the table.

    A row of some forms of a call may ask for what the framework does not, name what may be positional as a keyword alone, and
    leave out what a call of these forms does not give. Its positional parameters are still the framework's first ones.
    """
    named = {item[0]: item for item in found if item[3] not in ("VAR_POSITIONAL", "VAR_KEYWORD")}
    own = parameters_of(side)
    positional = [item.name for item in own if not item.keyword_only]
    assert positional == [name for name, item in named.items() if item[3] != "KEYWORD_ONLY"][: len(positional)]
    partial = any(item.required and item.name in named and not named[item.name][1] for item in own)
    assert partial or [item.name for item in own] == list(named)
    for parameter in own:
        name, required, default, kind = named[parameter.name]
        assert parameter.required or not required, name
        assert partial or parameter.keyword_only == (kind == "KEYWORD_ONLY"), name
        if not parameter.required:
            assert parameter.default == default, name
            assert type(parameter.default) is type(default), name


@pytest.mark.parametrize("pair", _PAIRS, ids=str)
def test_every_path_is_there(pair: tuple[Framework, Framework]) -> None:
    table = load_table(*pair)
    for framework, paths in (
        (pair[0], [*table.values, *(one.path for one, _ in table.bases.values())]),
        (pair[1], [*table.values.values(), *(other.path for _, other in table.bases.values())]),
    ):
        for path in paths:
            at_path(framework, path)


def test_a_changed_default_would_be_seen() -> None:
    side = next(side for _, side in SIDES if side.path == "torch.nn.Linear")
    found = live(Framework("torch"), side.path)
    assert found is not None
    compare(side, found)
    parameters = parameters_of(side)
    wrong = parameters[2]._replace(default=False)
    with pytest.raises(AssertionError, match="bias"):
        compare(side._replace(parameters=(*parameters[:2], wrong, *parameters[3:])), found)


INNER = {
    Framework("torch"): ("torch.optim",),
    Framework("mindspore"): ("mindspore.nn.optim", "mindspore.experimental.optim", "mindspore.mint.optim"),
    Framework("tensorflow"): ("tensorflow.python.training", "keras.src.optimizers"),
}


@pytest.mark.parametrize("framework", list(INNER), ids=str)
def test_submodules_hold_the_public_classes(framework: Framework, tables: MappingSet) -> None:
    """What is translated under the path of an inner module is the very class that the public module exports."""
    seen = 0
    for root in INNER[framework]:
        for module in pkgutil.iter_modules(at_path(framework, root).__path__, f"{root}."):
            if module.name.endswith("_test"):
                continue
            try:
                members = vars(importlib.import_module(module.name))
            except ImportError:
                continue  # parts that need other packages
            for name, member in members.items():
                api = tables.api_at(f"{module.name}.{name}")
                if api is not None:
                    seen += 1
                    assert member is at_path(framework, f"{api.module.paths[0]}.{api.class_name}"), (
                        f"{module.name}.{name}"
                    )
    assert seen > 10
