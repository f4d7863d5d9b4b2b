"""Frameworks as values: a name with the facts of mappings/frameworks/, and the versions of its packages that the tables cover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from optmap.mapping import versions
from optmap.mapping.frameworks import Facts, OptimizerModule, load_facts
from optmap.nearest import nearest


class _Own(type):
    """optmap's own frameworks are what `Framework` runs over."""

    def __iter__(cls) -> Iterator[Framework]:
        return iter(frameworks().values())


class Framework(str, metaclass=_Own):
    """A framework whose optimizers the tables describe: its name, with the facts of mappings/frameworks/.

    `Framework("torch")` gives one of optmap's own; `MappingSet.frameworks` has those that the user's tables bring, too.
    """

    facts: Facts

    def __new__(cls, name: str, facts: Facts | None = None) -> Framework:
        if facts is None:
            found = name if isinstance(name, Framework) else frameworks().get(name)
            if found is None:
                raise ValueError(f"unknown framework {name!r}, expected one of {', '.join(frameworks())}")
            return found
        self = super().__new__(cls, name)
        self.facts = facts
        return self

    def __getnewargs__(self) -> tuple[str, Facts]:  # type: ignore[override]
        return str(self), self.facts

    def own(self, module: OptimizerModule) -> OptimizerModule:
        """A module as one of this framework."""
        return module._replace(framework=self, package=module.package or self.facts.packages[0])


def frameworks(extra: tuple[Path, ...] = ()) -> dict[str, Framework]:
    """optmap's own frameworks and those of the directories, by name, in their order. Raises MappingError."""
    return _frameworks(extra)


@lru_cache(maxsize=8)
def _frameworks(extra: tuple[Path, ...]) -> dict[str, Framework]:
    own = _frameworks(()) if extra else {}
    made = {name: Framework(name, facts) for name, facts in load_facts(extra).items()}
    return {name: own[name] if name in own and own[name].facts == item.facts else item for name, item in made.items()}


def named(text: str, known: Mapping[str, Framework]) -> Framework:
    """The framework of a name or an alias, in whatever case. Raises ValueError."""
    found = {name: item for item in known.values() for name in (item, *item.facts.aliases)}.get(text.strip().lower())
    if found is None:
        hint = nearest(text, known).partition("; expected")[0]
        raise ValueError(f"unknown framework {text!r}, expected one of {', '.join(known)}{hint}")
    return found


def versioned(text: str, known: Mapping[str, Framework]) -> tuple[Framework, dict[str, str]]:
    """`torch` or `torch==1.13` as the framework and the versions by package. Raises ValueError."""
    name, equals, version = text.partition("==")
    found = named(name, known)
    if not equals:
        return found, {}
    package, packages = name.strip().lower(), found.facts.packages
    package = package if package in packages else packages[0]
    check_version(package, version.strip(), known)
    return found, {package: version.strip()}


def check_version(package: str, version: str, known: Mapping[str, Framework]) -> None:
    """Raise ValueError unless the tables describe the version of the package."""
    covered = {name: item.facts.covers.get(name) for item in known.values() for name in item.facts.packages}
    if package not in covered:
        raise ValueError(f"unknown package {package!r}{nearest(package, covered)}")
    versions.key(version)
    span = covered[package]
    if span is not None and not versions.within(version, *span):
        raise ValueError(f"found {package} {version}, but the tables cover {package} {' to '.join(span)} only")
