"""Which engines can run here, and sessions that all tests of one run share: importing a framework takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

from optmap.conformance.engines import ENGINES
from optmap.conformance.pool import Session
from optmap.conformance.scenario import Job, Outcome, Rates, ScheduleJob


@cache
def session(engine: str) -> Session:
    """A worker for an engine; the test is skipped where its framework is not installed."""
    package = ENGINES[engine].package
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    made = Session(engine)
    _OPEN.append(made)
    return made


_OPEN: list[Session] = []


def close_sessions() -> None:
    """End the workers of this run."""
    while _OPEN:
        _OPEN.pop().close()
    session.cache_clear()


def sessions(*engines: str) -> dict[str, Session]:
    """Workers for several engines."""
    return {engine: session(engine) for engine in engines}


class Lent:
    """A session that outlives the check which uses it: jobs leave nothing behind in a worker."""

    def __init__(self, engine: str) -> None:
        self._session = session(engine)

    def version(self) -> str:
        return self._session.version()

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        return self._session.run(jobs)

    def rates(self, jobs: Sequence[ScheduleJob]) -> list[Rates]:
        return self._session.rates(jobs)

    def close(self) -> None:
        """Nothing: the next check uses the worker."""


def lend(engine: str, interpreter: str | None = None, **limits: Any) -> Session | Lent:
    """What `check` opens in place of a session of its own; an interpreter that is named gets its own worker."""
    return Session(engine, interpreter, **limits) if interpreter or limits else Lent(engine)
