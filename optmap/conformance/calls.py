"""Constructor calls of a source, the calls that the resolver makes of them, and keyword arguments that can be run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from optmap.mapping.derive import candidates, plan
from optmap.mapping.model import Api, Framework, Literal, MappingSet, Parameter
from optmap.mapping.plan import Constant, FromArgument, Inferred, Plan, choose
from optmap.mapping.values import Value, convert, literal_value
from optmap.source.calls import Form
from optmap.translate.resolve import CallArgument, Refusal, bind

SAMPLES: Final[Mapping[str, Literal]] = {"learning_rate": 0.01, "momentum": 0.9, "rho": 0.9}
"""Values for parameters without a default, which every call has to give."""


@dataclass(frozen=True)
class Call:
    """A constructor call of a source.

    Attributes:
        api: the class.
        given: arguments by the constructor's own names, without the parameters.
        assumed: which of them were not known and were taken from the defaults or from SAMPLES.
        origin: where the call stands, as `path:line`; empty for a call that optmap made.
        row: the hyperparameter that this call moves away from its default; empty for the defaults and a user's call.
    """

    api: Api
    given: Mapping[str, Literal] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    origin: str = ""
    row: str = ""


def completed(call: Call) -> dict[str, Literal]:
    """The call's arguments, with samples for required ones that it leaves out."""
    found = dict(call.given)
    for parameter in call.api.current:
        if parameter.required and not parameter.is_parameters and parameter.name not in found:
            found[parameter.name] = SAMPLES.get(parameter.ties[0], 0.1)
    return found


def arguments_of(call: Call) -> list[CallArgument]:
    """The call as the resolver sees it; the parameters are an expression of which nothing is known."""
    given = [CallArgument(Form.KEYWORD, name, literal_value(value)) for name, value in completed(call).items()]
    parameters = call.api.parameters_argument
    return [CallArgument(Form.KEYWORD, parameters.name, Value()), *given] if parameters else given


def canonical_values(call: Call) -> dict[str, Literal]:
    """The value of every hyperparameter of the call by canonical name, defaults and constants of the class included."""
    given = completed(call)
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
    """Every class of the target that can express the call and be run, in order of preference, by the resolver's own steps.

    Returns the resolver's reason where the call cannot be bound.
    """
    bound = bind(call.api, arguments_of(call))
    if isinstance(bound, Refusal):
        return "; ".join(note.message for note in bound.notes)
    made = (plan(tables, call.api, bound, each, group_keys=group_keys) for each in candidates(tables, call.api, target))
    return [item for item in made if not item.problems and item.target.not_run is None]


def choices(found: Sequence[Plan]) -> tuple[Plan, Plan] | None:
    """What the translator picks, without and with --faithful."""
    usual, faithful = choose(found, faithful=False), choose(found, faithful=True)
    return (usual, faithful) if usual and faithful else None


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
    value = arguments[piece.index].value
    if piece.element is not None:
        assert value.elements is not None
        value = value.elements[piece.element]
    return convert(value.literal, piece.conversion)  # type: ignore[arg-type]


AWAY: Final[Mapping[str, Literal]] = {
    "beta1": 0.8, "beta2": 0.97, "epsilon": 1e-3, "momentum": 0.7, "dampening": 0.3, "l2": 0.05, "decoupled_decay": 0.3,
    "rho": 0.8, "initial_accumulator": 0.3, "loss_scale": 8.0, "lr_decay": 0.05,
    "square_epsilon": 1e-3, "scale_epsilon": 3.0,
}  # fmt: skip
"""Values away from every framework's default and from neutral, large enough to show."""


def rows(tables: MappingSet, api: Api) -> Iterator[Call]:
    """One call for each hyperparameter of the class, moved away from its default alone (with what it is inert without)."""
    for parameter in api.current:
        if parameter.switches:
            awake = {api.by_tie[old].name: _given(api, old) for old in parameter.switches if old in api.by_tie}
            yield Call(api, {**awake, parameter.name: True}, row=parameter.name)
            continue
        for tie in () if parameter.is_parameters else parameter.ties:
            value = _given(api, tie)
            if value is None:
                continue
            needs = tables.hyperparameters[tie].inert_without
            others = {}
            if needs is not None and needs in api.by_tie and api.by_tie[needs].name != parameter.name:
                others = {api.by_tie[needs].name: _given(api, needs)}
            yield Call(api, {**others, parameter.name: value}, row=tie if len(parameter.ties) > 1 else parameter.name)


def _given(api: Api, tie: str) -> Literal:
    """A value for the parameter that carries a hyperparameter, away from the default; None where there is none."""
    parameter = api.by_tie[tie]
    if len(parameter.ties) == 1:
        return away(parameter, tie, parameter.default)
    default = parameter.default
    if not isinstance(default, tuple):
        return None
    return tuple(
        away(parameter, name, old) if name == tie else old for name, old in zip(parameter.ties, default, strict=True)
    )


def away(parameter: Parameter, tie: str, default: Any) -> Literal:
    """A value of one hyperparameter away from its default; None where the tables give no hint of a sensible one."""
    if isinstance(default, bool):
        return not default
    if tie == "learning_rate":
        return (default if isinstance(default, float | int) and default else SAMPLES[tie]) * 2.5  # type: ignore[operator]
    value = AWAY.get(tie)
    if value is not None and value != default:
        return value
    if not isinstance(default, float | int) or isinstance(default, bool):
        return None
    factors = (0.7, 1.3) if default <= 1 else (1.3, 0.7)
    moved = [default * factor for factor in factors] if default else [0.1]
    return next((item for item in moved if parameter.interval is None or item in parameter.interval), None)
