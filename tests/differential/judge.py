"""The verdict on a program: what the translator said of it, and what the two sides did."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from optmap.diagnostics import Severity
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.differential.outcome import Array, Job, Outcome
from tests.differential.pool import Pool
from tests.differential.program import Program

NUMERIC: Final = frozenset({"OM111", "OM409"})
"""Codes that say that numbers differ, whatever the program."""
ADVICE: Final = frozenset({"OM404", "OM402", "OM401"})
"""Codes that say that the result cannot run yet."""
STEP: Final = "OM401"
"""The code that says that a training loop is still the source's."""
SMALL: Final = "OM110"
"""The code that says that a difference is small."""
PRACTICAL: Final = 0.01
"""What is small: this share of the distance that the weights travelled."""
ROUNDING: Final = 2e-5
"""What float32 may lose in a handful of steps, relative to the largest number of an array."""
CHAOS: Final = 50.0
"""How many times as far as a last-bit change of the first weights leads two sides may be apart."""


class Verdict(StrEnum):
    EQUAL = "equal"
    REFUSED = "refused"
    WARNED = "warned"
    KNOWN = "known"
    FAILED = "failed"
    INVALID = "invalid"


class Judgement(NamedTuple):
    """A verdict with its reason. `kind` is short: two failures with the same kind and parts have one cause."""

    verdict: Verdict
    kind: str = ""
    detail: str = ""
    output: str = ""
    codes: tuple[str, ...] = ()


class Direction(NamedTuple):
    source: str
    target: str
    rewrite: bool

    def __str__(self) -> str:
        return f"{self.source}->{self.target}{' --rewrite-step' if self.rewrite else ''}"


def translated(program: Program, direction: Direction) -> FileResult:
    options = Options(
        Framework(direction.target), frozenset({Framework(direction.source)}), rewrite_step=direction.rewrite
    )
    return translate_bytes(program.text.encode(), load(), options)


def judge(program: Program, direction: Direction, pool: Pool, before: Outcome | None = None) -> Judgement:
    """Translate a program, and run both sides unless it was refused. `before` is what the source did, if known."""
    if is_wrong(program.text):
        return Judgement(Verdict.INVALID, "no Python")
    try:
        result = translated(program, direction)
    except Exception as error:
        return Judgement(Verdict.FAILED, f"traceback {type(error).__name__}", f"{type(error).__name__}: {error}")
    said = [item for item in result.diagnostics if item.severity is not Severity.INFO]
    codes = tuple(sorted({item.code.id for item in result.diagnostics}))
    output = result.output.decode()
    if "OM004" in codes:
        message = next(item.message for item in said if item.code.id == "OM004")
        return Judgement(Verdict.FAILED, "unproved OM004", message, output, codes)
    if not result.changed:
        verdict = Verdict.REFUSED if said else Verdict.FAILED
        return Judgement(verdict, "" if said else "unchanged without a word", "", output, codes)
    try:
        compile(output, "output", "exec")
    except SyntaxError as error:
        return Judgement(Verdict.FAILED, "syntax error", str(error), output, codes)
    if direction.rewrite and "OM403" not in codes:
        verdict = Verdict.REFUSED if said else Verdict.FAILED
        return Judgement(verdict, "" if said else "step without a word", "", output, codes)
    if program.replay and any(item.severity is Severity.ERROR for item in said):
        return Judgement(Verdict.REFUSED, "", "", output, codes)
    replay = program.source if program.replay else None
    before = before or pool.run(direction.source, Job(program.text, program.task, replay=replay))
    if before.error or not bounded(before):
        return Judgement(Verdict.INVALID, before.error or "diverges", "", output, codes)
    after = pool.run(direction.target, Job(output, program.task, replay=replay))
    kind, detail = compare(program, direction, before, after, output, pool)
    if not kind:
        return Judgement(Verdict.EQUAL, "", "", output, codes)
    if SMALL in codes and kind == "weights differ" and small(before, after):
        return Judgement(Verdict.EQUAL, "", "", output, codes)
    warned = {item.code.id for item in said}
    advice = ADVICE if not program.replay or (STEP in warned and in_loop(output, after)) else frozenset()
    left = bool(warned & advice) or any(item.severity is Severity.ERROR for item in said)
    true = warned & (NUMERIC | program.warns) or (kind.startswith("crash") and left)
    return Judgement(Verdict.WARNED if true else Verdict.FAILED, kind, detail, output, codes)


