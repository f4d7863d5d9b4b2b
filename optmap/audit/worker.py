"""The worker process of an audit: reads a request as JSON, inspects the framework, and writes the answer as JSON."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import warnings
from typing import Any

from optmap.audit.live import inspect_modules
from optmap.audit.results import read_request
from optmap.audit.signature import version_of
from optmap.processes import claim_output


def main() -> None:
    """Answer the request on standard input. What the framework prints is redirected to stderr."""
    output = claim_output()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_v", "3")
    warnings.simplefilter("ignore")
    answer = _answer(json.load(sys.stdin.buffer))
    output.write(json.dumps(answer).encode())
    output.close()


def _answer(message: Any) -> dict[str, Any]:
    request = read_request(message)
    try:
        importlib.import_module(request.package)
    except Exception as error:  # an import may raise errors of any type
        missing = isinstance(error, ModuleNotFoundError) and error.name == request.package
        if not missing:
            traceback.print_exc()
        return {"missing": missing, "error": f"{type(error).__name__}: {error}"}
    return {"version": version_of(request.package), "modules": inspect_modules(request)}
