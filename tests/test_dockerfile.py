"""The image of the gate, as far as it can be held without Docker: what is copied, what is installed, and what is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = [line.split(maxsplit=1) for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if line[:1] != "#"]
SAID = {word: text for word, text in LINES if word != "COPY"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_what_is_copied_is_all_that_the_tool_needs(tmp_path: Path) -> None:
    for *names, into in (shlex.split(text) for word, text in LINES if word == "COPY"):
        place = tmp_path / into.lstrip("/")
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__", "stored"))
            else:
                place.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, place)
    copied = tmp_path / "optmap"
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    script = f"import sys; sys.path[:0] = [{str(copied)!r}]; sys.argv = ['optmap', 'list']; from optmap import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "torch.optim.AdamW" in done.stdout
    build = {"hatch_build.py", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert build <= {path.name for path in copied.iterdir()}


def test_every_framework_is_installed_in_the_version_of_the_tables() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    assert "/optmap[all]" in SAID["RUN"]
    assert "-c /optmap/constraints.txt" in SAID["RUN"]
    pinned = set(re.findall(r"(?m)^([\w-]+)==", (ROOT / "constraints.txt").read_text("utf-8")))
    wanted = {re.split(r"[<>=]", text)[0] for name in ("torch", "tensorflow", "mindspore") for text in extras[name]}
    assert wanted - {"numpy"} <= pinned
    assert extras["all"] == ["optmap[torch,tensorflow,mindspore]"]


def test_the_command_is_one() -> None:
    command = [*json.loads(SAID["ENTRYPOINT"]), *json.loads(SAID["CMD"])]
    assert command[0] in PROJECT["project"]["scripts"]
    done = subprocess.run(
        [sys.executable, "-m", *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert SAID["USER"] != "root"
