"""Constructor calls of a source, their plans from the resolver, and the keyword arguments to run them with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from optmap.conformance.results import Assumed
from optmap.mapping import derive
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Constant, FromArgument, Inferred, Plan, Prefer, choose
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.values import Value, convert, literal_value
from optmap.mapping.vocabulary import Parameter
from optmap.source.calls import Form
from optmap.translate.constructors.arguments import CallArgument, Refusal, bind_call

SAMPLE: Final = 0.1
"""The value of a required argument for which the tables have no sample."""


Groups: TypeAlias = tuple[tuple[tuple[str, Literal], ...], ...]
"""The keys and values of parameter groups."""


class Call(NamedTuple):
    """A constructor call of a source, of an optimizer or a schedule.

    Attributes:
        api: the class.
        given: arguments by the constructor's parameter names, without the parameters to train; no required one is missing.
        assumed: values that the file does not show, and where they come from.
        origin: position of the call as `path:line`; empty for a call that optmap constructed.
        row: the hyperparameter that this call sets off its default; empty for the defaults and for a user's call.
        target: the class that the translator chooses for the call in its file, where more than the arguments decides, such
            as an attached schedule; else empty.
        groups: what each parameter group of the call sets, by the source's keys; None where there are no groups.
    """

    api: Api
    given: Mapping[str, Literal] = MappingProxyType({})
    assumed: tuple[Assumed, ...] = ()
    origin: str = ""
    row: str = ""
    target: str = ""
    groups: Groups | None = None

    @property
    def group_keys(self) -> tuple[str, ...] | None:
        """Every key that a group sets; None where there are no groups."""
        return None if self.groups is None else tuple(dict.fromkeys(key for group in self.groups for key, _ in group))


def file_of(origin: str) -> str:
    """The file of a call's position, `path:line` or `path:cell 2:line`."""
    return origin.rpartition(":")[0].partition(":cell ")[0]


def completed(tables: MappingSet, api: Api, given: Mapping[str, Literal]) -> dict[str, Literal]:
    """A call's arguments, with samples for the required ones that are missing."""
    found = dict(given)
    for parameter in api.current:
        if parameter.required and not parameter.is_parameters and parameter.name not in found:
            found[parameter.name] = sample(tables, parameter)
    return found


def sample(tables: MappingSet, parameter: Parameter) -> Literal:
    """A value for a parameter without a default."""
    return sample_of(tables, parameter.ties)


def sample_of(tables: MappingSet, ties: Sequence[str]) -> Literal:
    """A value for a hyperparameter."""
    samples = tables.hyperparameters[ties[0]].samples if ties else ()
    return samples[0] if samples else SAMPLE


def default_call(tables: MappingSet, api: Api) -> Call:
    """The call with required arguments only, or with the tables' sample where no counterpart can express that."""
    return Call(api, completed(tables, api, api.sample))


def arguments_of(call: Call) -> list[CallArgument]:
    """The call's arguments as input of the resolver; the parameters to train are an unknown expression."""
    given = [CallArgument(Form.KEYWORD, name, literal_value(value)) for name, value in call.given.items()]
    parameters = call.api.parameters_argument
    return [CallArgument(Form.KEYWORD, parameters.name, Value()), *given] if parameters else given


def canonical_values(call: Call) -> dict[str, Literal]:
    """The value of every hyperparameter of the call by canonical name, defaults and constants of the class included."""
    given = call.given
    found: dict[str, Literal] = dict(call.api.fixed)
    for parameter in call.api.current:
        if not parameter.ties or parameter.is_parameters:
            continue
        value: Any = given.get(parameter.name, parameter.default)
        if len(parameter.ties) == 1:
            found[parameter.ties[0]] = value
        elif isinstance(value, tuple) and len(value) == len(parameter.ties):
            found.update(zip(parameter.ties, value, strict=True))
    return found


def plans(
    tables: MappingSet, call: Call, target: Framework, *, group_keys: Sequence[str] | None = None
) -> list[Plan] | str:
    """The plans of all target classes that can express the call, in order of preference, made by the resolver.

    Returns the resolver's reason where the call cannot be bound.
    """
    group_keys = call.group_keys if group_keys is None else group_keys
    bound = bind_call(call.api, arguments_of(call))
    if isinstance(bound, Refusal):
        return "; ".join(reason.message for reason in bound.reasons)
    classes = derive.candidates(tables, call.api, target)
    return [item for item in derive.plans(tables, call.api, bound, classes, group_keys) if not item.problems]


