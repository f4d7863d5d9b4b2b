"""The values of an optimizer's state, between the form in which a class stores them and the canonical one, by the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from optmap.mapping.formula import context, literal
from optmap.mapping.model import MappingSet
from optmap.mapping.rate import RateError, read_rate
from optmap.mapping.records import Literal, Position
from optmap.mapping.sections import Api
from optmap.mapping.state import Slot, StateError

Values: TypeAlias = "Mapping[str, Literal]"
"""Hyperparameters by canonical name, defaults included."""
State: TypeAlias = "dict[str, dict[str, Any]]"
"""Arrays or numbers by quantity and by parameter; a scalar quantity stands there once for each parameter."""

RATE = "learning_rate"
"""The hyperparameter that changes in training, so that some classes store it with their state."""
RELATIVE, ABSOLUTE = 1e-3, 1e-6
"""How far a stored value may be from the one that follows from the others: powers are stored as rounded products."""


def slots(api: Api) -> dict[str, Slot]:
    """Everything that a class stores, what all classes of its module store included."""
    return {**api.module.state, **api.state}


def active(tables: MappingSet, api: Api, values: Values) -> dict[str, Slot]:
    """What a class stores with effect for these hyperparameters; the learning rate is one of them."""
    return {
        name: slot for name, slot in slots(api).items()
        if name != RATE and (slot.when is None or not _neutral(tables, slot.when, values))
    }  # fmt: skip


def _neutral(tables: MappingSet, name: str, values: Values) -> bool:
    return name not in values or tables.hyperparameters[name].is_neutral(values[name])


def canonical(tables: MappingSet, api: Api, values: Values, stored: State) -> State:
    """The canonical state of what a class stores. Raises StateError for a quantity that is missing or contradicts others."""
    found: State = {}
    rows = active(tables, api, values)
    for name, slot in rows.items():
        if name not in stored:
            raise StateError(f"{api.name} has no {label(tables, name, slot)} in this state")
        if slot.value is None:
            factor = number(slot.times, values, {}) if slot.times else 1
            if not factor:
                raise StateError(f"{label(tables, name, slot)} of {api.name} is zero where {slot.times} is zero")
            found[name] = {key: item / factor if slot.times else item for key, item in stored[name].items()}
    for name, slot in rows.items():
        for key, item in stored[name].items() if slot.value is not None else ():
            expected = number(slot.value or "", values, _scalars(tables, found, key))
            if (
                abs(float(item.max() if hasattr(item, "max") else item) - expected)
                > RELATIVE * abs(expected) + ABSOLUTE
            ):
                raise StateError(
                    f"{slot.slot.replace('{parameter}', key)} is {float(item.max()):g}, but {api.name} with these "
                    f"hyperparameters and {_scalars(tables, found, key).get('step', 0):g} steps has {expected:g} there"
                )
    return found


def stored(tables: MappingSet, api: Api, values: Values, state: State, shapes: Mapping[str, Any]) -> State:
    """What a class stores of a canonical state. Raises StateError for a quantity without counterpart.

    `shapes` has an array of zeros for each parameter, None where its shape is not known.
    """
    rows = active(tables, api, values)
    for name in state:
        if (name not in rows or rows[name].value is not None) and name != "step":
            raise StateError(f"{api.name} has no counterpart of the {label(tables, name)}")
    found: State = {}
    for name, slot in slots(api).items():
        if name == RATE:
            continue
        if name in rows and slot.value is None:
            if name not in state:
                raise StateError(f"{api.name} needs the {label(tables, name, slot)}, which the state does not have")
            factor = number(slot.times, values, {}) if slot.times else 1
            found[name] = {key: item * factor if slot.times else item for key, item in state[name].items()}
            continue
        text = slot.value if name in rows and slot.value is not None else slot.start
        found[name] = {
            key: number(text, values, _scalars(tables, state, key)) + (0 if tables.states[name].scalar else zeros)
            for key, zeros in shapes.items()
            if tables.states[name].scalar or zeros is not None
        }
    return found


def label(tables: MappingSet, name: str, slot: Slot | None = None) -> str:
    """A quantity for messages."""
    about = tables.states[name].about
    return f"{name.replace('_', ' ')} ({about})" if slot is None else f"{name.replace('_', ' ')} ({slot.slot}: {about})"


def _scalars(tables: MappingSet, state: State, key: str) -> dict[str, float]:
    """The scalar quantities of one parameter."""
    return {
        name: float(items[key]) for name, items in state.items()
        if key in items and name in tables.states and tables.states[name].scalar
    }  # fmt: skip


def number(text: str, values: Values, scalars: Mapping[str, float]) -> float:
    """The value of arithmetic of the tables. Raises StateError where something in it is not known."""

    def look_up(name: str) -> Any:
        known = scalars.get(name, values.get(name))
        return literal(known) if isinstance(known, int | float) else context(name)

    found = read_rate(text, look_up)
    if not found.known:
        raise StateError(f"{text} needs {' and '.join(sorted(found.missing()))}, which is not known")
    return float(found.number)


def problems(
    states: Mapping[str, object], hyperparameters: Mapping[str, object], rows: Mapping[str, Slot]
) -> Iterator[tuple[Position, str]]:
    """What is wrong with the rows of a section or a module."""
    for name, slot in rows.items():
        if name not in states and name != RATE:
            yield slot.at, f"unknown quantity of state {name!r}"
        if slot.when is not None and slot.when not in hyperparameters:
            yield slot.at, f"unknown hyperparameter {slot.when!r}"
        for text in filter(None, (slot.times, slot.value, slot.start)):
            try:
                unknown = read_rate(text, context).missing() - {*hyperparameters, *states}
            except RateError as error:
                yield slot.at, str(error)
            else:
                if unknown:
                    yield slot.at, f"unknown hyperparameter or quantity {min(unknown)!r}"
