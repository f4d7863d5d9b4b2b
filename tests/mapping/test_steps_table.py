"""The table behind --rewrite-step against the live signatures of the frameworks that it names."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

import pytest

from optmap.mapping.model import Framework
from optmap.mapping.steps import Side, load_table

_PAIRS = ((Framework.TORCH, Framework.MINDSPORE), (Framework.TENSORFLOW, Framework.MINDSPORE))
_SCRIPT = """
import importlib, inspect, json, sys
def find(path):
    parts = path.split(".")
    for size in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:size]))
        except ImportError:
            continue
        for part in parts[size:]:
            found = getattr(found, part)
        return found
    raise ImportError(path)
def signature(path):
    found = find(path)
    function = inspect.unwrap(found.__init__ if inspect.isclass(found) else found)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        return None
    plain = lambda value: value if isinstance(value, (bool, int, float, str)) else None
    return [[p.name, p.default is p.empty, plain(p.default), p.kind.name] for p in parameters if p.name != "self"]
out = {}
for path in json.load(sys.stdin):
    try:
        out[path] = signature(path)
    except (ImportError, AttributeError) as error:
        out[path] = repr(error)
print("RESULT " + json.dumps(out))
"""


def sides() -> Iterator[tuple[Framework, Side]]:
    """Every class and function of the table, once."""
    seen = set()
    for source, target in _PAIRS:
        for one, other in load_table(source, target).callables.values():
            for framework, side in ((source, one), (target, other)):
                if side.path not in seen:
                    seen.add(side.path)
                    yield framework, side


SIDES = list(sides())


@cache
def live(framework: Framework) -> dict[str, list[tuple[str, bool, object, str]] | str | None]:
    """The live signatures of a framework's paths, read in a process of its own."""
    if find_spec(str(framework)) is None:
        pytest.skip(f"{framework} is not installed")
    paths = [side.path for own, side in SIDES if own is framework]
    given = json.dumps(paths)
    done = subprocess.run([sys.executable, "-c", _SCRIPT], input=given, capture_output=True, text=True, timeout=600)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    assert line is not None, done.stderr[-2000:]
    found: dict[str, list[tuple[str, bool, object, str]] | str | None] = json.loads(line.removeprefix("RESULT "))
    return found


@pytest.mark.parametrize(("framework", "side"), SIDES, ids=[side.path for _, side in SIDES])
def test_rows_have_the_live_names_order_and_defaults(framework: Framework, side: Side) -> None:
    found = live(framework)[side.path]
    if found is None:
        assert called()[side.path] == "fits"  # it is built in and has no signature to read
        return
    assert isinstance(found, list), found
    if any(item.any for item in side.parameters):
        assert found[0][3] == "VAR_POSITIONAL"
        return
    compare(side, found)


_CALL = """
import json, sys
import numpy, torch
tensor = torch.ones(2, 3)
samples = {"input": tensor, "tensors": [tensor, tensor], "data": [1.0], "ndarray": numpy.ones(3), "dim": 0, "start_dim": 0,
           "end_dim": -1, "dtype": None, "device": None, "requires_grad": False, "pin_memory": False}
def call(path, names, positional):
    function = eval(path)
    values = [samples[name] for name in names]
    by_name = function(**dict(zip(names, values))) if path != "torch.from_numpy" else function(*values)
    by_place = function(*values[:positional], **dict(zip(names[positional:], values[positional:])))
    assert torch.equal(by_name, by_place)
    try:
        function(*values[:positional], nonsense=1)
    except TypeError:
        return "fits"
    return "takes anything"
out = {}
for path, names, positional in json.load(sys.stdin):
    try:
        out[path] = call(path, names, positional)
    except Exception as error:
        out[path] = repr(error)
print("RESULT " + json.dumps(out))
"""


@cache
def called() -> dict[str, str]:
    """What came of calling torch's built-in functions with the rows' names, and in the rows' order."""
    wanted = [
        (side.path, [item.name for item in side.parameters], sum(not item.keyword_only for item in side.parameters))
        for framework, side in SIDES
        if framework is Framework.TORCH and live(framework)[side.path] is None
    ]
    done = subprocess.run(
        [sys.executable, "-c", _CALL], input=json.dumps(wanted), capture_output=True, text=True, timeout=600
    )
    found: dict[str, str] = json.loads(done.stdout.removeprefix("RESULT "))
    return found


def compare(side: Side, found: list[tuple[str, bool, object, str]]) -> None:
    """Assert that a row is what the framework says; defaults that are no literals are null in the table."""
    named = [item for item in found if item[3] not in ("VAR_POSITIONAL", "VAR_KEYWORD")]
    assert [item.name for item in side.parameters] == [item[0] for item in named]
    for parameter, (name, required, default, kind) in zip(side.parameters, named, strict=True):
        assert parameter.required == required, name
        assert parameter.keyword_only == (kind == "KEYWORD_ONLY"), name
        if not required:
            assert parameter.default == default, name
            assert type(parameter.default) is type(default), name


@pytest.mark.parametrize("pair", _PAIRS, ids=str)
def test_every_path_is_there(pair: tuple[Framework, Framework]) -> None:
    table = load_table(*pair)
    for framework, paths in (
        (pair[0], [*table.values, *(one.path for one, _ in table.bases.values())]),
        (pair[1], [*table.values.values(), *(other.path for _, other in table.bases.values())]),
    ):
        if find_spec(str(framework)) is None:
            pytest.skip(f"{framework} is not installed")
        script = f"import {framework}\nfor path in {paths!r}: eval(path)"
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=600)


def test_a_changed_default_would_be_seen() -> None:
    side = next(side for _, side in SIDES if side.path == "torch.nn.Linear")
    found = live(Framework.TORCH)[side.path]
    assert isinstance(found, list)
    compare(side, found)
    wrong = side.parameters[2]._replace(default=False)
    with pytest.raises(AssertionError, match="bias"):
        compare(side._replace(parameters=(*side.parameters[:2], wrong, *side.parameters[3:])), found)
