"""The data of an audit: the request to a worker, what the worker finds, and the differences.

Live values are text and tuples, so that they can be sent between processes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from optmap.mapping.framework import Framework
from optmap.mapping.records import Position


class LiveParameter(NamedTuple):
    """One parameter of a live signature.

    `kind` is "any", "keyword" or "positional". `default` is Python source, so that 0, 0.0 and False are distinct; None
    if there is no default. `literal` is false if the default is an object, such as a function: `default` is then its
    source, or its type in angle brackets.
    """

    name: str
    kind: str
    default: str | None
    literal: bool = True


class LiveClass(NamedTuple):
    """An installed class or function.

    `package` and `version` are those of the package that defines it (keras for `tf.keras`). `extra_keywords` is whether the
    signature ends in **kwargs; `taken` are the parameters that the constructors read from it by name, None if no
    source is available; `mentioned` are further names that they may read. `hidden` is set if the signature is not visible.
    """

    package: str
    version: str
    parameters: tuple[LiveParameter, ...] = ()
    extra_keywords: bool = False
    extra_positional: bool = False
    taken: tuple[LiveParameter, ...] | None = ()
    mentioned: tuple[str, ...] = ()
    hidden: bool = False


class UnlistedMember(NamedTuple):
    """A public class or function that is or looks like an optimizer and that no table describes.

    `path` is its import path; `same_as` is the class of the tables that it is an alias of.
    """

    path: str
    is_class: bool
    signature: str
    same_as: str | None


class LiveModule(NamedTuple):
    """An installed module: the requested classes (None for a missing one) and the unlisted members.

    `version` is that of the module's package. `absent` is the package that is not installed, `broken`
    the reason why the module cannot be imported; `gone` is set if the package is installed but lacks the module.
    """

    classes: dict[str, LiveClass | None]
    unlisted: tuple[UnlistedMember, ...] = ()
    gone: bool = False
    absent: str | None = None
    broken: str | None = None
    version: str = ""


class ModuleRequest(NamedTuple):
    """A module for a worker to inspect, by the path that is written into translated code.

    `others` and `schedules` are members that are known not to be optimizers; the base classes are among the former.
    """

    name: str
    path: str
    package: str
    exclusive: bool
    others: tuple[str, ...]
    schedules: tuple[str, ...]
    classes: tuple[str, ...]


class Request(NamedTuple):
    """The whole request to a worker. A class or function with one of the `marker_parameters` counts as an optimizer."""

    package: str
    modules: tuple[ModuleRequest, ...]
    known_paths: tuple[str, ...]
    marker_parameters: tuple[str, ...]


class Live(NamedTuple):
    """The answer of a worker: the framework's version and modules."""

    version: str
    modules: dict[str, LiveModule]


class DifferenceKind(StrEnum):
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
    VALUE = "accepted value"
    RATE = "rate"


class Difference(NamedTuple):
    """One difference between a table and the installed framework; `table` and `live` describe the two sides."""

    at: Position
    kind: DifferenceKind
    api: str
    parameter: str | None
    table: str
    live: str

    @property
    def message(self) -> str:
        parameter = f"parameter {self.parameter!r}: " if self.parameter else ""
        return f"{self.api}: {parameter}{self.table}; {self.live}"


class Unverified(NamedTuple):
    """How many sections were verified with another version than the installed one; this is not a difference by itself."""

    package: str
    verified: str
    installed: str
    sections: int


class FrameworkAudit(NamedTuple):
    """The audit of one framework. `failure` is the reason why it was not audited; `installed` is false if it is missing.

    `called` counts the classes whose accepted values and rates were held to their sections.
    """

    framework: Framework
    version: str | None = None
    sections: int = 0
    differences: tuple[Difference, ...] = ()
    unverified: tuple[Unverified, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str | None = None
    installed: bool = True
    called: int = 0


class Audit(NamedTuple):
    """The whole report, in the order of the frameworks."""

    frameworks: tuple[FrameworkAudit, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        return tuple(item for framework in self.frameworks for item in framework.differences)


WIRED: Final = (LiveClass, LiveModule, LiveParameter, ModuleRequest, Request, UnlistedMember)
"""The classes of the values that messages between optmap and its workers hold."""
