"""`optmap check`: from options to a report and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from optmap.cli.check import Request
from optmap.commands.common import (
    BASELINE,
    UsageError,
    choice,
    framework,
    interpreter,
    known_frameworks,
    read_baseline,
    reports_usage_errors,
    settings,
    tables,
)
from optmap.commands.progress import Progress
from optmap.conformance.api import check
from optmap.conformance.baseline import compared, known
from optmap.conformance.baseline import text as text_of
from optmap.conformance.results import FailOn, Report
from optmap.conformance.select import CheckError, read_setting
from optmap.files import FoundFile, find_files
from optmap.report import CHECK_FORMATS
from optmap.report.check_text import draws, show
from optmap.shown import shown_lines
from optmap.translate.write import WriteError, write_new

PASSED: Final = 0
NOT_AS_EXPECTED: Final = 1
NOTHING_RAN: Final = 2
USUAL: Final = 0.06
"""Seconds that a comparison takes on an ordinary machine."""


@reports_usage_errors
def run(request: Request) -> int:
    """Carry out the request, print the report, and return the exit code."""
    choice(request.format, "--format", tuple(name for name in CHECK_FORMATS if name != "html"))
    choice(request.fail_on, "--fail-on", tuple(FailOn))
    page = _page(request.report)
    old = None if request.write_baseline else request.baseline
    before = read_baseline(Path(old), known) if old is not None else None
    progress = Progress("comparisons", USUAL)
    try:
        found = _check(request, progress)
    except CheckError as error:
        raise UsageError(str(error)) from None
    finally:
        progress.clear()
    if request.write_baseline and found.ran:
        _write(Path(request.baseline or BASELINE), text_of(found), "--write-baseline")
        return PASSED
    if before is not None:
        found = compared(found, before)
    if page is not None:
        _write(page, _report(found))
    if request.format == "text":
        show(found)
    else:
        sys.stdout.write(CHECK_FORMATS[request.format](found))
    sys.stdout.flush()
    return _exit_code(found)


def _check(request: Request, progress: Progress) -> Report:
    configured = settings()
    known = known_frameworks(request.mappings, configured)
    to = framework(request.to, "--to", known) if request.to else configured.to
    sources = [framework(name, "--from", known) for name in request.sources if name != "auto"]
    return check(
        request.optimizers,
        paths=_files(request.paths, configured.exclude),
        everything=request.everything,
        sources=sources or None,
        to=to,
        steps=request.steps,
        seed=request.seed,
        dtypes=request.dtype or ("float32", "float64"),
        scenarios=request.scenarios or None,
        hyperparameters=dict(map(read_setting, request.set)),
        require=request.require,
        interpreters=dict(map(interpreter, request.python)),
        schedules=request.schedules,
        fail_on=request.fail_on,
        time_limit=request.time_limit,
        tables=tables(request.mappings, configured),
        courses=request.report is not None or (request.format == "text" and draws() and not request.everything),
        progress=progress.step,
        doing=progress.at,
    )


def _exit_code(report: Report) -> int:
    if report.passed:
        return PASSED
    if report.ran:
        return NOT_AS_EXPECTED
    reasons = "".join(f"\n  {name}: {reason}" for name, reason in report.failures.items())
    stated = any(result.pair.not_run for result in report.results)
    why = (
        "the tables say that it cannot run"
        if stated
        else "no class of the target can express a call in these scenarios"
    )
    sys.stderr.write(shown_lines(f"optmap: error: nothing ran{reasons or f': {why}'}") + "\n")
    return NOTHING_RAN


def _files(paths: Sequence[str], exclude: Sequence[str]) -> list[Path]:
    """Replace directories by the source files below them. Raises UsageError for a path that cannot be read."""
    files: list[Path] = []
    for path in map(Path, paths):
        for found in find_files([path], exclude) if path.is_dir() else [FoundFile(path, path)]:
            if found.error is not None:
                raise UsageError(f"{found.path} cannot be read: {found.error}")
            files.append(found.path)
    return files


def _page(path: str | None) -> Path | None:
    """The path of the HTML report, validated before anything runs. Raises UsageError."""
    if path is None:
        return None
    page = Path(path)
    if page.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--report: found {path!r}, expected a name that ends in .html")
    if not page.parent.is_dir():
        raise UsageError(f"--report: there is no directory {page.parent}")
    return page


def _report(found: Report) -> str:
    """The HTML report, with the command and the time at which it was made."""
    import shlex
    from datetime import UTC, datetime

    from optmap.report.check_html import render

    return render(found, command=shlex.join(["optmap", *sys.argv[1:]]), date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def _write(page: Path, text: str, option: str = "--report") -> None:
    try:
        write_new(page, text.encode("utf-8", "backslashreplace"))
    except WriteError as error:
        raise UsageError(f"{option}: {page} cannot be written: {error}") from None
