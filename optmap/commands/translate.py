"""`optmap translate`: from options to output, report and exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from optmap.commands.common import (
    BASELINE,
    UsageError,
    baseline_text,
    choice,
    known_frameworks,
    reports_usage_errors,
    settings,
    tables,
    versioned,
)
from optmap.config import Settings
from optmap.diagnostics import UNREADABLE, Diagnostic, Severity
from optmap.files import FoundFile, find_files
from optmap.mapping.frameworks import DEFAULT
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.reading import MAXIMUM_BYTES
from optmap.report import REPORTS
from optmap.report.left import count, show_file
from optmap.report.text import Progress, notebook_diff, show_statistics, show_summary, unified_diff
from optmap.selection import parse_codes
from optmap.shown import shown
from optmap.translate.files import TranslatedFile, suffix_of, translate_content, translate_files
from optmap.translate.options import QUANTITIES, Options, check_parameters
from optmap.translate.results import FileResult
from optmap.translate.write import WriteError, replace_file, write_new
from optmap.values import NamedTuple

if TYPE_CHECKING:
    from optmap.commands.baseline import Baseline

STDIN = "-"


class Request(NamedTuple):
    """The options as given."""

    paths: Sequence[str]
    source: str | None
    to: str | None
    modes: tuple[str, ...]
    output: str | None
    prefer: str
    faithful: bool
    params: str | None
    strict: bool
    format: str
    jobs: int
    mappings: tuple[Path, ...]
    set: tuple[str, ...] = ()
    rewrite_step: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    verbose: bool = False
    quiet: bool = False
    statistics: bool = False
    todo: bool = False
    baseline: str | None = None
    write_baseline: bool = False


@reports_usage_errors
def run(request: Request) -> int:
    """Carry out the request and return the exit code."""
    configured = settings()
    choice(request.format, "--format", ("text", *REPORTS))
    if len(request.modes) > 1:
        raise UsageError(f"found {' and '.join(request.modes)}, expected at most one of them")
    for name, value in (("--output", request.output), ("--params", request.params), ("PATH", min(request.paths))):
        if value == "":
            raise UsageError(f"{name}: found an empty string")
    if STDIN in request.paths and request.output is not None and Path(request.output).is_dir():
        raise UsageError(f"--output: found the directory {request.output}, expected a file name for standard input")
    if STDIN in request.paths and (len(request.paths) > 1 or "--write" in request.modes):
        raise UsageError("found - (standard input) together with other paths or --write, expected - alone")
    results = _results(request)
    if results is not None and any(Path(path).is_dir() and _same(path, results) for path in request.paths):
        raise UsageError(f"--output: found {results}, which is read; --write replaces its files")
    options = _options(request, configured)
    extra = (*configured.mappings, *request.mappings)
    loaded = tables(request.mappings, configured).at(dict(options.versions))
    single = len(request.paths) == 1 and not Path(request.paths[0]).is_dir()
    mode = request.modes[0] if request.modes else "--stdout" if single else "--diff"
    configured = _told(request, configured)
    mode = "--check" if request.write_baseline else mode
    before = _before(request)
    outcomes = _outcomes(request, configured, loaded, options, extra)
    with closing(outcomes):
        return _OutcomeHandler(request, configured, mode, single, before).run(outcomes)


def _before(request: Request) -> Baseline | None:
    """The baseline to hold the results against. Raises UsageError."""
    if request.write_baseline and request.modes not in ((), ("--check",)):
        raise UsageError(f"found --write-baseline and {request.modes[0]}, expected one of them")
    if request.write_baseline or request.baseline is None:
        return None
    from optmap.commands.baseline import Baseline, BaselineError

    path = Path(request.baseline)
    try:
        return Baseline(baseline_text(path), path.parent)
    except BaselineError as error:
        raise UsageError(f"--baseline: {path}: {error}") from None


def _told(request: Request, configured: Settings) -> Settings:
    """The settings, with what the command line says of reporting. Raises UsageError."""
    if request.verbose and request.quiet:
        raise UsageError("found --verbose and --quiet, expected one of them")
    select, ignore = _codes("--select", request.select), _codes("--ignore", request.ignore)
    old = configured.selection
    return configured._replace(
        selection=old._replace(select=select or old.select, ignore=ignore or old.ignore),
        strict=request.strict or configured.strict,
        exclude=(*configured.exclude, *request.exclude),
        verbose=request.verbose or (configured.verbose and not request.quiet),
        quiet=request.quiet or (configured.quiet and not request.verbose),
        statistics=request.statistics or configured.statistics,
    )


def _codes(option: str, texts: Sequence[str]) -> frozenset[str]:
    try:
        return parse_codes(texts)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _options(request: Request, configured: Settings) -> Options:
    known = known_frameworks(request.mappings, configured)
    target, versions = versioned(request.to, "--to", known) if request.to else (configured.to or known[DEFAULT], {})
    given = request.source or configured.source or "auto"
    sources = frozenset(known.values()) - {target}
    if given != "auto":
        source, chosen = versioned(given, "--from", known)
        sources, versions = frozenset({source}), versions | chosen
    if target in sources:
        raise UsageError(f"found --from {target} and --to {target}, expected two different frameworks")
    params = request.params if request.params is not None else configured.params
    if params is not None:
        try:
            check_parameters(params)
        except ValueError as error:
            raise UsageError(f"--params: {error}") from None
    checking = request.modes == ("--check",)
    pinned = tuple({**configured.versions, **versions}.items())
    return Options(
        target, sources, _prefer(request, configured), params, prove=not checking, versions=pinned,
        quantities=tuple(sorted({**configured.set, **dict(quantities(request.set))}.items())),
        rewrite_step=request.rewrite_step or configured.rewrite_step, todo=request.todo or configured.todo,
    )  # fmt: skip


def _prefer(request: Request, configured: Settings) -> Prefer:
    if request.prefer:
        prefer = Prefer(choice(request.prefer, "--prefer", tuple(Prefer)))
        if request.faithful and prefer is not Prefer.FAITHFUL:
            raise UsageError(f"found --faithful and --prefer {prefer}, expected one of them")
        return prefer
    return Prefer.FAITHFUL if request.faithful else configured.prefer


def quantities(settings: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Parse `NAME=N`, which gives schedules quantities that the file does not show. Raises UsageError."""
    found: dict[str, int] = {}
    for text in settings:
        name, equals, number = text.partition("=")
        if not equals or name not in QUANTITIES:
            raise UsageError(f"--set: found {text!r}, expected {' or '.join(f'{item}=N' for item in QUANTITIES)}")
        if not number.isdecimal() or not 0 < int(number) < 2**63:
            raise UsageError(f"--set {name}: found {number!r}, expected a whole number above 0")
        found[name] = int(number)
    return tuple(sorted(found.items()))


