"""Many files: read each, translate it, hand the results on in order. A file that cannot be used never stops the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from optmap import interruption
from optmap.diagnostics import UNPARSABLE, UNREADABLE, Diagnostic
from optmap.files import SUFFIXES, FoundFile
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.reading import read_source_file
from optmap.translate.faults import contained
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import MARK, FileResult, failed
from optmap.values import NamedTuple

_CHUNK: Final = 64
"""How many files a process is handed at once."""
CONFIGURATIONS: Final = (".yaml", ".yml", ".json", ".toml")
"""Files with these endings are looked through for optimizers where they are named outright, and never changed."""


class TranslatedFile(NamedTuple):
    """One file: where it is, what was read, and what became of it; `marks` are those of --todo that it already had."""

    path: Path
    base: Path
    before: bytes
    result: FileResult
    marks: int = 0


def translate_files(
    files: Iterable[FoundFile],
    tables: MappingSet,
    options: Options,
    *,
    jobs: int = 1,
    keep: bool = False,
) -> Iterator[TranslatedFile]:
    """Translate the files, in order; with several jobs in that many processes, each loading the tables once.

    With several jobs the content of unchanged files comes back only where `keep` asks for it.
    """
    if jobs > 1:
        files = list(files)
        jobs = min(jobs, -(-len(files) // _CHUNK))
    if jobs <= 1:
        for found in files:
            yield _one(found, tables, options)
    else:
        yield from _in_workers(list(files), jobs, (tables.extra, options, keep))


def _in_workers(files: Sequence[FoundFile], jobs: int, state: tuple[Any, ...]) -> Iterator[TranslatedFile]:
    """Translate the files in processes, which end with this one; files that a process took with it are reported."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(jobs, initializer=_start, initargs=state)
    done = 0
    try:
        with interruption.kept_from_children():
            translated = pool.map(_in_worker, files, chunksize=_CHUNK)
            interruption.before_end.add(_kill_workers)
        for outcome in translated:
            done += 1
            yield outcome
    except BrokenProcessPool:
        for found in files[done:]:
            reason = (
                "a process ended before its files were done, perhaps for lack of memory; --jobs 1 does one at a time"
            )
            yield TranslatedFile(found.path, found.base, b"", unreadable(reason))
    except BaseException:  # nobody wants the rest
        _kill_workers()
        raise
    finally:
        interruption.before_end.discard(_kill_workers)
        pool.shutdown(cancel_futures=True)


def _kill_workers() -> None:
    from multiprocessing import active_children

    for process in active_children():
        process.kill()


_WORKER: dict[str, tuple[MappingSet, Options, bool]] = {}


def _start(mappings: tuple[Path, ...], options: Options, keep: bool) -> None:
    interruption.end_with_parent()
    _WORKER["state"] = (load(mappings).at(dict(options.versions)), options, keep)


def _in_worker(found: FoundFile) -> TranslatedFile:
    tables, options, keep = _WORKER["state"]
    outcome = _one(found, tables, options)
    return outcome if keep or outcome.result.changed else _light(outcome)


def _light(outcome: TranslatedFile) -> TranslatedFile:
    """Leave out the bytes of an unchanged file: nobody needs them in the parent process."""
    result = outcome.result
    return TranslatedFile(
        outcome.path, outcome.base, b"", FileResult(b"", False, result.error, result.calls, result.diagnostics),
        outcome.marks,
    )  # fmt: skip


def _one(found: FoundFile, tables: MappingSet, options: Options) -> TranslatedFile:
    if found.error is not None:
        return TranslatedFile(found.path, found.base, b"", unreadable(found.error))
    try:
        data = read_source_file(found.path)
    except OSError as error:
        return TranslatedFile(found.path, found.base, b"", unreadable(error.strerror or str(error)))
    suffix = found.path.suffix
    if suffix.lower() in CONFIGURATIONS and found.path == found.base:
        result = contained(data, lambda: _configuration(data, found.path, tables, options))
    else:
        result = translate_content(suffix, data, tables, options)
    if suffix not in ("", *SUFFIXES) and any(item.code is UNPARSABLE for item in result.diagnostics):
        result = failed(data, UNPARSABLE, f"not Python: expected a file such as {', '.join(SUFFIXES)}", 1, 1)
    return TranslatedFile(found.path, found.base, data, result, data.count(MARK))


def suffix_of(data: bytes) -> str:
    """The ending that a content without a name should have."""
    notebook = data.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] == b"{" and b'"cells"' in data and b'"nbformat"' in data
    return ".ipynb" if notebook else ".py"


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
