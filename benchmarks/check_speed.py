"""Speed of `optmap check` as ratios to the slowest framework's bare import, measured in one run; exits 1 over a limit.

Usage: python benchmarks/check_speed.py [--all]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec

REPEATS = 5
LIMIT = 1.5
ALL_LIMIT = 90.0


def wall(command: Sequence[str], repeats: int = REPEATS) -> float:
    """Median wall time of a command in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=False, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(everything: bool) -> int:
    """Measure and print."""
    python = sys.executable
    imports = {name: wall([python, "-c", f"import {name}"]) for name in ("torch", "tensorflow") if find_spec(name)}
    slowest = max(imports, key=lambda name: imports[name])
    print(", ".join(f"import {name}: {seconds:.2f} s" for name, seconds in imports.items()))
    one = wall([python, "-m", "optmap", "check", "--optimizer", "Adam"])
    ratio = one / imports[slowest]
    print(f"check --optimizer Adam: {one:.2f} s, {ratio:.2f} x import {slowest}  (at most {LIMIT})")
    failed = ratio > LIMIT
    if everything:
        whole = wall([python, "-m", "optmap", "check", "--all"], 1)
        print(
            f"check --all: {whole:.1f} s, {whole / imports[slowest]:.1f} x import {slowest}  (at most {ALL_LIMIT:.0f} s)"
        )
        failed = failed or whole > ALL_LIMIT
    return int(failed)


if __name__ == "__main__":
    sys.exit(main("--all" in sys.argv[1:]))
