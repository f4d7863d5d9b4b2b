"""Worker processes of every kind: how one is started with this very optmap, and what is left of one that fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Final

TAIL: Final = 12
"""Lines of stderr that are shown of a failed worker."""

_BOOTSTRAP: Final = (
    "import sys, importlib as i, importlib.util as u; p, w, *a = sys.argv[1:]; "
    "s = u.spec_from_file_location('optmap', p + '/__init__.py', submodule_search_locations=[p]); "
    "m = u.module_from_spec(s); sys.modules['optmap'] = m; s.loader.exec_module(m); "
    "i.import_module(w).main(*a)"
)
"""Loads this very optmap into an interpreter that may have none, without putting anything else on its path."""


def worker_command(interpreter: str, module: str, *arguments: str) -> list[str]:
    """The command that runs `main(*arguments)` of one of optmap's modules in an interpreter.

    -P keeps the current directory off the path: a `torch.py` or `random.py` of the user's is never run.
    """
    package = str(Path(__file__).resolve().parent)
    return [interpreter, "-P", "-c", _BOOTSTRAP, package, module, *arguments]


def claim_output() -> IO[bytes]:
    """Take standard output for the answers alone; whatever else is printed from now on goes to standard error."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def last_words(stderr: IO[bytes]) -> str:
    """The last lines that a worker wrote to this file, each on an indented line of its own; empty where it wrote none."""
    stderr.seek(0)
    lines = stderr.read().decode("utf-8", "replace").strip().splitlines()[-TAIL:]
    return "".join(f"\n    {line}" for line in lines)
