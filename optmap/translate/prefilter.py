"""Cheap tests on a file's bytes: is it worth parsing, and which passes may have anything to do? Most files want few."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence, Set
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias

from optmap.diagnostics import DYNAMIC
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.text import Source, words_of
from optmap.translate.findings import Finding
from optmap.values import NamedTuple

_MODULE_BY_NAME: Final = re.compile(rb"getattr\([^()]*['\"]optim")


Form: TypeAlias = tuple[tuple[bytes, ...], ...]
"""Groups of words, of each of which a file must hold one; what most files lack comes first."""


class _Forms(NamedTuple):
    """How a file may mention an optimizer: `worded` by a class or module beside one of `words`, `plain` without them.

    `short_worded` and `short_plain` are short names.
    """

    words: tuple[bytes, ...]
    worded: tuple[Form, ...]
    plain: tuple[Form, ...]
    short_worded: tuple[Form, ...]
    short_plain: tuple[Form, ...]


def may_hold_optimizers(data: bytes, tables: MappingSet, sources: frozenset[Framework]) -> bool:
    """Tell whether a file may hold anything of the source frameworks that is worth parsing it for."""
    return _may_mention(data, tables, sources, short=True)


def may_mention(data: bytes, tables: MappingSet, sources: frozenset[Framework]) -> bool:
    """Tell whether a file may mention an optimizer by the name of its class or module."""
    return _may_mention(data, tables, sources, short=False)


def _may_mention(data: bytes, tables: MappingSet, sources: frozenset[Framework], short: bool) -> bool:
    """Few files have one of the words, and the others are not looked through for what stands beside them alone."""
    forms = _forms(tables, sources)
    if any(word in data for word in forms.words) and (
        _has_one(data, forms.worded)
        or (short and _has_one(data, forms.short_worded))
        or not words_of(data).isdisjoint(tables.once((may_mention, sources), lambda: _homes(tables, sources)))
    ):
        return True
    return _has_one(data, forms.plain) or (short and _has_one(data, forms.short_plain))


def _has_one(data: bytes, forms: tuple[Form, ...]) -> bool:
    for form in forms:
        for group in form:
            for word in group:
                if word in data:
                    break
            else:
                break
        else:
            return True
    return False


def _forms(tables: MappingSet, sources: frozenset[Framework]) -> _Forms:
    """Keras' `model.compile("adam")` is a short name, and timm's `create_optimizer_v2(model, "adamw")` another."""
    return tables.once((_forms, sources), lambda: _made_forms(tables, sources))


def _made_forms(tables: MappingSet, sources: frozenset[Framework]) -> _Forms:
    words = _encoded(word for item in sources for word in item.facts.words)
    worded: list[Form] = []
    plain: list[Form] = []
    for framework in sources:
        roots, facts = _encoded(tables.roots[framework]), framework.facts
        worded += [(_encoded(facts.words), roots)] if facts.words else []
        plain += [] if facts.words else [(roots,)]
        plain += [(roots, _encoded(tables.class_names))] if facts.class_names else []
    short = [tuple((word.encode(),) for word in each) for item in sources for each in item.facts.short_names]
    held = [form for form in short if any(word in part for (part, *_) in form for word in words)]
    others = [form for form in short if form not in held]
    return _Forms(words, _joined(worded), _joined(plain), _joined(held), _joined(others))


def _homes(tables: MappingSet, sources: frozenset[Framework]) -> frozenset[bytes]:
    """Other packages that have optimizers, or take them; few runs need their table."""
    packages = _words(tables.extra, "packages")
    return frozenset(path.partition(b".")[0] for framework in sources for path in packages.get(framework, ()))


def _joined(forms: Iterable[Form]) -> tuple[Form, ...]:
    """The forms that differ in their last group only as one."""
    groups: dict[Form, tuple[bytes, ...]] = {}
    for *first, last in forms:
        groups[tuple(first)] = (*groups.get(tuple(first), ()), *last)
    return tuple((*first, _shortest(last)) for first, last in groups.items())


def _shortest(words: Iterable[bytes]) -> tuple[bytes, ...]:
    """The words without those that hold another one."""
    found: list[bytes] = []
    for word in sorted(set(words), key=lambda word: (len(word), word)):
        if not any(other in word for other in found):
            found.append(word)
    return tuple(found)


def _encoded(words: Iterable[str]) -> tuple[bytes, ...]:
    return _shortest(word.encode() for word in words)


def may_say_anything(data: bytes, tables: MappingSet, sources: frozenset[Framework], target: Framework) -> bool:
    """Tell whether some pass may want a file that may hold optimizers: by whole words, which costs a tenth of parsing it."""
    words = words_of(data)
    return (
        spells_modules(words, tables, sources, target)
        or _spells_packages(words, sources, tables.extra)
        or looks_up_optimizers(data, (), tables, sources)
    )


def spells_modules(words: Set[bytes], tables: MappingSet, sources: frozenset[Framework], target: Framework) -> bool:
    """Tell whether a file with these words may mention a module of optimizers, by its path or by a conventional name.

    Of the target's modules, and of a name that means one where nothing binds it, nothing but a known class is of interest.
    """
    alone, named = tables.once((spells_modules, sources, target), lambda: _spellings(tables, sources, target))
    if any(each <= words for each in alone):
        return True
    if not any(each <= words for each in named):
        return False
    return not words.isdisjoint(tables.once(spells_modules, lambda: frozenset(map(str.encode, tables.class_names))))


def _spellings(
    tables: MappingSet, sources: frozenset[Framework], target: Framework
) -> tuple[list[frozenset[bytes]], list[frozenset[bytes]]]:
    """The words of each path to a module, and those that count beside the name of a class alone."""
    alone, named = set[frozenset[bytes]](), set[frozenset[bytes]]()
    for path in tables.paths_of(sources | {target}):
        own = tables.modules_by_path[path].framework in sources
        found = [(path, own)]
        found += [
            (
                f"{name}{path.removeprefix(means)}" if f"{path}.".startswith(f"{means}.") else name,
                own and "." not in means,
            )
            for name, means in tables.conventional.items()
            if f"{path}.".startswith(f"{means}.") or means.startswith(f"{path}.")
        ]
        for each, enough in found:
            (alone if enough else named).add(frozenset(each.encode().split(b".")))
    return _smallest(alone), _smallest(named)


def _smallest(found: set[frozenset[bytes]]) -> list[frozenset[bytes]]:
    return [each for each in found if not any(other < each for other in found)]


def looks_up_optimizers(
    data: bytes, mentions: Sequence[Finding], tables: MappingSet, sources: frozenset[Framework]
) -> bool:
    """Tell whether the file may stand a string for an optimizer, given what it mentions."""
    if any(mention.code is DYNAMIC for mention in mentions):
        return True
    by_class, others = tables.once((looks_up_optimizers, sources), lambda: _short_forms(sources))
    if _has_one(data, others) or (_has_one(data, by_class) and _names_class(data, tables)):
        return True
    return b"getattr" in data and _MODULE_BY_NAME.search(data) is not None


def _short_forms(sources: frozenset[Framework]) -> tuple[tuple[Form, ...], tuple[Form, ...]]:
    """The short names that are names of classes, in any case, and the others."""
    found: tuple[list[Form], list[Form]] = [], []
    for item in sources:
        forms = (tuple((word.encode(),) for word in each) for each in item.facts.short_names)
        found[0 if item.facts.strings is not None else 1].extend(forms)
    return tuple(found[0]), tuple(found[1])


def _names_class(data: bytes, tables: MappingSet) -> bool:
    """Tell whether a string of the file is the name of a class, in any case."""
    names = {*tables.class_names, *(api.class_name for api in tables.older.values())}
    pattern = tables.once(_names_class, lambda: re.compile(rf"['\"](?:{'|'.join(names)})['\"]".encode(), re.IGNORECASE))
    return pattern.search(data) is not None


def has_surroundings(data: bytes, frameworks: Collection[Framework], extra: tuple[Path, ...]) -> bool:
    """Tell whether the file has a word of the tables of what stands around an optimizer of one of the frameworks."""
    return any(word in data for framework in frameworks for word in _words(extra, "patterns").get(framework, ()))


def names_packages(source: Source, frameworks: frozenset[Framework], extra: tuple[Path, ...]) -> bool:
    """Tell whether the file may use another package that has optimizers for one of the frameworks, or takes them."""
    key = (names_packages, frameworks, extra)
    return source.once(key, lambda: _spells_packages(source.words, frameworks, extra))


def _spells_packages(words: Set[bytes], frameworks: frozenset[Framework], extra: tuple[Path, ...]) -> bool:
    roots = (item for framework in frameworks for item in _packages(extra).get(framework, {}).items())
    return any(parts <= words for root, paths in roots if root in words for parts in paths)


def has_steps(source: Source, tables: MappingSet) -> bool:
    """Tell whether the file may hold a training step of one of the frameworks."""
    data, patterns = source.body, tables.once(has_steps, lambda: _steps(tables))
    return source.once(
        has_steps, lambda: any(literal in data and pattern.search(data) for literal, pattern in patterns)
    )


def _steps(tables: MappingSet) -> list[tuple[bytes, re.Pattern[bytes]]]:
    """The patterns of steps, each with the text that it matches, which is looked for faster; empty for one of several texts."""
    found = []
    for word in (word for framework in tables.frameworks.values() for word in framework.facts.steps.words):
        escaped = word.replace(r"\b", "")
        text = re.sub(r"\\(\W)", r"\1", escaped)
        found.append((text.encode() if re.escape(text) == escaped else b"", re.compile(word.encode())))
    return found


@lru_cache(maxsize=4)
def _packages(extra: tuple[Path, ...]) -> dict[str, dict[bytes, list[frozenset[bytes]]]]:
    """The paths of other packages, by their roots, as the names in them: an import or a chain of attributes must spell each."""
    made: dict[str, dict[bytes, list[frozenset[bytes]]]] = {}
    for name, paths in _words(extra, "packages").items():
        roots = made.setdefault(name, {})
        for path in paths:
            roots.setdefault(path.partition(b".")[0], []).append(frozenset(path.split(b".")))
    return made


@lru_cache(maxsize=4)
def _words(extra: tuple[Path, ...], kind: str) -> dict[str, list[bytes]]:
    from optmap.mapping.around import load_words

    return {name: [word.encode() for word in words] for name, words in load_words(extra)[kind].items()}
