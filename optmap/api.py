"""The translation API for Python users; `import optmap` loads it on first use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from optmap.arguments import several
from optmap.diagnostics import UNDECODABLE
from optmap.mapping.framework import Framework, versioned
from optmap.mapping.frameworks import DEFAULT
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.mapping.stored import Directory
from optmap.selection import Selection, parse_codes
from optmap.translate.files import suffix_of, translate_content
from optmap.translate.options import Options, check_parameters, check_quantities
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult, failed


@lru_cache(maxsize=8)
def _tables(extra: tuple[Directory, ...]) -> MappingSet:
    return load(extra)


def tables_of(mappings: Iterable[str | Path]) -> MappingSet:
    """The tables with those of further directories, read again only where a directory has changed. Raises MappingError."""
    return _tables(tuple(map(Directory.now, mappings)))


def translate_source(
    text: str | bytes,
    to: Framework | str = DEFAULT,
    *,
    sources: Iterable[Framework | str] | str | None = None,
    prefer: Prefer | str = Prefer.AUTO,
    faithful: bool = False,
    params: str | None = None,
    rewrite_step: bool = False,
    todo: bool = False,
    mappings: Iterable[Path | str] | Path | str = (),
    versions: Mapping[str, str] | None = None,
    set: Mapping[str, int] | None = None,
    select: Iterable[str] | str = (),
    ignore: Iterable[str] | str = (),
) -> FileResult:
    """Translate the optimizer calls of one Python module, given as a string or as the bytes of a file.

    Args:
        text: the source; bytes are decoded as Python decodes a file.
        to: the target framework: torch, tensorflow or mindspore.
        sources: the framework to translate from, or several; all but the target by default.
        prefer: which class to choose: "documented" for the target's usual counterpart, "faithful" for the one with the same
            arithmetic, "auto" for the usual one unless training would differ visibly.
        faithful: the same as prefer="faithful".
        params: a Python expression for the parameters, for calls that are given none.
        rewrite_step: rewrite plain training steps as well, as `--rewrite-step` does.
        todo: write what is left to do into the result, as `--todo` does.
        mappings: a directory with further tables, or several.
        versions: package versions that the source is written for, such as `{"torch": "1.13"}`.
        set: what learning-rate schedules need and the source does not show: `steps_per_epoch` or `total_steps`.
        select: the codes to report, all by default.
        ignore: the codes not to report.

    Returns:
        The result; its `text` is the new source and `output` its bytes, `calls` and `diagnostics` describe what was done.
        Problems with the source itself, a syntax error included, are reported in `error` and `diagnostics`.

    Raises:
        TypeError: an argument is of another type.
        ValueError: a framework, a preference, a package, a code or a quantity is unknown, `params` is no expression, or a
            version is malformed or not covered by the tables.
        MappingError: a table is invalid.
    """
    if not isinstance(text, str | bytes):
        raise TypeError(f"text: found {type(text).__name__}, expected str or bytes")
    chosen: dict[str, str] = dict(versions or {})
    loaded = tables_of(several("mappings", mappings, str, Path))
    known = loaded.frameworks
    target = _framework("to", to, known, chosen)
    given = several("sources", sources, str) if sources is not None else [name for name in known if name != target]
    wanted = frozenset(_framework("sources", name, known, chosen) for name in given)
    if target in wanted:
        raise ValueError(f"sources: found the target {target}, expected other frameworks")
    options = Options(
        target, wanted, _prefer(prefer, faithful), check_parameters(params) if params is not None else None,
        versions=tuple(chosen.items()), quantities=check_quantities(set or {}), rewrite_step=rewrite_step, todo=todo,
    )  # fmt: skip
    reported, left = (
        parse_codes(several(name, codes, str)) for name, codes in (("select", select), ("ignore", ignore))
    )
    return Selection(reported or None, left).of(None, _translated(text, loaded.at(chosen), options))


def _translated(text: str | bytes, tables: MappingSet, options: Options) -> FileResult:
    if isinstance(text, bytes):
        return translate_content(suffix_of(text), text, tables, options)
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        before = text[: error.start]
        message = f"cannot be encoded: found the lone surrogate {text[error.start]!r}"
        place = before.count("\n") + 1, error.start - before.rfind("\n")
        return failed(text.encode("utf-8", "surrogatepass"), UNDECODABLE, message, *place)
    if suffix_of(data) == ".ipynb":
        return translate_content(".ipynb", data, tables, options)
    return translate_bytes(data, tables, options, declares=False)


def _framework(name: str, given: str, known: Mapping[str, Framework], chosen: dict[str, str]) -> Framework:
    """The framework of `torch` or `torch==1.13`, whose version is chosen as well. Raises TypeError, ValueError."""
    if not isinstance(given, str):
        raise TypeError(f"{name}: found {given!r}, expected the name of a framework")
    found, version = versioned(given, known)
    chosen |= version
    return found


def _prefer(prefer: Prefer | str, faithful: bool) -> Prefer:
    """Raises ValueError."""
    if prefer not in tuple(Prefer):
        raise ValueError(f"prefer: found {prefer!r}, expected one of {', '.join(Prefer)}")
    if faithful and prefer == Prefer.DOCUMENTED:
        raise ValueError(f"found faithful=True and prefer={str(prefer)!r}, expected one of them")
    return Prefer.FAITHFUL if faithful else Prefer(prefer)
