"""The other end of a worker process: reads jobs, runs them in one engine, writes what came of them.

Started by `pool` with any interpreter; the first frame says which version of the framework was found, or why none was.
"""

from __future__ import annotations

import sys
import traceback
from typing import IO, Any

from optmap.conformance.engines import ENGINES, load_engine
from optmap.conformance.wire import outcome_message, read_frame, read_jobs, write_frame
from optmap.processes import claim_output


def main(engine: str) -> None:
    """Serve until standard input ends. What frameworks print goes to stderr; the frames have stdout for themselves."""
    output = claim_output()
    try:
        module = load_engine(engine)
        write_frame(output, {"version": module.version()})
    except ImportError as error:
        package = ENGINES[engine].package
        missing = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package
        if not missing:
            traceback.print_exc()
        write_frame(output, {"missing": missing, "error": f"{type(error).__name__}: {error}"})
        return
    _serve(module, sys.stdin.buffer, output)


def _serve(module: Any, source: IO[bytes], output: IO[bytes]) -> None:
    while (message := read_frame(source)) is not None:
        outcomes = list(module.run(read_jobs(message)))
        write_frame(output, {"outcomes": [outcome_message(outcome) for outcome in outcomes]})
