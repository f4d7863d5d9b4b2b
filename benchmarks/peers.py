"""CPU time, wall time and peak memory of optmap beside other tools that rewrite Python, on the same tree in one run.

Usage: python -m benchmarks.peers [--files N | --tree DIRECTORY] [--python INTERPRETER] [--repeats N]

Every tool writes its result into a directory of its own; `ruff` and the two baselines write nothing. A tool that is not
installed is named and left out. LibCST and PaConvert may live in another environment, as they often cannot share one with a
framework: `--python` names its interpreter (`pip install libcst paconvert` there). TensorFlow brings `tf_upgrade_v2`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from compileall import compile_dir
from pathlib import Path
from typing import NamedTuple

import optmap
from benchmarks.make_tree import make_tree
from benchmarks.speed import AS_INSTALLED
from optmap.mapping.load import load

READ = "import pathlib, sys\nfor path in pathlib.Path(sys.argv[1]).rglob('*.py'): path.read_bytes()"
PARSE = """import ast, pathlib, sys
from optmap.mapping.framework import frameworks
from optmap.mapping.load import load
from optmap.translate.prefilter import may_hold_optimizers
tables, sources = load(), frozenset(item for name, item in frameworks().items() if name == "torch")
for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
    data = path.read_bytes()
    if may_hold_optimizers(data, tables, sources):
        try:
            ast.parse(data)
        except (SyntaxError, ValueError):
            pass"""


class Cost(NamedTuple):
    """What one run cost: CPU and wall time in seconds, the largest process's resident memory in MB, and its exit code."""

    cpu: float
    wall: float
    memory: float
    code: int


class Tool(NamedTuple):
    """A tool and its command; `goal` is how many times optmap's CPU time it should take at least (negative: at most)."""

    name: str
    command: Sequence[str] | None
    goal: str = ""


def cost(command: Sequence[str]) -> Cost:
    """What a command and the processes that it starts cost."""
    start = time.perf_counter()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, env=AS_INSTALLED)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))


def renames() -> dict[str, str]:
    """For each optimizer of torch.optim the first class of mindspore.nn that its table names."""
    pairs: dict[str, str] = {}
    for algorithm in load().algorithms.values():
        targets = [api.name for api in algorithm.apis if api.framework == "mindspore"]
        pairs |= {api.name: targets[0] for api in algorithm.apis if api.framework == "torch" and targets}
    return pairs


def tools(tree: Path, work: Path, python: str) -> Iterator[Tool]:
    """The tools in the order of the table, each with the command that takes the tree through it."""
    beside = Path(python).parent
    asked = work / "renames.json"
    asked.write_text(json.dumps(renames()), encoding="utf-8")
    codemod = str(Path(__file__).with_name("libcst_rename.py"))
    has_libcst = subprocess.run([python, "-c", "import libcst"], check=False, capture_output=True).returncode == 0
    paconvert, upgrade, ruff = (_found(name, beside) for name in ("paconvert", "tf_upgrade_v2", "ruff"))
    own = [sys.executable, "-m", "optmap", "translate", str(tree), "--from", "torch"]
    yield Tool("optmap translate --output", [*own, "--output", str(work / "optmap")])
    yield Tool("optmap translate --check", [*own, "--check"])
    yield Tool(
        "optmap translate --check --jobs 2", [*own, "--check", "--jobs", "2"], "wall at most 1/1.6 of one process"
    )
    yield Tool("reading all files", [sys.executable, "-c", READ, str(tree)])
    yield Tool("reading all, ast.parse of the matching", [sys.executable, "-c", PARSE, str(tree)], "at least 0.5")
    yield Tool(
        "ruff check --select NPY201 --no-cache",
        [ruff, "check", "--select", "NPY201", "--no-cache", "--quiet", str(tree)] if ruff else None,
        "at least 0.33",
    )
    yield Tool(
        "PaConvert",
        [paconvert, "--in_dir", str(tree), "--out_dir", str(work / "paconvert"), "--no_format"] if paconvert else None,
        "at least 40",
    )
    yield Tool(
        "LibCST codemod",
        [python, codemod, str(tree), str(work / "libcst"), str(asked)] if has_libcst else None,
        "at least 250",
    )
    yield Tool(
        "tf_upgrade_v2",
        [upgrade, "--intree", str(tree), "--outtree", str(work / "upgraded"), "--reportfile", str(work / "report.txt")]
        if upgrade
        else None,
    )


def _found(name: str, beside: Path) -> str | None:
    return shutil.which(name, path=str(beside)) or shutil.which(name, path=str(Path(sys.executable).parent))


def main(tree: Path, work: Path, python: str, repeats: int) -> None:
    """Measure and print; times over optmap's own are ratios of CPU time to `optmap translate --output`."""
    base: Cost | None = None
    compile_dir(str(Path(optmap.__file__).parent), quiet=2)  # an installed package has its bytecode
    print(f"{'':<42} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'x optmap':>9}  goal")
    for tool in tools(tree, work, python):
        if tool.command is None:
            print(f"{tool.name:<42} not installed")
            continue
        runs = [cost(tool.command) for _ in range(repeats)]
        found = sorted(runs)[len(runs) // 2]
        base = base or found
        figures = f"{found.cpu:8.2f} {found.wall:8.2f} {found.memory:8.0f} {found.cpu / base.cpu:9.2f}"
        print(f"{tool.name:<42} {figures}  {tool.goal}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="optmap beside other tools that rewrite Python.")
    parser.add_argument("--files", type=int, default=2000, help="files of the generated tree")
    parser.add_argument("--tree", type=Path, help="a directory of real code in place of the generated tree")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with LibCST and PaConvert")
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = arguments.tree or Path(directory, "tree")
        if arguments.tree is None:
            make_tree(place, arguments.files)
        main(place, Path(directory), arguments.python, arguments.repeats)
