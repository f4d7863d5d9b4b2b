"""What every update rule offers, and the two families that differ in how a gradient reaches the rule."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from optmap.conformance.rules.arithmetic import Array
from optmap.conformance.rules.options import ANY_NON_NEGATIVE, ANY_POSITIVE, Rate, Rates, check_options, option

State: TypeAlias = dict[str, Any]
"""What a rule remembers of one parameter between steps: arrays and scalars of the parameter's dtype, by name."""


GROUP_FIELDS = {"lr": "learning_rate", "weight_decay": "weight_decay"}
"""What a `mindspore.nn` parameter group may set on CPU, and the constructor's name for it."""


@dataclass(frozen=True)
class SparseRows:
    """A gradient that touches some rows of a parameter only, MindSpore's RowTensor.

    Attributes:
        indices: integers, shape (n,); rows of the parameter, each in range; a row may be named more than once.
        values: floats, shape (n, *parameter.shape[1:]); the gradient of each named row.
    """

    indices: Array
    values: Array


@dataclass(frozen=True)
class At:
    """The circumstances of one update.

    Attributes:
        step: counts from 1.
        lr: learning rate of the step, a scalar of the parameter's dtype.
        decayed: whether MindSpore's name filter lets weight decay reach this parameter.
    """

    step: int
    lr: Any
    decayed: bool


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """One optimizer with its hyperparameters, which are the fields; raises ValueError where MindSpore rejects a value.

    `filters_names` says whether ungrouped parameters named like a normalization scale or shift escape weight decay.
    """

    filters_names: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check every hyperparameter."""
        check_options(self)

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """The learning rate, whatever the API calls it."""

    @property
    def takes_rows(self) -> bool:
        """Whether `update_rows` works, that is, whether sparse row gradients are understood."""
        return False

    @property
    def takes_scalars(self) -> bool:
        """Whether a parameter may have no axes at all."""
        return True

    def overrides(self, group: Mapping[str, object]) -> dict[str, object]:
        """A group's hyperparameters by the names of the fields; ValueError for a key that MindSpore does not know.

        Args:
            group: hyperparameters as MindSpore's group dictionaries spell them.
        """
        return dict(group)

    @abstractmethod
    def start(self, weight: Array) -> State:
        """What is remembered of a parameter before the first step."""

    @abstractmethod
    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """The parameter after one step; `state` is brought up to date in place, `weight` and `gradient` are not touched."""

    def update_rows(self, weight: Array, rows: SparseRows, state: State, at: At) -> Array:
        """As `update`, for a sparse gradient whose values have the parameter's dtype; see `takes_rows`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class NnRule(Rule):
    """`mindspore.nn`: lr and weight_decay may differ by group, everything else is common to all parameters."""

    filters_names: ClassVar[bool] = True

    learning_rate: Rates = option(Rate())
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)

    @property
    def rates(self) -> Rates:
        """See the base class."""
        return self.learning_rate

    def overrides(self, group: Mapping[str, object]) -> dict[str, object]:
        """See the base class."""
        for key in group:
            if key not in GROUP_FIELDS:
                raise ValueError(f"a group may set {' and '.join(GROUP_FIELDS)}, not {key!r}")
        return {GROUP_FIELDS[key]: value for key, value in group.items()}


@dataclass(frozen=True, kw_only=True)
class ScaledRule(NnRule):
    """The `mindspore.nn` optimizers that also undo a loss scale."""

    loss_scale: float = option(ANY_POSITIVE, 1.0)


@dataclass(frozen=True, kw_only=True)
class ExperimentalRule(Rule):
    """`mindspore.experimental.optim`: every hyperparameter may differ by group, names do not matter."""

    lr: Rates = option(Rate(each=ANY_POSITIVE))

    @property
    def rates(self) -> Rates:
        """See the base class."""
        return self.lr
