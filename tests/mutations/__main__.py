"""python -m tests.mutations: judge every mutation, or a sample, and print who catches it.

python -m tests.mutations                      all of them
python -m tests.mutations --sample 200         so many, spread evenly
python -m tests.mutations --only adamw.yaml    those whose text holds this
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from .generate import mutations
from .judge import judge_all

KNOWN = ("not run", "older versions", "refuses more", "same numbers", "changes nothing")
"""Why nobody catches a mutation: no CPU runs the class, the installed version does not have the row, it refuses what could be
translated and says so, it writes an argument that changes no number, or no call of `check --all` gives anything else."""


def main(arguments: list[str]) -> int:
    """Print a table of kinds by catchers, and every survivor; 1 where one survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--real", action="store_true", help="run the frameworks")
    options = parser.parse_args(arguments)
    chosen = [item for item in mutations() if options.only in str(item)]
    if options.sample:
        chosen = chosen[options.offset :: max(1, len(chosen) // options.sample)]
    counts: Counter[tuple[str, str]] = Counter()
    shares = [chosen[number :: options.jobs] for number in range(options.jobs)]
    with ProcessPoolExecutor(options.jobs) as pool:
        for judged in pool.map(partial(judge_all, real=options.real), shares):
            for item in judged:
                counts[item.mutation.kind, item.by] += 1
    kinds = sorted({kind for kind, _ in counts})
    columns = ("load", "audit", "check", "tests", *KNOWN, "survives", "error")
    print(f"{'':40}" + "".join(f"{name:>16}" for name in columns))
    for kind in (*kinds, "all"):
        numbers = [sum(n for (own, by), n in counts.items() if kind in (own, "all") and by == name) for name in columns]
        print(f"{kind:40}" + "".join(f"{number:16}" for number in numbers))
    return int(any(by in ("survives", "error") for _, by in counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
