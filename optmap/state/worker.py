"""The main function of a worker process that reads and writes the states of one framework's optimizers."""

from __future__ import annotations

import importlib
import sys

from optmap.conformance.engines import described
from optmap.conformance.engines.saved import WIRED, Reading, StateModule, Writing
from optmap.mapping.state import StateError
from optmap.processes import claim_output
from optmap.wire import read_frame, write_frame


def main(name: str) -> None:
    """Serve until standard input ends; what a request cannot be answered for is an answer as well."""
    output = claim_output()
    try:
        module: StateModule = importlib.import_module(name)
    except ImportError as error:
        write_frame(output, {"error": described(error)}, WIRED)
        return
    write_frame(output, {}, WIRED)
    while (message := read_frame(sys.stdin.buffer, WIRED)) is not None:
        request = message["request"]
        try:
            answer: dict[str, object] = (
                {"saved": module.read(request)} if isinstance(request, Reading) else _written(module, request)
            )
        except StateError as error:
            answer = {"error": str(error)}
        except Exception as error:  # constructors and loaders raise errors of any type
            answer = {"error": described(error)}
        write_frame(output, answer, WIRED)


def _written(module: StateModule, request: Writing) -> dict[str, object]:
    import numpy as np

    return {"content": np.frombuffer(module.write(request), np.uint8)}
