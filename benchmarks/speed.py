"""Speed of the command line as ratios measured in one run; prints a table, exits 1 over a limit.

Usage: python -m benchmarks.speed [FILES]
"""

from __future__ import annotations

import ast
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.make_tree import make_tree, script
from optmap.mapping.load import load
from optmap.mapping.model import Framework
from optmap.translate.prefilter import may_hold_optimizers

REPEATS = 15


def walls(commands: Sequence[Sequence[str]], repeats: int = REPEATS) -> list[float]:
    """Median wall time of each command in seconds; the commands are interleaved, so that noise affects all of them."""
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(repeats):
        for command, found in zip(commands, times, strict=True):
            start = time.perf_counter()
            subprocess.run(command, check=False, capture_output=True)
            found.append(time.perf_counter() - start)
    return [statistics.median(found) for found in times]


def cpu_of_children(command: Sequence[str]) -> float:
    """CPU time of a command and its children in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def parse_baseline(root: Path) -> float:
    """CPU time to read every file and to `ast.parse` those that the prefilter lets through."""
    tables, sources = load(), frozenset(Framework) - {Framework("mindspore")}
    paths = sorted(root.rglob("*.py"))
    wanted = {path for path in paths if may_hold_optimizers(path.read_bytes(), tables, sources)}
    start = time.process_time()
    for path in paths:
        data = path.read_bytes()
        if path in wanted:
            ast.parse(data)
    return time.process_time() - start


def main(files: int) -> int:
    python = sys.executable
    optmap = [python, "-m", "optmap"]
    with tempfile.TemporaryDirectory() as directory:
        train = Path(directory, "train.py")
        text = script(7).replace("{{", "{").replace("}}", "}")
        train.write_text(text, encoding="utf-8")
        bare, version, one = walls(
            [[python, "-c", "import typer"], [*optmap, "--version"], [*optmap, "translate", str(train)]]
        )
        lines = text.count("\n")
        rows = [
            ("optmap --version / import typer", version / bare, 1.3),
            (f"translate one file of {lines} lines / import typer", one / bare, 2.0),
        ]
        root = Path(directory, "tree")
        make_tree(root, files)
        baseline = min(parse_baseline(root) for _ in range(3))
        cpu = min(cpu_of_children([*optmap, "translate", "--check", str(root)]) for _ in range(3))
        rows.append((f"translate a tree of {files} files / read all, parse those with optimizers", cpu / baseline, 2.0))
        shutil.rmtree(root)
    for name, ratio, limit in rows:
        print(f"{name:<75} {ratio:6.2f}  (at most {limit})")
    return int(any(ratio > limit for _, ratio, limit in rows))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
