"""The functions for Python users; `import optmap` gives them lazily."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from optmap.mapping.load import load
from optmap.mapping.model import Framework, MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult


@lru_cache(maxsize=8)
def _tables(extra: tuple[Path, ...]) -> MappingSet:
    return load(extra)


def translate_source(
    text: str,
    to: Framework | str = Framework.MINDSPORE,
    *,
    sources: Iterable[Framework | str] | None = None,
    faithful: bool = False,
    params: str | None = None,
    rewrite_step: bool = False,
    mappings: Iterable[Path | str] = (),
    versions: Mapping[str, str] | None = None,
) -> FileResult:
    """Translate the optimizer calls of Python source given as a string.

    `to` names the target framework (torch, tensorflow, mindspore), `sources` the frameworks to translate from (all
    others by default), `params` the expression for the parameters of calls that name none, `mappings` directories with
    more tables, `versions` the versions that the source is written for (`{"torch": "1.13"}`); `rewrite_step` is as on the
    command line. The result's `output` holds the new source as UTF-8 bytes; `calls` and `diagnostics` say what was done.

    Raises ValueError for an unknown framework and MappingError for tables that cannot be used. Problems with the source
    itself, a syntax error included, are reported in the result's `error` and `diagnostics`.
    """
    target = Framework(to)
    wanted = frozenset(map(Framework, sources)) if sources is not None else frozenset(Framework) - {target}
    tables = _tables(tuple(Path(item) for item in mappings)).at(versions or {})
    return translate_bytes(text.encode(), tables, Options(target, wanted, faithful, params, rewrite_step=rewrite_step))
