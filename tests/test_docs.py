"""The README and the pages of docs/: every command and code block is run, and every output shown is what is printed.

A block with `title="FILE"` is a file. Commands in ```sh blocks run one after another in one directory, and a ```text block below
is what they print. `python -m tests.test_docs` writes the outputs anew.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "pairs" not in path.parts)
_BLOCK = re.compile(r'^( *)```(\w+)(?: title="([^"]+)")?\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
_CODES = (0, 1)
"""Exit codes of commands that did what they should: 1 says that something is left."""
_NEEDS = {"--require torch": "torch", "--framework torch": "torch"}


class Block(NamedTuple):
    """A block of code: its language, the name of the file that it is, its text, and where the text stands in the page."""

    language: str
    title: str | None
    text: str
    start: int
    end: int


def blocks(page: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(page):
        text = re.sub(f"^{found[1]}", "", found[4], flags=re.MULTILINE)
        yield Block(found[2], found[3], text, *found.span(4))


def run(page: str, directory: Path) -> Iterator[tuple[Block, str]]:
    """Run a page's blocks in a directory; gives each ```text block with what was printed above it."""
    printed = None
    for block in blocks(page):
        if block.title is not None:
            path = directory / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "text" and printed is not None:
            yield block, printed
            printed = None
        elif block.language == "sh":
            printed = "".join(output(line, directory) for line in block.text.splitlines() if line.strip())
        else:
            printed = parsed(block, directory)


def output(line: str, directory: Path) -> str:
    """What a command prints: messages last, as they follow the source on a terminal."""
    for option, framework in _NEEDS.items():
        if option in line:
            pytest.importorskip(framework, reason=f"{framework} is not installed")
    name, *arguments = shlex.split(line, comments=True)
    assert name == "optmap", f"{line}: only optmap's own commands are shown"
    done = subprocess.run(
        [sys.executable, "-m", "optmap", *arguments], cwd=directory, env={**os.environ, "COLUMNS": "100"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode in _CODES, f"{line}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def parsed(block: Block, directory: Path) -> str | None:
    """Run Python, and read what is data."""
    if block.language == "python":
        done = subprocess.run(
            [sys.executable, "-c", block.text], cwd=directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        assert yaml.safe_load(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    else:
        assert block.language in ("lua", "text"), f"nothing checks {block.language} blocks"
    return None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_block_runs_and_prints_what_is_shown(path: Path, tmp_path: Path) -> None:
    for block, printed in run(path.read_text(encoding="utf-8"), tmp_path):
        assert printed == block.text


CALL = "import torch\n\nmodel = torch.nn.Linear(2, 3)\nopt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)\n"
KERAS = "import keras\n\nnet = keras.Sequential([keras.layers.Dense(2)])\nopt = keras.optimizers.Adam(1e-3)\n"
CELL: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": CALL}
README_FILES = {
    "train.py": CALL, "src/train.py": CALL, "keras.py": KERAS, "config.yaml": "optimizer: torch.optim.Adam\n",
    "train.ipynb": json.dumps({"cells": [CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
}  # fmt: skip
ELSEWHERE = {
    "pip install": ".ci/run",
    "check --all": ".ci/run",
    "convert-state": "tests/state",
    "optmap audit": "tests/audit",
}
"""Commands of the README that this test leaves to others: they take long, or need files that frameworks have saved."""


def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    for name, text in README_FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    pytest.importorskip("torch", reason="torch is not installed")
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [
        line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines() if line.strip()
    ]
    assert len(lines) > 20
    for line in lines:
        if not any(words in line for words in ELSEWHERE):
            output(line, tmp_path)


def test_the_readmes_python_runs(tmp_path: Path) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [block for block in blocks(page) if block.language == "python"]
    assert found
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("mindspore", reason="MindSpore is not installed")
    weight = torch.nn.Parameter(torch.ones(2, 3))
    optimizer = torch.optim.Adam([weight])
    weight.sum().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "adam.pt")
    (tmp_path / "map.yaml").write_text("parameters: [{from: 0, to: weight}]\n")
    for block in found:
        parsed(block, tmp_path)


def test_vendor_pages_tell_what_was_measured() -> None:
    page = (ROOT / "docs/vendor-pages.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "mappings/levels.json").read_text())["pairs"]
    levels = {(item["source"], item["target"]): item["float32"] for item in measured}
    rows = re.findall(r"^\| `([\w.]+)` → `([\w.]+)` \| .*? \| ([A-Z]+) \|", page, re.MULTILINE)
    assert len(rows) >= 12
    assert {(source, target): level for source, target, level in rows} == {
        (source, target): levels[source, target] for source, target, _ in rows
    }


def write() -> None:
    """Write the outputs that the pages show."""
    import tempfile

    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as directory:
            found = list(run(page, Path(directory)))
        for block, printed in reversed(found):
            page = page[: block.start] + printed + page[block.end :]
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write()
