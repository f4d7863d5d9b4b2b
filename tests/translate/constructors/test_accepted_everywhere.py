"""Translated calls are accepted by the real classes of every target: each is constructed with a small network of its framework."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from optmap.conformance.calls import default_call, rows
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.mapping.sections import Api
from optmap.mapping.values import write_literal
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import Status

MODELS = {
    Framework("torch"): "net.parameters()", Framework("mindspore"): "net.trainable_params()", Framework("tensorflow"): "",
}  # fmt: skip
IMPORTS = {Framework("torch"): "import torch", Framework("mindspore"): "import mindspore",
           Framework("tensorflow"): "import tensorflow as tf"}  # fmt: skip
DIRECTIONS = [(source, target) for source in Framework for target in Framework if source is not target]


def calls(tables: MappingSet, api: Api) -> list[str]:
    """The class's call at its defaults and with each hyperparameter away from its own, by keyword and by position."""
    found = []
    for call in (default_call(tables, api), *rows(tables, api)):
        given = [f"{name}={write_literal(value)}" for name, value in call.given.items()]
        found.append(f"{api.name}({', '.join(filter(None, [MODELS[api.framework], *given]))})")
    rows_behind = api.current[bool(api.parameters_argument) :]
    if rows_behind and "learning_rate" in rows_behind[0].ties and not rows_behind[0].keyword_only:
        found.append(f"{api.name}({', '.join(filter(None, [MODELS[api.framework], '1']))}{_rest(tables, api)})")
    return found


def _rest(tables: MappingSet, api: Api) -> str:
    """The other required arguments, where the first one is given by position."""
    place = bool(MODELS[api.framework])
    given = default_call(tables, api).given
    return "".join(
        f", {name}={write_literal(value)}" for name, value in given.items() if name != api.current[place].name
    )


def network(target: Framework) -> Any:
    if target is Framework("torch"):
        return import_module("torch").nn.Linear(2, 3)
    return import_module("mindspore").nn.Dense(2, 3) if target is Framework("mindspore") else None


@pytest.mark.parametrize("prefer", Prefer)
@pytest.mark.parametrize(
    ("source", "target"), DIRECTIONS, ids=[f"{source}-to-{target}" for source, target in DIRECTIONS]
)
def test_real_classes_accept_the_translated_calls(
    source: Framework, target: Framework, prefer: Prefer, tables: MappingSet
) -> None:
    if find_spec(target) is None:
        pytest.skip(f"{target} is not installed")
    listed = [
        text for api in tables.apis.values() if api.framework is source and api.exists for text in calls(tables, api)
    ]
    options = Options(target, frozenset({source}), prefer, MODELS[target] or None)
    namespace: dict[str, Any] = {"net": network(target)}
    exec(IMPORTS[target], namespace)
    failures, constructed = [], 0
    for text in listed:
        result = translate_bytes(f"{IMPORTS[source]}\nopt = {text}\n".encode(), tables, options)
        if not any(call.status is Status.TRANSLATED for call in result.calls):
            assert result.diagnostics, text
            continue
        call = result.output.decode().rpartition("opt = ")[2]
        constructed += 1
        try:
            exec(f"opt = {call}", namespace)
        except Exception as error:
            failures.append(f"{text} -> {call.strip()}: {type(error).__name__}: {error}")
    assert constructed > 40
    assert not failures, "\n".join(failures)
