"""The state of torch's optimizers: in a live one, and in files that `torch.save` wrote."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from inspect import signature
from typing import Any, Final

import numpy as np
import torch

from optmap.conformance.engines.saved import Reading, Saved, State, Writing
from optmap.mapping.state import StateError

LAYOUT: Final = ("params", "param_names")
"""Keys of a parameter group that are no hyperparameters."""
EXECUTION: Final = ("capturable", "differentiable", "foreach", "fused")
"""Keys of a parameter group that say how, not what, is computed."""


def get(optimizer: Any, parameters: Mapping[str, Any], slots: Mapping[str, str]) -> State:
    """What an optimizer stores for its parameters, by quantity."""
    stored = {key: optimizer.state[parameter] for key, parameter in parameters.items()}
    return _quantities(stored, slots)


def put(optimizer: Any, parameters: Mapping[str, Any], slots: Mapping[str, str], state: State) -> None:
    """Have an optimizer store this; a step without effect makes it set up its state with the types of its version."""
    _set_up(optimizer, parameters.values())
    for name, items in state.items():
        for key, item in items.items():
            stored, slot = optimizer.state[parameters[key]], slots[name]
            if (old := stored.get(slot)) is None:
                continue
            if isinstance(old, torch.Tensor):
                stored[slot] = torch.tensor(np.asarray(item), dtype=old.dtype).reshape(old.shape)
            else:
                stored[slot] = type(old)(item)


def read(wanted: Reading) -> Saved:
    """Read a state_dict without running any code that the file may hold."""
    try:
        content = torch.load(wanted.path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise StateError(f"{wanted.path} cannot be read: {error.strerror}") from None
    except Exception as error:
        raise StateError(
            f"{wanted.path} is no file of tensors and plain values that torch.save wrote, and nothing else of it is "
            f"loaded ({type(error).__name__})"
        ) from None
    found = _entry(content, wanted)
    groups, order = found["param_groups"], [index for group in found["param_groups"] for index in group["params"]]
    names = [str(name) for group in groups for name in group.get("param_names", group["params"])]
    stored = dict(zip(names, (found["state"].get(index, {}) for index in order), strict=True))
    untouched = [name for name, items in stored.items() if not items]
    if any(stored.values()) and untouched:
        raise StateError(f"there is no state for parameter {', '.join(untouched)}, which has never had a gradient")
    for items in stored.values():
        if extra := set(items) - set(wanted.slots.values()):
            raise StateError(f"the file holds {', '.join(sorted(extra))}, which {wanted.api} does not store")
    return Saved(names, _quantities(stored, wanted.slots), _stated(wanted.api, _hyperparameters(groups)))


def write(wanted: Writing) -> bytes:
    """A state_dict as `torch.save` writes it."""
    optimizer, parameters = _made(wanted)
    put(optimizer, parameters, wanted.slots, wanted.state)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    return buffer.getvalue()


def _entry(content: Any, wanted: Reading) -> dict[str, Any]:
    for key in filter(None, wanted.entry.split(".")):
        if not isinstance(content, dict) or key not in content:
            raise StateError(f"{wanted.path} has no entry {key!r}{_keys(content)}")
        content = content[key]
    if not isinstance(content, dict) or not {"state", "param_groups"} <= content.keys():
        raise StateError(
            f"{wanted.path} is no state_dict of an optimizer{_keys(content)}; --entry NAME names the one that is"
        )
    return content


def _keys(content: Any) -> str:
    return f": it has {', '.join(map(str, list(content)[:8]))}" if isinstance(content, dict) else ""


def _hyperparameters(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The hyperparameters of all groups, which must agree."""
    plain = [{key: _plain(value) for key, value in group.items() if key not in LAYOUT} for group in groups]
    for other in plain[1:]:
        if differ := sorted(key for key in {*plain[0], *other} if plain[0].get(key) != other.get(key)):
            raise StateError(f"the parameter groups differ in {', '.join(differ)}; convert each group by itself")
    return plain[0]


def _stated(api: str, found: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters without those that the class itself sets, whatever it is given."""
    create = getattr(torch.optim, api.rpartition(".")[2])
    taken = signature(create).parameters
    given = {key: value for key, value in found.items() if key in taken and key not in EXECUTION}
    fixed = create([torch.nn.Parameter(torch.zeros(1, 1))], **given).param_groups[0]
    return {key: value for key, value in found.items() if key in taken or key not in fixed or fixed[key] != value}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    return value.item() if isinstance(value, torch.Tensor) else value


def _quantities(stored: Mapping[str, Mapping[str, Any]], slots: Mapping[str, str]) -> State:
    found = {
        name: {key: _array(items[slot]) for key, items in stored.items() if items.get(slot) is not None}
        for name, slot in slots.items()
    }
    return {name: items for name, items in found.items() if items}


def _array(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return np.asarray(float(value))
    value = value.detach().cpu()
    return (value.float() if value.dtype is torch.bfloat16 else value).numpy().copy()


def _made(wanted: Writing) -> tuple[Any, dict[str, Any]]:
    parameters = {key: torch.nn.Parameter(torch.tensor(zeros)) for key, zeros in wanted.shapes.items()}
    create = getattr(torch.optim, wanted.api.rpartition(".")[2])
    return create(list(parameters.values()), **wanted.arguments), parameters


def _set_up(optimizer: Any, parameters: Iterable[Any]) -> None:
    """Make one step with gradients of zero and put the parameters back."""
    kept = [(parameter, parameter.detach().clone(), parameter.grad) for parameter in parameters]
    sparse = type(optimizer) is torch.optim.SparseAdam
    for parameter, old, _ in kept:
        parameter.grad = torch.zeros_like(old).to_sparse(1) if sparse else torch.zeros_like(old)
    optimizer.step()
    for parameter, old, gradient in kept:
        parameter.grad = gradient
        with torch.no_grad():
            parameter.copy_(old)
