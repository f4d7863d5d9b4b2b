"""The parameters of a simulation, each with its update rule, its learning rates and its state."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optmap.conformance.rules import Rule, SparseRows, build
from optmap.conformance.rules.rule import UNDECAYED, At, NnRule, State

Array: TypeAlias = NDArray[Any]
Gradients: TypeAlias = Mapping[str, "Array | SparseRows"]


@dataclass(frozen=True)
class Group:
    """A parameter group.

    Attributes:
        parameters: names of its parameters.
        hyperparameters: values that differ from the optimizer's, with the keys of MindSpore's group dictionaries: `lr` and
            `weight_decay` for `mindspore.nn`, any keyword of the constructor for `mindspore.experimental.optim`.
    """

    parameters: Sequence[str]
    hyperparameters: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclass
class SimulatedParameter:
    """One parameter during the simulation: its current value, its rule, and the rule's state."""

    name: str
    rule: Rule
    rates: Sequence[Any]
    decayed: bool
    weight: Array
    state: State
    before: int = 0
    """The steps that lie behind the simulation."""

    def advance(self, index: int, given: Gradients) -> None:
        """Update the parameter by the step of this index, counted from 0."""
        where = f"step {index + 1}: gradient for {self.name!r}"
        if self.name not in given:
            raise ValueError(f"{where} is missing")
        gradient = given[self.name]
        if isinstance(gradient, SparseRows):
            if not self.rule.takes_rows:
                raise ValueError(f"{where} is sparse, which only nn.LazyAdam and nn.Adam(use_lazy=True) accept")
            gradient = _rows(where, gradient, self.weight)
        else:
            gradient = _floats(where, gradient, self.weight.dtype)
            if gradient.shape != self.weight.shape:
                raise ValueError(f"{where} has shape {gradient.shape}, but the parameter has shape {self.weight.shape}")
        at = At(self.before + index + 1, self.rates[index], self.decayed)
        self.weight = self.rule.step(self.weight, gradient, self.state, at)


def simulated_parameters(
    api: str,
    hyperparameters: Mapping[str, object],
    parameters: Mapping[str, Array],
    groups: Sequence[Group] | None,
    steps: int,
    real: np.dtype[Any],
) -> list[SimulatedParameter]:
    """All parameters with their initial values, in the order of `parameters`."""
    if not parameters:
        raise ValueError("there must be at least one parameter")
    common = build(api, hyperparameters)
    rules = _rules(api, hyperparameters, common, groups, list(parameters))
    changing = any(isinstance(rule.rates, Sequence) for rule in (common, *rules.values()))
    simulated = []
    for name, value in parameters.items():
        weight = _floats(f"parameter {name!r}", value, real).copy()
        if weight.size == 0:
            raise ValueError(f"parameter {name!r} is empty")
        rule = rules[name]
        if weight.ndim == 0 and not rule.takes_scalars:
            raise ValueError(f"parameter {name!r} is 0-dimensional, which MindSpore rejects here")
        skipped = rule.filters_names and groups is None and any(part in name for part in UNDECAYED)
        rates = _rates(api, rule, steps, real, shifted=changing and groups is not None)
        simulated.append(SimulatedParameter(name, rule, rates, not skipped, weight, common.start(weight)))
    return simulated


def _rules(
    api: str, hyperparameters: Mapping[str, object], common: Rule, groups: Sequence[Group] | None, names: list[str]
) -> dict[str, Rule]:
    """The rule of each parameter."""
    if groups is None:
        return dict.fromkeys(names, common)
    rules: dict[str, Rule] = {}
    for group in groups:
        try:
            overrides = common.overrides(group.hyperparameters)
        except ValueError as error:
            raise ValueError(f"{api}: {error}") from None
        rule = build(api, {**hyperparameters, **overrides})
        for name in group.parameters:
            if name not in names:
                raise ValueError(f"a group names {name!r}, which is not a parameter")
            if name in rules:
                raise ValueError(f"parameter {name!r} is named twice in the groups")
            rules[name] = rule
    left_out = [name for name in names if name not in rules]
    if left_out:
        raise ValueError(f"no group names {', '.join(map(repr, left_out))}")
    return rules


def _rates(api: str, rule: Rule, steps: int, real: np.dtype[Any], *, shifted: bool) -> Sequence[Any]:
    """The learning rate of each step as scalars of the dtype.

    Where the rate of one group changes, `mindspore.nn` turns the constant rates of the others into schedules by `lr + 1 - 1`,
    which rounds them; `shifted` applies that rounding.
    """
    rates = rule.rates
    if isinstance(rates, Sequence):
        if len(rates) < steps:
            raise ValueError(f"{api}: {len(rates)} learning rates for {steps} steps")
        return [real.type(rate) for rate in rates]
    rate = real.type(rates)
    if shifted and isinstance(rule, NnRule):
        rate = rate + real.type(1) - real.type(1)
    return [rate] * steps


def _floats(what: str, value: object, real: np.dtype[Any]) -> Array:
    """The value as a float array of this dtype; the same object where it is one already."""
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{what} must be an array of floats, got {array.dtype}")
    return array.astype(real, copy=False)


def _rows(where: str, rows: SparseRows, weight: Array) -> SparseRows:
    """Sparse rows with their values in the parameter's dtype, checked against the parameter's shape."""
    indices = np.asarray(rows.indices)
    values = _floats(where, rows.values, weight.dtype)
    if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(f"{where}: indices must be a vector of integers, got {indices.dtype} of shape {indices.shape}")
    if weight.ndim == 0 or values.shape != (len(indices), *weight.shape[1:]):
        raise ValueError(f"{where}: values of shape {values.shape} do not fit {len(indices)} rows of {weight.shape}")
    if indices.size and (indices.min() < 0 or indices.max() >= weight.shape[0]):
        raise ValueError(f"{where}: a row is out of range 0..{weight.shape[0] - 1}")
    return SparseRows(indices, values)
