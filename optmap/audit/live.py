"""A framework's modules as they are installed. Runs in a worker: everything of a framework is imported here, by its name."""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from optmap.audit.results import LiveModule, ModuleRequest, Newcomer, Request
from optmap.audit.signature import HiddenSignature, describe, parameters_of, version_of


class Missing(Exception):
    """There is nothing at a path; `package` is set where it is the whole package that is not installed."""

    def __init__(self, path: str, package: str | None) -> None:
        super().__init__(f"there is no {path}")
        self.package = package


class _Home(NamedTuple):
    """What tells an optimizer: base classes with their modules, the packages that they live in, telling names of parameters."""

    modules: dict[type, str]
    packages: tuple[str, ...]
    telling: frozenset[str]

    @property
    def bases(self) -> tuple[type, ...]:
        return tuple(self.modules)


def look(request: Request) -> dict[str, LiveModule]:
    """Look at every module that is asked for, by its name in the tables.

    Optimizers of public modules that no table has are newcomers of the module that holds their base class.
    """
    found: dict[str, Any] = {}
    answers: dict[str, LiveModule] = {}
    for module in request.modules:
        try:
            found[module.name] = find(module.path)
        except Missing as error:
            answers[module.name] = LiveModule(
                {}, gone=error.package is None, absent=error.package, version=version_of(module.package)
            )
        except Exception as error:  # an import may raise anything
            answers[module.name] = LiveModule({}, broken=f"{type(error).__name__}: {error}")
    home = _home(request, found)
    asked = [(module, name) for module in request.modules if module.name in found for name in module.classes]
    known = {id(getattr(found[module.name], name, None)): f"{module.name}.{name}" for module, name in asked}
    for module in request.modules:
        if module.name in found:
            answers[module.name] = _look(request, module, found[module.name], home, known)
    for name, newcomer in _elsewhere(request, home, known):
        answers[name] = answers[name]._replace(newcomers=(*answers[name].newcomers, newcomer))
    return answers


def find(path: str) -> Any:
    """The object at a dotted path, by attribute where there is one, else by import. Raises Missing, or what an import raises."""
    first, *rest = path.split(".")
    found, done = _import(first, path, first), first
    for name in rest:
        done = f"{done}.{name}"
        try:
            found = getattr(found, name)
        except AttributeError:
            found = _import(done, path, None)
    return found


def _import(name: str, path: str, package: str | None) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise Missing(path, package) from None


def _home(request: Request, found: dict[str, Any]) -> _Home:
    """The base classes are those among the known others that a class of the tables comes from."""
    asked = [(module, found[module.name]) for module in request.modules if module.name in found]
    classes = [item for module, live in asked for item in _classes(live, module.classes)]
    others = [(item, module.name) for module, live in asked for item in _classes(live, module.others)]
    bases = {base: name for base, name in reversed(others) if any(issubclass(item, base) for item in classes)}
    paths = {module.path for module in request.modules}
    packages = {base.__module__ if base.__module__ in paths else base.__module__.rpartition(".")[0] for base in bases}
    return _Home(bases, tuple(packages), frozenset(request.telling))


def _classes(module: Any, names: Iterable[str]) -> list[type]:
    members = (getattr(module, name, None) for name in names)
    return [item for item in members if isinstance(item, type)]


def _look(request: Request, asked: ModuleRequest, module: Any, home: _Home, known: dict[int, str]) -> LiveModule:
    members = {name: getattr(module, name, None) for name in asked.classes}
    classes = {name: None if member is None else describe(member) for name, member in members.items()}
    newcomers = [_newcomer(f"{asked.path}.{name}", member, known) for name, member in _members(asked, module, home)]
    for name, inner in _submodules(request, asked, module):
        own = [item for item in _public(inner) if isinstance(item[1], type) and issubclass(item[1], home.bases)]
        fresh = [item for item in own if id(item[1]) not in known and item[1] not in home.bases]
        newcomers += [_newcomer(f"{asked.path}.{name}.{item[0]}", item[1], known) for item in fresh]
    return LiveModule(classes, tuple(newcomers), version=version_of(asked.package))


