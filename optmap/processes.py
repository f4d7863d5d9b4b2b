"""Worker processes: starting one with this installation of optmap, and the output of one that fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Final

TAIL: Final = 12
"""How many of the last lines of a failed worker's stderr are shown."""

_BOOTSTRAP: Final = (
    "import sys, importlib as i, importlib.util as u; p, w, *a = sys.argv[1:]; "
    "s = u.spec_from_file_location('optmap', p + '/__init__.py', submodule_search_locations=[p]); "
    "m = u.module_from_spec(s); sys.modules['optmap'] = m; s.loader.exec_module(m); "
    "i.import_module(w).main(*a)"
)
"""Loads this installation of optmap into an interpreter that may lack it, and puts nothing else on `sys.path`."""


def worker_command(interpreter: str, module: str, *arguments: str) -> list[str]:
    """The command line that runs `main(*arguments)` of one of optmap's modules in an interpreter.

    -P keeps the current directory off `sys.path`, so that a `torch.py` or `random.py` of the user is never imported.
    """
    package = str(Path(__file__).resolve().parent)
    return [interpreter, "-P", "-c", _BOOTSTRAP, package, module, *arguments]


def claim_output() -> IO[bytes]:
    """Return standard output for the worker's answers, and redirect all other prints to standard error."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def stderr_tail(stderr: IO[bytes]) -> str:
    """The last lines in a worker's stderr file, each after a newline and indented; empty where it wrote none."""
    stderr.seek(0)
    lines = stderr.read().decode("utf-8", "replace").strip().splitlines()[-TAIL:]
    return "".join(f"\n    {line}" for line in lines)
