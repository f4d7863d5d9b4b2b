"""The Python API as people try it: one value where several are meant, bytes, misspelt names, changed tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import optmap

ADAM = "import torch\nopt = torch.optim.Adam(net.parameters(), weight_decay=0.1)\n"
STEP = "import tensorflow as tf\nrate = tf.keras.optimizers.schedules.CosineDecay(0.1, 100)\n"


def test_what_it_has() -> None:
    for name in (
        "translate_source",
        "check",
        "simulate",
        "FileResult",
        "Report",
        "MappingError",
        "Diagnostic",
        "__version__",
    ):
        assert name in dir(optmap)
        assert getattr(optmap, name) is not None
    assert set(optmap.__all__) <= set(dir(optmap))


def test_one_value_or_several(tmp_path: Path) -> None:
    usual = optmap.translate_source(ADAM)
    assert isinstance(usual, optmap.FileResult)
    assert usual.text == usual.output.decode()
    for sources in ("torch", ["torch"], {"torch"}, "PyTorch", iter(["torch", "tensorflow"])):
        assert optmap.translate_source(ADAM, "mindspore", sources=sources) == usual
    (tmp_path / "one.yaml").write_text("nonsense: 1\n", encoding="utf-8")
    for mappings in (tmp_path, str(tmp_path), [tmp_path]):
        with pytest.raises(optmap.MappingError):
            optmap.translate_source(ADAM, mappings=mappings)
    assert [item.code.id for item in optmap.translate_source(ADAM, select="OM111").diagnostics] == ["OM111"]
    assert "OM111" not in [
        item.code.id for item in optmap.translate_source(ADAM, ignore=["numeric-difference"]).diagnostics
    ]


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"text": 1}, TypeError, "text: found int"),
        ({"sources": 1}, TypeError, "sources: found 1"),
        ({"sources": [1]}, TypeError, "sources: found [1]"),
        ({"to": None}, TypeError, "to: found None"),
        ({"mappings": 1}, TypeError, "mappings: found 1"),
        ({"to": "mindspor"}, ValueError, "did you mean 'mindspore'?"),
        ({"sources": "tourch"}, ValueError, "did you mean 'torch'?"),
        ({"sources": "mindspore"}, ValueError, "the target mindspore"),
        ({"versions": {"trch": "1.0"}}, ValueError, "did you mean 'torch'?"),
        ({"versions": {"torch": "0.1"}}, ValueError, "cover torch"),
        ({"sources": "torch==0.1"}, ValueError, "cover torch"),
        ({"prefer": "usual"}, ValueError, "expected one of auto, documented, faithful"),
        ({"prefer": "documented", "faithful": True}, ValueError, "expected one of them"),
        ({"params": "a b"}, ValueError, "expected one Python expression"),
        ({"set": {"steps": 3}}, ValueError, "did you mean"),
        ({"set": {"total_steps": 0}}, ValueError, "above 0"),
        ({"ignore": "OM999"}, ValueError, "'OM999'"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as caught:
        optmap.translate_source(**{"text": ADAM, **arguments})
    assert said in str(caught.value)


def test_bytes_and_notebooks() -> None:
    usual = optmap.translate_source(ADAM)
    assert optmap.translate_source(ADAM.encode()) == usual
    latin = b"# coding: latin-1\n# \xe9\n" + ADAM.encode()
    assert optmap.translate_source(latin).text.startswith("# coding: latin-1\n# é\n")
    notebook = (
        '{"cells": [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": null, "source": %s}], '
    )
    notebook = (
        notebook % str(ADAM.splitlines(keepends=True)).replace("'", '"')
        + '"metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    assert "mindspore.nn.Adam(" in optmap.translate_source(notebook).text


def test_a_lone_surrogate_is_reported() -> None:
    result = optmap.translate_source(ADAM + "x = '\ud800'\n")
    assert not result.changed
    assert [(item.code.id, item.line, item.column) for item in result.diagnostics] == [("OM002", 3, 6)]


def test_versions_and_quantities() -> None:
    old = "import torch\nopt = torch.optim.SGD(net.parameters())\n"
    assert optmap.translate_source(old).changed
    for given in ({"sources": "torch==1.13"}, {"versions": {"torch": "1.13"}}):
        assert [item.code.id for item in optmap.translate_source(old, **given).diagnostics] == ["OM202"]
    text = (
        "import torch\nopt = torch.optim.SGD(net.parameters(), 0.1)\ns = torch.optim.lr_scheduler.StepLR(opt, 30)\n"
        "for epoch in range(90):\n    run(opt)\n    s.step()\n"
    )
    assert "decay_steps=3000" in optmap.translate_source(text, "tensorflow", set={"steps_per_epoch": 100}).text.replace(
        " ", ""
    )


def test_a_diagnostic_reads_like_the_command_line() -> None:
    (item,) = [item for item in optmap.translate_source(ADAM).diagnostics if item.code.id == "OM111"]
    assert str(item).startswith("2:7: warning OM111 BatchNorm and LayerNorm weights lose weight decay; ")
    assert str(item).endswith('\n    [{"params": net.trainable_params()}]')


def test_tables_that_change_are_read_again(tmp_path: Path) -> None:
    table = tmp_path / "ours.yaml"
    text = (
        "algorithm: ours\ntitle: Ours\nhyperparameters: {}\napis:\n  torch.optim.Ours:\n    verified: '2.13.0'\n"
        "    parameters: [{name: params, is: parameters}]\n"
    )
    source = "import torch\nopt = torch.optim.Ours(net.parameters())\n"
    table.write_text("nonsense: 1\n", encoding="utf-8")
    with pytest.raises(optmap.MappingError):
        optmap.translate_source(source, mappings=tmp_path)
    table.write_text(text, encoding="utf-8")
    os.utime(table, (1, 1))
    assert [item.code.id for item in optmap.translate_source(source, mappings=tmp_path).diagnostics] == ["OM208"]


def test_what_is_of_another_type_is_named() -> None:
    with pytest.raises(TypeError, match="params: found 3"):
        optmap.translate_source("import torch\n", params=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="parameters: found list, expected a mapping"):
        optmap.simulate("mindspore.nn.Adam", {}, [[1.0]], [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="gradients: found list, expected a mapping"):
        optmap.simulate("mindspore.nn.Adam", {}, {}, [[1.0]])  # type: ignore[list-item]
    assert not {"TYPE_CHECKING", "annotations"} & set(dir(optmap))
