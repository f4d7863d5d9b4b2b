"""Notebooks on the command line: bytes, diffs, exit codes and places."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.commandline import run, start

IMPORTS = ["import torch\n", "import torch.optim as optim"]
CALL = ["x = 1\n", "opt = optim.AdamW(net.parameters())"]


def notebook(*sources: list[str]) -> bytes:
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": ["# Title"]}]
    cells += [{"cell_type": "code", "metadata": {}, "outputs": [], "source": source} for source in sources]
    return (json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n").encode()


BEFORE = notebook(IMPORTS, CALL)
AFTER = notebook(
    ["import torch\n", "import mindspore"],
    ["x = 1\n", "opt = mindspore.experimental.optim.AdamW(net.trainable_params())"],
)
DIFF = """\
--- a/nb.ipynb:cell 2
+++ b/nb.ipynb:cell 2
@@ -1,2 +1,2 @@
 import torch
-import torch.optim as optim
+import mindspore
--- a/nb.ipynb:cell 3
+++ b/nb.ipynb:cell 3
@@ -1,2 +1,2 @@
 x = 1
-opt = optim.AdamW(net.parameters())
+opt = mindspore.experimental.optim.AdamW(net.trainable_params())
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "nb.ipynb").write_bytes(BEFORE)
    return tmp_path


def test_one_notebook_comes_out_byte_for_byte(directory: Path) -> None:
    done = run("translate", "nb.ipynb", "--verbose", cwd=directory)
    assert (done.code, done.out) == (0, AFTER)
    assert "nb.ipynb:cell 3:2:7: note OM103 " in done.err
    assert run("translate", "-", cwd=directory, stdin=BEFORE).out == AFTER
    assert run("translate", "-", cwd=directory, stdin=AFTER).out == AFTER
    assert (directory / "nb.ipynb").read_bytes() == BEFORE


def test_diffs_show_source(directory: Path) -> None:
    assert run("translate", "nb.ipynb", "--diff", cwd=directory).out.decode() == DIFF


def test_writing_and_checking(directory: Path) -> None:
    assert run("translate", "nb.ipynb", "--check", cwd=directory).code == 1
    assert run("translate", "nb.ipynb", "--output", "out.ipynb", cwd=directory).code == 0
    assert (directory / "out.ipynb").read_bytes() == AFTER
    os.chmod(directory / "nb.ipynb", 0o640)
    assert run("translate", "nb.ipynb", "--write", cwd=directory).code == 0
    assert (directory / "nb.ipynb").read_bytes() == AFTER
    assert run("translate", "nb.ipynb", "--check", cwd=directory).code == 0


def test_directories_hold_notebooks_but_no_checkpoints(directory: Path) -> None:
    (directory / ".ipynb_checkpoints").mkdir()
    (directory / ".ipynb_checkpoints" / "nb-checkpoint.ipynb").write_bytes(BEFORE)
    (directory / "a.py").write_text("import torch\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n")
    (directory / "broken.ipynb").write_bytes(BEFORE[:-3])
    for way, jobs in ((run, "1"), (start, "2")):
        done = way("translate", ".", "--format", "json", "--jobs", jobs, cwd=directory)
        assert done.code == 2
        files = json.loads(done.out)["files"]
        assert [(item["path"], item["changed"]) for item in files] == [
            ("a.py", True),
            ("broken.ipynb", False),
            ("nb.ipynb", True),
        ]
        assert "cell" not in files[0]["calls"][0]
        assert [(item["code"], item["line"]) for item in files[1]["diagnostics"]] == [
            ("OM005", BEFORE[:-3].count(b"\n") + 1)
        ]
        assert [(call["cell"], call["line"], call["column"]) for call in files[2]["calls"]] == [(3, 2, 7)]


def test_exit_codes(directory: Path) -> None:
    (directory / "broken.ipynb").write_bytes(b'{"cells": [\n<<<<<<< torch.optim')
    done = run("translate", "broken.ipynb", "--write", cwd=directory)
    assert done.code == 2
    assert "broken.ipynb:2:1: error OM005 " in done.err
    (directory / "refused.ipynb").write_bytes(notebook(IMPORTS, ["optim.SGD(net.parameters(), **options)"]))
    done = run("translate", "refused.ipynb", cwd=directory)
    assert (done.code, done.out) == (1, (directory / "refused.ipynb").read_bytes())
    assert "refused.ipynb:cell 3:1:" in done.err


def test_check_finds_the_calls_of_a_notebook(tmp_path: Path) -> None:
    from optmap.conformance.filecalls import file_calls
    from optmap.mapping.framework import Framework
    from optmap.mapping.load import load

    path = tmp_path / "nb.ipynb"
    path.write_bytes(
        notebook(["%time x = 1\n", *IMPORTS], ["!ls\n", "rate = 0.5"], ["opt = optim.SGD(net.parameters(), lr=rate)"])
    )
    found = file_calls(path, load(), {Framework("torch")}, Framework("mindspore"), {})
    assert [(call.origin, call.given["lr"]) for call in found.calls] == [(f"{path}:cell 4:1", 0.5)]
    assert not found.refused
