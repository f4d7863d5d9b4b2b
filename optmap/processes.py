"""Worker processes: started with this installation of optmap, each request with a time limit, failures told apart."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from optmap import interruption
from optmap.shown import shown
from optmap.wire import WireError, framed, read_frame

TAIL: Final = 12
"""How many of the last lines of a failed worker's stderr are shown."""
_KEPT: Final = 64 * 1024
"""How many of the last bytes of a worker's stderr are kept."""
_PATIENCE: Final = 10.0
"""Seconds that a worker may take to end."""

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
    interruption.end_with_parent()
    _bound_memory()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def _bound_memory() -> None:
    """Have a worker that wants more memory than there is fail by itself, or be ended before what waits for it."""
    with suppress(OSError, ValueError, ImportError):  # no Linux
        import resource

        most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if soft == resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
        Path("/proc/self/oom_score_adj").write_text("1000")


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
        self._answered = False
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr = b""
        try:
            self._process = subprocess.Popen(
                worker_command(interpreter, module, *arguments),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            interruption.before_end.add(self._kill)
            self._listener = threading.Thread(target=self._listen, daemon=True)
            self._listener.start()
        except OSError as error:
            self.failure = WorkerError(f"{interpreter} cannot be run: {error.strerror}")

    def _listen(self) -> None:
        """Keep the end of what the worker says; a pipe that nobody reads fills up, a file fills the disk."""
        assert self._process is not None
        assert self._process.stderr is not None
        with suppress(OSError, ValueError):
            while part := os.read(self._process.stderr.fileno(), _KEPT):
                self._stderr = (self._stderr + part)[-_KEPT:]

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
            self._answered = True
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
        except Exception as error:  # whatever the worker sent
            return error

    def _broken(self, box: list[Any], limit: str) -> WorkerError:
        assert self._process is not None
        ended = box and not isinstance(box[0], WireError)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE if ended else 0)
        code = self._process.returncode
        self._kill()
        if ended and code is not None:
            return self.fail(f"the {self.name} worker exited with code {code}")
        if ended:
            return self.fail(f"the {self.name} worker closed its output")
        if box:
            return self.fail(f"the {self.name} worker sent an invalid answer: {box[0]}")
        return self.fail(f"the {self.name} worker did not answer within {limit}")

    def _kill(self) -> None:
        """End the worker with all processes that it started."""
        if self._process is None or self._kill not in interruption.before_end:
            return
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL) if hasattr(os, "killpg") else self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        interruption.before_end.discard(self._kill)

    def fail(self, text: str) -> WorkerError:
        """Give the worker up for this reason, to which the end of its stderr is added (the last line, if it never started)."""
        if self._process is not None and self._process.poll() is not None:
            self._listener.join(1)  # longer only where a child of the worker still holds the pipe
        lines = [shown(line) for line in self._stderr.decode("utf-8", "replace").strip().splitlines()[-TAIL:]]
        if not self._answered:
            self.failure = WorkerError(f"{text}: {lines[-1].strip()}" if lines else text)
            return self.failure
        self.failure = WorkerError(text + "".join(f"\n    {line}" for line in lines))
        return self.failure

    def close(self) -> None:
        """Stop the worker."""
        self.failure = self.failure or WorkerError(f"the {self.name} worker was stopped")
        self._kill()
