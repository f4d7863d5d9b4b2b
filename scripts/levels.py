"""Write mappings/levels.json from the results of `optmap check`, or compare it with them.

optmap check --all --format json >check.json
python scripts/levels.py check.json             # compare: exit 1 and a line for each pair that differs
python scripts/levels.py check.json --summary   # the same, what is not as expected, and the largest remainder
python scripts/levels.py check.json --write
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optmap.conformance.catalog import SILENT
from optmap.mapping.measured import NAME
from optmap.mapping.stored import default_directory

ORDER = ("IDENTICAL", "EQUIVALENT", "CLOSE", "DIVERGENT")
COMMAND = "optmap check --all --format json"


def levels(check: dict[str, Any]) -> dict[str, Any]:
    """The measured levels of all pairs, at the defaults or else at the sample arguments, from the JSON of a check."""
    found: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for result in check["results"]:
        counts = result["mode"] == "forced" and result["scenario"] != SILENT
        if counts and result["row"] is None and result["level"] is not None:
            pair = found.setdefault((result["source"], result["target"]), {"float32": {}, "float64": {}})
            pair[result["dtype"]][result["scenario"]] = result["level"]
    return {
        "about": "Measured at the defaults, or at the samples where those are refused, by the command below, worst over all "
        "scenarios; scripts/levels.py writes it.",
        "command": COMMAND,
        "engines": check["engines"],
        "pairs": [
            {
                "source": source, "target": target, "float32": _worst(pair["float32"]), "float64": _worst(pair["float64"]),
                "scenarios": _by_level(pair["float32"]),
            }
            for (source, target), pair in sorted(found.items())
        ],
    }  # fmt: skip


def _worst(scenarios: dict[str, str]) -> str:
    return max(scenarios.values(), key=ORDER.index)


def _by_level(scenarios: dict[str, str]) -> dict[str, list[str]]:
    """Scenarios by level. If there are several levels, IDENTICAL counts as EQUIVALENT, because that depends on the processor."""
    if len(set(scenarios.values())) > 1:
        scenarios = {name: "EQUIVALENT" if found == "IDENTICAL" else found for name, found in scenarios.items()}
    return {
        level: [name for name, found in scenarios.items() if found == level]
        for level in ORDER
        if level in scenarios.values()
    }


def differences(kept: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The differences of a new run. IDENTICAL and EQUIVALENT count as equal, because that depends on the processor."""
    before, after = ({(item["source"], item["target"]): item for item in run["pairs"]} for run in (kept, new))
    found = [f"{' -> '.join(pair)} was not measured" for pair in sorted(before.keys() - after.keys())]
    found += [f"{' -> '.join(pair)} is not in {NAME}" for pair in sorted(after.keys() - before.keys())]
    for pair in sorted(before.keys() & after.keys()):
        for dtype in ("float32", "float64"):
            old, now = before[pair][dtype], after[pair][dtype]
            if old != now and not {old, now} <= {"IDENTICAL", "EQUIVALENT"}:
                found.append(f"{' -> '.join(pair)} in {dtype}: {NAME} has {old}, measured {now}")
    return found


def _summary(check: dict[str, Any]) -> Iterator[str]:
    """The counts of a check, and the results that are not as expected."""
    yield ", ".join(f"{name} {value}" for name, value in check["summary"].items())
    for result in check["results"]:
        if result["mode"] != "free" and result["verdict"] != "AS_EXPECTED" and not result["stated"]:
            call = f"{result['source']} -> {result['target']} {result['hyperparameters']}"
            yield f"{result['verdict']} {call} in {result['scenario']}, {result['dtype']}: {result['reason']}"


def _remainder(check: dict[str, Any]) -> str:
    """The largest difference in float64 that is left of a stated one once its causes are taken away."""
    explained = [result for result in check["results"] if result["remainder"] is not None]
    if not explained:
        return "no difference is explained"
    pairs = {(result["source"], result["target"]) for result in explained}
    worst = max(explained, key=lambda result: float(result["remainder"]))
    where = f"{worst['source']} -> {worst['target']} {worst['hyperparameters']} in {worst['scenario']}"
    left = f"{float(worst['remainder']):.3g}, of {where}"
    return f"{len(pairs)} pairs with stated differences; the largest remainder in float64 is {left}"


def text(document: dict[str, Any]) -> str:
    """The text of the file, with one line per pair, so that diffs are readable."""
    pairs = ",\n".join(f"  {json.dumps(item)}" for item in document["pairs"])
    head = json.dumps({**document, "pairs": []}, indent=1).removesuffix("]\n}")
    return f"{head}\n{pairs}\n ]\n}}\n"


def _check(path: str) -> dict[str, Any]:
    """The results of a check, which an argument names."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return {key: found[key] for key in ("results", "engines", "summary")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{path} is not what `{COMMAND}` prints: {error!r}") from None


def main() -> int:
    """Compare or write as the arguments ask, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", type=_check, metavar="check.json")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write the levels")
    mode.add_argument("--summary", action="store_true", help="also print what is not as expected")
    given = parser.parse_args()
    new = levels(given.check)
    path = default_directory() / NAME
    if given.write:
        path.write_text(text(new), encoding="utf-8")
        return 0
    if given.summary:
        print(*_summary(given.check), _remainder(given.check), sep="\n")
    found = differences(json.loads(path.read_text(encoding="utf-8")), new)
    print("\n".join(found) or f"{len(new['pairs'])} pairs were measured as {NAME} has them")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
