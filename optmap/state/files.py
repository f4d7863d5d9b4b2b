"""The files of saved states: which endings they have, and the processes that read and write them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from optmap.conformance.engines import STATE_MODULES
from optmap.conformance.engines.saved import WIRED, Reading, Saved, Writing
from optmap.mapping.framework import Framework
from optmap.mapping.state import Files, RequestError, StateError
from optmap.processes import Worker, WorkerError

START_LIMIT: Final = 180.0
WORK_LIMIT: Final = 600.0
"""Seconds that a process may take to import its framework, and for one file."""


def files_of(framework: Framework) -> Files:
    """How a framework saves states. Raises StateError."""
    if framework.facts.saved is None or framework not in STATE_MODULES:
        raise StateError(f"states of {framework} are neither read nor written")
    return framework.facts.saved


def check_paths(source: Path, target: Path, frameworks: tuple[Framework, Framework]) -> None:
    """Raise RequestError unless the source can be read and the target may be written."""
    first, second = frameworks
    if first is second:
        raise RequestError(f"both classes are {first}'s; the state of one framework is converted to that of another")
    for path, framework, endings in (
        (source, first, files_of(first).endings),
        (target, second, files_of(second).written),
    ):
        if endings and path.suffix not in endings:
            raise RequestError(f"{path}: found a file of {framework} that does not end in {' or '.join(endings)}")
    if not source.is_file():
        raise RequestError(f"there is no file {source}")
    if target.exists() and target.samefile(source):
        raise RequestError(f"{target} is the source itself; name another file")


def read(framework: Framework, wanted: Reading, interpreters: Mapping[str, str]) -> Saved:
    """The state in a file. Raises StateError."""
    saved: Saved = _ask(framework, wanted, interpreters)["saved"]
    return saved


def content(framework: Framework, wanted: Writing, interpreters: Mapping[str, str]) -> bytes:
    """The content of a file with a state. Raises StateError."""
    written: bytes = _ask(framework, wanted, interpreters)["content"].tobytes()
    return written


def _ask(framework: Framework, wanted: Reading | Writing, interpreters: Mapping[str, str]) -> dict[str, Any]:
    """Have a process of the framework answer."""
    interpreter = interpreters.get(framework, sys.executable)
    worker = Worker(framework, interpreter, "optmap.state.worker", STATE_MODULES[framework], classes=WIRED)
    try:
        hello = worker.ask(None, START_LIMIT, "to start")
        if "error" in hello:
            hint = f"; {framework.facts.install}" if framework.facts.install else ""
            raise StateError(f"{framework} cannot be imported: {hello['error']}{hint}")
        answer = worker.ask({"request": wanted}, WORK_LIMIT, "for the file")
    except WorkerError as error:
        raise StateError(str(error)) from None
    finally:
        worker.close()
    if "error" in answer:
        raise StateError(answer["error"])
    return answer
