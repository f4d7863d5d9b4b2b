"""Which engines can run here, and sessions that all tests of one run share: importing a framework takes seconds."""

from __future__ import annotations

import atexit
from functools import cache
from importlib.util import find_spec

import pytest

from optmap.conformance.engines import ENGINES
from optmap.conformance.pool import Session


@cache
def session(engine: str) -> Session:
    """A worker for an engine; the test is skipped where its framework is not installed."""
    package = ENGINES[engine].package
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    made = Session(engine)
    atexit.register(made.close)
    return made


def sessions(*engines: str) -> dict[str, Session]:
    """Workers for several engines."""
    return {engine: session(engine) for engine in engines}
