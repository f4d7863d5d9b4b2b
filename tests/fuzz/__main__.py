"""`python -m tests.fuzz --calls 1000000 --seed 1 --jobs 2`: the long run. Failures are printed, each kind once."""

from __future__ import annotations

import argparse
import gc
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.generate import generate
from tests.fuzz.judge import judge, judge_any
from tests.fuzz.mutate import mutated

CALLS = 30
"""How many calls a file has."""


def one(seed: int) -> tuple[int, Counter[str], tuple[str, bytes] | None]:
    """The calls of a file, their outcomes, and what is wrong with it."""
    try:
        file = generate(Random(seed), CALLS)
    except SyntaxError as error:
        return 0, Counter(), (str(error), b"")
    try:
        return file.calls, judge(file), None
    except SyntaxError as error:
        return 0, Counter(unread=1), (f"generated file: {error}", file.data)
    except Exception as error:
        text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
        return file.calls, Counter(failed=1), (text, file.data)


def mutant(seed: int) -> tuple[int, Counter[str], tuple[str, bytes] | None]:
    """The same for a case that is no longer in order; it counts as one call."""
    data, options = mutated(Random(seed))
    try:
        return 1, Counter(changed=int(judge_any(data, options))), None
    except Exception as error:
        text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
        return 1, Counter(failed=1), (text, data)


def several(one: Callable[[int], Any], seeds: range) -> list[tuple[int, Counter[str], tuple[str, bytes] | None]]:
    gc.disable()
    found = [one(seed) for seed in seeds]
    gc.enable()
    gc.collect()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--mutants", action="store_true", help="count mutilated cases in place of generated calls")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--failures", type=Path, help="a directory for the files that fail")
    given = parser.parse_args()
    started, calls, files = time.monotonic(), 0, 0
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    seeds = (range(given.seed * 10**9 + start, given.seed * 10**9 + start + 20) for start in count(0, 20))
    with ProcessPoolExecutor(given.jobs) as pool:
        while calls < given.calls:
            for batch in pool.map(
                partial(several, mutant if given.mutants else one), [next(seeds) for _ in range(given.jobs * 4)]
            ):
                for number, statuses, failure in batch:
                    calls, files, outcomes = calls + number, files + 1, outcomes + statuses
                    if failure is not None:
                        kind = re.sub(r"\d+(?:\.\d+)?", "N", failure[0])[:160]
                        kinds[kind] += 1
                        if kinds[kind] == 1:
                            print(f"--- {failure[0][:1500]}", flush=True)
                            if given.failures is not None:
                                given.failures.mkdir(parents=True, exist_ok=True)
                                (given.failures / f"{len(kinds)}.py").write_bytes(failure[1])
                print(f"\r{calls} calls", end="", file=sys.stderr, flush=True)
    told = ", ".join(f"{number} {name}" for name, number in outcomes.most_common())
    print(f"{calls} calls in {files} files, {time.monotonic() - started:.0f} s: {told}; {len(kinds)} kinds of failure")
    return int(bool(kinds))


if __name__ == "__main__":
    raise SystemExit(main())
