"""--todo: marks are counted and never doubled, and what is left open fails under the real frameworks."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import optmap
from optmap.conformance.calls import default_call
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.values import write_literal
from tests.commandline import run

TEXT = "import tensorflow as tf\n\nopt = tf.keras.optimizers.Adam(1e-3)\nlibrary.train(opt)\n"


@pytest.mark.parametrize("name", ["torch", "mindspore", "tensorflow"])
def test_every_class_rejects_what_is_left_open(name: str, tables: MappingSet) -> None:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    framework, module = Framework(name), import_module(name)
    nets = {"torch": lambda: module.nn.Linear(1, 1), "mindspore": lambda: module.nn.Dense(1, 1)}
    net = nets[name]() if name in nets else None
    names = {"net": net, {"tensorflow": "tf"}.get(name, name): module}
    models = {"torch": "net.parameters()", "mindspore": "net.trainable_params()", "tensorflow": ""}
    accepted, tried = [], 0
    for api in tables.apis.values():
        rate = api.by_tie.get("learning_rate")
        if api.framework is not framework or not api.exists or api.not_run or rate is None or "v1" in api.name:
            continue
        given = {
            key: write_literal(value) for key, value in default_call(tables, api).given.items() if key != rate.name
        }
        rest = ", ".join(f"{key}={text}" for key, text in given.items())
        more = f"{rate.name}=0.1, what_no_class_has=..."
        for lead, open_rate in ((models[name], f"{rate.name}=..."), ("...", f"{rate.name}=0.1"), (models[name], more)):
            if name == "tensorflow" and lead:
                continue
            call = f"{api.name}({', '.join(filter(None, [lead, open_rate, rest]))})"
            tried += 1
            try:
                eval(call, names)
            except Exception:
                continue
            accepted.append(call)
    assert tried >= 14
    assert accepted == []


def test_a_second_run_adds_nothing() -> None:
    first = optmap.translate_source(TEXT, to="mindspore", todo=True)
    assert first.text.count("TODO(optmap OM204)") == 1
    assert "mindspore.nn.Adam(..., learning_rate=1e-3" in first.text
    assert not optmap.translate_source(first.text, to="mindspore", todo=True).changed


def test_what_is_marked_and_still_there_is_not_marked_again() -> None:
    text = "from mindspore import nn\n\nopt = nn.FTRL(net.trainable_params())\n"
    first = optmap.translate_source(text, to="torch", sources=["mindspore"], todo=True)
    assert "TODO(optmap OM208)" in first.text
    assert not optmap.translate_source(first.text, to="torch", sources=["mindspore"], todo=True).changed


def test_check_counts_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text(optmap.translate_source(TEXT, to="mindspore", todo=True).text)
    marks = path.read_text().count("TODO(optmap ")
    found = run("translate", str(path), "--check", cwd=tmp_path)
    assert f"{path}: {marks} marks of --todo left\n" in found.out.decode()
    assert found.code == 1
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "#" not in line))
    assert run("translate", str(path), "--check", cwd=tmp_path).code == 0
