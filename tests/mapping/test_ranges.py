"""What constructors reject, the tables refuse: numbers are given to every parameter of every class that is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.sections import Api
from optmap.mapping.taken import refused
from optmap.mapping.vocabulary import Accepts, Parameter

NUMBERS = (0, 1, 2, -1, 0.0, 1.0, 1.5, -0.5, 0.5, 1e-9)
STRICT = (Accepts.FLOAT, Accepts.FLOATS, Accepts.NOT_INT)
APART = {"etas", "step_sizes"}
"""Tuples whose items have ranges of their own, and must be in order; no row says so."""
OBJECTS = {"wrapped_optimizer", "network"}
"""What a constructor wants that is no number."""
APIS = [api for api in load().apis.values() if api.not_run is None and OBJECTS.isdisjoint(api.by_tie)]


def parameters(framework: Framework) -> Any:
    if framework == "torch":
        torch = import_module("torch")
        return [torch.nn.Parameter(torch.ones(3, 3))]
    mindspore = import_module("mindspore")
    return [mindspore.Parameter(mindspore.ops.ones((3, 3), mindspore.float32), name="w")]


def live(api: Api) -> Any:
    path = f"{api.module.paths[0]}.{api.class_name}"
    package, *names = path.split(".")
    found = import_module(package)
    for index, name in enumerate(names):
        found = getattr(found, name, None) or import_module(".".join([package, *names[: index + 1]]))
    return found


def rejected(api: Api, kind: Any, given: dict[str, Any]) -> bool:
    required = {row.name: 0.1 for row in api.current if row.required and row.ties and not row.is_parameters}
    first = () if api.parameters_argument is None else (parameters(api.framework),)
    try:
        kind(*first, **{**required, **api.sample, **given})
    except (TypeError, ValueError, AttributeError):
        return True
    return False


def candidates(api: Api) -> list[Parameter]:
    return [
        row for row in api.current
        if row.ties and not row.is_parameters and not isinstance(row.default, bool | str) and row.name not in APART
        and row.accepts is not Accepts.OBJECT
    ]  # fmt: skip


def as_written(row: Parameter, number: float) -> float:
    return float(number) if row.accepts in STRICT else number


@pytest.mark.parametrize("api", APIS, ids=[api.name for api in APIS])
def test_what_a_constructor_rejects_is_refused(api: Api) -> None:
    if find_spec(api.framework) is None:
        pytest.skip(f"{api.framework} is not installed")
    kind = live(api)
    assert not rejected(api, kind, {})
    for row in candidates(api):
        for number in (as_written(row, number) for number in NUMBERS):
            whole = row.accepts is not Accepts.INT or float(number).is_integer()
            if not whole or refused(api, row, number) is not None:
                continue
            number = int(number) if row.accepts is Accepts.INT else number
            for place in range(len(row.ties)):
                own = row.default if isinstance(row.default, tuple) else (0.1,) * len(row.ties)
                value = (
                    tuple(number if k == place else item for k, item in enumerate(own)) if len(row.ties) > 1 else number
                )
                assert not rejected(api, kind, {row.name: value}), (row.name, value)
