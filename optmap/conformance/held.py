"""What the numpy rules hold between two steps, by the canonical names of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from optmap.conformance.simulate import Slot

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


def get(slots: Iterable[Slot], names: Mapping[str, str], steps: int) -> dict[str, dict[str, Any]]:
    """What the rules hold after some steps."""
    return {name: {slot.name: _held(slot, name, steps) for slot in slots} for name in names}


def _held(slot: Slot, name: str, steps: int) -> Any:
    if name == "step":
        return np.array(float(steps))
    if name == "averaging_weight":
        return np.array(0.0)
    value: Any = slot.state.get(_key(slot, name)) if name in KEYS else None
    return np.zeros_like(slot.weight) if value is None else np.array(value)


def put(slots: Iterable[Slot], state: Mapping[str, Mapping[str, Any]]) -> None:
    """Have the rules hold this, in their parameters' dtype."""
    for slot in slots:
        for name, items in state.items():
            if name in KEYS:
                value = np.asarray(items[slot.name], slot.weight.dtype)
                slot.state[_key(slot, name)] = value.copy() if value.ndim else value[()]


def _key(slot: Slot, name: str) -> str:
    return next((key for key in KEYS[name] if key in slot.state), KEYS[name][0])
