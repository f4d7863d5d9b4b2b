"""Compare the numpy engine with the installed MindSpore over random configurations, bit for bit.

    python scripts/certify_engine.py --configurations 5000 --seed 1

Each is a class with random hyperparameters, a parameter of random shape, and some steps of random gradients, whose sizes go from
denormal numbers to the largest; some are zero, infinite or NaN. All run in one process. Printed are the counts, and the first
configuration of each class that differs.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

os.environ.setdefault("GLOG_v", "4")

import numpy as np

from optmap.conformance.rules import RULES
from optmap.conformance.rules.options import Choice, Flag, Rate, Real, Reals
from optmap.conformance.simulate import simulate

SHAPES = ((), (1,), (3,), (8,), (17,), (2, 3), (5, 7), (2, 3, 4))
KINDS = {
    "usual": (-2, 1),
    "small": (-15, -4),
    "tiny": (-24, -15),
    "denormal": (-45, -36),
    "large": (2, 12),
    "huge": (12, 38),
}
NORMAL = ("usual", "usual", "small", "large", "huge", "mixed")
"""Sizes for which the engine is bit-equal: their squares are no denormal numbers."""
EVERY = (*NORMAL, "tiny", "denormal")


def number(random_: random.Random, kind: Real, default: Any, name: str) -> Any:
    """A value within bounds, as often as not the default."""
    if default is None or (random_.random() < 0.5 and isinstance(default, int | float)):
        return default
    low, high = max(kind.at_least, kind.above), min(kind.at_most, kind.below)
    if high <= 1:
        return random_.choice([0.1, 0.5, 0.9, 0.99, 0.999])
    if name in ("eps", "epsilon"):
        return 10.0 ** random_.randint(-12, -1)
    if name == "loss_scale":
        return float(2 ** random_.randint(0, 12))
    value = random_.choice([0.0, 10.0 ** random_.uniform(-5, 0), random_.uniform(0.1, 1.5)])
    return value if value > low or (value == low and kind.at_least == low) else 0.01


def hyperparameters(random_: random.Random, api: str) -> dict[str, Any]:
    """Values for some of a class's hyperparameters."""
    found: dict[str, Any] = {}
    for name, field in RULES[api].hyperparameters().items():
        kind = field.metadata.get("option")
        default = field.default if isinstance(field.default, bool | int | float | tuple) else None
        if isinstance(kind, Rate):
            found[name] = 10.0 ** random_.uniform(-4, 0.5)
        elif isinstance(kind, Flag):
            found[name] = random_.random() < 0.3
        elif isinstance(kind, Reals) and default is None:
            found[name] = tuple(number(random_, item, 0.5, name) for item in (kind.first, kind.second))
        elif isinstance(kind, Reals) and random_.random() < 0.5:
            moved = tuple(
                number(random_, item, old, name) for item, old in zip((kind.first, kind.second), default, strict=True)
            )
            found[name] = moved if moved[0] <= moved[1] or name != "etas" else default
        elif isinstance(kind, Real) and (default is None or random_.random() < 0.5) and not kind.optional:
            found[name] = number(random_, kind, default, name)
        elif isinstance(kind, Choice):
            continue
    return found


def gradient(source: np.random.Generator, shape: tuple[int, ...], kind: str) -> Any:
    """One gradient; `mixed` has some of everything."""
    low, high = KINDS.get(kind, (-12, 12))
    with np.errstate(all="ignore"):
        size = 10.0 ** source.uniform(low, high, shape)
        made = np.asarray(source.standard_normal(shape) * size, np.float32)
    if kind == "mixed":
        made = np.where(source.random(shape) < 0.1, np.float32(0), made).astype(np.float32)
        made = np.where(source.random(shape) < 0.03, source.choice([np.inf, -np.inf, np.nan]), made).astype(np.float32)
    return made


