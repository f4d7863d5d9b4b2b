"""The long run: `python -m tests.differential --programs 20000 --seed N [--jobs N]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.differential.judge import Direction, Judgement, Verdict, judge
from tests.differential.kinds import KINDS, programs
from tests.differential.known import covered, read, renew
from tests.differential.pool import Pool
from tests.differential.program import Program
from tests.differential.reduce import cause, reduce


class Result(NamedTuple):
    """One program in one direction."""

    seed: int
    program: Program
    direction: Direction
    judgement: Judgement
    small: Program | None
    cause: tuple[str, ...]


def examine(seed: int, job: int, jobs: int, kinds: tuple[str, ...], total: int) -> list[Result]:
    """Judge this job's share of the programs; the failing ones are made small, each cause once."""
    found = []
    known: set[tuple[str, tuple[str, ...]]] = set()
    faults = read()
    with Pool() as pool:
        for number, program in programs(seed, total, kinds):
            if number % jobs != job:
                continue
            kind = KINDS[program.kind]
            for direction in kind.directions:
                judgement = judge(program, direction, pool)
                reduced: Program | None = None
                why: tuple[str, ...] = ()
                if judgement.verdict is Verdict.FAILED and (fault := covered(faults, program, direction)):
                    judgement = judgement._replace(verdict=Verdict.KNOWN, kind=fault.fault)
                if judgement.verdict is Verdict.FAILED:
                    chosen = set(cause(program, kind.grammar.SLOTS))
                    old = next(
                        (why for seen, why in known if seen == judgement.kind and why and chosen.issuperset(why)), None
                    )
                    if old is not None:
                        found.append(Result(number, program, direction, judgement, None, old))
                        continue
                    slots = kind.grammar.SLOTS
                    reduced, judgement = reduce(program, judgement, direction, pool, kind.grammar.render, slots)
                    why = cause(reduced, slots)
                    known.add((judgement.kind, why))
                found.append(Result(number, program, direction, judgement, reduced, why))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("--programs", type=int, default=1000, help="how many; 0 for each part alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    parser.add_argument("--failures", type=Path, help="a directory for the failing programs")
    parser.add_argument("--results", type=Path, help="a file for all results, one JSON object a line")
    parser.add_argument("--operations", action="store_true", help="print what became of the programs with each part")
    parser.add_argument("--renew", action="store_true", help="run the known faults, and remove those that are mended")
    options = parser.parse_args()
    if options.renew:
        with Pool() as pool:
            mended = renew(pool)
        print(f"{len(mended)} known programs no longer fail and were removed", *mended, sep="\n")
        return 0
    start = time.monotonic()
    arguments = [
        (options.seed, job, options.jobs, tuple(options.kinds), options.programs) for job in range(options.jobs)
    ]
    if len(arguments) == 1:
        results = examine(*arguments[0])
    else:
        with ProcessPoolExecutor(options.jobs) as executor:
            results = [item for found in executor.map(examine, *zip(*arguments, strict=True)) for item in found]
    if options.results:
        options.results.write_text("".join(f"{as_json(item)}\n" for item in results))
    report(results, time.monotonic() - start, options.failures)
    if options.operations:
        operations(results)
    return int(any(item.judgement.verdict is Verdict.FAILED for item in results))


def as_json(item: Result) -> str:
    """One result, for questions that the summary does not answer."""
    program, judgement = item.program, item.judgement
    chosen = cause(program, KINDS[program.kind].grammar.SLOTS)
    return json.dumps({
        "program": item.seed, "kind": program.kind, "direction": str(item.direction), "task": program.task, "parts": chosen,
        "verdict": judgement.verdict, "how": judgement.kind, "detail": judgement.detail, "codes": judgement.codes,
        "cause": item.cause, "ordinary": program.ordinary,
    })  # fmt: skip


def report(results: list[Result], seconds: float, failures: Path | None) -> None:
    directions = list(dict.fromkeys(item.direction for item in results))
    print(f"{len(results)} translations in {seconds:.0f} s")
    print(f"{'direction':40}" + "".join(f"{verdict.value:>10}" for verdict in Verdict) + "  refused of ordinary")
    for direction in directions:
        own = [item for item in results if item.direction == direction]
        counts = Counter(item.judgement.verdict for item in own)
        ordinary = [item for item in own if item.program.ordinary and item.judgement.verdict is not Verdict.INVALID]
        refused = sum(item.judgement.verdict is Verdict.REFUSED for item in ordinary)
        share = f"{refused / max(len(ordinary), 1):20.0%}"
        print(f"{direction!s:40}" + "".join(f"{counts[verdict]:10}" for verdict in Verdict) + share)
    causes: dict[tuple[str, str, tuple[str, ...]], list[Result]] = {}
    for item in results:
        if item.judgement.verdict is Verdict.FAILED:
            causes.setdefault((str(item.direction), item.judgement.kind, item.cause), []).append(item)
    for (towards, kind, why), items in sorted(causes.items(), key=lambda entry: -len(entry[1])):
        first = items[0]
        print(f"{len(items):5} {towards} {kind} [{' '.join(why)}] program {first.seed}: {first.judgement.detail[:200]}")
    if failures:
        failures.mkdir(parents=True, exist_ok=True)
        for number, ((towards, kind, why), items) in enumerate(causes.items()):
            write(failures / f"{number:03}.md", towards, kind, why, items)


def operations(results: list[Result]) -> None:
    """What became of the programs that have each part."""
    counts: dict[tuple[str, str], Counter[Verdict]] = {}
    for item in results:
        for part in cause(item.program, KINDS[item.program.kind].grammar.SLOTS):
            counts.setdefault((item.program.kind, part), Counter())[item.judgement.verdict] += 1
    print(f"{'kind':24}{'part':40}" + "".join(f"{verdict.value:>10}" for verdict in Verdict))
    for (kind, part), found in sorted(counts.items()):
        print(f"{kind:24}{part:40}" + "".join(f"{found[verdict]:10}" for verdict in Verdict))


def write(path: Path, direction: str, kind: str, why: tuple[str, ...], items: list[Result]) -> None:
    first = next((item for item in items if item.small), items[0])
    program = first.small or first.program
    parts = [
        f"# {kind}: {' '.join(why)}", f"{direction}, {len(items)} programs, the first is number {first.seed}; task {program.task}",
        first.judgement.detail, f"```python\n{program.text}```", f"```python\n{first.judgement.output}```",
        f"codes: {' '.join(first.judgement.codes)}",
    ]  # fmt: skip
    path.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    sys.exit(main())
