"""`optmap audit`: from options to a report and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from optmap.audit.results import Audit
from optmap.audit.run import audit
from optmap.cli.audit import Request
from optmap.commands.common import (
    UsageError,
    choice,
    framework,
    interpreter,
    known_frameworks,
    reports_usage_errors,
    tables,
)
from optmap.mapping.framework import Framework
from optmap.mapping.load import load_schedules
from optmap.report.audit_reports import AUDIT_FORMATS
from optmap.shown import shown_lines

EQUAL: Final = 0
DIFFERENT: Final = 1
NOT_AUDITED: Final = 2


@reports_usage_errors
def run(request: Request) -> int:
    """Audit the named frameworks (all by default), print the report, and return the exit code."""
    choice(request.format, "--format", tuple(AUDIT_FORMATS))
    known = known_frameworks(request.mappings)
    named = list(dict.fromkeys(framework(name, "--framework", known) for name in request.frameworks))
    chosen = named or list(known.values())
    interpreters = {framework(name, "--python", known): path for name, path in map(interpreter, request.python)}
    unused = [name for name in interpreters if name not in chosen]
    if unused:
        raise UsageError(f"--python: found {unused[0]}, which --framework does not name")
    optimizers = tables(request.mappings)
    found = audit(optimizers, chosen, interpreters, load_schedules(optimizers.extra))
    sys.stdout.write(AUDIT_FORMATS[request.format](found))
    sys.stdout.flush()
    return _exit_code(found, [*named, *interpreters])


def _exit_code(found: Audit, wanted: Sequence[Framework]) -> int:
    """The exit code. A framework that is not installed fails the audit only if it was requested by name."""
    failed = [item for item in found.frameworks if item.failure and (item.installed or item.framework in wanted)]
    if not failed and not any(item.version for item in found.frameworks):
        failed = list(found.frameworks)
    for item in failed:
        sys.stderr.write(shown_lines(f"optmap: error: {item.framework} could not be audited: {item.failure}") + "\n")
    if failed:
        return NOT_AUDITED
    return DIFFERENT if found.differences else EQUAL
