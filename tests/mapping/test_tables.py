"""The rows of every shipped section against the signature of the class that is installed."""

from __future__ import annotations

import importlib
import inspect
import os
import types
from collections.abc import Callable
from typing import Any

import pytest

from optmap.mapping.load import load
from optmap.mapping.model import Api, Framework

APIS = list(load().apis.values())
IMPORTS = {"torch": ("torch", "torch"), "tf": ("tensorflow", "tensorflow"), "mindspore": ("mindspore", "mindspore")}
"""First part of a table's name -> what to import, and the extra that installs it."""
EXTRAS = {
    "mindspore.nn.Adam": {"use_lazy", "use_offload"},
    **{api.name: {"decay"} for api in APIS if api.name.startswith("tf.keras.")},
}
"""Parameters that the class takes out of its **kwargs, so that no signature shows them."""

Row = tuple[str, str, str]
"""Name, kind and default of a parameter; defaults as text, so that 0, 0.0 and False are three things."""


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_v", "3")


def live_class(api: Api) -> type[Any]:
    first, *rest = api.name.split(".")
    package, extra = IMPORTS[first]
    found: Any = pytest.importorskip(package, reason=f"{package} is not installed (optmap[{extra}])")
    if package == "mindspore":
        found = importlib.import_module(".".join([package, *rest[:-1]]))
        rest = rest[-1:]
    for name in rest:
        found = getattr(found, name)
    assert isinstance(found, type)
    return found


def undecorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Look behind wrappers that only take *args and **kwargs: by __wrapped__, else by the function in the closure."""
    seen: set[int] = set()
    while id(function) not in seen:
        seen.add(id(function))
        kinds = [parameter.kind for parameter in inspect.signature(function, follow_wrapped=False).parameters.values()]
        hidden = [
            kind for kind in kinds[1:] if kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        ]
        if hidden or inspect.Parameter.VAR_POSITIONAL not in kinds:
            break
        inner = [cell.cell_contents for cell in function.__closure__ or ()]
        wrapped = [item for item in inner if isinstance(item, types.FunctionType)]
        assert wrapped or hasattr(function, "__wrapped__"), f"{function} hides its signature"
        function = wrapped[0] if wrapped else vars(function)["__wrapped__"]
    return function


def live_rows(api: Api) -> tuple[list[Row], bool]:
    """The parameters of the constructor without self, and whether it also takes any keyword."""
    constructor: Any = live_class(api).__init__
    parameters = list(inspect.signature(undecorated(constructor), follow_wrapped=False).parameters.values())[1:]
    extra = [parameter for parameter in parameters if parameter.kind is inspect.Parameter.VAR_KEYWORD]
    rows = [
        (
            parameter.name,
            "keyword" if parameter.kind is inspect.Parameter.KEYWORD_ONLY else "any",
            "required" if parameter.default is inspect.Parameter.empty else repr(parameter.default),
        )
        for parameter in parameters
        if parameter not in extra
    ]
    return rows, bool(extra)


def table_rows(api: Api) -> list[Row]:
    return [
        (
            parameter.name,
            "keyword" if parameter.keyword_only else "any",
            "required" if parameter.required else repr(parameter.default),
        )
        for parameter in api.current
        if parameter.name not in EXTRAS.get(api.name, set())
    ]


@pytest.mark.parametrize("api", APIS, ids=[api.name for api in APIS])
def test_the_section_equals_the_live_signature(api: Api) -> None:
    live, takes_more = live_rows(api)
    assert table_rows(api) == live
    assert api.extra_keywords is takes_more


@pytest.mark.parametrize("name", EXTRAS)
def test_extra_parameters_are_keyword_only_and_need_keywords(name: str) -> None:
    api = next(api for api in APIS if api.name == name)
    extras = [parameter for parameter in api.current if parameter.name in EXTRAS[name]]
    assert {parameter.name for parameter in extras} == EXTRAS[name]
    assert all(parameter.keyword_only for parameter in extras)
    _, takes_more = live_rows(api)
    assert takes_more


@pytest.mark.parametrize("name", [name for name in EXTRAS if name.startswith("tf.keras.")])
def test_keras_takes_decay_and_no_other_extra(name: str) -> None:
    keras_class = live_class(next(api for api in APIS if api.name == name))
    keras_class(decay=0.0)
    with pytest.raises((TypeError, ValueError), match="decoy"):
        keras_class(decoy=0.0)


def test_mindspore_adam_takes_its_extras_and_no_other() -> None:
    adam = live_class(next(api for api in APIS if api.name == "mindspore.nn.Adam"))
    mindspore = pytest.importorskip("mindspore", reason="mindspore is not installed (optmap[mindspore])")
    parameters = [mindspore.Parameter(mindspore.Tensor([1.0]), name="w")]
    assert adam(parameters, use_lazy=True, use_offload=False) is not None
    with pytest.raises(KeyError, match="use_lasy"):
        adam(parameters, use_lasy=True)


@pytest.mark.parametrize("framework", list(Framework))
def test_every_framework_has_sections(framework: Framework) -> None:
    assert sum(api.framework is framework for api in APIS) >= 5


@pytest.mark.parametrize("api", APIS, ids=[api.name for api in APIS])
def test_the_import_path_that_is_written_leads_to_the_class(api: Api) -> None:
    live = live_class(api)
    module = importlib.import_module(api.module.paths[0]) if api.framework is not Framework.TENSORFLOW else None
    if module is not None:
        assert getattr(module, api.class_name) is live
    else:
        found: Any = importlib.import_module("tensorflow")
        for name in api.module.paths[0].split(".")[1:]:
            found = getattr(found, name)
        assert getattr(found, api.class_name) is live
