"""One failed run of `check`, in the manner of numpy.testing.assert_allclose, with the command that repeats it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.conformance.results import Mode, Report, Result
from optmap.mapping.values import write_literal
from optmap.report.check_summary import number, share, verdict_words

WIDTH: Final = 80


def failure(result: Result, report: Report) -> Iterator[str]:
    """The lines about a run that does not pass."""
    yield ""
    head = f"{verdict_words(result)} in {result.scenario}, {result.mode}, {result.dtype}, {result.steps} steps, {result.engine}"
    yield from textwrap.wrap(head, WIDTH, initial_indent="  ", subsequent_indent="    ")
    for line in (result.reason or "").splitlines():
        yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    measured = result.divergence
    if measured is not None and measured.first_step_over is not None:
        yield f"  First step over the tolerance: {measured.first_step_over}, in {measured.parameter}"
        if measured.mismatched is not None:
            count, total = measured.mismatched
            yield f"  Mismatched elements there: {count} / {total} ({100 * count / total:.3g}%)"
        yield f"  Max absolute difference: {number(measured.max_abs)}"
        yield f"  Drift: {share(measured.drift)}"
        if measured.values is not None:
            yield f"   source: {_array(measured.values[0])}"
            yield f"   target: {_array(measured.values[1])}"
    yield from command(rerun(result, report), "  Again: ")


def _array(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:.7g}' for value in values)}]"


def command(text: str, head: str) -> Iterator[str]:
    """A command line, continued as a shell wants it where it is too long."""
    lines = textwrap.wrap(
        text, WIDTH - 2, initial_indent=head, subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
    )
    yield from (f"{line} \\" for line in lines[:-1])
    yield from lines[-1:]


def rerun(result: Result, report: Report) -> str:
    """The command that repeats a run."""
    pair = result.pair
    words = ["optmap", "check"]
    if pair.origin:
        words.append(pair.origin.rpartition(":")[0].partition(":cell ")[0])
    elif result.mode is Mode.SCHEDULE:
        words += ["--schedule", pair.source]
    else:
        words += ["--optimizer", pair.source]
    if pair.row or not (pair.chosen or pair.chosen_documented or pair.chosen_faithful):
        words.append("--all")
    elif not pair.origin:
        words += [
            word for name, value in pair.hyperparameters.items() for word in ("--set", f"{name}={write_literal(value)}")
        ]
    words += ["--to", result.engine.partition("-")[0]]
    if result.engine.endswith("-real"):
        words += ["--require", result.engine]
    if result.mode is not Mode.SCHEDULE and not result.scenario.startswith("with-"):
        words += [
            "--scenario",
            result.scenario,
            *(["--dtype", result.dtype] if result.dtype in ("float32", "float64") else []),
        ]
    words += ["--steps", str(result.steps)]
    words += ["--seed", str(report.seed)] if report.seed else []
    return shlex.join(words)
