"""Replays gradients through the formula of an algorithm, with the hyperparameters and traits that the tables state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from optmap.conformance.formulas import FORMULAS
from optmap.conformance.formulas.by import By, Formula, State
from optmap.conformance.rules.rule import UNDECAYED
from optmap.conformance.scenario import Array, Gradients, Rows, Scenario, Trace

COMMON: Final = ("parameters", "learning_rate", "l2", "decoupled_decay", "maximize", "loss_scale", "lazy")
"""The hyperparameters that have the same effect with every formula."""
DECAYS: Final = ("l2", "decoupled_decay")
FILTER: Final = "decay_filter"
PLACE: Final = "epsilon_placement"


class Stated(NamedTuple):
    """What the tables say of a call: the algorithm, the hyperparameters by canonical name, and the traits.

    `keys` are the canonical names of the keys that the call's parameter groups set; `unknown` names a hyperparameter or trait
    that the formula does not know.
    """

    algorithm: str
    values: Mapping[str, Any]
    traits: Mapping[str, str]
    keys: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    unknown: str = ""


class Then(NamedTuple):
    """The rule that takes over after some steps, with what the first one holds then."""

    steps: int
    rule: Stated


def replayed(
    rule: Stated, scenario: Scenario, gradients: Gradients, steps: int, dtype: str = "float64", *, zeros: bool = False,
    then: Then | None = None,
) -> Trace:  # fmt: skip
    """The run of a rule on these gradients. Where a formula works element by element, all parameters are one vector.

    `zeros` says that a missing gradient is one of zeros; else the parameter, its state and its count of steps stay.
    """
    formula = FORMULAS[rule.algorithm]
    mixed = "mixed" in {each.traits.get(PLACE) for each in (rule, then.rule if then else rule)}
    apart = formula.coupled or mixed or scenario.groups or scenario.sparse or scenario.silent
    parts = [(name,) for name in scenario.start] if apart else [tuple(scenario.start)]
    found: dict[str, Array] = {}
    with np.errstate(all="ignore"):
        for names in parts:
            values, rate = _values(rule, scenario, names)
            by = By(values, rule.traits, 0, rate, bool(scenario.rate_factors))
            later = then and (
                then.steps,
                by._replace(values=_values(then.rule, scenario, names)[0], traits=then.rule.traits),
            )
            weight = _joined([scenario.start[name].astype(dtype) for name in names], 0)
            given: list[Any] = [gradients[name] for name in names]
            rates = scenario.rates(rate, steps) or (rate,) * steps
            missing = [scenario.is_silent(names[0], step) for step in range(steps)] if apart else [False] * steps
            if zeros and any(missing):
                given, missing = [np.where(np.reshape(missing, (-1, *[1] * weight.ndim)), 0, given[0])], [False] * steps
            history = _history(formula, weight, given[0] if apart else _joined(given, 1), by, rates, missing, later)
            ends = np.cumsum([scenario.start[name].size for name in names])[:-1]
            pieces = [history] if apart else np.split(history, ends, axis=1)
            found |= {
                name: each.reshape(steps, *scenario.start[name].shape) for name, each in zip(names, pieces, strict=True)
            }
    return Trace(np.full(steps, np.nan), gradients, found)


def _joined(arrays: Sequence[Array], leading: int) -> Array:
    """Arrays as one, flat after so many leading axes; a single one as it is."""
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([each.reshape(*each.shape[:leading], -1) for each in arrays], axis=leading)


def _history(
    formula: Formula, weight: Array, gradients: Array | Rows, by: By, rates: Sequence[float], missing: Sequence[bool],
    later: tuple[int, By] | None = None,
) -> Array:  # fmt: skip
    """The weights after every step, of which those with a missing gradient do nothing.

    `later` is by what the steps are made after some.
    """
    state: State = {}
    history = np.empty((len(rates), *weight.shape), weight.dtype)
    for index, rate in enumerate(rates):
        if later is not None and index == later[0]:
            _hand_over(state, by, later[1], rate)
            by = later[1]
        at = by._replace(step=index + 1 - sum(missing[:index]), rate=rate)
        if missing[index]:
            pass
        elif isinstance(gradients, Rows):
            weight = _rows(formula, weight, gradients.indices[index], gradients.values[index], state, at)
        else:
            weight = _step(formula, weight, gradients[index].reshape(weight.shape), state, at)
        history[index] = weight
    return history


def _hand_over(state: State, old: By, new: By, rate: float) -> None:
    """Change the measure of a momentum that holds the learning rate on one side only."""
    held = [by.has("momentum_learning_rate", "inside") for by in (old, new)]
    if "velocity" in state and held[0] is not held[1]:
        state["velocity"] = state["velocity"] * rate if held[1] else state["velocity"] / rate


def _values(rule: Stated, scenario: Scenario, names: Sequence[str]) -> tuple[dict[str, Any], float]:
    """The hyperparameters of these parameters, with decay by element where names decide, and their learning rate."""
    values = dict(rule.values)
    rate = float(values.get("learning_rate") or 0.0)
    for group in scenario.groups:
        if names[0] not in group.parameters:
            continue
        if group.weight_decay is not None:
            values |= {decay: group.weight_decay for decay in DECAYS if decay in values}
        for key, value in group.values:
            ties = rule.keys[key]
            values |= zip(ties, value if isinstance(value, tuple) and len(ties) > 1 else (value,), strict=True)
        rate = float(values.get("learning_rate") or 0.0) * (group.rate_factor or 1.0)
    if not scenario.groups and rule.traits.get(FILTER) == "by_name":
        decayed = [not any(part in name for part in UNDECAYED) for name in names]
        mask = np.repeat(decayed, [scenario.start[name].size for name in names]) if len(names) > 1 else decayed[0]
        values |= {decay: values[decay] * mask for decay in DECAYS if values.get(decay)}
    return values, rate


def _step(formula: Formula, weight: Array, gradient: Array, state: State, by: By) -> Array:
    gradient = (-gradient if by.of("maximize", False) else gradient) / by.of("loss_scale", 1.0) + by.of("l2") * weight
    if not formula.decays:
        weight = weight * (1 - by.rate * by.of("decoupled_decay"))
    return formula.update(weight, gradient, state, by)


def _rows(formula: Formula, weight: Array, indices: Array, rows: Array, state: State, by: By) -> Array:
    """A step with a sparse gradient; a lazy rule leaves all other rows as they are, their state included."""
    gradient = np.zeros_like(weight)
    np.add.at(gradient, indices, rows)
    new = dict(state)
    moved = _step(formula, weight, gradient, new, by)
    if not by.of("lazy", False):
        state |= new
        return moved
    touched = np.isin(np.arange(len(weight)), indices)[:, None]
    for name, value in new.items():
        state[name] = np.where(touched, value, state[name]) if name in state else value
    return np.where(touched, moved, weight)
