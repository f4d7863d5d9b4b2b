"""The JSON forms and the settings against the schemas that docs/schemas/ publishes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from optmap.conformance.results import Divergence, Level, Mode, Pair, Refused, Report, Result, Verdict
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.report import CHECK_FORMATS, REPORTS
from optmap.settings_schema import text
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes

ROOT = Path(__file__).parents[2]
SOURCE = """\
import torch
net = torch.nn.Linear(2, 2)
opt = torch.optim.Adam(net.parameters(), fused=True)
bad = torch.optim.Adam(net.parameters(), **options)
def train(x, y):
    opt.zero_grad()
    loss = ((net(x) - y) ** 2).mean()
    loss.backward()
    opt.step()
"""
NOTEBOOK = {
    "cells": [{"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": SOURCE}],
    "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / f"docs/schemas/{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_translate(tables: MappingSet) -> None:
    options = Options(Framework("mindspore"), frozenset({Framework("torch")}))
    sources = {
        "a.py": SOURCE,
        "b.py": "import torch.optim\nprint 'x'",
        "c.ipynb": json.dumps(NOTEBOOK),
        "d.py": "x = 1\n",
    }
    from optmap.translate.notebook import translate_notebook

    results = [
        (name, (translate_notebook if name.endswith("ipynb") else translate_bytes)(code.encode(), tables, options))
        for name, code in sources.items()
    ]
    document = json.loads(REPORTS["json"](results))
    jsonschema.validate(document, schema("translate"))
    first = document["files"][0]
    assert first["edits"]
    assert first["left"]
    data = SOURCE.encode()
    for edit in reversed(first["edits"]):
        data = data[: edit["start"]] + edit["text"].encode() + data[edit["end"] :]
    assert data == results[0][1].output
    document["files"][0]["calls"][0]["status"] = "done"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema("translate"))


def test_check() -> None:
    pair = Pair("torch.optim.X", "mindspore.nn.X", {"lr": 0.1}, {}, "a.py:3")
    measured = Divergence(float("inf"), None, float("inf"), 1, "w", Level.DIVERGENT)
    made = Result(
        pair, "mindspore", "one", "float64", Mode.FORCED, 10, measured, Level.CLOSE, ("why",), Verdict.WORSE, "so"
    )
    unmade = Result(pair, "mindspore", "two", "float64", Mode.FREE, 10, None, Level.CLOSE, (), Verdict.NOT_RUN, "gone")
    report = Report({"torch": None}, {"torch": "gone"}, (made, unmade), (Refused("a", "b", {}, "a.py:1", ("why",)),))
    jsonschema.validate(json.loads(CHECK_FORMATS["json"](report)), schema("check"))


def test_settings() -> None:
    assert (ROOT / "docs/schemas/settings.json").read_text() == text(), "run scripts/generate.py"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("```toml\n")[2].partition("```")[0]
    jsonschema.validate(tomllib.loads(block)["tool"]["optmap"], schema("settings"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"tow": "mindspore"}, schema("settings"))
