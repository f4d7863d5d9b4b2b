"""What `optmap translate` does with each translated file: it is printed, written or only counted, as the mode says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from optmap.cli.translate import Request
from optmap.commands.common import BASELINE, UsageError
from optmap.commands.progress import Progress
from optmap.config import Settings
from optmap.diagnostics import UNREADABLE, Diagnostic, Severity
from optmap.report import REPORTS
from optmap.report.left import show_file
from optmap.report.text import notebook_diff, show_statistics, show_summary, unified_diff
from optmap.shown import count, shown
from optmap.translate.files import TranslatedFile
from optmap.translate.results import FileResult
from optmap.translate.write import WriteError, replace_file, write_new

if TYPE_CHECKING:
    from optmap.commands.baseline import Baseline

STDIN: Final = "-"


def results_directory(request: Request) -> Path | None:
    """The directory that results are written to; None where there is none."""
    several = len(request.paths) > 1 or Path(request.paths[0]).is_dir()
    return Path(request.output) if request.output is not None and (several or Path(request.output).is_dir()) else None


def _below(path: str, directory: str) -> bool:
    return os.path.commonpath([path, directory]) == directory


class OutcomeHandler:
    """Consumes the outcomes one by one, prints or writes them as the mode asks, and collects what decides the exit code."""

    def __init__(self, request: Request, configured: Settings, before: Baseline | None = None) -> None:
        self.before = before
        self.request = request
        self.configured = configured
        self.single = len(request.paths) == 1 and not Path(request.paths[0]).is_dir()
        chosen = request.modes[0] if request.modes else "--stdout" if self.single else "--diff"
        self.mode = "--check" if request.write_baseline else chosen
        self.reporting = request.format in REPORTS
        self.kept: list[TranslatedFile] = []
        self.written: dict[tuple[int, int], Path] = {}
        self.failed = self.refused = self.warned = self.changed = self.marked = False

    def run(self, outcomes: Iterable[TranslatedFile]) -> int:
        """Handle every file, then what is said of all of them. Returns the exit code."""
        progress = Progress("files read")
        for number, outcome in enumerate(outcomes, 1):
            self._handle(outcome, progress)
            progress.step(number)
        progress.clear()
        if self.request.write_baseline:
            return self._write_baseline()
        results = [item.result for item in self.kept]
        if self.reporting:
            sys.stdout.write(
                REPORTS[self.request.format]([(str(item.path), self._told(item.result)) for item in self.kept])
            )
        elif self.mode != "--stdout" and not self.configured.quiet:
            show_summary(results, self.mode)
        if self.configured.statistics and not self.reporting:
            show_statistics(results)
        sys.stdout.flush()
        return self._exit_code()

    def _handle(self, outcome: TranslatedFile, progress: Progress) -> None:
        """Write the file and show it, as the mode asks, and keep what the report is made of."""
        outcome = self._store(outcome)
        path = None if str(outcome.path) == STDIN else outcome.path
        outcome = outcome._replace(result=self.configured.selection.of(path, outcome.result))
        if self.before is not None and path is not None:
            outcome = outcome._replace(result=self.before.of(path, outcome.result, checking=self.mode == "--check"))
        self._score(outcome)
        wanted = outcome.result.changed or outcome.result.diagnostics or outcome.marks or self.mode == "--stdout"
        if wanted and not self.request.write_baseline:
            progress.clear()
            self._show(outcome)
        if self.reporting or outcome.result.diagnostics or outcome.result.calls:
            self.kept.append(outcome._replace(before=b"", result=outcome.result._replace(output=b"")))

    def _told(self, result: FileResult) -> FileResult:
        """What a report holds of a result: annotations of a pull request are few, and leave out notes unless asked for."""
        if self.request.format != "github" or self.configured.verbose:
            return result
        kept = tuple(item for item in result.diagnostics if item.severity is not Severity.INFO)
        return result._replace(diagnostics=kept)

    def _write_baseline(self) -> int:
        from optmap.commands.baseline import text as baseline_of

        path = Path(self.request.baseline or BASELINE)
        try:
            write_new(path, baseline_of(((item.path, item.result) for item in self.kept), path.parent).encode())
        except WriteError as error:
            raise UsageError(f"--write-baseline: {path} cannot be written: {error}") from None
        return 2 if self.failed else 0

    def _exit_code(self) -> int:
        if self.failed:
            return 2
        would_change = self.mode == "--check" and (self.changed or self.marked)
        return int(self.refused or would_change or (self.configured.strict and self.warned))

    def _score(self, outcome: TranslatedFile) -> None:
        result = outcome.result
        self.failed = self.failed or result.error is not None
        self.refused = self.refused or (result.refused and result.error is None)
        self.warned = self.warned or any(item.severity is Severity.WARNING for item in result.diagnostics)
        self.changed = self.changed or result.changed
        self.marked = self.marked or outcome.marks > 0

    def _store(self, outcome: TranslatedFile) -> TranslatedFile:
        """Write the file if the mode says so; a failure to write is added to the outcome."""
        try:
            if self.mode == "--write" and outcome.result.changed:
                replace_file(outcome.path, outcome.before, outcome.result.output)
            elif self.mode == "--output" and not _unread(outcome):
                destination = self._destination(outcome)
                self._require_own(destination)
                first = self.written.get(_identity(destination), outcome.path)
                if first != outcome.path:
                    raise WriteError(f"{destination} already holds the result of {first}")
                write_new(destination, _content(outcome), like=outcome.path)
                self.written[_identity(destination)] = outcome.path
        except WriteError as error:
            message = f"cannot be written: {error}"
            diagnostics = (*outcome.result.diagnostics, Diagnostic(UNREADABLE, message, 1, 1))
            result = outcome.result._replace(changed=False, error=message, diagnostics=diagnostics)
            return outcome._replace(result=result)
        return outcome

    def _require_own(self, destination: Path) -> None:
        """Raise WriteError where links lead out of the directory of results, or where a file that is read would be replaced."""
        real, results = os.path.realpath(destination), results_directory(self.request)
        if results is None:
            return
        if not _below(real, os.path.realpath(results)):
            raise WriteError(f"{destination} leads out of {results}")
        read = [os.path.realpath(path) for path in self.request.paths]
        if any(_below(real, path) and not _below(os.path.realpath(results), path) for path in read):
            raise WriteError(f"{destination} is one of the files that are read; --write replaces them")

    def _destination(self, outcome: TranslatedFile) -> Path:
        assert self.request.output is not None
        output = Path(self.request.output)
        if self.single and not output.is_dir():
            return output
        if outcome.path == outcome.base:
            return output / outcome.path.name
        base = output if len(self.request.paths) == 1 else output / outcome.base.resolve().name
        return base / outcome.path.relative_to(outcome.base)

    def _show(self, outcome: TranslatedFile) -> None:
        if self.reporting:
            return
        name = "<stdin>" if str(outcome.path) == STDIN else str(outcome.path)
        if self.mode == "--stdout":
            sys.stdout.flush()
            sys.stdout.buffer.write(_content(outcome))
            sys.stdout.buffer.flush()
        elif self.mode == "--diff" and outcome.result.cells:
            notebook_diff(name, outcome.result.cells)
        elif self.mode == "--diff" and outcome.result.changed:
            unified_diff(name, outcome.before, outcome.result.output)
        elif self.mode == "--check" and outcome.result.changed:
            print(f"would change {shown(name)}")
        if self.mode == "--check" and outcome.marks:
            print(f"{shown(name)}: {count(outcome.marks, 'mark')} of --todo left")
        if self.single or outcome.result.diagnostics or outcome.result.calls:
            show_file(name, outcome.result, verbose=self.configured.verbose, quiet=self.configured.quiet)


def _unread(outcome: TranslatedFile) -> bool:
    return outcome.result.error is not None and not outcome.before


def _identity(path: Path) -> tuple[int, int]:
    """The file that a name stands for: names that differ by case alone may be one file's."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_dev, status.st_ino


def _content(outcome: TranslatedFile) -> bytes:
    """The bytes to output; those of the input where nothing changed."""
    return outcome.result.output if outcome.result.changed else outcome.before
