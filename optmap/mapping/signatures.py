"""What the rows of a signature must say of each other, at every version: each problem with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from optmap.mapping import versions
from optmap.mapping.records import Literal, Position
from optmap.mapping.sections import Api
from optmap.mapping.vocabulary import Hyperparameter, Parameter

Found = Iterator[tuple[Position, str]]
_INSISTS = {"float": (float, "a float"), "int": (int, "an int"), "bool": (bool, "true or false")}
"""What a default has to be where a constructor insists on a type."""


def version_problems(api: Api) -> Found:
    """What is wrong with what an API says of versions, and with its signature at each version where that changes."""
    spans = [(api.at, api.verified, None), (api.at, api.since, api.until)]
    spans += [(row.at, row.since, row.until) for row in api.parameters]
    spans += [(older.at, None, older.until) for older in api.earlier]
    spans += [(row.at, None, until) for row in api.parameters for until in row.was.values()]
    wrong = [(at, message) for at, *span in spans if (message := _span_problem(*span)) is not None]
    yield from wrong
    if wrong:
        return
    if not versions.holds(api.verified, api.since, api.until):
        yield api.at, f"the class is not there in {api.verified}, the version it was verified with"
    points = {versions.key(version): version for _, *span in spans for version in span if version is not None}
    rows = (row for point in points.values() for row in _signature_problems(_rows_at(api.parameters, point)))
    yield from dict.fromkeys(rows)


def _rows_at(rows: Iterable[Parameter], version: str) -> tuple[Parameter, ...]:
    return tuple(row for row in rows if versions.holds(version, row.since, row.until))


def _span_problem(since: str | None, until: str | None) -> str | None:
    try:
        ends = [versions.key(version) for version in (since, until) if version is not None]
    except ValueError as error:
        return str(error)
    if len(ends) == 2 and ends[0] >= ends[1]:
        return f"found since {since} and until {until}, expected until to be the later version"
    return None


def default_problems(parameter: Parameter, default: Any) -> Iterator[str]:
    """What is wrong with a default, but for what the hyperparameters say of it."""
    ties, accepts, interval = parameter.ties, parameter.accepts, parameter.interval
    if len(ties) > 1 and default is not None and (not isinstance(default, tuple) or len(default) != len(ties)):
        yield f"found default {default!r}, expected a list of {len(ties)}: one for each of {', '.join(ties)}"
        return
    if len(ties) < 2 and isinstance(default, tuple) and ties:
        yield f"found default {default!r}, expected a single value"
        return
    for value in default if isinstance(default, tuple) else (default,):
        kind, expected = _INSISTS.get(accepts, (None, ""))
        if kind is not None and value is not None and type(value) is not kind:
            yield f"found default {value!r}, expected {expected} as 'accepts: {accepts}' says"
        if interval is not None and _is_number(value) and value not in interval:
            yield f"found default {value!r}, expected a value in {interval}"


def kind_problem(hyperparameter: Hyperparameter | None, value: Literal) -> str | None:
    """A default and the neutral value of the same hyperparameter are both flags, or neither is."""
    if hyperparameter is None or not hyperparameter.has_neutral or value is None or hyperparameter.neutral is None:
        return None
    if isinstance(value, bool) == isinstance(hyperparameter.neutral, bool):
        return None
    expected = "true or false" if isinstance(hyperparameter.neutral, bool) else "a number"
    return f"found default {value!r} for {hyperparameter.name!r}, expected {expected}"


def _signature_problems(parameters: tuple[Parameter, ...]) -> Iterator[tuple[Position, str]]:
    """What is wrong with the signature that one version has."""
    seen: dict[str, Parameter] = {}
    tied: dict[str, Parameter] = {}
    optional: Parameter | None = None
    keyword_only: Parameter | None = None
    for parameter in parameters:
        if parameter.name in seen:
            yield parameter.at, f"parameter {parameter.name!r} is given twice in the signature"
        seen[parameter.name] = parameter
        for tie in parameter.ties:
            if tied.setdefault(tie, parameter) is not parameter:
                yield parameter.at, f"{tie!r} is already tied to parameter {tied[tie].name!r}"
        if parameter.keyword_only:
            keyword_only = keyword_only or parameter
            continue
        if keyword_only:
            yield (
                parameter.at,
                f"parameter {parameter.name!r} is positional, but {keyword_only.name!r} before it is not",
            )
        if parameter.required and optional:
            yield parameter.at, f"parameter {parameter.name!r} has no default, but {optional.name!r} before it has one"
        optional = optional or (None if parameter.required else parameter)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
