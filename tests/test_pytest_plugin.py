"""The pytest plugin, used by a project's own suite in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

TESTS = """
import pytest

@pytest.mark.optmap("torch.optim.SGD(lr=0.1, momentum=0.9)", to="mindspore")
def test_alike():
    print("ran alike")

@pytest.mark.optmap("torch.optim.LBFGS()", to="mindspore")
def test_no_counterpart():
    print("must not run")

@pytest.mark.optmap("torch.optim.SGD(0.1)")
def test_positional(): ...

@pytest.mark.optmap("torch.optim.SDG(lr=0.1)")
def test_misspelt(): ...

def test_unmarked(): ...
"""


def run(directory: Path, *options: str, path: str = "") -> str:
    """What pytest prints of a project; `path` is searched for packages first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (path, os.environ.get("PYTHONPATH"))))}
    loaded = any(item.value == "optmap.pytest_plugin" for item in entry_points(group="pytest11"))
    plugin = () if loaded else ("-p", "optmap.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *plugin, *options, str(directory)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=directory, env=environment, timeout=300, check=False
    ).stdout


def test_marked_tests_fail_before_they_run(tmp_path: Path) -> None:
    (tmp_path / "test_training.py").write_text(TESTS)
    found = run(tmp_path, "--strict-markers")
    assert "2 passed" in found
    assert "3 failed" in found
    assert "ran alike" in found
    assert "must not run" not in found
    assert "expected a call with named literal arguments" in found
    assert "unknown optimizer 'torch.optim.SDG'" in found
    assert "Traceback" not in found


def test_a_file_of_calls_is_a_test_for_each_line(tmp_path: Path) -> None:
    (tmp_path / "optimizers.optmap").write_text(
        "# the calls of train.py\n\ntorch.optim.SGD(lr=0.1, momentum=0.9) -> mindspore\ntorch.optim.SGD(lr=0.1, nesterov=3)\n"
    )
    found = run(tmp_path)
    assert "1 failed, 1 passed" in found
    assert "optimizers.optmap" in found


@pytest.mark.parametrize(("missing", "outcome"), [("skip", "1 skipped"), ("fail", "1 failed")])
def test_frameworks_that_are_not_installed(tmp_path: Path, missing: str, outcome: str) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake/torch.py").write_text("raise ImportError('no torch here')\n")
    (tmp_path / "calls.optmap").write_text("torch.optim.SGD(lr=0.1)\n")
    found = run(tmp_path, "-o", f"optmap_missing={missing}", path=str(tmp_path / "fake"))
    assert outcome in found
