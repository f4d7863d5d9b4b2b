"""Inspects a framework's installed modules. Runs in a worker process, and imports the framework's modules by name."""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from optmap.audit.results import LiveModule, ModuleRequest, Request, UnlistedMember
from optmap.audit.signature import HiddenSignature, describe, parameters_of, version_of


class Missing(Exception):
    """A path does not exist; `package` is set if the whole package is not installed."""

    def __init__(self, path: str, package: str | None) -> None:
        super().__init__(f"there is no {path}")
        self.package = package


class _Markers(NamedTuple):
    """The marks of an optimizer: base classes with their modules, the packages of these, and typical parameter names."""

    modules: dict[type, str]
    packages: tuple[str, ...]
    marker_parameters: frozenset[str]

    @property
    def bases(self) -> tuple[type, ...]:
        return tuple(self.modules)


def inspect_modules(request: Request) -> dict[str, LiveModule]:
    """Inspect every requested module; the result is keyed by the module's name in the tables.

    An optimizer in another public module that no table describes is reported as unlisted in the module of its base class.
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
    markers = _markers(request, found)
    asked = [(module, name) for module in request.modules if module.name in found for name in module.classes]
    known = {id(getattr(found[module.name], name, None)): f"{module.name}.{name}" for module, name in asked}
    for module in request.modules:
        if module.name in found:
            answers[module.name] = _look(request, module, found[module.name], markers, known)
    for name, member in _elsewhere(request, markers, known):
        answers[name] = answers[name]._replace(unlisted=(*answers[name].unlisted, member))
    return answers


def find(path: str) -> Any:
    """The object at a dotted path, by attribute if there is one, else by import. Raises Missing, or any error of an import."""
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


def _markers(request: Request, found: dict[str, Any]) -> _Markers:
    """The marks of an optimizer. Base classes are the `others` of the tables that a class of the tables derives from."""
    asked = [(module, found[module.name]) for module in request.modules if module.name in found]
    classes = [item for module, live in asked for item in _classes(live, module.classes)]
    others = [(item, module.name) for module, live in asked for item in _classes(live, module.others)]
    bases = {base: name for base, name in reversed(others) if any(issubclass(item, base) for item in classes)}
    paths = {module.path for module in request.modules}
    packages = {base.__module__ if base.__module__ in paths else base.__module__.rpartition(".")[0] for base in bases}
    return _Markers(bases, tuple(packages), frozenset(request.marker_parameters))


def _classes(module: Any, names: Iterable[str]) -> list[type]:
    members = (getattr(module, name, None) for name in names)
    return [item for item in members if isinstance(item, type)]


def _look(request: Request, asked: ModuleRequest, module: Any, markers: _Markers, known: dict[int, str]) -> LiveModule:
    members = {name: getattr(module, name, None) for name in asked.classes}
    classes = {name: None if member is None else describe(member) for name, member in members.items()}
    unlisted = [
        _unlisted_member(f"{asked.path}.{name}", member, known) for name, member in _members(asked, module, markers)
    ]
    for name, inner in _submodules(request, asked, module):
        own = [item for item in _public(inner) if isinstance(item[1], type) and issubclass(item[1], markers.bases)]
        fresh = [item for item in own if id(item[1]) not in known and item[1] not in markers.bases]
        unlisted += [_unlisted_member(f"{asked.path}.{name}.{item[0]}", item[1], known) for item in fresh]
    return LiveModule(classes, tuple(unlisted), version=version_of(asked.package))


def _unlisted_member(path: str, member: Any, known: dict[int, str]) -> UnlistedMember:
    """Describe a member that no table describes, and add it to `known`."""
    same_as = known.get(id(member))
    known.setdefault(id(member), path)
    return UnlistedMember(path, isinstance(member, type), _signature(member), same_as)


def _members(asked: ModuleRequest, module: Any, markers: _Markers) -> Iterator[tuple[str, Any]]:
    """The public members that no table describes, if they derive from an optimizer or are listed and look like one."""
    listed = set(getattr(module, "__all__", None) or dir(module))
    for name, member in _public(module):
        if name in asked.classes or name in asked.others or name in asked.schedules:
            continue
        if (isinstance(member, type) and issubclass(member, markers.bases)) or (
            name in listed and _looks_like_optimizer(member, asked, markers)
        ):
            yield name, member


def _public(module: Any) -> Iterator[tuple[str, Any]]:
    for name in sorted({*dir(module), *getattr(module, "__all__", ())}):
        if not name.startswith("_"):
            with suppress(Exception):  # a name whose only purpose is to raise that it was removed
                yield name, getattr(module, name)


def _looks_like_optimizer(member: Any, asked: ModuleRequest, markers: _Markers) -> bool:
    """Whether a class or function is defined in a package of the base classes and has a parameter that marks optimizers.

    In a module that contains only optimizers every class counts as one.
    """
    if not isinstance(member, type) and not inspect.isroutine(member):
        return False
    where = f"{getattr(member, '__module__', '')}."
    packages = (*markers.packages, asked.path) if asked.exclusive else markers.packages
    if not any(where.startswith(f"{package}.") for package in packages):
        return False
    if isinstance(member, type) and asked.exclusive:
        return True
    try:
        names = [parameter.name for parameter in parameters_of(member)]
    except HiddenSignature:
        names = []
    return any(name in markers.marker_parameters or "optim" in name.lower() for name in [member.__name__, *names])


def _submodules(request: Request, asked: ModuleRequest, module: Any) -> Iterator[tuple[str, Any]]:
    """Public submodules of a module that contains only optimizers, unless the tables know them."""
    if not asked.exclusive:
        return
    listed = getattr(module, "__all__", None) or dir(module)
    for name, member in _public(module):
        known = name in asked.others or name in asked.schedules or f"{asked.path}.{name}" in request.known_paths
        inside = isinstance(member, types.ModuleType) and member.__name__.startswith(f"{module.__name__}.")
        if inside and name in listed and not known:
            yield name, member


def _elsewhere(request: Request, markers: _Markers, known: dict[int, str]) -> Iterator[tuple[str, UnlistedMember]]:
    """Subclasses of the bases that other loaded public modules list, each with the name of its base's module."""
    for base, name in markers.modules.items():
        for member in sorted(_subclasses(base), key=lambda item: item.__name__):
            paths = _lists(member, request.package) if id(member) not in known else []
            if paths and not any(_within(path, request.known_paths) for path in paths):
                yield name, _unlisted_member(f"{min(paths, key=len)}.{member.__name__}", member, known)


def _subclasses(base: type) -> set[type]:
    direct: set[type] = set(base.__subclasses__())
    return direct.union(*map(_subclasses, direct))


def _lists(member: type, package: str) -> list[str]:
    """The paths of a package's public modules that list a class in their `__all__`."""
    found = []
    for path, module in list(sys.modules.items()):
        public = path.partition(".")[0] == package and not any(part.startswith("_") for part in path.split("."))
        names = (
            vars(module) if public and isinstance(module, types.ModuleType) else {}
        )  # no getattr: some answer any name
        if names.get(member.__name__) is member and member.__name__ in (names.get("__all__") or ()):
            found.append(path)
    return found


def _within(path: str, known: Iterable[str]) -> bool:
    return any(path == each or path.startswith(f"{each}.") for each in known)


def _signature(member: Any) -> str:
    """The signature as text for messages; a default that is an object is shown as its source or its type."""
    try:
        parameters = describe(member).parameters
    except Exception:  # the text is only informative
        return "(...)"
    texts = [item.name if item.default is None else f"{item.name}={item.default}" for item in parameters]
    return f"({', '.join(texts)})"
