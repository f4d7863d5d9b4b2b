"""The translation API for Python users; `import optmap` loads it on first use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import DEFAULT
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult


@lru_cache(maxsize=8)
def _tables(extra: tuple[Path, ...]) -> MappingSet:
    return load(extra)


def translate_source(
    text: str,
    to: Framework | str = DEFAULT,
    *,
    sources: Iterable[Framework | str] | None = None,
    prefer: Prefer | str = Prefer.AUTO,
    faithful: bool = False,
    params: str | None = None,
    rewrite_step: bool = False,
    mappings: Iterable[Path | str] = (),
    versions: Mapping[str, str] | None = None,
) -> FileResult:
    """Translate the optimizer calls of Python source given as a string.

    Args:
        text: the source of one Python module.
        to: the target framework: torch, tensorflow or mindspore.
        sources: the frameworks to translate from; all but the target by default.
        prefer: which class to choose: "documented" for the target's usual counterpart, "faithful" for the one with the same
            arithmetic, "auto" for the usual one unless training would differ visibly.
        faithful: the same as prefer="faithful".
        params: a Python expression for the parameters, for calls that are given none.
        rewrite_step: rewrite plain training steps as well, as `--rewrite-step` does.
        mappings: directories with further tables.
        versions: package versions that the source is written for, such as `{"torch": "1.13"}`.

    Returns:
        The result; its `output` is the new source as UTF-8 bytes, `calls` and `diagnostics` describe what was done.
        Problems with the source itself, a syntax error included, are reported in `error` and `diagnostics`.

    Raises:
        ValueError: a framework, a preference or a package is unknown, or a version malformed or not covered by the tables.
        MappingError: a table is invalid.
    """
    tables = _tables(tuple(Path(item) for item in mappings)).at(versions or {})
    target = tables.framework(to)
    others = sources if sources is not None else {*tables.frameworks} - {target}
    wanted = frozenset(map(tables.framework, others))
    chosen = Prefer.FAITHFUL if faithful else Prefer(prefer)
    options = Options(target, wanted, chosen, params, rewrite_step=rewrite_step)
    return translate_bytes(text.encode(), tables, options, declares=False)