def _outcomes(
    request: Request, configured: Settings, loaded: MappingSet, options: Options, extra: tuple[Path, ...]
) -> Generator[TranslatedFile]:
    if list(request.paths) == [STDIN]:
        if sys.stdin is None:
            raise UsageError("-: standard input is closed")
        data = sys.stdin.buffer.read(8 * MAXIMUM_BYTES + 1)
        if len(data) > 8 * MAXIMUM_BYTES:
            raise UsageError(f"-: found more than {8 * MAXIMUM_BYTES} bytes on standard input")
        yield TranslatedFile(Path(STDIN), Path(STDIN), data, translate_content(suffix_of(data), data, loaded, options))
        return
    found: Iterable[FoundFile] = find_files(
        [Path(path) for path in request.paths], configured.exclude, _results(request)
    )
    jobs = request.jobs or os.cpu_count() or 1
    keep = "--output" in request.modes or not request.modes
    yield from translate_files(found, loaded, options, jobs=jobs, mappings=extra, keep=keep)


def _results(request: Request) -> Path | None:
    """The directory that results are written to; None where there is none."""
    several = len(request.paths) > 1 or Path(request.paths[0]).is_dir()
    return Path(request.output) if request.output is not None and (several or Path(request.output).is_dir()) else None


def _same(one: str, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _below(path: str, directory: str) -> bool:
    return os.path.commonpath([path, directory]) == directory


class _OutcomeHandler:
    """Consumes the outcomes one by one, prints or writes them as the mode asks, and collects what decides the exit code."""

    def __init__(
        self, request: Request, configured: Settings, mode: str, single: bool, before: Baseline | None = None
    ) -> None:
        self.before = before
        self.request = request
        self.configured = configured
        self.mode = mode
        self.single = single
        self.reporting = request.format in REPORTS
        self.kept: list[TranslatedFile] = []
        self.written: dict[str, Path] = {}
        self.failed = self.refused = self.warned = self.changed = self.marked = False

    def run(self, outcomes: Iterable[TranslatedFile]) -> int:
        progress = Progress()
        for number, outcome in enumerate(outcomes, 1):
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
            progress.step(number)
            if self.reporting or outcome.result.diagnostics or outcome.result.calls:
                light = outcome._replace(before=b"", result=outcome.result._replace(output=b""))
                self.kept.append(light)
        progress.clear()
        if self.request.write_baseline:
            return self._write_baseline()
        if self.reporting:
            results = [(str(item.path), self._told(item.result)) for item in self.kept]
            sys.stdout.write(REPORTS[self.request.format](results))
        elif self.mode != "--stdout" and not self.configured.quiet:
            show_summary([item.result for item in self.kept], self.mode)
        if self.configured.statistics and not self.reporting:
            show_statistics([item.result for item in self.kept])
        sys.stdout.flush()
        return self._exit_code()

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
                first = self.written.setdefault(os.path.realpath(destination), outcome.path)
                if first != outcome.path:
                    raise WriteError(f"{destination} already holds the result of {first}")
                write_new(destination, _content(outcome), like=outcome.path)
        except WriteError as error:
            message = f"cannot be written: {error}"
            diagnostics = (*outcome.result.diagnostics, Diagnostic(UNREADABLE, message, 1, 1))
            result = outcome.result._replace(changed=False, error=message, diagnostics=diagnostics)
            return outcome._replace(result=result)
        return outcome

    def _require_own(self, destination: Path) -> None:
        """Raise WriteError where links lead out of the directory of results, or where a file that is read would be replaced."""
        real, results = os.path.realpath(destination), _results(self.request)
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


def _content(outcome: TranslatedFile) -> bytes:
    """The bytes to output; those of the input where nothing changed."""
    return outcome.result.output if outcome.result.changed else outcome.before
