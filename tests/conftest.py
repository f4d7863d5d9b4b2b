"""Fixtures that every room shares."""

from __future__ import annotations

import pytest

from optmap.mapping.load import load
from optmap.mapping.model import MappingSet


@pytest.fixture(scope="session")
def tables() -> MappingSet:
    return load()
