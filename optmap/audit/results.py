"""What a worker finds in a framework, what it is asked for, and what the comparison makes of it.

The live values are plain text and tuples, so that they cross a process as JSON; `read_modules` brings them back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from optmap.mapping.model import Framework
from optmap.mapping.records import Position


class LiveParameter(NamedTuple):
    """One parameter of a live signature.

    `kind` is "any", "keyword" or "positional". `default` is Python source, so that 0, 0.0 and False are three things; None
    where there is no default. `literal` is false where the default is an object, such as a function: `default` is then its
    source, or its type in angle brackets.
    """

    name: str
    kind: str
    default: str | None
    literal: bool = True


class LiveClass(NamedTuple):
    """A class or function as it is installed.

    `package` and `version` are of the package that defines it, which for `tf.keras` is keras. `extra_keywords` is whether the
    signature ends in **kwargs; `taken` are the parameters that the constructors then take out of it by name, None where no
    source says so; `mentioned` are further names that they may take. `hidden` is set where the signature cannot be seen.
    """

    package: str
    version: str
    parameters: tuple[LiveParameter, ...] = ()
    extra_keywords: bool = False
    extra_positional: bool = False
    taken: tuple[LiveParameter, ...] | None = ()
    mentioned: tuple[str, ...] = ()
    hidden: bool = False


class Newcomer(NamedTuple):
    """A public class or function that is an optimizer, or looks like one, and that no table has.

    `path` is where it is imported from; `same_as` names the class of the tables that it is another name of.
    """

    path: str
    is_class: bool
    signature: str
    same_as: str | None


class LiveModule(NamedTuple):
    """A module as it is installed: its classes that were asked for, None for one that is gone, and the newcomers.

    `version` is of the package that the module's tables follow. `absent` names the package that is not installed, `broken`
    says why the module cannot be imported; `gone` is set where the package is there and the module is not.
    """

    classes: dict[str, LiveClass | None]
    newcomers: tuple[Newcomer, ...] = ()
    gone: bool = False
    absent: str | None = None
    broken: str | None = None
    version: str = ""


class ModuleRequest(NamedTuple):
    """What a worker is to look at: a module of the tables, by the path that is written into translated code.

    `others` are members known to be no optimizers, among them the base classes; `schedules` likewise.
    """

    name: str
    path: str
    package: str
    exclusive: bool
    others: tuple[str, ...]
    schedules: tuple[str, ...]
    classes: tuple[str, ...]


class Request(NamedTuple):
    """A worker's whole task. `telling` are names of parameters by which a class or function is seen to be an optimizer."""

    package: str
    modules: tuple[ModuleRequest, ...]
    known_paths: tuple[str, ...]
    telling: tuple[str, ...]


class Live(NamedTuple):
    """A framework's answer."""

    version: str
    modules: dict[str, LiveModule]


class Kind(StrEnum):
    """How a table and the installed framework differ."""

    DEFAULT = "default"
    KEYWORD_ONLY = "keyword-only"
    ORDER = "order"
    NEW_PARAMETER = "new parameter"
    NO_PARAMETER = "no such parameter"
    EXTRA_KEYWORDS = "extra keywords"
    HIDDEN = "hidden signature"
    NO_CLASS = "no such class"
    NO_MODULE = "no such module"
    NEW_CLASS = "new class"


class Difference(NamedTuple):
    """One thing that a table says and reality does not, or the other way round. `table` and `live` are what each says."""

    at: Position
    kind: Kind
    api: str
    parameter: str | None
    table: str
    live: str

    @property
    def message(self) -> str:
        parameter = f"parameter {self.parameter!r}: " if self.parameter else ""
        return f"{self.api}: {parameter}{self.table}; {self.live}"


class Unverified(NamedTuple):
    """Sections whose `verified` is not the installed version; no difference by itself."""

    package: str
    verified: str
    installed: str
    sections: int


class FrameworkAudit(NamedTuple):
    """One framework's part. `failure` says why it was not audited; `installed` is false where it is just not there."""

    framework: Framework
    version: str | None = None
    sections: int = 0
    differences: tuple[Difference, ...] = ()
    unverified: tuple[Unverified, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str | None = None
    installed: bool = True


class Audit(NamedTuple):
    """The whole report, in the order of the frameworks."""

    frameworks: tuple[FrameworkAudit, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        return tuple(item for framework in self.frameworks for item in framework.differences)


def read_request(message: Any) -> Request:
    """The request of a JSON message."""
    package, modules, known, telling = message
    return Request(
        package,
        tuple(
            ModuleRequest(name, path, of, exclusive, tuple(others), tuple(schedules), tuple(classes))
            for name, path, of, exclusive, others, schedules, classes in modules
        ),
        tuple(known),
        tuple(telling),
    )


def read_modules(message: Any) -> dict[str, LiveModule]:
    """The modules of a JSON message."""
    return {name: _module(*fields) for name, fields in message.items()}


def _module(classes: Any, newcomers: Any, *rest: Any) -> LiveModule:
    found = {name: None if fields is None else _class(LiveClass(*fields)) for name, fields in classes.items()}
    return LiveModule(found, tuple(Newcomer(*fields) for fields in newcomers), *rest)


def _class(raw: LiveClass) -> LiveClass:
    taken = None if raw.taken is None else tuple(LiveParameter(*fields) for fields in raw.taken)
    parameters = tuple(LiveParameter(*fields) for fields in raw.parameters)
    return raw._replace(parameters=parameters, taken=taken, mentioned=tuple(raw.mentioned))
