"""Configuration files on the command line: looked through where they are named, never changed; and the other formats."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commandline import run

YAML = "# café\r\noptimizer: {type: SGD, lr: 0.1}\r\n".encode()
BROKEN = b"optimizer: [\n"


def test_the_output_is_the_input(tmp_path: Path) -> None:
    for name, data in (
        ("a.yaml", YAML),
        ("b.JSON", b'{"optimizer": "torch.optim.SGD"}'),
        ("c.toml", b'optimizer = "torch.optim.SGD"'),
    ):
        (tmp_path / name).write_bytes(data)
        done = run("translate", name, cwd=tmp_path)
        assert (done.code, done.out) == (0, data)
        assert "OM324" in done.err
        assert "mindspore.nn.SGD(model.trainable_params()" in done.err
        assert run("translate", name, "--strict", cwd=tmp_path).code == 1
        assert run("translate", name, "--check", cwd=tmp_path).code == 0
        assert run("translate", name, "--write", cwd=tmp_path).code == 0
        assert run("translate", name, "--output", "out", cwd=tmp_path).code == 0
        assert (tmp_path / name).read_bytes() == (tmp_path / "out").read_bytes() == data


def test_the_parameters_are_those_that_the_user_names(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(YAML)
    assert "mindspore.nn.SGD(net.get(), " in run("translate", "a.yaml", "--params", "net.get()", cwd=tmp_path).err
    assert "torch.optim.SGD" in run("translate", "a.yaml", "--to", "tensorflow", cwd=tmp_path).err


def test_directories_do_not_pick_them_up(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(YAML)
    (tmp_path / "b.yaml").write_bytes(BROKEN)
    (tmp_path / "c.py").write_bytes(b"import torch\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n")
    done = run("translate", ".", "--diff", cwd=tmp_path)
    assert done.code == 0
    assert "yaml" not in done.err


def test_a_broken_one_is_an_error_and_the_others_are_done(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(YAML)
    (tmp_path / "b.yaml").write_bytes(BROKEN)
    done = run("translate", "b.yaml", "a.yaml", cwd=tmp_path)
    assert done.code == 2
    assert "b.yaml:2:1: error OM440" in done.err
    assert "a.yaml:2:19: warning OM324" in done.err
    done = run("translate", "b.yaml", cwd=tmp_path)
    assert (done.code, done.out) == (2, BROKEN)


def test_sarif_and_github(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(YAML)
    (tmp_path / "c.py").write_bytes(b"import torch\nopt = torch.optim.Adam(net.parameters(), **options)\n")
    done = run("translate", "a.yaml", "c.py", "--format", "sarif", cwd=tmp_path)
    assert done.code == 1
    results = done.json()["runs"][0]["results"]
    assert [(item["ruleId"], item["level"]) for item in results] == [("OM324", "warning"), ("OM203", "error")]
    done = run("translate", "a.yaml", "c.py", "--format", "github", cwd=tmp_path)
    assert done.code == 1
    assert [line.partition("::")[2].split(",title")[0] for line in done.out.decode().splitlines()] == [
        "warning file=a.yaml,line=2,col=19",
        "error file=c.py,line=2,col=42",
    ]


def test_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(YAML)
    document = json.loads(run("translate", "a.yaml", "--format", "json", cwd=tmp_path).out)
    assert document["files"][0]["changed"] is False
    assert [item["code"] for item in document["files"][0]["diagnostics"]] == ["OM324"]


def test_names_in_a_notebook_that_has_no_other_optimizer(tmp_path: Path) -> None:
    cell: dict[str, object] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
                               "source": ["from tensorflow import keras\n", "model.compile('adam')"]}  # fmt: skip
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert "a.ipynb:cell 1:2:1: warning OM323" in run("translate", "a.ipynb", cwd=tmp_path).err
