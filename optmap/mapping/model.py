"""All tables together: the sections of the classes and what they share, at the versions that are chosen."""

import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from optmap.mapping import versions
from optmap.mapping.framework import Framework, check_version, frameworks, named
from optmap.mapping.frameworks import OptimizerModule
from optmap.mapping.records import Record, added
from optmap.mapping.sections import Algorithm, Api
from optmap.mapping.state import Quantity
from optmap.mapping.vocabulary import (
    Hyperparameter,
    Trait,
)

T = TypeVar("T")
_REMEMBERED: Final = 5_000
"""So many answers are kept: a tree has few calls that differ, and what runs on and on must not grow."""


class MappingSet(Record):
    """All tables together.

    `older` are classes of modules that are no more, for the versions that have them; `extra` are the directories of the
    tables that came on top of optmap's own.
    """

    hyperparameters: dict[str, Hyperparameter] = added()
    traits: dict[str, Trait] = added()
    states: dict[str, Quantity] = added(default={})
    modules: dict[str, OptimizerModule] = added()
    algorithms: dict[str, Algorithm] = added()
    apis: dict[str, Api] = added()
    older: dict[str, Api] = added()
    extra: tuple[Path, ...] = added(default=())

    @cached_property
    def _answers(self) -> dict[object, Any]:
        return {}

    def once(self, question: object, answer: Callable[[], T]) -> T:
        """The answer to a question that nothing but the tables and the question itself decide; it is kept for the next."""
        found: T | None = self._answers.get(question)
        if found is None:
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            found = self._answers[question] = answer()
        return found

    @cached_property
    def frameworks(self) -> dict[str, Framework]:
        """Every framework that the tables describe, by name, in their order."""
        return frameworks(self.extra)

    def framework(self, name: str) -> Framework:
        """Return a framework by its name. Raises ValueError."""
        return named(name, self.frameworks)

    def at(self, chosen: Mapping[str, str]) -> "MappingSet":
        """The same tables for other versions of some packages. Raises ValueError for versions that they do not cover."""
        if not chosen:
            return self
        for package, version in chosen.items():
            check_version(package, version, self.frameworks)
        joined = {
            package: (item.facts.packages[0], version)
            for item in self.frameworks.values()
            for package, version in item.facts.joined.items()
        }
        wanted = versions.with_joined(chosen, joined)
        apis = {name: api.with_version(wanted.get(api.module.package)) for name, api in self.apis.items()}
        algorithms = {
            name: item._replace(apis=tuple(apis[api.name] for api in item.apis))
            for name, item in self.algorithms.items()
        }
        modules, apis = self._with_older(chosen, wanted, apis)
        return self._replace(modules=modules, algorithms=algorithms, apis=apis)

    def _with_older(
        self, chosen: Mapping[str, str], wanted: Mapping[str, str], apis: dict[str, Api]
    ) -> tuple[dict[str, OptimizerModule], dict[str, Api]]:
        """Give modules that are no more the import paths that they had in the versions that are chosen.

        Where a path is below a package whose version is not given, and that decides whose it is, its classes are not known.
        """
        modules = dict(self.modules)
        for name, older in self.modules.items():
            package = older.package
            if not older.until or package not in wanted:
                continue
            paths = [path for path in older.paths if _belongs(path, older.until, chosen)]
            open_ = [path for path in older.paths if path.partition(".")[0] not in chosen]
            own = {key: api.with_version(wanted[package]) for key, api in self.older.items() if api.module.name == name}
            if not paths and not (open_ and versions.holds(wanted[package], None, older.until[package])):
                continue
            others = {key: api for key, api in apis.items() if api.module.package == package}
            doubtful = others if paths else own
            apis = {**apis, **own, **{key: _unknown(api, path) for path in open_[:1] for key, api in doubtful.items()}}
            taken = paths or open_
            modules |= {
                other: item._replace(paths=tuple(path for path in item.paths if path not in taken))
                for other, item in modules.items()
            }
            modules[name] = older._replace(paths=tuple(taken), until={})
        return modules, apis

    @cached_property
    def modules_by_path(self) -> dict[str, OptimizerModule]:
        current = [module for module in self.modules.values() if not module.until]
        return {path: module for module in current for path in (*module.paths, *module.pinned)}

    def paths_of(self, chosen: Collection[Framework]) -> list[str]:
        """The import paths of the modules that hold optimizers of some frameworks."""
        return [path for path, module in self.modules_by_path.items() if module.framework in chosen]

    @cached_property
    def roots(self) -> dict[Framework, tuple[str, ...]]:
        """The packages through which each framework's optimizers are imported."""
        found: dict[Framework, dict[str, None]] = {framework: {} for framework in self.frameworks.values()}
        for path, module in self.modules_by_path.items():
            found[module.framework][path.partition(".")[0]] = None
        return {framework: tuple(names) for framework, names in found.items()}

    @cached_property
    def conventional(self) -> dict[str, str]:
        """What names mean by convention where nothing binds them."""
        return {name: path for item in self.frameworks.values() for name, path in item.facts.names.items()}

    @cached_property
    def rate_objects(self) -> dict[str | None, str]:
        """What the objects are that import paths make, where a learning rate may be one of them."""
        rates = (item.facts.rates for item in self.frameworks.values())
        return {path: what for each in rates for what, paths in each.objects.items() for path in paths}

    def instead(self, api: Api, target: Framework) -> str | None:
        """What to do where the target has no counterpart of a class.

        Advice that names frameworks is for those that optmap's own tables had in mind, and for the ones that it names.
        """
        text = api.instead or self.algorithms[api.algorithm].instead
        if text is None or target in frameworks():
            return text
        others = [item.facts for item in self.frameworks.values() if item not in (target, api.framework)]
        named = {word for facts in others for word in (facts.framework, facts.title, *facts.aliases, *facts.names)}
        pattern = rf"\b({'|'.join(map(re.escape, named))})\b"
        return text if re.search(pattern, text, re.IGNORECASE) is None else None

    def find(self, path: str) -> tuple[OptimizerModule, str] | None:
        """Split a dotted path into the optimizer module that it leads into and the rest, empty for the module itself."""
        head, rest = path, ""
        while head:
            module = self.modules_by_path.get(head)
            if module is not None:
                return module, rest
            head, _, last = head.rpartition(".")
            rest = f"{last}.{rest}" if rest else last
        return None

    def api_at(self, path: str) -> Api | None:
        """Return the API that a dotted import path names, also through the submodule that defines it."""
        found = self.find(path)
        if found is None:
            return None
        module, rest = found
        inner, _, name = rest.rpartition(".")
        if not (name.lower().startswith(inner.replace("_", "")) or name in module.submodules.get(inner, ())):
            return None
        api = self.apis.get(f"{module.name}.{name}")
        if api is None and not inner:  # the module may define a class for the package that exports it
            parent, _, last = module.name.rpartition(".")
            exported = self.apis.get(f"{parent}.{name}")
            return exported if last.replace("_", "") == name.lower() else None
        if api is None or not module.pinned:
            return api
        pinned = (version for prefix, version in module.pinned.items() if path.startswith(f"{prefix}."))
        return api.with_version(next(pinned, api.version))

    def named(self, name: str) -> list[Api]:
        """Return the classes that a name may mean: a full name in any spelling, or a class name alone."""
        head, _, rest = name.partition(".")
        path = f"{self.conventional.get(head, head)}.{rest}" if rest else name
        exact = self.apis.get(name) or self.api_at(path)
        return [exact] if exact else [api for api in self.apis.values() if api.class_name.lower() == name.lower()]

    @cached_property
    def class_names(self) -> frozenset[str]:
        return frozenset(api.class_name for api in self.apis.values())


