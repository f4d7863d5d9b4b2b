"""The base class of update rules, and the two families of MindSpore's optimizers, which prepare gradients differently.

`mindspore.nn`: `g = (g + w * f32(weight_decay * loss_scale)) * f32(1 / loss_scale)`. The decay of ungrouped parameters is
skipped where the parameter's name contains `beta` or `gamma`, anywhere (`alphabeta` is skipped, a bias is decayed); any
grouping turns that filter off. `mindspore.experimental.optim`: `g = w * f32(weight_decay) + (-g if maximize else g)`, no
filter. All products and sums round to the parameter's dtype.

Source: `mindspore/nn/optim/optimizer.py` and `mindspore/experimental/optim/optimizer.py` of MindSpore 2.10.0.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from optmap.conformance.rules.arithmetic import Array
from optmap.conformance.rules.options import (
    ANY_NON_NEGATIVE,
    ANY_POSITIVE,
    FLAG,
    RATE_ABOVE_ZERO,
    Rate,
    Rates,
    check_options,
    option,
)

State: TypeAlias = dict[str, Any]
"""The state of a rule for one parameter: arrays and scalars of the parameter's dtype, by name."""

GROUP_FIELDS = {"lr": "learning_rate", "weight_decay": "weight_decay"}
"""The options that a `mindspore.nn` parameter group may set on CPU, with the constructor's names for them."""

UNDECAYED = ("beta", "gamma")
"""`mindspore.nn` does not decay ungrouped parameters with one of these in their names."""


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

    Attributes:
        filters_names: whether weight decay skips ungrouped parameters named like a normalization scale or shift.
        fixed: fields of the family or of the formula that are no hyperparameters of this optimizer, but constants.
        slots: the arrays of the state that start at zero.
    """

    filters_names: ClassVar[bool] = False
    fixed: ClassVar[tuple[str, ...]] = ()
    slots: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Check every hyperparameter."""
        check_options(self)

    @classmethod
    def hyperparameters(cls) -> dict[str, Any]:
        """The dataclass fields of the hyperparameters by name."""
        return {field.name: field for field in dataclasses.fields(cls) if field.name not in cls.fixed}

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

    def start(self, weight: Array) -> State:
        """The state of a parameter before the first step."""
        return {name: np.zeros_like(weight) for name in self.slots}

    def step(self, weight: Array, gradient: Array | SparseRows, state: State, at: At) -> Array:
        """The parameter after one step; `state` is updated in place, `weight` and `gradient` are not changed.

        Of a sparse gradient only its rows are decayed, a repeated row once per occurrence.
        """
        if isinstance(gradient, SparseRows):
            values = self.prepared(weight[gradient.indices], gradient.values, at)
            return self.update_rows(weight, SparseRows(gradient.indices, values), state, at)
        return self.update(weight, self.prepared(weight, gradient, at), state, at)

    def prepared(self, weight: Array, gradient: Array, at: At) -> Array:
        """The gradient as the update takes it, such as with weight decay."""
        return gradient

    @abstractmethod
    def update(self, weight: Array, gradient: Array, state: State, at: At) -> Array:
        """The parameter after one step with a prepared gradient; see `step`."""

    def update_rows(self, weight: Array, rows: SparseRows, state: State, at: At) -> Array:
        """As `update`, for a sparse gradient whose values have the parameter's dtype; see `takes_rows`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class NnRule(Rule):
    """`mindspore.nn`: lr and weight_decay may differ by group, all other hyperparameters are common to all parameters."""

    filters_names: ClassVar[bool] = True

    learning_rate: Rates = option(Rate())
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    loss_scale: float = option(ANY_POSITIVE, 1.0)

    @property
    def rates(self) -> Rates:
        return self.learning_rate

    def overrides(self, group: Mapping[str, object]) -> dict[str, object]:
        for key in group:
            if key not in GROUP_FIELDS:
                raise ValueError(f"a group may set {' and '.join(GROUP_FIELDS)}, not {key!r}")
        return {GROUP_FIELDS[key]: value for key, value in group.items()}

    def prepared(self, weight: Array, gradient: Array, at: At) -> Array:
        real = weight.dtype.type
        if self.weight_decay > 0 and at.decayed:
            gradient = weight * real(self.weight_decay * self.loss_scale) + gradient
        return gradient if self.loss_scale == 1.0 else gradient * real(1.0 / self.loss_scale)


@dataclass(frozen=True, kw_only=True)
class ExperimentalRule(Rule):
    """`mindspore.experimental.optim`: every hyperparameter may differ by group; there is no name filter."""

    lr: Rates = option(RATE_ABOVE_ZERO)
    weight_decay: float = option(ANY_NON_NEGATIVE, 0.0)
    maximize: bool = option(FLAG, False)

    @property
    def rates(self) -> Rates:
        return self.lr

    def prepared(self, weight: Array, gradient: Array, at: At) -> Array:
        if self.maximize:
            gradient = -gradient
        return gradient if self.weight_decay == 0.0 else weight * weight.dtype.type(self.weight_decay) + gradient