def real(api: str, given: dict[str, Any], weight: Any, gradients: list[Any]) -> list[Any]:
    """The weights after each step of the installed MindSpore."""
    import mindspore

    module, _, name = api.rpartition(".")
    parameter = mindspore.Parameter(mindspore.Tensor(weight.copy()), name="w")
    optimizer = getattr(importlib.import_module(module), name)([parameter], **given)
    found = []
    for item in gradients:
        optimizer((mindspore.Tensor(np.array(item, np.float32)),))
        found.append(parameter.asnumpy().copy())
    return found


def differing(one: Any, other: Any) -> int:
    """The elements that are not the same number; NaN is NaN."""
    return int(np.sum(~((one == other) | (np.isnan(one) & np.isnan(other)))))


class Outcome(NamedTuple):
    """What became of one configuration: `equal`, `rejected` by both sides, `DIFFERS`, or `REJECTED BY ONE`."""

    api: str
    kind: str
    result: str
    details: str = ""


def outcomes(configurations: int, seed: int, apis: Sequence[str], kinds: Sequence[str]) -> Iterator[Outcome]:
    """Run configurations, the classes in turn."""
    import mindspore

    with suppress(RuntimeError):  # it can be called once in a process
        mindspore.device_context.cpu.op_tuning.threads_num(1)
    random_, source = random.Random(seed), np.random.default_rng(seed)
    for index in range(configurations):
        api, kind = apis[index % len(apis)], random_.choice(kinds)
        given, shape = hyperparameters(random_, api), random_.choice(SHAPES)
        weight = gradient(source, shape, random_.choice(["usual", "usual", "small", kind]))
        weight = np.nan_to_num(weight, nan=1.0, posinf=1.0, neginf=-1.0)
        gradients = [gradient(source, shape, kind) for _ in range(random_.randint(1, 5))]
        yield _outcome(api, kind, given, weight, gradients)


def _outcome(api: str, kind: str, given: dict[str, Any], weight: Any, gradients: list[Any]) -> Outcome:
    ours: Any
    theirs: Any
    try:
        ours = [item["w"] for item in simulate(api, given, {"w": weight}, [{"w": item} for item in gradients])]
    except ValueError as error:
        ours = str(error)
    try:
        theirs = real(api, given, weight, gradients)
    except (TypeError, ValueError, RuntimeError) as error:
        theirs = str(error).strip().partition("\n")[0]
    if isinstance(ours, str) and isinstance(theirs, str):
        return Outcome(api, kind, "rejected")
    details = f"{api} {given} shape {weight.shape} {kind}"
    if isinstance(ours, str) or isinstance(theirs, str):
        return Outcome(api, kind, "REJECTED BY ONE", f"{details}: {ours if isinstance(ours, str) else theirs}")
    if not any(differing(one, other) for one, other in zip(ours, theirs, strict=True)):
        return Outcome(api, kind, "equal")
    last = [item[-1].reshape(-1)[:4] for item in (ours, theirs)]
    return Outcome(api, kind, "DIFFERS", f"{details}: ours {last[0]}, theirs {last[1]}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", help="only these sizes; may be repeated")
    parser.add_argument("--api", action="append", help="only this class; may be repeated")
    options = parser.parse_args()
    counts: Counter[tuple[str, str, str]] = Counter()
    for item in outcomes(options.configurations, options.seed, options.api or list(RULES), options.kind or EVERY):
        counts[item[:3]] += 1
        if item.details and counts[item[:3]] == 1:
            print(f"{item.result}: {item.details}", flush=True)
        if counts.total() % 500 == 0:
            print(f"{counts.total()} configurations", flush=True)
    for result in dict.fromkeys(result for _, _, result in counts):
        print(result, sum(count for key, count in counts.items() if key[2] == result))
    for (api, kind, result), count in sorted(counts.items()):
        if result.isupper():
            print(f"{api:45} {kind:9} {result} {count}")


if __name__ == "__main__":
    main()
