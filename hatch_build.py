"""The build hook: the stored form of the tables goes into the wheel, and is made by an editable install as well."""

from __future__ import annotations

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StoredTables(BuildHookInterface):
    """Loads every table, which leaves its stored form in `mappings/stored/`, from where the wheel takes it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, self.root)
        from optmap.mapping import around, load, steps

        load.load()
        load.load_schedules()
        around.load_around()
        around.load_words()
        steps.load_file()
