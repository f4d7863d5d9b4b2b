"""What sections of tables are written in: hyperparameters, traits of update rules, and the rows of signatures."""

import re
from enum import StrEnum
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.records import Literal, Position, Record, derived, key, own_key, place
from optmap.values import NamedTuple


class Effect(StrEnum):
    """How far two update rules drift apart where they differ in a trait."""

    CLOSE = "close"
    DIVERGENT = "divergent"


class Need(StrEnum):
    """What a training run must have for a trait to show, beyond the hyperparameters of the call."""

    CHANGING_RATE = "changing_learning_rate"
    SCALE_NAMES = "parameters_named_beta_or_gamma"
    FRESH_START = "start_without_state"
    SINGLE_PRECISION = "single_precision"
    LONG_RUN = "more_steps_than_inverse_square_of_learning_rate"


class Accepts(StrEnum):
    """The Python type that a constructor insists on; ANY where it takes any number, OBJECT where it takes no number at all.

    What is NOT_INT is a float where it is written out; what else it may be is not looked at.
    """

    ANY = "any"
    FLOAT = "float"
    FLOATS = "floats"
    NOT_INT = "not_int"
    INT = "int"
    INTS = "ints"
    OBJECT = "object"
    BOOL = "bool"
    LIST = "list"


PARAMETERS: Final = "parameters"
"""The canonical name of the argument that holds the trainable parameters."""
OPTIMIZER: Final = "optimizer"
"""The canonical name of the argument that holds the optimizer that a schedule is attached to."""


