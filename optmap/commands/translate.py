"""`optmap translate`: from options to output, report and exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from optmap.cli.translate import Request
from optmap.commands.common import (
    UsageError,
    choice,
    direction,
    known_frameworks,
    read_baseline,
    reports_usage_errors,
    settings,
    tables,
)
from optmap.commands.outcomes import STDIN, OutcomeHandler, results_directory
from optmap.config import Settings
from optmap.files import find_files
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.reading import MAXIMUM_BYTES
from optmap.report import REPORTS
from optmap.selection import parse_codes
from optmap.translate.files import TranslatedFile, suffix_of, translate_content, translate_files
from optmap.translate.options import QUANTITIES, Options, check_parameters

if TYPE_CHECKING:
    from optmap.commands.baseline import Baseline


@reports_usage_errors
def run(request: Request) -> int:
    """Carry out the request and return the exit code."""
    configured = settings()
    _check_paths(request)
    options = _options(request, configured)
    loaded = tables(request.mappings, configured).at(dict(options.versions))
    reporting = _reporting(request, configured)
    handler = OutcomeHandler(request, reporting, _baseline(request))
    with closing(_outcomes(request, reporting, loaded, options)) as outcomes:
        return handler.run(outcomes)


def _check_paths(request: Request) -> None:
    """Raise UsageError where the paths, the form and the modes do not go together."""
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
    results = results_directory(request)
    if results is not None and any(
        Path(path).is_dir() and os.path.realpath(path) == os.path.realpath(results) for path in request.paths
    ):
        raise UsageError(f"--output: found {results}, which is read; --write replaces its files")


def _baseline(request: Request) -> Baseline | None:
    """The baseline to hold the results against. Raises UsageError."""
    if request.write_baseline and request.modes not in ((), ("--check",)):
        raise UsageError(f"found --write-baseline and {request.modes[0]}, expected one of them")
    if request.write_baseline or request.baseline is None:
        return None
    from optmap.commands.baseline import Baseline

    path = Path(request.baseline)
    return read_baseline(path, lambda text: Baseline(text, path.parent))


def _reporting(request: Request, configured: Settings) -> Settings:
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
    target, sources, versions = direction(request.source, request.to, configured, known, ("--from", "--to"))
    if target in sources:
        raise UsageError(f"found --from {target} and --to {target}, expected two different frameworks")
    params = request.params if request.params is not None else configured.params
    if params is not None:
        try:
            check_parameters(params)
        except ValueError as error:
            raise UsageError(f"--params: {error}") from None
    checking = request.modes == ("--check",)
    return Options(
        target, sources, _prefer(request, configured), params, prove=not checking, versions=tuple(versions.items()),
        quantities=tuple(sorted({**configured.set, **dict(quantities(request.set))}.items())),
        rewrite_step=request.rewrite_step or configured.rewrite_step, todo=request.todo or configured.todo,
        line_length=configured.line_length,
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
    request: Request, configured: Settings, loaded: MappingSet, options: Options
) -> Generator[TranslatedFile]:
    if list(request.paths) == [STDIN]:
        if sys.stdin is None:
            raise UsageError("-: standard input is closed")
        data = sys.stdin.buffer.read(8 * MAXIMUM_BYTES + 1)
        if len(data) > 8 * MAXIMUM_BYTES:
            raise UsageError(f"-: found more than {8 * MAXIMUM_BYTES} bytes on standard input")
        yield TranslatedFile(Path(STDIN), Path(STDIN), data, translate_content(suffix_of(data), data, loaded, options))
        return
    found = find_files([Path(path) for path in request.paths], configured.exclude, results_directory(request))
    jobs = request.jobs or os.cpu_count() or 1
    keep = "--output" in request.modes or not request.modes
    yield from translate_files(found, loaded, options, jobs=jobs, keep=keep)
