"""How a class of the target expresses one call: values that pass from the tables to the translator and to the check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Final

from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.values import Conversion, Value
from optmap.mapping.vocabulary import Effect, Need, Parameter
from optmap.values import NamedTuple

if TYPE_CHECKING:
    from optmap.mapping.formula import Formula


class BoundArgument(NamedTuple):
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


class Obstacle(Enum):
    """Why a class of the target cannot express a call."""

    MISSING = auto()
    REJECTED_VALUE = auto()
    INSEPARABLE = auto()
    GROUP_KEY = auto()
    UNKNOWN_SWITCH = auto()


class Problem(NamedTuple):
    """One thing that the target cannot express. `index` is the source argument, None for a default."""

    loss: Obstacle
    hyperparameter: str
    parameter: Parameter | None
    index: int | None  # type: ignore[assignment]
    message: str
    remedy: str | None


NEGLIGIBLE: Final = 1e-5
"""An epsilon below this fraction of the gradients (and of their squares, to which it is added inside a square root) changes a
run by less than the practical tolerance, even in the first steps, where second moments are too small by a factor of up to
1 / (1 - beta2), a thousand. The same bound applies to any other hyperparameter that a cause grows with."""

USUAL_GRADIENT: Final = 0.1
"""The order of magnitude of gradients where nothing more is known of them."""

_SMALLER: Final = 0.25
"""Many elements of a gradient are smaller than it is as a whole, by this factor; in squares that counts twice: 1e-8 beside a
square, as in mindspore.nn.Adagrad, is 1e-4 beside its root, which ordinary gradients come near to."""


class Cause(NamedTuple):
    """One reason why two update rules differ for a call. `size` is the hyperparameter that decides how far, where it is known.

    `squared` says that it is added to squares of gradients on one side, whose sum or mean starts from `start`. `other` is the
    target's value of the trait or hyperparameter, `change` what becomes of it, where the tables say so.
    """

    trait: str
    effect: Effect
    source: str
    target: str
    advice: str | None
    table: str
    needs: Need | None = None
    size: float | None = None
    squared: bool = False
    start: float = 0.0
    other: Literal = None
    change: str | None = None

    def diverges(self, gradient: float = USUAL_GRADIENT) -> bool:
        """Tell whether the rules drift apart visibly at gradients of a size."""
        if self.size is None:
            return self.effect is Effect.DIVERGENT
        if self.squared:
            return self.size > NEGLIGIBLE * ((_SMALLER * gradient) ** 2 + self.start)
        return self.size > NEGLIGIBLE * min(gradient, gradient**2)

    @property
    def agreement(self) -> Effect:
        """How far the rules drift apart at usual gradients."""
        return Effect.DIVERGENT if self.diverges() else Effect.CLOSE

    @property
    def in_every_run(self) -> bool:
        """Whether the call alone makes the rules drift apart, however training goes on and whatever the parameters are called."""
        return self.diverges() and self.needs in (None, Need.SINGLE_PRECISION, Need.FRESH_START)


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
        return any(cause.diverges() for cause in self.causes)

    @property
    def distance(self) -> int:
        """A rank of how far the rules are apart: not at all, little, by the size of a hyperparameter, or by their kind."""
        return max((1 + cause.diverges() * (1 + (cause.size is None)) for cause in self.causes), default=0)


class Prefer(StrEnum):
    """Which class to choose where several can express a call."""

    AUTO = "auto"
    DOCUMENTED = "documented"
    FAITHFUL = "faithful"


def choose(plans: Sequence[Plan], prefer: Prefer, modules: Collection[str] | None = None) -> Plan | None:
    """Pick a plan without problems: the documented class is the first, the faithful one that whose numerics differ least.

    AUTO takes the documented class unless its update rule is another one for this call and a class exists that is nearer, of one
    of the `modules` if they are given. Only where no other is possible does FAITHFUL take a class that cannot be run without
    a special device.
    """
    possible = [plan for plan in plans if not plan.problems]
    if not possible:
        return None
    if prefer is Prefer.FAITHFUL:
        return min(possible, key=lambda plan: (plan.target.not_run is not None, plan.distance))
    usual = possible[0]
    if prefer is Prefer.DOCUMENTED or not any(cause.in_every_run for cause in usual.causes):
        return usual
    agreeing = [
        plan for plan in possible
        if plan.distance < max(usual.distance, 2) and plan.target.not_run is None and not plan.target.module.superseded
        and (modules is None or plan.target.module.name in modules)
    ]  # fmt: skip
    return min(agreeing, key=lambda plan: plan.distance, default=usual)


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
