"""Frameworks that are imported by the tests which use them, and not whenever pytest collects their files: that takes seconds."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest


def needs(module: str) -> pytest.MarkDecorator:
    """A mark for tests that are skipped where a module is not installed."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


def later(module: str) -> Any:
    """Stands for a module, which is imported when something of it is first asked for; the test that asks is skipped without it."""
    return _Later(module)


class _Later:
    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(pytest.importorskip(self._module, reason=f"{self._module} is not installed"), name)
