"""The worker process of an audit: reads requests, inspects the framework, and writes the answers."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from typing import Any

from optmap.audit.live import inspect_modules
from optmap.audit.results import WIRED, Request
from optmap.audit.signature import version_of
from optmap.processes import claim_output
from optmap.wire import read_frame, write_frame


def main() -> None:
    """Answer the requests on standard input. What the framework prints is redirected to stderr."""
    output = claim_output()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_v", "3")
    warnings.simplefilter("ignore")
    while (message := read_frame(sys.stdin.buffer, WIRED)) is not None:
        write_frame(output, _answer(message["request"]), WIRED)


def _answer(request: Request) -> dict[str, Any]:
    try:
        importlib.import_module(request.package)
    except Exception as error:  # an import may raise errors of any type
        missing = isinstance(error, ModuleNotFoundError) and error.name == request.package
        if not missing:
            traceback.print_exc()
        return {"missing": missing, "error": f"{type(error).__name__}: {error}"}
    return {"version": version_of(request.package), "modules": inspect_modules(request)}
