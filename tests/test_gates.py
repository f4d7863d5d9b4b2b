"""What gates a pull request: pre-commit's hooks, run by pre-commit in a git repository, and the steps of the GitHub Action, in a shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
SOURCE = "import torch\n\nnet = torch.nn.Linear(2, 2)\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
TRANSLATED = "optimizer = object()\n"


@pytest.fixture
def command(tmp_path: Path) -> dict[str, str]:
    """An environment in which `optmap` is this one, with a directory for temporary files of GitHub's."""
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "optmap").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m optmap "$@"\n')
    (scripts / "optmap").chmod(0o755)
    (tmp_path / "runner").mkdir()
    paths = {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **paths, "RUNNER_TEMP": str(tmp_path / "runner")}


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize(("text", "passes"), [(SOURCE, False), (TRANSLATED, True)])
def test_pre_commit_runs_the_hooks(tmp_path: Path, command: dict[str, str], text: str, passes: bool) -> None:
    pytest.importorskip("pre_commit", reason="pre-commit is not installed")
    project = tmp_path / "project"
    project.mkdir()
    # The hooks as they are published, but for the environment, which pre-commit would install from the network.
    hooks = [{**hook, "language": "system"} for hook in HOOKS if hook["id"] == "optmap-translate"]
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]}))
    (project / "train.py").write_text(text)
    git(project, "init")
    git(project, "add", ".")
    found = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files"],
        cwd=project, env={**command, "PRE_COMMIT_HOME": str(tmp_path / "home")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode == 0) is passes, found.stdout
    assert ("Passed" if passes else "train.py") in found.stdout
    assert (project / "train.py").read_text() == text


def test_every_hook_is_a_command() -> None:
    for hook in HOOKS:
        name, *arguments = hook["entry"].split()
        found = subprocess.run(
            [sys.executable, "-m", name, *arguments, "--help"], capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr


def step(number: int, command: dict[str, str], directory: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run a step of the action as GitHub does, with inputs in place of their defaults."""
    values = {name: str(item["default"]) for name, item in ACTION["inputs"].items()} | inputs
    expressions = {"github.action_path": str(ROOT), **{f"inputs.{name}": text for name, text in values.items()}}

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: expressions[found[1]], text)

    found: dict[str, Any] = ACTION["runs"]["steps"][number]
    assert "${{" not in found["run"], "an input must not become shell code"
    environment = {name: filled(text) for name, text in found["env"].items()}
    return subprocess.run(
        ["bash", "-c", found["run"]], cwd=directory, env={**command, **environment}, capture_output=True, text=True, check=False
    )  # fmt: skip


def test_the_action_annotates_or_fails(tmp_path: Path, command: dict[str, str]) -> None:
    project = tmp_path / "a project"
    project.mkdir()
    (project / "train.py").write_text(SOURCE + "torch.optim.SGD(net.parameters(), 0.1, nonsense=1)\n")
    failed = step(1, command, project)
    assert failed.returncode == 1
    assert "::error file=train.py,line=5" in failed.stdout
    assert step(1, command, project, translate="annotate").returncode == 0
    assert step(1, command, project, translate="annotate", paths="missing.py").returncode == 2
    injected = step(1, command, project, translate="annotate", paths="train.py;touch$IFS$9x $(touch y) `touch z`")
    assert injected.returncode == 2
    assert sorted(path.name for path in project.iterdir()) == ["train.py"]


def test_the_action_fails_only_on_what_is_new(tmp_path: Path, command: dict[str, str]) -> None:
    (tmp_path / "train.py").write_text(SOURCE)
    write = [sys.executable, "-m", "optmap", "translate", "train.py", "--write-baseline", "--baseline", "old.json"]
    subprocess.run(write, cwd=tmp_path, check=True, env=command)
    assert step(1, command, tmp_path, paths="train.py").returncode == 1
    known = {"paths": "train.py", "translate-baseline": "old.json"}
    assert step(1, command, tmp_path, **known).returncode == 0
    (tmp_path / "train.py").write_text(SOURCE + "torch.optim.SGD(net.parameters(), 0.1, nonsense=1)\n")
    assert step(1, command, tmp_path, **known).returncode == 1


def test_the_action_checks_and_reports(tmp_path: Path, command: dict[str, str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "train.py").write_text(SOURCE)
    summary = tmp_path / "summary.md"
    found = step(2, {**command, "GITHUB_STEP_SUMMARY": str(summary)}, tmp_path, paths="train.py")
    assert found.returncode == 0, found.stderr
    assert "torch.optim.SGD(lr=0.1)" in summary.read_text()
    assert "<html" in (tmp_path / "optmap-report.html").read_text()


def test_the_action_installs_what_is_asked_for(tmp_path: Path, command: dict[str, str]) -> None:
    """With a pip that only tells what it is asked for."""
    python = tmp_path / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    assert step(0, command, tmp_path).stdout.splitlines()[-1] == f"{ROOT}[torch]"
    assert step(0, command, tmp_path, engines="torch tensorflow").stdout.splitlines()[-1] == f"{ROOT}[torch,tensorflow]"
    assert step(0, command, tmp_path, engines="").stdout.splitlines()[-1] == str(ROOT)
