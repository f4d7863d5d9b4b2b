"""Many files: read each, translate it, hand the results on in order. A file that cannot be used never stops the run."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from optmap import interruption
from optmap.diagnostics import UNREADABLE, Diagnostic
from optmap.files import FoundFile
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.translate.faults import contained
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from optmap.values import NamedTuple

MAXIMUM_BYTES: Final = 32 * 1024 * 1024
"""Larger files are reported and left alone: Python needs some 50 times a file's size to parse it."""


CONFIGURATIONS: Final = (".yaml", ".yml", ".json", ".toml")
"""Files with these endings are looked through for optimizers where they are named outright, and never changed."""


class TranslatedFile(NamedTuple):
    """One file: where it is, what was read, and what became of it."""

    path: Path
    base: Path
    before: bytes
    result: FileResult


def translate_files(
    files: Iterable[FoundFile],
    tables: MappingSet,
    options: Options,
    *,
    jobs: int = 1,
    mappings: tuple[Path, ...] = (),
    keep: bool = False,
) -> Iterator[TranslatedFile]:
    """Translate the files, in order; with several jobs in that many processes, each loading the tables once.

    With several jobs the content of unchanged files comes back only where `keep` asks for it.
    """
    if jobs <= 1:
        for found in files:
            yield _one(found, tables, options)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children

    pool = ProcessPoolExecutor(jobs, initializer=_start, initargs=(mappings, options, keep))
    with interruption.raises(), pool:
        try:
            with interruption.waits():
                translated = pool.map(_in_worker, files, chunksize=64)
            yield from translated
        except BaseException:  # an interruption, or nobody wants the rest
            for process in active_children():
                process.terminate()
            raise


_WORKER: dict[str, tuple[MappingSet, Options, bool]] = {}


def _start(mappings: tuple[Path, ...], options: Options, keep: bool) -> None:
    _WORKER["state"] = (load(mappings).at(dict(options.versions)), options, keep)


def _in_worker(found: FoundFile) -> TranslatedFile:
    tables, options, keep = _WORKER["state"]
    outcome = _one(found, tables, options)
    return outcome if keep or outcome.result.changed else _light(outcome)


def _light(outcome: TranslatedFile) -> TranslatedFile:
    """Leave out the bytes of an unchanged file: nobody needs them in the parent process."""
    result = outcome.result
    return TranslatedFile(
        outcome.path, outcome.base, b"", FileResult(b"", False, result.error, result.calls, result.diagnostics)
    )


def _one(found: FoundFile, tables: MappingSet, options: Options) -> TranslatedFile:
    if found.error is not None:
        return TranslatedFile(found.path, found.base, b"", unreadable(found.error))
    try:
        status = os.stat(found.path)
        if not stat.S_ISREG(status.st_mode):
            return TranslatedFile(found.path, found.base, b"", unreadable("not a regular file"))
        limit = MAXIMUM_BYTES * (8 if found.path.suffix == ".ipynb" else 1)  # most of a notebook is its output
        if status.st_size > limit:
            reason = f"found {status.st_size} bytes, expected at most {limit}"
            return TranslatedFile(found.path, found.base, b"", unreadable(reason))
        data = found.path.read_bytes()
    except OSError as error:
        return TranslatedFile(found.path, found.base, b"", unreadable(error.strerror or str(error)))
    if found.path == found.base and found.path.suffix.lower() in CONFIGURATIONS:
        result = contained(data, lambda: _configuration(data, found.path, tables, options))
    else:
        result = translate_content(found.path.suffix, data, tables, options)
    return TranslatedFile(found.path, found.base, data, result)


def translate_content(suffix: str, data: bytes, tables: MappingSet, options: Options) -> FileResult:
    """Translate a file's content as what the ending of its name says that it is: a notebook, or Python source."""
    if suffix == ".ipynb":
        from optmap.translate.notebook import translate_notebook

        return contained(data, lambda: translate_notebook(data, tables, options))
    return translate_bytes(data, tables, options)


def _configuration(data: bytes, path: Path, tables: MappingSet, options: Options) -> FileResult:
    from optmap.translate.configs import config_diagnostics

    error, diagnostics = config_diagnostics(data, path, tables, options)
    return FileResult(data, False, error, (), diagnostics)


def unreadable(reason: str) -> FileResult:
    """The result for a file that cannot be read."""
    return FileResult(b"", error=f"cannot be read: {reason}", diagnostics=(
        Diagnostic(UNREADABLE, f"cannot be read: {reason}", 1, 1),
    ))  # fmt: skip
