"""How a class of the target expresses one call: values that pass from the tables to the translator and to the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from optmap.mapping.model import Api, Effect, Need, Parameter
from optmap.mapping.records import Literal
from optmap.mapping.values import Conversion, Value

if TYPE_CHECKING:
    from optmap.mapping.formula import Formula


class Given(NamedTuple):
    """An argument of the source call, bound to a parameter; `index` is its place among the call's arguments."""

    parameter: Parameter
    value: Value
    index: int  # type: ignore[assignment]


class FromArgument(NamedTuple):
    """The target takes the text of a source argument, or of one element of it; or a formula, in the place of that argument."""

    index: int  # type: ignore[assignment]
    element: int | None
    conversion: Conversion = Conversion.NONE
    formula: Formula | None = None


class Constant(NamedTuple):
    """The target takes a literal that the tables give, or a formula of what no argument of the call holds."""

    literal: Literal
    formula: Formula | None = None


class Inferred(NamedTuple):
    """The target takes parameters that the source call does not name; the file or the user tells which."""


Piece = FromArgument | Constant | Inferred


class TargetArgument(NamedTuple):
    """One argument of the target call; several pieces make a tuple. `filled` marks a default that was written out."""

    parameter: Parameter
    pieces: tuple[Piece, ...]
    filled: bool = False

    @property
    def compound(self) -> bool:
        return len(self.pieces) > 1


class Loss(Enum):
    """Why a class of the target cannot express a call."""

    MISSING = auto()
    REJECTED_VALUE = auto()
    INSEPARABLE = auto()
    GROUP_KEY = auto()
    UNKNOWN_SWITCH = auto()


class Problem(NamedTuple):
    """One thing that the target cannot express. `index` is the source argument, None for a default."""

    loss: Loss
    hyperparameter: str
    parameter: Parameter | None
    index: int | None  # type: ignore[assignment]
    message: str
    remedy: str | None


class Cause(NamedTuple):
    """One reason why two update rules differ for a call."""

    trait: str
    effect: Effect
    source: str
    target: str
    advice: str | None
    table: str
    needs: Need | None = None
    grows_with: str | None = None


class Dropped(NamedTuple):
    """A source argument that the target call does not have. `execution` arguments change no numbers."""

    index: int  # type: ignore[assignment]
    parameter: Parameter
    execution: bool


class Plan(NamedTuple):
    """How one class of the target expresses a call. It can be carried out if there are no problems."""

    source: Api
    target: Api
    arguments: tuple[TargetArgument, ...]
    dropped: tuple[Dropped, ...]
    problems: tuple[Problem, ...]
    causes: tuple[Cause, ...]
    switched: Mapping[str, str]

    @property
    def divergent(self) -> bool:
        return any(cause.effect is Effect.DIVERGENT for cause in self.causes)


def choose(plans: Sequence[Plan], *, faithful: bool) -> Plan | None:
    """Pick the first plan without problems; if faithful, the first of those whose numerics differ least.

    Only where no other is possible does --faithful take one that cannot be run without a special device.
    """
    possible = [plan for plan in plans if not plan.problems]
    if not possible or not faithful:
        return possible[0] if possible else None
    return min(possible, key=lambda plan: (plan.target.not_run is not None, plan.divergent, bool(plan.causes)))


def group_key(source: Api, target: Api, key: str, switched: Mapping[str, str] | None = None) -> str | None:
    """Return the target's name for a key of a source's parameter group, or None where it has none.

    `switched` maps canonical names to those that they stand for in this call (torch's decoupled_weight_decay).
    """
    ties = group_ties(source, key, switched)
    if not ties:
        return None
    if target.module.groups_take_all:
        return next((mine.name for mine in target.current if mine.ties == ties), None)
    for name, canonical in target.module.group_keys.items():
        if target.group_keys is not None and name not in target.group_keys:
            continue
        if len(ties) == 1 and ties[0] in canonical and ties[0] in target.by_tie:
            return name
    return None


def group_ties(source: Api, key: str, switched: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the canonical names that a key of a parameter group sets."""
    if source.group_keys is not None and key not in source.group_keys:
        ties: tuple[str, ...] = ()
    elif key in source.module.group_keys:
        ties = tuple(tie for tie in source.module.group_keys[key] if tie in source.by_tie)
    else:
        parameter = source.by_name.get(key)
        ties = parameter.ties if parameter is not None else ()
    return tuple((switched or {}).get(tie, tie) for tie in ties)