def is_wrong(text: str) -> bool:
    """Whether a program is none, though it can be parsed: it may have a `break` outside of a loop."""
    try:
        compile(text, "program", "exec")
    except SyntaxError:
        return True
    return False


def in_loop(output: str, after: Outcome) -> bool:
    """Whether a program ended in its training loop."""
    lines = output.split("\n")
    loop = next(number for number, line in enumerate(lines, 1) if line.strip().startswith("for epoch in"))
    return bool(after.lines) and after.lines[-1] >= loop


def compare(
    program: Program, direction: Direction, before: Outcome, after: Outcome, output: str, pool: Pool
) -> tuple[str, str]:
    """In what way two runs differ, with details; empty if they are equal to rounding."""
    if after.error:
        lines = output.split("\n")
        where = [f"{number}: {lines[number - 1].strip()}" for number in after.lines if 0 < number <= len(lines)]
        return f"crash {after.error.partition(':')[0]}", f"{after.error} at {' > '.join(where)}"
    apart = distance(before, after)
    if apart[0] <= ROUNDING:
        return "", ""
    if apart[0] < np.inf:
        disturbed = pool.run(
            direction.source,
            Job(program.text, program.task, jitter=2e-7, replay=program.source if program.replay else None),
        )
        if disturbed.error is None and apart[0] <= CHAOS * distance(before, disturbed)[0]:
            return "", ""
    return apart[1], apart[2]


def distance(one: Outcome, two: Outcome) -> tuple[float, str, str]:
    """The largest relative difference, what differs, and details."""
    found = (0.0, "", "")
    for name in one.weights:
        if name not in two.weights:
            return np.inf, "a model is missing", f"{name} among {sorted(two.weights)}"
        first, second = one.weights[name], two.weights[name]
        shapes = [value.shape for value in first], [value.shape for value in second]
        if shapes[0] != shapes[1]:
            return np.inf, "other shapes", f"{name}: {shapes[0]} and {shapes[1]}"
        if "statistics" in name:
            continue
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            found = max(found, (apart(a, b), "weights differ", f"{name}[{index}]: {_short(a)} and {_short(b)}"))
    if len(one.history) != len(two.history):
        return np.inf, "history differs", f"{len(one.history)} and {len(two.history)} numbers"
    losses = apart(np.array(one.history), np.array(two.history))
    if losses > found[0]:
        found = (losses, "history differs", f"{_short(np.array(one.history))} and {_short(np.array(two.history))}")
    return found


def bounded(outcome: Outcome) -> bool:
    """Whether the numbers stay such that rounding errors stay small."""
    values = [np.array(outcome.history), *(value for found in outcome.weights.values() for value in found)]
    return all(bool((np.abs(value) < 1e4).all()) for value in values)


def small(before: Outcome, after: Outcome) -> bool:
    """Whether each model's weights are as good as equal, measured by the distance that they travelled."""
    for name, start in before.start.items():
        far = max(float(np.abs(a - b).max()) for a, b in zip(start, before.weights[name], strict=True))
        for a, b in zip(before.weights[name], after.weights[name], strict=True):
            if not np.abs(a - b).max() <= PRACTICAL * far:
                return False
    return True


def apart(one: Array, two: Array) -> float:
    if one.size == 0:
        return 0.0
    alike = ~np.isfinite(one) & ~np.isfinite(two) | (one == two)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(alike, 0.0, np.abs(one.astype(float) - two.astype(float)))
    if not np.isfinite(gap).all():
        return np.inf
    finite = np.abs(one[np.isfinite(one)]).astype(float)
    return float(gap.max() / max(finite.max(initial=0.0), 1e-2))


def _short(values: Array) -> str:
    return np.array2string(values.ravel()[:8], precision=5, separator=",", max_line_width=200)
