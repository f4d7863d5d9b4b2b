"""What `translate` found in files before."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optmap.baselines import dump, parse
from optmap.diagnostics import Diagnostic
from optmap.selection import ALWAYS
from optmap.translate.results import CallResult, FileResult, Status


class Baseline:
    """What was found before, by file; paths are relative to the directory of the baseline."""

    def __init__(self, text: str, directory: Path) -> None:
        """Raises BaselineError."""
        self._directory = directory
        self._known = parse(text, "translate", _entries)

    def of(self, path: Path, result: FileResult, *, checking: bool) -> FileResult:
        """The result without what the file had before; checking, it changes only if there are calls that were not."""
        left = Counter(self._known.get(_relative(path, self._directory), Counter()))
        new = [item for item in result.diagnostics if item.code.id in ALWAYS or not _taken(left, _message(item))]
        calls = [item for item in result.calls if item.status is Status.TRANSLATED and not _taken(left, _call(item))]
        return result._replace(diagnostics=tuple(new), changed=result.changed and (bool(calls) or not checking))


def text(results: Iterable[tuple[Path, FileResult]], directory: Path) -> str:
    """The baseline of results."""
    files = {
        _relative(path, directory): sorted([
            *(_message(item) for item in result.diagnostics if item.code.id not in ALWAYS),
            *(_call(item) for item in result.calls if item.status is Status.TRANSLATED),
        ])
        for path, result in results
    }  # fmt: skip
    return dump(files={path: found for path, found in files.items() if found})


def _taken(left: Counter[str], entry: str) -> bool:
    """Take one entry out of those that are left; false where there is none."""
    found = left[entry] > 0
    left[entry] -= found
    return found


def _message(item: Diagnostic) -> str:
    """What tells a message from others of its file, wherever its line moves."""
    return f"{item.code.id} {(item.source or '').strip()}"


def _call(item: CallResult) -> str:
    return f"call {item.source}"


def _relative(path: Path, directory: Path) -> str:
    return Path(os.path.relpath(path, directory)).as_posix()


def _entries(content: Any) -> dict[str, Counter[str]]:
    return {path: Counter(map(str, entries)) for path, entries in content["files"].items()}
