"""What the audit reads in a class's source is what the installed class does."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

from optmap.audit.signature import describe, literal
from optmap.mapping.load import load

KERAS = [
    api.class_name
    for api in load().apis.values()
    if api.module.name == "tf.keras.optimizers" and not any(parameter.required for parameter in api.current)
]


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_v", "3")


def member(module: str, name: str) -> Any:
    package = module.partition(".")[0]
    pytest.importorskip(package, reason=f"{package} is not installed")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", KERAS)
def test_keras_takes_decay_and_no_other_extra(name: str) -> None:
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    keras_class = member("keras.optimizers", name)
    assert [(item.name, item.default) for item in describe(keras_class).taken or ()] == [("decay", "None")]
    keras_class(decay=0.0)
    with pytest.raises((TypeError, ValueError), match="decoy"):
        keras_class(decoy=0.0)


def test_mindspore_adam_takes_its_extras_and_no_other() -> None:
    adam = member("mindspore.nn", "Adam")
    taken = [(item.name, item.default) for item in describe(adam).taken or ()]
    assert taken == [("use_lazy", "False"), ("use_offload", "False")]
    mindspore = importlib.import_module("mindspore")
    parameters = [mindspore.Parameter(mindspore.Tensor([1.0]), name="w")]
    assert adam(parameters, use_lazy=True, use_offload=False) is not None
    with pytest.raises(KeyError, match="use_lasy"):
        adam(parameters, use_lasy=True)


def test_mindspore_hides_signatures_in_closures() -> None:
    """The registration of constructors shows (self, *args, **kwargs) to `inspect`; the call shows the real one."""
    momentum = member("mindspore.nn", "Momentum")
    found = describe(momentum)
    assert [item.name for item in found.parameters][:3] == ["params", "learning_rate", "momentum"]
    assert not found.extra_positional
    with pytest.raises(TypeError, match="missing a required argument: 'learning_rate'"):
        momentum([])


def test_a_default_without_a_literal() -> None:
    thor = describe(member("mindspore.nn", "thor"))
    [found] = [item for item in thor.parameters if item.name == "decay_filter"]
    assert (found.default, found.literal) == ("lambda x: x.name not in []", False)


class Half(float):
    def __repr__(self) -> str:
        return "half"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0, "0.0"), (False, "False"), (None, "None"), (-0.0, "-0.0"), (1e-8, "1e-08"), (float("inf"), "inf"),
     ("a'b", '"a\'b"'), ((1, 2.0), "(1, 2.0)"), ([1], "(1,)"), ((), "()"), (Half(0.5), "0.5"), (((1,), None), "((1,), None)"),
     (print, None), ((1, print), None), ({}, None), (1j, None)],
)  # fmt: skip
def test_literals(value: object, text: str | None) -> None:
    assert literal(value) == text
