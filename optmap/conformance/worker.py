"""The main function of a worker process: reads jobs, runs them in one engine, and writes the outcomes.

`pool` starts it with any interpreter. The first frame has the framework's version, or the reason why it cannot be imported.
"""

from __future__ import annotations

import sys
import traceback

from optmap.conformance.engines import ENGINES, all_rates, described, load_engine
from optmap.conformance.scenario import WIRED
from optmap.processes import claim_output
from optmap.wire import read_frame, write_frame


def main(engine: str) -> None:
    """Serve until standard input ends. Frames are written to stdout; what frameworks print is redirected to stderr."""
    output = claim_output()
    try:
        module = load_engine(engine)
        write_frame(output, {"version": module.version()}, WIRED)
    except ImportError as error:
        package = ENGINES[engine].package
        missing = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package
        if not missing:
            traceback.print_exc()
        write_frame(output, {"missing": missing, "error": described(error)}, WIRED)
        return
    while (message := read_frame(sys.stdin.buffer, WIRED)) is not None:
        jobs = message["jobs"]
        answers = all_rates(module, jobs) if message["rates"] else list(module.run(jobs))
        write_frame(output, {"answers": answers}, WIRED)
