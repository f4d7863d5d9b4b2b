"""The base class of update rules, and the two families, which preprocess gradients differently."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from optmap.conformance.rules.arithmetic import Array
from optmap.conformance.rules.options import ANY_NON_NEGATIVE, ANY_POSITIVE, Rate, Rates, check_options, option

State: TypeAlias = dict[str, Any]
"""The state of a rule for one parameter: arrays and scalars of the parameter's dtype, by name."""


GROUP_FIELDS = {"lr": "learning_rate", "weight_decay": "weight_decay"}
"""The options that a `mindspore.nn` parameter group may set on CPU, with the constructor's names for them."""


@dataclass(frozen=True)
class SparseRows:
    """A gradient of some rows of a parameter (MindSpore's RowTensor).

    Attributes:
        indices: integers, shape (n,); rows of the parameter, each in range; a row may occur more than once.
        values: floats, shape (n, *parameter.shape[1:]); the gradient of each row.
    """

    indices: Array
    values: Array


@dataclass(frozen=True)
class At:
    """The step number, learning rate and decay filter of one update.

    Attributes:
        step: number of the step, from 1.
        lr: learning rate of the step, a scalar of the parameter's dtype.
        decayed: whether MindSpore's name filter applies weight decay to this parameter.
    """

    step: int
    lr: Any
    decayed: bool


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """One optimizer; its fields are the hyperparameters. Raises ValueError for a value that MindSpore rejects.

    `filters_names` says whether weight decay skips ungrouped parameters named like a normalization scale or shift.
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
        """Whether the rule supports sparse gradients (`update_rows`)."""
        return False

    @property
    def takes_scalars(self) -> bool:
        """Whether a parameter may be 0-dimensional."""
        return True

    def overrides(self, group: Mapping[str, object]) -> dict[str, object]:
        """A group's hyperparameters by field name. Raises ValueError for a key that MindSpore does not accept.

        Args:
            group: hyperparameters with the keys of MindSpore's group dictionaries.
        """
        return dict(group)

    @abstractmethod
    def start(self, weight: Array) -> State:
        """The state of a parameter before the first step."""

    @abstractmethod
    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """The parameter after one step; `state` is updated in place, `weight` and `gradient` are not changed."""

    def update_rows(self, weight: Array, rows: SparseRows, state: State, at: At) -> Array:
        """As `update`, for a sparse gradient whose values have the parameter's dtype; see `takes_rows`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class NnRule(Rule):
    """`mindspore.nn`: lr and weight_decay may differ by group, all other hyperparameters are common to all parameters."""

    filters_names: ClassVar[bool] = True

    learning_rate: Rates = option(Rate())
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)

    @property
    def rates(self) -> Rates:
        return self.learning_rate

    def overrides(self, group: Mapping[str, object]) -> dict[str, object]:
        for key in group:
            if key not in GROUP_FIELDS:
                raise ValueError(f"a group may set {' and '.join(GROUP_FIELDS)}, not {key!r}")
        return {GROUP_FIELDS[key]: value for key, value in group.items()}


@dataclass(frozen=True, kw_only=True)
class ScaledRule(NnRule):
    """The `mindspore.nn` optimizers that also divide the gradients by a loss scale."""

    loss_scale: float = option(ANY_POSITIVE, 1.0)


@dataclass(frozen=True, kw_only=True)
class ExperimentalRule(Rule):
    """`mindspore.experimental.optim`: every hyperparameter may differ by group; there is no name filter."""

    lr: Rates = option(Rate(each=ANY_POSITIVE))

    @property
    def rates(self) -> Rates:
        return self.lr