def choices(found: Sequence[Plan]) -> dict[Prefer, Plan]:
    """The plan that the translator chooses with each preference; empty where there is none."""
    return {prefer: made for prefer in Prefer if (made := choose(found, prefer)) is not None}


def target_arguments(item: Plan, arguments: Sequence[CallArgument]) -> dict[str, Any]:
    """The target call's keyword arguments as values, without the parameters."""
    found: dict[str, Any] = {}
    for argument in item.arguments:
        if argument.parameter.is_parameters:
            continue
        values = tuple(_piece(piece, arguments) for piece in argument.pieces)
        found[argument.parameter.name] = values if argument.compound else values[0]
    return found


def _piece(piece: FromArgument | Constant | Inferred, arguments: Sequence[CallArgument]) -> Any:
    if isinstance(piece, Constant):
        return piece.literal
    assert isinstance(piece, FromArgument)
    if piece.formula is not None:
        return piece.formula.number
    value = arguments[piece.index].value
    if piece.element is not None:
        assert value.elements is not None
        value = value.elements[piece.element]
    return convert(value.literal, piece.conversion)  # type: ignore[arg-type]


def rows(tables: MappingSet, api: Api) -> Iterator[Call]:
    """One call for each hyperparameter off its default, together with the one without which it has no effect, if any."""
    for given, row in _Rows(tables, api).found():
        yield Call(api, completed(tables, api, {**api.sample, **given}), row=row)


class _Rows:
    """Sets the hyperparameters of one class off their defaults, one at a time."""

    def __init__(self, tables: MappingSet, api: Api) -> None:
        self.tables = tables
        self.api = api

    def found(self) -> Iterator[tuple[dict[str, Literal], str]]:
        """The arguments of each row, and the name of its hyperparameter."""
        for parameter in self.api.current:
            if parameter.switches:
                awake = {
                    self.api.by_tie[old].name: self.given(old) for old in parameter.switches if old in self.api.by_tie
                }
                yield {**awake, parameter.name: True}, parameter.name
                continue
            for tie in () if parameter.is_parameters else parameter.ties:
                value = self.given(tie)
                if value is not None:
                    name = tie if len(parameter.ties) > 1 else parameter.name
                    yield {**self._waker(parameter, tie), parameter.name: value}, name

    def _waker(self, parameter: Parameter, tie: str) -> dict[str, Literal]:
        """A value for the hyperparameter without which this one has no effect."""
        needs = self.tables.hyperparameters[tie].inert_without
        carrier = self.api.by_tie.get(needs) if needs is not None else None
        return {carrier.name: self.given(needs)} if carrier and needs and carrier.name != parameter.name else {}

    def given(self, tie: str) -> Literal:
        """A value off the default for the parameter that holds a hyperparameter; None where there is none."""
        parameter = self.api.by_tie[tie]
        default = parameter.default
        if len(parameter.ties) == 1:
            return self.away(parameter, tie, sample(self.tables, parameter) if parameter.required else default)
        if not isinstance(default, tuple):
            return None
        moved = {tie: self.away(parameter, tie, default[parameter.ties.index(tie)])}
        return tuple(moved.get(name, old) for name, old in zip(parameter.ties, default, strict=True))

    def away(self, parameter: Parameter, tie: str, default: Any) -> Literal:
        """A value of one hyperparameter off its default; None where the tables suggest no sensible one."""
        if isinstance(default, bool):
            return not default
        samples = self.tables.hyperparameters[tie].samples
        if tie == "learning_rate":
            return (default if isinstance(default, float | int) and default else samples[0]) * 2.5  # type: ignore[operator]
        value = next((item for item in samples if item != default), None)
        if value is not None:
            return value
        if not isinstance(default, float | int):
            return None
        factors = (0.7, 1.3) if default <= 1 else (1.3, 0.7)
        moved = [default * factor for factor in factors] if default else [0.1]
        return next((item for item in moved if parameter.interval is None or item in parameter.interval), None)