def assembled(
    hyperparameters: dict[str, Hyperparameter], traits: dict[str, Trait], modules: dict[str, OptimizerModule],
    algorithms: Mapping[str, Algorithm], apis: Mapping[str, Api], states: dict[str, Quantity],
) -> MappingSet:  # fmt: skip
    """The tables of some sections: classes of modules that are no more are kept apart and belong to no algorithm."""
    current: dict[str, Api] = {}
    older: dict[str, Api] = {}
    members: dict[str, list[Api]] = {name: [] for name in algorithms}
    for name, api in apis.items():
        (older if api.module.until else current)[name] = api
        if not api.module.until:
            members[api.algorithm].append(api)
    found = {name: item._replace(apis=tuple(members[name])) for name, item in algorithms.items()}
    return MappingSet(
        hyperparameters=hyperparameters, traits=traits, states=states, modules=modules, algorithms=found, apis=current,
        older=older,
    )  # fmt: skip


def _belongs(path: str, until: Mapping[str, str], chosen: Mapping[str, str]) -> bool:
    """Tell whether a path is a module's own in the chosen version of the package that it begins with."""
    package = path.partition(".")[0]
    return package in chosen and package in until and versions.holds(chosen[package], None, until[package])


def _unknown(api: Api, path: str) -> Api:
    package = path.partition(".")[0]
    why = f"what {api.class_name} does depends on the version of {package}, which is not given"
    return api._replace(unknown=f"{why}: --from {package}==VERSION, or [tool.optmap.versions], says which")
