"""Speed of the command line as ratios measured in one run; prints a table, exits 1 over a limit.

Usage: python -m benchmarks.speed [FILES] [--tree DIRECTORY]

With a directory, that tree of real code is measured beside `ast.parse` of the files that the prefilter lets through by its
first test, `may_hold_optimizers`, and `ruff check --select NPY201 --no-cache`. The second test, which looks at whole words and
spares some of these files the parse, is a part of what is measured.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.make_tree import make_tree, script
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.translate.prefilter import may_hold_optimizers

REPEATS = 15
AS_INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""An installed package has its bytecode; so has a checkout after its first run."""


def walls(commands: Sequence[Sequence[str]], repeats: int = REPEATS) -> list[float]:
    """Median wall time of each command in seconds; the commands are interleaved, so that noise affects all of them."""
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(repeats):
        for command, found in zip(commands, times, strict=True):
            start = time.perf_counter()
            subprocess.run(command, check=False, capture_output=True, env=AS_INSTALLED)
            found.append(time.perf_counter() - start)
    return [statistics.median(found) for found in times]


def cpu_of_children(command: Sequence[str]) -> float:
    """CPU time of a command and its children in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=False, stdout=quiet, stderr=quiet, env=AS_INSTALLED)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def parse_baseline(root: Path, *, read_all: bool = True) -> float:
    """CPU time to `ast.parse` the files that the prefilter lets through, and to read the others where `read_all` says so."""
    tables, sources = load(), frozenset(Framework) - {Framework("mindspore")}
    paths = sorted(root.rglob("*.py"))
    wanted = {path for path in paths if may_hold_optimizers(path.read_bytes(), tables, sources)}
    start = time.process_time()
    for path in paths if read_all else sorted(wanted):
        data = path.read_bytes()
        if path in wanted:
            with suppress(SyntaxError, ValueError):
                ast.parse(data)
    return time.process_time() - start


Row = tuple[str, float, float | None]
"""What was measured, the ratio, and its limit."""


def start_rows(optmap: Sequence[str], directory: Path) -> list[Row]:
    """The start-up and one file, against the import of the command line's library."""
    train = directory / "train.py"
    text = script(7).replace("{{", "{").replace("}}", "}")
    train.write_text(text, encoding="utf-8")
    bare, version, one = walls(
        [[sys.executable, "-c", "import typer"], [*optmap, "--version"], [*optmap, "translate", str(train)]]
    )
    lines = text.count("\n")
    return [
        ("optmap --version / import typer", version / bare, 1.3),
        (f"translate one file of {lines} lines / import typer", one / bare, 2.0),
    ]


def made_tree_row(optmap: Sequence[str], root: Path, files: int) -> Row:
    """A generated tree, against reading all of it and parsing what may hold optimizers."""
    make_tree(root, files)
    baseline = min(parse_baseline(root) for _ in range(3))
    cpu = min(cpu_of_children([*optmap, "translate", "--check", str(root)]) for _ in range(3))
    shutil.rmtree(root)
    return f"translate --check, {files} generated files / read all, parse those with optimizers", cpu / baseline, 2.0


def real_tree_rows(optmap: Sequence[str], root: Path) -> list[Row]:
    """A tree of real code; the time that the command line takes for nothing is left out."""
    parsed = min(parse_baseline(root, read_all=False) for _ in range(3))
    nothing = min(cpu_of_children([*optmap, "--version"]) for _ in range(3))
    check, diff = (
        min(cpu_of_children([*optmap, "translate", mode, str(root)]) for _ in range(3)) - nothing
        for mode in ("--check", "--diff")
    )
    rows: list[Row] = [
        (f"translate --check {root.name} / ast.parse of what the prefilter lets through", check / parsed, 2.0),
        (f"translate --diff {root.name} / translate --check", diff / check, 1.3),
    ]
    ruff = shutil.which("ruff")
    if ruff is not None:
        command = [ruff, "check", "--select", "NPY201", "--no-cache", "--quiet", str(root)]
        rows.append((f"translate --check {root.name} / ruff's NPY201", check / cpu_of_children(command), None))
    return rows


def main(files: int, tree: Path | None) -> int:
    """Measure and print."""
    optmap = [sys.executable, "-m", "optmap"]
    with tempfile.TemporaryDirectory() as directory:
        rows = start_rows(optmap, Path(directory))
        rows.append(made_tree_row(optmap, Path(directory, "tree"), files))
        rows += real_tree_rows(optmap, tree) if tree is not None else []
    for name, ratio, limit in rows:
        print(f"{name:<85} {ratio:6.2f}" + (f"  (at most {limit})" if limit is not None else ""))
    return int(any(limit is not None and ratio > limit for _, ratio, limit in rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Speed of the command line, as ratios.")
    parser.add_argument("files", nargs="?", type=int, default=20_000, help="files of the generated tree")
    parser.add_argument("--tree", type=Path, help="a directory of real code")
    arguments = parser.parse_args()
    sys.exit(main(arguments.files, arguments.tree))
