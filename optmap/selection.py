"""Which diagnostics are wanted: `--select`, `--ignore` and the settings' `per-file-ignores`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from optmap.diagnostics import CODES, codes_named
from optmap.nearest import nearest
from optmap.translate.results import FileResult
from optmap.values import NamedTuple

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

ALWAYS: Final = frozenset(f"OM00{number}" for number in range(1, 8))
"""A file that cannot be used is reported whatever is selected."""


class Selection(NamedTuple):
    """The codes to report, None for all, and those not to; `files` adds codes for files by their pattern below `root`."""

    select: frozenset[str] | None = None
    ignore: frozenset[str] = frozenset()
    files: Mapping[str, frozenset[str]] = {}
    root: Path = Path()

    def of(self, path: Path | None, result: FileResult) -> FileResult:
        """The result without what is not wanted of it."""
        ignored = self.ignore | self._ignored_in(path) if path is not None else self.ignore
        if self.select is None and not ignored:
            return result
        kept = [
            item
            for item in result.diagnostics
            if item.code.id in ALWAYS
            or (item.code.id not in ignored and (self.select is None or item.code.id in self.select))
        ]
        return result._replace(diagnostics=tuple(kept))

    def _ignored_in(self, path: Path) -> frozenset[str]:
        if not self.files:
            return frozenset()
        relative = os.path.relpath(path, self.root)
        return frozenset().union(*(ids for pattern, ids in self.files.items() if _spec(pattern).match_file(relative)))


@cache
def _spec(pattern: str) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines([pattern])


def parse_codes(texts: Iterable[str]) -> frozenset[str]:
    """The ids that codes, names and beginnings of codes stand for, also with commas between. Raises ValueError."""
    found: set[str] = set()
    for text in (part.strip() for each in texts for part in each.split(",")):
        ids = codes_named(text)
        if not ids:
            known = [*CODES, *(code.name for code in CODES.values())]
            raise ValueError(
                f"found {text!r}, expected codes such as OM203, OM4 or unpacked-arguments{nearest(text, known)}"
            )
        found |= ids
    return frozenset(found)
