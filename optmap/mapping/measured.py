"""How far classes drifted apart when they were measured: what `optmap check` found at the defaults, kept beside the tables.

`mappings/levels.json` is written by scripts/levels.py from a real run, with the command and the engines' versions in it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from optmap.mapping.stored import default_directory
from optmap.values import NamedTuple

NAME: Final = "levels.json"


class Measured(NamedTuple):
    """What was measured of one pair of classes: levels as `optmap check` names them, worst over all scenarios.

    `scenarios` holds each level met in float32 with the scenarios that it was met in, best first.
    """

    single: str
    double: str
    scenarios: dict[str, tuple[str, ...]]

    @property
    def text(self) -> str:
        """All levels with their scenarios, in one line; the best needs none."""
        (best, _), *others = self.scenarios.items()
        return ", ".join([best, *(f"{level} in {', '.join(names)}" for level, names in others)])


class Measurements(NamedTuple):
    """All pairs, by the full names of source and target."""

    command: str
    engines: dict[str, str]
    pairs: dict[tuple[str, str], Measured]


@lru_cache(maxsize=1)
def measurements() -> Measurements | None:
    """What was measured; None where the file is not there."""
    try:
        document = json.loads(default_directory().joinpath(NAME).read_bytes())
    except OSError:
        return None
    pairs = {(item["source"], item["target"]): _measured(item) for item in document["pairs"]}
    return Measurements(document["command"], document["engines"], pairs)


def _measured(item: dict[str, Any]) -> Measured:
    scenarios = {level: tuple(names) for level, names in item["scenarios"].items()}
    return Measured(item["float32"], item["float64"], scenarios)
