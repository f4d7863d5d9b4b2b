"""What Python users give as one value or several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def several(name: str, given: Any, *kinds: type[Any]) -> list[Any]:
    """One value or several, as a list. Raises TypeError."""
    items = [given] if isinstance(given, kinds) else list(given) if isinstance(given, Iterable) else [None]
    if not all(isinstance(item, kinds) for item in items):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name}: found {given!r}, expected {expected}, or several of them")
    return items
