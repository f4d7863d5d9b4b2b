"""The main function of a worker process: reads jobs, runs them in one engine, and writes the outcomes.

`pool` starts it with any interpreter. The first frame has the framework's version, or the reason why it cannot be imported.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import IO, Any

from optmap.conformance.engines import ENGINES, load_engine
from optmap.conformance.schedule_jobs import Rates, ScheduleJob
from optmap.conformance.schedule_jobs import read_jobs as read_schedule_jobs
from optmap.conformance.wire import outcome_message, read_frame, read_jobs, write_frame
from optmap.processes import claim_output


def main(engine: str) -> None:
    """Serve until standard input ends. Frames are written to stdout; what frameworks print is redirected to stderr."""
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
    _serve(engine, module, sys.stdin.buffer, output)


def _rates(engine: str, job: ScheduleJob) -> Rates:
    """Compute the rates of one schedule; an error of the framework becomes a failure of this schedule only."""
    module = importlib.import_module(f"{ENGINES[engine].module}_rates")
    try:
        return Rates(tuple(module.rates(job)))
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        return Rates(failure=f"{type(error).__name__}: {text}")


def _serve(engine: str, module: Any, source: IO[bytes], output: IO[bytes]) -> None:
    while (message := read_frame(source)) is not None:
        if "rates" in message:
            write_frame(output, {"rates": [_rates(engine, job)._asdict() for job in read_schedule_jobs(message)]})
            continue
        outcomes = list(module.run(read_jobs(message)))
        write_frame(output, {"outcomes": [outcome_message(outcome) for outcome in outcomes]})
