"""What the numpy rules hold between two steps, by the canonical names of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from optmap.conformance.calls import Call, canonical_values
from optmap.conformance.simulated import SimulatedParameter
from optmap.mapping.load import load
from optmap.mapping.state import StateError
from optmap.mapping.state_values import RATE, active, stored
from optmap.nearest import nearest

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "first_moment": ("m",), "second_moment": ("v",), "max_second_moment": ("vhat", "vmax"), "infinity_norm": ("u",),
    "square_average": ("square", "accum"), "gradient_average": ("mean",), "update_average": ("accum_update",),
    "accumulator": ("accum",), "linear_term": ("linear",), "momentum_buffer": ("velocity",), "current_rate": ("eta",),
    "previous_gradient": ("previous",), "step_size": ("size",), "momentum_product": ("mu_product",),
    "beta1_power": ("beta1_power",), "beta2_power": ("beta2_power",),
}  # fmt: skip
"""The keys of the rules' states; the first that a state has is meant, or the first of all where a rule makes it by and by.

What stands here in no form (`average`, its weight, `momentum_unset`) has no effect on the parameters.
"""


def get(simulated: Iterable[SimulatedParameter], names: Mapping[str, str], steps: int) -> dict[str, dict[str, Any]]:
    """What the rules hold after some steps."""
    return {name: {parameter.name: _held(parameter, name, steps) for parameter in simulated} for name in names}


def _held(parameter: SimulatedParameter, name: str, steps: int) -> Any:
    if name == "step":
        return np.array(float(steps))
    if name == "averaging_weight":
        return np.array(0.0)
    value: Any = parameter.state.get(_key(parameter, name)) if name in KEYS else None
    return np.zeros_like(parameter.weight) if value is None else np.array(value)


def put(simulated: Iterable[SimulatedParameter], state: Mapping[str, Mapping[str, Any]]) -> None:
    """Have the rules hold this, in their parameters' dtype."""
    for parameter in simulated:
        for name, items in state.items():
            if name in KEYS:
                value = np.asarray(items[parameter.name], parameter.weight.dtype)
                parameter.state[_key(parameter, name)] = value.copy() if value.ndim else value[()]


def start(
    api: str, hyperparameters: Mapping[str, Any], simulated: Sequence[SimulatedParameter], state: Mapping[str, Any]
) -> int:
    """Have the rules start from a canonical state, and return its number of steps. Raises StateError."""
    tables = load()
    section = tables.apis[api]
    values = dict(canonical_values(Call(section, hyperparameters)))
    rates: Any = values[RATE]
    values[RATE] = rates if isinstance(rates, int | float) else float(rates[0])
    known = {*active(tables, section, values), "step"}
    if strange := sorted(set(state) - known):
        raise StateError(f"{api} has no {strange[0]} in its state{nearest(strange[0], known)}")
    found = {name: {parameter.name: _given(name, value, parameter, tables.states[name].scalar) for parameter in simulated}
             for name, value in state.items()}  # fmt: skip
    put(
        simulated,
        stored(
            tables, section, values, found, {parameter.name: np.zeros_like(parameter.weight) for parameter in simulated}
        ),
    )
    steps = [float(item) for item in found.get("step", {}).values()]
    if any(step < 0 or not step.is_integer() for step in steps):
        raise StateError(f"the step must be a number of steps, got {steps[0]:g}")
    return int(steps[0]) if steps else 0


def _given(name: str, value: Any, parameter: SimulatedParameter, scalar: bool) -> Any:
    """One parameter's part of a quantity. Raises StateError unless it is a number, or floats of the parameter's shape."""
    if scalar:
        if isinstance(value, Mapping) or np.ndim(value):
            raise StateError(f"{name} must be one number for all parameters")
        return np.asarray(value, np.float64)
    if not isinstance(value, Mapping) or parameter.name not in value:
        raise StateError(f"{name} must have an array for every parameter; {parameter.name!r} is missing")
    array = np.asarray(value[parameter.name])
    if array.shape != parameter.weight.shape or not np.issubdtype(array.dtype, np.floating):
        raise StateError(
            f"{name} of {parameter.name!r} must be floats of shape {parameter.weight.shape}, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return array


def _key(parameter: SimulatedParameter, name: str) -> str:
    return next((key for key in KEYS[name] if key in parameter.state), KEYS[name][0])