def _newcomer(path: str, member: Any, known: dict[int, str]) -> Newcomer:
    """Describe a member that no table has; it is known from here on."""
    same_as = known.get(id(member))
    known.setdefault(id(member), path)
    return Newcomer(path, isinstance(member, type), _signature(member), same_as)


def _members(asked: ModuleRequest, module: Any, home: _Home) -> Iterator[tuple[str, Any]]:
    """The public members that no table has and that are optimizers, or listed and look like one."""
    listed = set(getattr(module, "__all__", None) or dir(module))
    for name, member in _public(module):
        if name in asked.classes or name in asked.others or name in asked.schedules:
            continue
        if (isinstance(member, type) and issubclass(member, home.bases)) or (
            name in listed and _looks_like_one(member, asked, home)
        ):
            yield name, member


def _public(module: Any) -> Iterator[tuple[str, Any]]:
    for name in sorted({*dir(module), *getattr(module, "__all__", ())}):
        if not name.startswith("_"):
            with suppress(Exception):  # a name that is only there to say that it is gone
                yield name, getattr(module, name)


def _looks_like_one(member: Any, asked: ModuleRequest, home: _Home) -> bool:
    """A class or function that lives where the bases live and takes what optimizers take.

    Every class of a module that holds nothing but optimizers looks like one.
    """
    if not isinstance(member, type) and not inspect.isroutine(member):
        return False
    where = f"{getattr(member, '__module__', '')}."
    packages = (*home.packages, asked.path) if asked.exclusive else home.packages
    if not any(where.startswith(f"{package}.") for package in packages):
        return False
    if isinstance(member, type) and asked.exclusive:
        return True
    try:
        names = [parameter.name for parameter in parameters_of(member)]
    except HiddenSignature:
        names = []
    return any(name in home.telling or "optim" in name.lower() for name in [member.__name__, *names])


def _submodules(request: Request, asked: ModuleRequest, module: Any) -> Iterator[tuple[str, Any]]:
    """Public modules within a module of optimizers that are not known as something else and are in no table themselves."""
    if not asked.exclusive:
        return
    listed = getattr(module, "__all__", None) or dir(module)
    for name, member in _public(module):
        known = name in asked.others or name in asked.schedules or f"{asked.path}.{name}" in request.known_paths
        inside = isinstance(member, types.ModuleType) and member.__name__.startswith(f"{module.__name__}.")
        if inside and name in listed and not known:
            yield name, member


def _elsewhere(request: Request, home: _Home, known: dict[int, str]) -> Iterator[tuple[str, Newcomer]]:
    """Subclasses of the bases that loaded public modules list, outside the tables' modules; with the base's module."""
    for base, name in home.modules.items():
        for member in sorted(_subclasses(base), key=lambda item: item.__name__):
            paths = _lists(member, request.package) if id(member) not in known else []
            if paths and not any(_within(path, request.known_paths) for path in paths):
                yield name, _newcomer(f"{min(paths, key=len)}.{member.__name__}", member, known)


def _subclasses(base: type) -> set[type]:
    direct: set[type] = set(base.__subclasses__())
    return direct.union(*map(_subclasses, direct))


def _lists(member: type, package: str) -> list[str]:
    """The public modules of a package that have a class in their `__all__`."""
    found = []
    for path, module in list(sys.modules.items()):
        public = path.partition(".")[0] == package and not any(part.startswith("_") for part in path.split("."))
        names = vars(module) if public and isinstance(module, types.ModuleType) else {}  # some answer to any attribute
        if names.get(member.__name__) is member and member.__name__ in (names.get("__all__") or ()):
            found.append(path)
    return found


def _within(path: str, known: Iterable[str]) -> bool:
    return any(path == each or path.startswith(f"{each}.") for each in known)


def _signature(member: Any) -> str:
    """The signature for people; defaults that are objects are shown as their type."""
    try:
        parameters = describe(member).parameters
    except Exception:  # only for show
        return "(...)"
    texts = [item.name if item.default is None else f"{item.name}={item.default}" for item in parameters]
    return f"({', '.join(texts)})"
