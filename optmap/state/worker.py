"""The main function of a worker process that reads and writes the states of one framework's optimizers."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from optmap.mapping.state import StateError
from optmap.processes import claim_output
from optmap.wire import read_frame, write_frame

if TYPE_CHECKING:
    from optmap.conformance.engines.saved import Reading, StateModule, Writing


def main(name: str) -> None:
    """Serve until standard input ends; what a request cannot be answered for is an answer as well."""
    output = claim_output()
    try:
        wired = importlib.import_module("optmap.conformance.engines.saved").WIRED
        module: Any = importlib.import_module(name)
    except ImportError as error:
        write_frame(output, {"error": f"{type(error).__name__}: {error}"}, ())
        return
    write_frame(output, {}, wired)
    while (message := read_frame(sys.stdin.buffer, wired)) is not None:
        write_frame(output, answer(module, message["request"]), wired)


def answer(module: StateModule, request: Reading | Writing) -> dict[str, Any]:
    """What a module of state makes of a request, or its error as text."""
    from optmap.conformance.engines import described
    from optmap.conformance.engines.saved import Reading

    try:
        if isinstance(request, Reading):
            return {"saved": module.read(request)}
        return {"content": _bytes(module.write(request))}
    except StateError as error:
        return {"error": str(error)}
    except Exception as error:  # constructors and loaders raise errors of any type
        return {"error": described(error)}


def _bytes(content: bytes) -> Any:
    import numpy as np

    return np.frombuffer(content, np.uint8)
