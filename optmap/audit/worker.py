"""The other end of an audit: reads one request as JSON, looks at the framework, writes one answer as JSON, and ends."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import warnings
from typing import Any

from optmap.audit.live import look
from optmap.audit.results import read_request
from optmap.audit.signature import version_of
from optmap.processes import claim_output


def main() -> None:
    """Answer the request on standard input. What the framework prints goes to stderr."""
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
    except Exception as error:  # an import may raise anything
        missing = isinstance(error, ModuleNotFoundError) and error.name == request.package
        if not missing:
            traceback.print_exc()
        return {"missing": missing, "error": f"{type(error).__name__}: {error}"}
    return {"version": version_of(request.package), "modules": look(request)}
