"""Cheap tests on a file's bytes: is it worth parsing, and which passes may have anything to do? Most files want few."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from optmap.diagnostics import DYNAMIC
from optmap.mapping.model import Framework, MappingSet
from optmap.translate.findings import Finding

_MODULE_BY_NAME: Final = re.compile(rb"getattr\([^()]*['\"]optim")


def may_hold_optimizers(data: bytes, tables: MappingSet, sources: Collection[Framework]) -> bool:
    """Tell whether a file may hold anything of the source frameworks that is worth parsing it for."""
    return may_mention(data, tables, sources) or _names_optimizers(data, sources)


def may_mention(data: bytes, tables: MappingSet, sources: Collection[Framework]) -> bool:
    """Tell whether a file may mention an optimizer by the name of its class or module."""
    said = {word: word.encode() in data for framework in sources for word in framework.facts.words}
    named = False
    for framework in sources:
        if any(root.encode() in data for root in tables.roots[framework]):
            words = framework.facts.words
            if not words or any(said[word] for word in words):
                return True
            named = named or framework.facts.class_names
    if any(said.values()) and names_packages(data, sources, tables.extra):
        return True
    return named and any(name.encode() in data for name in tables.class_names)


def _names_optimizers(data: bytes, sources: Collection[Framework]) -> bool:
    """Tell whether the file may name an optimizer by a short name.

    Keras' `model.compile("adam")` is one form, timm's `create_optimizer_v2(model, "adamw")` another.
    """
    forms = (words for framework in sources for words in framework.facts.short_names)
    return any(all(word.encode() in data for word in words) for words in forms)


def looks_up_optimizers(data: bytes, mentions: Sequence[Finding], sources: Collection[Framework]) -> bool:
    """Tell whether the file may stand a string for an optimizer, given what it mentions."""
    if any(mention.code is DYNAMIC for mention in mentions) or _names_optimizers(data, sources):
        return True
    return b"getattr" in data and _MODULE_BY_NAME.search(data) is not None


def has_surroundings(data: bytes, frameworks: Collection[Framework], extra: tuple[Path, ...]) -> bool:
    """Tell whether the file has a word of the tables of what stands around an optimizer of one of the frameworks."""
    return any(word in data for framework in frameworks for word in _words(extra, "patterns").get(framework, ()))


def names_packages(data: bytes, frameworks: Collection[Framework], extra: tuple[Path, ...]) -> bool:
    """Tell whether the file may use another package that has optimizers for one of the frameworks, or takes them."""
    return any(word in data for framework in frameworks for word in _words(extra, "packages").get(framework, ()))


def has_steps(data: bytes, frameworks: Iterable[Framework]) -> bool:
    """Tell whether the file may hold a training step of one of the frameworks."""
    return (
        _steps(tuple(word for framework in frameworks for word in framework.facts.steps.words)).search(data) is not None
    )


@lru_cache(maxsize=4)
def _steps(words: tuple[str, ...]) -> re.Pattern[bytes]:
    return re.compile("|".join(words).encode())


@lru_cache(maxsize=4)
def _words(extra: tuple[Path, ...], kind: str) -> dict[str, list[bytes]]:
    from optmap.mapping.around import load_words

    return {name: [word.encode() for word in words] for name, words in load_words(extra)[kind].items()}
