"""The machine-readable report of `check`; its keys are a contract."""

from __future__ import annotations

import json
import math
from typing import Any

from optmap.conformance.results import Level, Report, Result
from optmap.report.check_summary import counts, identity


def document(report: Report) -> dict[str, Any]:
    """The report as plain values. It holds no time and no path of this machine, so that equal reports are equal documents."""
    return {
        "version": 1,
        "engines": dict(report.engines),
        "failures": dict(report.failures),
        "results": [
            {"id": name, **_row(result)} for name, result in zip(identity(report.results), report.results, strict=True)
        ],
        "refused": [{**vars(item), "hyperparameters": dict(item.hyperparameters), "reasons": list(item.reasons)}
                    for item in report.refused],
        "summary": {**counts(report), "fail_on": str(report.fail_on), "passed": report.passed},
    }  # fmt: skip


def render(report: Report) -> str:
    """The report as one JSON document with a final newline."""
    return json.dumps(document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _row(result: Result) -> dict[str, Any]:
    pair, measured, rest = result.pair, result.divergence, result.remainder
    return {
        "source": pair.source,
        "target": pair.target,
        "scenario": result.scenario,
        "dtype": result.dtype,
        "hyperparameters": dict(pair.hyperparameters),
        "target_arguments": dict(pair.arguments),
        "mode": str(result.mode),
        "steps": result.steps,
        "max_abs": measured and _finite(measured.max_abs),
        "max_ulp": measured and measured.max_ulp,
        "drift": measured and _finite(measured.drift),
        "first_step_over": measured and measured.first_step_over,
        "parameter": measured and measured.parameter,
        "level": measured and str(measured.level),
        "expected": str(result.expected),
        "causes": list(result.causes),
        "explained": rest and rest.level.rank <= Level.EQUIVALENT.rank,
        "remainder": rest and _finite(rest.max_abs),
        "verdict": str(result.verdict),
        "reason": result.reason,
        "engine": result.engine,
        "noise_floor": None if result.noise_floor is None else _finite(result.noise_floor),
        "origin": pair.origin or None,
        "row": pair.row or None,
        "scale": result.scale,
        "notes": list(pair.notes),
        "assumed": list(map(str, pair.assumed)),
        "assumed_values": {item.name: item.value for item in pair.assumed},
        "groups": list(map(dict, pair.groups)) or None,
        "stated": bool(pair.not_run),
        "accepted": result.accepted,
        "chosen": pair.chosen,
        "chosen_documented": pair.chosen_documented,
        "chosen_faithful": pair.chosen_faithful,
    }


def _finite(value: float) -> float | str:
    """The value; the names of infinity and NaN, which JSON lacks (the level is then DIVERGENT)."""
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity"
