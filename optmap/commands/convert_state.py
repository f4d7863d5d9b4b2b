"""`optmap convert-state`: from options to a file, a report and an exit code."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

from optmap.cli.convert_state import Request
from optmap.commands.common import (
    UsageError,
    framework,
    interpreter,
    known_frameworks,
    reports_usage_errors,
    settings,
    tables,
)
from optmap.mapping.framework import named
from optmap.mapping.frameworks import DEFAULT
from optmap.mapping.state import RequestError, StateError
from optmap.mapping.values import write_literal

WRITTEN: Final = 0
REFUSED: Final = 1


@reports_usage_errors
def run(request: Request) -> int:
    """Convert the state, print what was done, and return the exit code."""
    from optmap.state.convert import convert_state

    known = known_frameworks(request.mappings)
    interpreters = {str(framework(name, "--python", known)): path for name, path in map(interpreter, request.python)}
    if request.map is not None and request.parameters:
        raise UsageError("--map and --parameter both list the parameters; use one of them")
    to = request.to or str(settings().to or DEFAULT)
    with suppress(ValueError):  # a class
        to = str(named(to, known))
    try:
        found = convert_state(
            request.source, request.target, optimizer=request.optimizer, to=to,
            parameters=request.map or request.parameters or None, in_order=request.in_order, steps=request.steps,
            entry=request.entry, interpreters=interpreters, tables=tables(request.mappings),
        )  # fmt: skip
    except RequestError as error:
        raise UsageError(str(error)) from None
    except StateError as error:
        sys.stderr.write(f"optmap: error: {error}\n")
        return REFUSED
    call = ", ".join(f"{name}={write_literal(value)}" for name, value in found.arguments.items())
    counted = "" if found.steps is None else f", after {found.steps} steps"
    print(f"{request.target}: the state of {len(found.parameters)} parameters{counted}, for this optimizer:")
    print(f"    {found.target}({call})")
    print("It is loaded by")
    print("".join(f"    {line}\n" for line in found.load), end="")
    for cause in found.causes:
        print(f"It goes on differently: {cause}.")
    return WRITTEN
