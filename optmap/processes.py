"""Worker processes: started with this installation of optmap, each request with a time limit, failures told apart."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from optmap.wire import WireError, framed, read_frame

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


class WorkerError(Exception):
    """A worker cannot be used; the message gives the reason, with advice or the last lines of its stderr."""


class Worker:
    """A process that runs `main(*arguments)` of one of optmap's modules and answers messages with dictionaries.

    Args:
        name: its name in messages.
        interpreter: the Python that runs it.
        module: the module.
        arguments: of its `main`.
        classes: the classes of the values in messages.
    """

    def __init__(self, name: str, interpreter: str, module: str, *arguments: str, classes: Sequence[type]) -> None:
        self.name = name
        self.classes = classes
        self.failure: WorkerError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe could fill up, or be kept open by a child)
        try:
            self._process = subprocess.Popen(
                worker_command(interpreter, module, *arguments),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            )  # fmt: skip
        except OSError as error:
            self.failure = WorkerError(f"{interpreter} cannot be run: {error.strerror}")

    def ask(self, message: object, limit: float, purpose: str = "") -> dict[str, Any]:
        """Send a message, if any, and wait for the answer. Raises WorkerError, which every later request raises again."""
        if self.failure is not None:
            raise self.failure
        frame = framed(message, self.classes) if message is not None else b""
        box: list[Any] = []
        thread = threading.Thread(target=lambda: box.append(self._talk(frame)), daemon=True)
        thread.start()  # a thread can be abandoned if the worker hangs
        thread.join(limit)
        if box and isinstance(box[0], dict):
            return box[0]
        raise self._broken(list(box), f"{limit:g} seconds{purpose and f', the limit {purpose}'}")

    def _talk(self, frame: bytes) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # what the worker has written before it ended tells more
                process.stdin.write(frame)
                process.stdin.flush()
            return read_frame(process.stdout, self.classes)
        except (OSError, WireError, ValueError, KeyError, TypeError, IndexError) as error:
            return error

    def _broken(self, box: list[Any], limit: str) -> WorkerError:
        assert self._process is not None
        if box and not isinstance(box[0], WireError):
            return self.fail(f"the {self.name} worker exited with code {self._process.wait(10)}")
        self._process.kill()
        self._process.wait(10)
        if box:
            return self.fail(f"the {self.name} worker sent an invalid answer: {box[0]}")
        return self.fail(f"the {self.name} worker did not answer within {limit}")

    def fail(self, text: str) -> WorkerError:
        """Give the worker up for this reason, to which the end of its stderr is added."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()[-TAIL:]
        self.failure = WorkerError(text + "".join(f"\n    {line}" for line in lines))
        return self.failure

    def close(self) -> None:
        """Stop the worker."""
        self.failure = self.failure or WorkerError(f"the {self.name} worker was stopped")
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
