"""Worker processes: started side by side, each request with a time limit, failures reported with the end of stderr."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, Any, Final

from optmap.conformance.engines import ENGINES, all_rates, load_engine
from optmap.conformance.scenario import Job, Outcome, Rates, ScheduleJob
from optmap.conformance.wire import WireError, read_frame, write_frame
from optmap.processes import stderr_tail, worker_command

START_LIMIT: Final = 120.0
"""Seconds that an interpreter may take to import its framework."""
WORK_LIMIT: Final = 300.0
"""Seconds that a worker may take for one batch of jobs."""


class EngineError(Exception):
    """An engine cannot be used; the message gives the reason, with advice or the last lines of the worker's stderr."""


class Session:
    """One running engine: the numpy engine in this process, any other in a worker process."""

    def __init__(
        self, engine: str, interpreter: str | None = None, *, limits: tuple[float, float] = (START_LIMIT, WORK_LIMIT)
    ) -> None:
        self.engine = engine
        self.limits = limits
        self.local = ENGINES[engine].in_process and interpreter is None
        self._lock = threading.Lock()
        self._version: str | None = None
        self._failure: EngineError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        if not self.local:
            self._start(interpreter or sys.executable)

    def _start(self, interpreter: str) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                worker_command(interpreter, "optmap.conformance.worker", self.engine),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            )  # fmt: skip
        except OSError as error:
            self._failure = EngineError(f"{interpreter} cannot be run: {error.strerror}")

    def version(self) -> str:
        """The framework's version. Waits until the worker has imported it. Raises EngineError."""
        with self._lock:
            return self._hello()

    def _hello(self) -> str:
        if self._failure is not None:
            raise self._failure
        if self._version is None:
            if self.local:
                self._version = load_engine(self.engine).version()
            else:
                self._version = self._welcome(self._exchange(None, self.limits[0], "to start"))
        return self._version

    def _welcome(self, message: Any) -> str:
        if "version" in message:
            return str(message["version"])
        info = ENGINES[self.engine]
        if message.get("missing"):
            self._failure = EngineError(f"{info.package} is not installed; {info.install}")
        else:
            self._failure = EngineError(
                f"{info.package} cannot be imported: {message.get('error')}{self._stderr_tail()}"
            )
        raise self._failure

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs in order. Raises EngineError if the worker dies, hangs or gives an invalid answer."""
        with self._lock:
            self._hello()
            if self.local:
                return list(load_engine(self.engine).run(jobs))
            return self._answers(jobs, rates=False) if jobs else []

    def rates(self, jobs: Sequence[ScheduleJob]) -> list[Rates]:
        """Compute the learning rates of schedules, in order. Raises EngineError as `run` does."""
        with self._lock:
            self._hello()
            return all_rates(load_engine(self.engine), jobs) if self.local else self._answers(jobs, rates=True)

    def _answers(self, jobs: Sequence[Job] | Sequence[ScheduleJob], *, rates: bool) -> list[Any]:
        what = f"for {len(jobs)} {'schedules' if rates else 'runs'}"
        found: list[Any] = self._exchange({"jobs": list(jobs), "rates": rates}, self.limits[1], what)["answers"]
        return found

    def _exchange(self, message: object, limit: float, what: str) -> Any:
        """Send a message, if any, and wait for the answer, in a thread that can be abandoned if the worker hangs."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        box: list[Any] = []

        def talk(stdin: IO[bytes] = process.stdin, stdout: IO[bytes] = process.stdout) -> None:
            try:
                if message is not None:
                    write_frame(stdin, message)
                box.append(read_frame(stdout))
            except (OSError, WireError, ValueError, KeyError, TypeError) as error:
                box.append(error)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        thread.join(limit)
        if box and isinstance(box[0], dict):
            return box[0]
        raise self._broken(box, limit, what)

    def _broken(self, box: list[Any], limit: float, what: str) -> EngineError:
        assert self._process is not None
        if not box:
            self._process.kill()
            text = f"the {self.engine} worker did not answer within {limit:g} seconds, the limit {what}"
        elif isinstance(box[0], WireError):
            self._process.kill()
            text = f"the {self.engine} worker sent an invalid answer: {box[0]}"
        else:
            text = f"the {self.engine} worker exited with code {self._process.wait(10)}"
        self._process.wait(10)
        self._failure = EngineError(text + self._stderr_tail())
        return self._failure

    def _stderr_tail(self) -> str:
        assert self._stderr is not None
        return stderr_tail(self._stderr)

    def close(self) -> None:
        """Stop the worker."""
        self._failure = self._failure or EngineError(f"the {self.engine} worker was stopped")
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
