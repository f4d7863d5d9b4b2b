"""Sessions with the real frameworks that start when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from optmap.conformance.pool import Session
from optmap.conformance.scenario import Job, Outcome, Rates, Rows, ScheduleJob


class Remembering:
    """A real session that starts when it is needed, and runs equal jobs once."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self._session: Session | None = None
        self._known: dict[str, Any] = {}

    def version(self) -> str:
        return self._open().version()

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        return self._answers(jobs, [_job_key(job) for job in jobs], self._open().run)

    def rates(self, jobs: Sequence[ScheduleJob]) -> list[Rates]:
        return self._answers(jobs, [repr(job) for job in jobs], self._open().rates)

    def _answers(self, jobs: Sequence[Any], keys: Sequence[str], ask: Any) -> list[Any]:
        new = {key: job for key, job in zip(keys, jobs, strict=True) if key not in self._known}
        if self.engine == "mindspore" and jobs and isinstance(jobs[0], ScheduleJob):
            return list(ask(jobs))  # this engine reads the tables
        if new:
            self._known |= zip(new, ask(list(new.values())), strict=True)
        return [self._known[key] for key in keys]

    def _open(self) -> Session:
        self._session = self._session or Session(self.engine)
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.close()


def _job_key(job: Job) -> str:
    digest = hashlib.sha1()
    for value in (job.gradients or {}).values():
        digest.update((value.values if isinstance(value, Rows) else value).tobytes())
    groups = [(group.parameters, sorted(group.arguments.items())) for group in job.groups or ()]
    return repr((job.api, sorted(job.arguments.items()), job.scenario.name, job.steps, job.dtype, job.rates, groups,
                 job.groups is None, digest.hexdigest()))  # fmt: skip
