"""Versions of the packages that the tables describe: reading them, comparing them, and which rows hold at one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

_FORM: Final = re.compile(r"v?(\d+(?:\.\d+)*)(?:[.-]?(?:a|b|rc|alpha|beta|dev|post)[.-]?\d*)?(?:\+[\w.]+)?")


@cache
def key(text: str) -> tuple[int, ...]:
    """A version as numbers that compare; 1.13 and 1.13.0 are one version. Raises ValueError."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"found version {text!r}, expected numbers such as 2.1 or 2.1.0")
    numbers = [int(part) for part in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@cache
def holds(version: str, since: str | None, until: str | None) -> bool:
    """Tell whether something that came with `since` and went with `until` is there at a version."""
    if since is None and until is None:
        return True
    at = key(version)
    return (since is None or at >= key(since)) and (until is None or at < key(until))


def within(version: str, first: str, last: str) -> bool:
    """Tell whether a version is one of a range that ends with all releases of the last."""
    return key(first) <= key(version) and key(version)[: len(key(last))] <= key(last)


def with_joined(versions: Mapping[str, str], joined: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Add the versions of packages that come with another one and have its number, up to a version of that.

    So `tf.keras` is Keras 3, which has versions of its own, from TensorFlow 2.16 on; before it the two are one.
    """
    found = dict(versions)
    for package, (other, until) in joined.items():
        number = found.get(other)
        if number is not None and key(number) < key(until):
            found.setdefault(package, number)
    return found
