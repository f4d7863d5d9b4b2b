"""Selects the calls to check: optimizers by name, hyperparameters set by the user, or everything in the tables."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from optmap.conformance.calls import Call, default_call, rows
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.vocabulary import Parameter
from optmap.nearest import nearest

Direction: TypeAlias = tuple[frozenset[Framework], Framework]
"""The source frameworks and the target framework."""


class CheckError(ValueError):
    """A request for a check is invalid; the message says what was found and what was expected."""


class Wishes(NamedTuple):
    """What was asked for; see `api.check`. `length` is the number of steps where the user gives one."""

    optimizers: tuple[str, ...]
    schedules: tuple[str, ...]
    paths: tuple[Path, ...]
    everything: bool
    directions: tuple[Direction, ...]
    steps: int
    settings: Mapping[str, Literal]
    length: int | None = None

    @property
    def whole_tables(self) -> bool:
        """Whether every class and schedule of the tables is meant: --all beside names extends to the named ones alone."""
        return self.everything and not self.optimizers


def find_apis(tables: MappingSet, what: str, name: str, frameworks: Collection[Framework]) -> list[Api]:
    """The classes of the given frameworks with a full name or a class name. Raises CheckError where there is none.

    `what` is "an optimizer" or "a schedule", after the tables.
    """
    named = tables.named(name)
    if not named:
        raise CheckError(f"unknown {what.split()[1]} {name!r}{nearest(name, [*tables.apis, *tables.class_names])}")
    found = [api for api in named if api.framework in frameworks]
    if not found:
        owners = " and ".join(dict.fromkeys(api.framework for api in named))
        expected = " or ".join(sorted(frameworks))
        raise CheckError(f"{name!r} belongs to {owners}, expected {what} of {expected}")
    return found


def table_calls(tables: MappingSet, apis: Iterable[Api]) -> list[Call]:
    """The calls that exercise classes: at the defaults, and with each hyperparameter in turn set off its default.

    A class whose defaults no other framework can express is always called with its sample arguments.
    """
    return [call for api in apis for call in (default_call(tables, api), *rows(tables, api))]


def with_settings(
    tables: MappingSet, calls: Sequence[Call], settings: Mapping[str, Literal], taken: Collection[str] = ()
) -> list[Call]:
    """The calls with hyperparameters set. Raises CheckError for a setting that applies to none of them and is not `taken`.

    A setting's name is a parameter of the class, a canonical hyperparameter, or a parameter of another class of the same
    algorithm.
    """
    used: set[str] = set()
    found = []
    for call in calls:
        given = dict(call.given)
        for name, value in settings.items():
            if (tie := _tie(tables, call.api, name)) is not None:
                used.add(name)
                given |= _set(call.api, tie, name, value, given)
        found.append(call._replace(given=given))
    for name in settings:
        if name not in used and name not in taken:
            known = sorted({parameter.name for call in calls for parameter in call.api.current if parameter.ties})
            raise CheckError(f"--set {name}: found a name that no checked class takes{nearest(name, known)}")
    return found


def _tie(tables: MappingSet, api: Api, name: str) -> str | None:
    """The canonical hyperparameter of a setting's name; the parameter's own name if it holds several hyperparameters."""
    own = api.by_name.get(name)
    if own is not None and own in api.current and not own.is_parameters:
        return own.ties[0] if len(own.ties) == 1 else name
    if name in api.by_tie:
        return name
    for sibling in tables.algorithms[api.algorithm].apis:
        other = sibling.by_name.get(name)
        if other is not None and len(other.ties) == 1 and other.ties[0] in api.by_tie and not other.is_parameters:
            return other.ties[0]
    return None


def _set(api: Api, tie: str, name: str, value: Literal, given: Mapping[str, Literal]) -> dict[str, Literal]:
    parameter = api.by_tie.get(tie) or api.by_name[tie]
    _check_value(name, value, parameter)
    if len(parameter.ties) < 2 or tie not in parameter.ties:
        return {parameter.name: value}
    old: Any = given.get(parameter.name, parameter.default)
    return {parameter.name: tuple(value if own == tie else item for own, item in zip(parameter.ties, old, strict=True))}


def _check_value(name: str, value: Literal, parameter: Parameter) -> None:
    """Raise CheckError for a value that no optimizer accepts."""
    parts = value if isinstance(value, tuple) else (value,)
    for part in parts:
        if isinstance(part, str) or (isinstance(part, float) and not math.isfinite(part)):
            raise CheckError(f"--set {name}: found {part!r}, expected a finite number, True, False or None")
        if parameter.interval and isinstance(part, int | float) and part not in parameter.interval:
            raise CheckError(f"--set {name}: found {part!r}, expected a value in {parameter.interval}")
    if isinstance(parameter.default, tuple) and isinstance(value, tuple) and len(value) != len(parameter.default):
        raise CheckError(f"--set {name}: found {len(value)} values, expected {len(parameter.default)}")


def read_setting(text: str) -> tuple[str, Literal]:
    """Parse `NAME=VALUE`, where the value is a Python literal. Raises CheckError."""
    import ast

    from optmap.mapping.values import read_value

    name, equals, written = text.partition("=")
    if not equals or not name.strip():
        raise CheckError(f"--set: found {text!r}, expected NAME=VALUE")
    if written.strip().lower() in ("nan", "inf", "-inf", "+inf", "infinity"):
        raise CheckError(f"--set {name}: found {written.strip()}, expected a finite number")
    try:
        value = read_value(ast.parse(written.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        value = None
    if value is None or not value.known:
        raise CheckError(
            f"--set {name}: found {written.strip()!r}, expected a number, True, False, None or a tuple of these"
        )
    return name.strip(), value.literal  # type: ignore[return-value]
