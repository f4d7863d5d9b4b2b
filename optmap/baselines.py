"""Baselines: what an earlier run found, so that a later one fails only on what is new. The form is JSON with a version."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

VERSION: Final = 1
_Found = TypeVar("_Found")


class BaselineError(ValueError):
    """A baseline cannot be used; the message says what was found and what was expected."""


def dump(**content: Any) -> str:
    """A baseline as text."""
    return json.dumps({"version": VERSION, **content}, indent=1, allow_nan=False) + "\n"


def parse(text: str, command: str, read: Callable[[Any], _Found]) -> _Found:
    """What `read` makes of the content of a baseline that a command has written. Raises BaselineError."""
    try:
        content = json.loads(text)
        version = content["version"]
        if version == VERSION:
            return read(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BaselineError(f"expected a baseline that optmap {command} has written") from None
    raise BaselineError(f"found version {version!r}, expected {VERSION}")
