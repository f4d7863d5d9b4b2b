"""How long property tests search: bounded by default, ten times as long with HYPOTHESIS_PROFILE=long."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final

from hypothesis import HealthCheck, settings

BOUNDED: Final = "bounded"
LONG: Final = "long"
_FACTORS: Final = {BOUNDED: 1, LONG: 10}

chosen: Final = os.environ.get("HYPOTHESIS_PROFILE", BOUNDED)
if chosen not in _FACTORS:
    raise ValueError(f"HYPOTHESIS_PROFILE: found {chosen!r}, expected one of {', '.join(_FACTORS)}")


def register() -> None:
    """Make the chosen profile the default of all tests that say nothing else."""
    for name, factor in _FACTORS.items():
        settings.register_profile(name, max_examples=100 * factor, deadline=None)
    settings.load_profile(chosen)


def examples(count: int, suppress: Collection[HealthCheck] = ()) -> settings:
    """Settings with so many examples in the bounded profile."""
    return settings(max_examples=count * _FACTORS[chosen], deadline=None, suppress_health_check=suppress)
