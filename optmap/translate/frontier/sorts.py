"""What an import path of a framework gives: a model, a loss, data, a context, something plain, or a tensor."""

from __future__ import annotations

import re
from enum import Enum
from fnmatch import translate as as_pattern
from functools import lru_cache

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Frontier
from optmap.mapping.model import MappingSet


class Sort(Enum):
    """The value is the name of the patterns in the framework's facts; they are tried in this order."""

    SETTING = "settings"
    CONTEXT = "contexts"
    LOSS = "losses"
    SCHEDULE = "schedules"
    DATA = "data"
    MODEL = "models"
    PLAIN = "plain"
    TENSOR = ""


def roots_of(tables: MappingSet, framework: Framework) -> frozenset[str]:
    """The packages of a framework, and those whose objects are its own."""
    return frozenset((*tables.roots[framework], *framework.facts.frontier.kin))


@lru_cache(maxsize=4096)
def sort_of(facts: Frontier, path: str) -> Sort:
    """What a path gives; a package itself gives nothing."""
    if "." not in path:
        return Sort.PLAIN
    for sort, pattern in _patterns(facts):
        if pattern.fullmatch(path):
            return sort
    return Sort.TENSOR


@lru_cache(maxsize=16)
def _patterns(facts: Frontier) -> tuple[tuple[Sort, re.Pattern[str]], ...]:
    given = ((sort, getattr(facts, sort.value)) for sort in Sort if sort.value)
    return tuple((sort, re.compile("|".join(map(as_pattern, globs)))) for sort, globs in given if globs)
