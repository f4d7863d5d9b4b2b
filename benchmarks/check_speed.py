"""Speed of `optmap check` relative to the import of the slowest framework, measured in one run; exits 1 over a limit.

Usage: python -m benchmarks.check_speed [--all]
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from benchmarks.speed import walls

REPEATS = 5
LIMIT = 1.5
ALL_LIMIT = 90.0


def main(everything: bool) -> int:
    """Measure, print the ratios, and return the exit code."""
    python = sys.executable
    names = [name for name in ("torch", "tensorflow") if find_spec(name)]
    check = [python, "-m", "optmap", "check"]
    *times, one = walls(
        [*([python, "-c", f"import {name}"] for name in names), [*check, "--optimizer", "Adam"]], REPEATS
    )
    imports = dict(zip(names, times, strict=True))
    slowest = max(imports, key=lambda name: imports[name])
    print(", ".join(f"import {name}: {seconds:.2f} s" for name, seconds in imports.items()))
    ratio = one / imports[slowest]
    print(f"check --optimizer Adam: {one:.2f} s, {ratio:.2f} x import {slowest}  (at most {LIMIT})")
    failed = ratio > LIMIT
    if everything:
        whole = walls([[*check, "--all"]], 1)[0]
        print(
            f"check --all: {whole:.1f} s, {whole / imports[slowest]:.1f} x import {slowest}  (at most {ALL_LIMIT:.0f} s)"
        )
        failed = failed or whole > ALL_LIMIT
    return int(failed)


if __name__ == "__main__":
    sys.exit(main("--all" in sys.argv[1:]))
