"""Sessions with engines: workers that are started side by side, each request with a time limit."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from optmap.conformance.engines import ENGINES, all_rates, load_engine
from optmap.conformance.scenario import WIRED, Job, Outcome, Rates, ScheduleJob, Trace
from optmap.processes import Worker, WorkerError

T = TypeVar("T")
START_LIMIT: Final = 120.0
"""Seconds that an interpreter may take to import its framework."""
WORK_LIMIT: Final = 300.0
"""Seconds that a worker may take for one batch of jobs."""


def _key(job: Job) -> str:
    """A key that is equal for equal free runs; empty for a run that replays gradients, or starts in the middle."""
    if job.gradients is not None or job.middle is not None:
        return ""
    scenario = job.scenario
    return repr((job.api, sorted(job.arguments.items()), scenario.name, scenario.scale, job.steps, job.dtype,
                 job.rate_argument, job.rates, job.groups, job.slots, job.kept))  # fmt: skip


class Session:
    """One running engine: the numpy engine in this process, any other in a worker process.

    Every method raises WorkerError if the worker is missing, dies, hangs or gives an invalid answer, or when `total` seconds
    have passed since the session began.
    """

    def __init__(
        self,
        engine: str,
        interpreter: str | None = None,
        *,
        limits: tuple[float, float] = (START_LIMIT, WORK_LIMIT),
        total: float | None = None,
    ) -> None:
        self.engine = engine
        self.limits = limits
        self._total = total
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._version = ""
        self._known: dict[str, Any] = {}
        self._worker: Worker | None = None
        if interpreter is not None or not ENGINES[engine].in_process:
            interpreter = interpreter or sys.executable
            self._worker = Worker(engine, interpreter, "optmap.conformance.worker", engine, classes=WIRED)

    def version(self) -> str:
        """The framework's version. Waits until the worker has imported it."""
        with self._lock:
            return self._hello()

    def _left(self, limit: float) -> float:
        """The seconds that a request may take: its own limit, or what is left of all."""
        if self._total is None:
            return limit
        left = self._begun + self._total - time.monotonic()
        if left <= 0:
            raise WorkerError(f"the time limit of {self._total:g} seconds was over")
        return min(limit, left)

    def _hello(self) -> str:
        if self._worker is None:
            return load_engine(self.engine).version()
        if self._worker.failure is not None:
            raise self._worker.failure
        if not self._version:
            message, info = self._worker.ask(None, self._left(self.limits[0]), "to start"), ENGINES[self.engine]
            if message.get("missing"):
                self._worker.failure = WorkerError(f"{info.package} is not installed; {info.install}")
                raise self._worker.failure
            if "error" in message:
                raise self._worker.fail(f"{info.package} cannot be imported: {message['error']}")
            self._version = message["version"]
        return self._version

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs in order."""
        with self._lock:
            self._hello()
            begun = time.monotonic()
            found = self._once(jobs, _key, self._run_new)
            share = (time.monotonic() - begun) / max(len(jobs), 1)
            return [replace(item, seconds=share) if isinstance(item, Trace) else item for item in found]

    def _run_new(self, jobs: Sequence[Job]) -> list[Outcome]:
        if self._worker is None:
            return [self._run_here(job) for job in jobs]
        return self._answers(self._worker, jobs, rates=False)

    def _run_here(self, job: Job) -> Outcome:
        self._left(0.0)
        return next(iter(load_engine(self.engine).run([job])))

    def rates(self, jobs: Sequence[ScheduleJob]) -> list[Rates]:
        """Compute the learning rates of schedules, in order."""
        with self._lock:
            self._hello()
            if self._worker is None:
                return all_rates(load_engine(self.engine), jobs)
            worker = self._worker
            return self._once(jobs, repr, lambda new: self._answers(worker, new, rates=True))

    def _once(self, jobs: Sequence[T], key: Callable[[T], str], ask: Callable[[list[T]], list[Any]]) -> list[Any]:
        """The answers to jobs; those that have a key are asked once in a session."""
        keys = [key(job) or str(index) for index, job in enumerate(jobs)]
        known, new = self._known, {name: job for name, job in zip(keys, jobs, strict=True) if name not in self._known}
        found = dict(zip(new, ask(list(new.values())), strict=True)) if new else {}
        known |= {name: answer for name, answer in found.items() if not name.isdigit()}
        return [known[name] if name in known else found[name] for name in keys]

    def _answers(self, worker: Worker, jobs: Sequence[Job] | Sequence[ScheduleJob], *, rates: bool) -> list[Any]:
        purpose = f"for {len(jobs)} {'schedules' if rates else 'runs'}"
        found: list[Any] = worker.ask({"jobs": list(jobs), "rates": rates}, self._left(self.limits[1]), purpose)[
            "answers"
        ]
        return found

    def close(self) -> None:
        """Stop the worker."""
        if self._worker is not None:
            self._worker.close()