class Interval(NamedTuple):
    """The values that a constructor accepts, such as `(0, 1]`."""

    low: float
    high: float
    closed_low: bool
    closed_high: bool

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read an interval. Raises ValueError."""
        match = re.fullmatch(r"([\[(])\s*(-?(?:inf|[0-9.eE+-]+))\s*,\s*(-?(?:inf|[0-9.eE+-]+))\s*([\])])", text)
        try:
            low, high = (float(match[2]), float(match[3])) if match else (0.0, -1.0)
        except ValueError:
            low, high = 0.0, -1.0
        if match is None or low > high:
            raise ValueError(f"found range {text!r}, expected an interval such as '(0, 1]'")
        return cls(low, high, match[1] == "[", match[4] == "]")

    def __contains__(self, value: float) -> bool:  # type: ignore[override]
        above = value >= self.low if self.closed_low else value > self.low
        below = value <= self.high if self.closed_high else value < self.high
        return above and below

    def __str__(self) -> str:
        return f"{'[' if self.closed_low else '('}{self.low:g}, {self.high:g}{']' if self.closed_high else ')'}"


class Required:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = Required()


class Hyperparameter(Record):
    """A canonical hyperparameter. Where a framework lacks it, a neutral value may be dropped."""

    name: str = own_key()
    about: str = key("what it is")
    has_neutral: bool = derived(lambda given: "neutral" in given)
    neutral: Literal = key("the value at which it does nothing", default=None)
    also_neutral: tuple[Literal, ...] = key("other spellings of neutral, such as null", default=())
    inert_without: str | None = key("the hyperparameter without which it does nothing", default=None)
    remedy: str | None = key("what to do where a framework lacks it; {value} is the value given", default=None)
    remedies: dict[str, str] = key(
        "framework that lacks it -> what to do there, and code below the first line; {value} is the value given",
        default={},
    )
    effect: Effect = key(
        "how far rules drift apart where one can only use another value; close by default", default=Effect.CLOSE
    )
    grows_with: str | None = key("the hyperparameter whose size decides how far, whatever `effect` says", default=None)
    samples: tuple[Literal, ...] = key(
        "values for `optmap check`: the first is given where a call has to give one", default=()
    )
    at: Position = place()

    def advice(self, target: Framework, value: str) -> str | None:
        """Return what to do where the target lacks it; `value` is the text of what the call gives."""
        found = self.remedies.get(target, self.remedy)
        return found and found.replace("{value}", value)

    def is_neutral(self, value: Literal) -> bool:
        """Tell whether the value makes the hyperparameter do nothing."""
        if not self.has_neutral:
            return False
        return any(same_value(value, neutral) for neutral in (self.neutral, *self.also_neutral))


class Trait(Record):
    """A property of an update rule by which two frameworks may differ."""

    name: str = own_key()
    at: Position = place()
    values: dict[str, str] = key("value -> what the framework does, as the predicate of a sentence")
    becomes: dict[str, str] = key("the target's value -> what changes, as a sentence of its own", default={})
    default: str | None = key("the value of APIs that do not state the trait", default=None)
    effect: Effect = key("how far rules drift apart that differ here")
    active_with: tuple[str, ...] = key("the trait matters only while one of these is not neutral", default=())
    ungrouped_only: bool = key("the trait matters only without parameter groups", default=False)
    needs: Need | None = key("what a run must have for the trait to show", default=None)
    advice: str | None = key("what removes the difference", default=None)
    advice_to: dict[str, str] = key("the target's value -> what removes the difference there", default={})
    grows_with: str | None = key("the hyperparameter whose size decides how far; at 0 the rules agree", default=None)
    squares: tuple[str, ...] = key("the values under which that hyperparameter is added to squares", default=())
    cancels: str | None = key(
        "the hyperparameter under which these squares cancel, so that any size counts", default=None
    )


class Parameter(Record):
    """One parameter of a constructor, tied to canonical hyperparameters or to execution only.

    `ties` holds one canonical name, or several where the value is a tuple of them (betas). `default` is REQUIRED or a
    literal. The row holds for the versions from `since` up to but not including `until`; a signature may have several rows
    of one name. A parameter of a schedule may stand for its hyperparameter in another measure.
    """

    name: str = key("the name in the signature")
    at: Position = place()
    ties: tuple[str, ...] = key(
        "the canonical hyperparameter, or the list of those in a tuple", default=(), name="is", or_one=True
    )
    default: "Literal | Required" = key("the default; a parameter without this key is required", default=REQUIRED)
    none_is: Literal = key("the value that None stands for, where it stands for one", default=None)
    zero_is: Literal = key("the value that 0 stands for, where it stands for another", default=None)
    execution: bool = key(
        "the parameter changes how, not what, is computed",
        default=False, name="affects", given=str, choices=("execution",), read=bool,
    )  # fmt: skip
    keyword_only: bool = key("true after the `*` of the signature", default=False)
    accepts: Accepts = key("the Python type that the constructor insists on", default=Accepts.ANY)
    whole: bool = key(
        "a count of steps: what may be a fraction is refused, since it is not rounded alike", default=False
    )
    interval: Interval | None = key(
        "the interval of accepted values, such as `(0, 1)` or `[0, inf)`",
        default=None, name="range", given=str, read=Interval.parse,
    )  # fmt: skip
    since: str | None = key("first version that has the parameter", default=None)
    until: str | None = key("first version that no longer has it", default=None)
    was: dict[str, str] = key("older name -> first version that no longer accepts it", default={})
    switches: dict[str, str] = key("while this flag is true: canonical name -> the one that it stands for", default={})
    note: str | None = key("what a user should know", default=None)
    times: str | None = key("the hyperparameter is the value times this other one", default=None)
    over: str | None = key("the hyperparameter is the value over this other one", default=None)
    plus: int = key("the hyperparameter is the list with this number added to each item", default=0)
    then: str | None = key("the list ends in this hyperparameter in addition", default=None)
    below: str | None = key("the value must lie below this hyperparameter", default=None)

    @property
    def required(self) -> bool:
        return isinstance(self.default, Required)

    @property
    def is_parameters(self) -> bool:
        return self.ties == (PARAMETERS,)

    @property
    def leads(self) -> bool:
        """Tell whether the argument is written first and without its name."""
        return self.ties in ((PARAMETERS,), (OPTIMIZER,))


class ParameterRow(Parameter, title="parameter or include"):
    """A row of a signature: a parameter, or the name of a list of them."""

    name: str = key("the name in the signature", default="")
    include: str | None = key("a list from `parameter_lists`, inserted here", default=None)


def same_value(left: Literal, right: Literal) -> bool:
    """Compare two literals as hyperparameter values: 0 equals 0.0, but False does not."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same_value, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right
