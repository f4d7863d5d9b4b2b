"""The state of MindSpore's optimizers: in a live one, and in checkpoints."""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("GLOG_v", "3")

import mindspore
import numpy as np

from optmap.conformance.engines.saved import Reading, Saved, State, Writing
from optmap.mapping.state import StateError

PARAMETER = "{parameter}"


def get(optimizer: Any, parameters: Iterable[str], slots: Mapping[str, str]) -> State:
    """What an optimizer stores for its parameters, by quantity."""
    return _quantities({item.name: item for item in _stored(optimizer)}, parameters, slots)


def put(optimizer: Any, slots: Mapping[str, str], state: State) -> None:
    """Have an optimizer store this."""
    stored = {item.name: item for item in _stored(optimizer)}
    for name, items in state.items():
        for key, value in items.items():
            item = stored.get(slots[name].replace(PARAMETER, key))
            if item is not None:
                dtype = mindspore.common.dtype_to_nptype(item.dtype)
                item.set_data(mindspore.Tensor(np.asarray(value, dtype).reshape(item.shape)))


def read(wanted: Reading) -> Saved:
    """Read a checkpoint; the names of the parameters are those of what is stored for each."""
    try:
        content = mindspore.load_checkpoint(wanted.path)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise StateError(f"{wanted.path} is no checkpoint of MindSpore: {reason}") from None
    if grouped := [name for name in content if name.startswith("learning_rate_group_")]:
        raise StateError(f"the file holds {grouped[0]}, the rate of a parameter group; convert each group by itself")
    names: list[str] = []
    for slot in wanted.slots.values():
        if PARAMETER in slot:
            pattern = re.compile(re.escape(slot).replace(re.escape(PARAMETER), "(.+)"))
            names = [match[1] for name in content if (match := pattern.fullmatch(name))]
            if names:
                break
    if not names:
        example = next(slot for slot in wanted.slots.values() if PARAMETER in slot).replace(PARAMETER, "NAME")
        raise StateError(
            f"{wanted.path} holds no state of {wanted.api}, such as {example}: another class has saved it, or no optimizer"
        )
    for slot in wanted.others:
        for key in names:
            if (strange := slot.replace(PARAMETER, key)) in content:
                raise StateError(
                    f"the file holds {strange}, which {wanted.api} does not store: another class has saved it"
                )
    state = _quantities(content, names, wanted.slots)
    for name, items in state.items():
        if missing := [key for key in names if key not in items]:
            raise StateError(f"the file has no {wanted.slots[name].replace(PARAMETER, missing[0])}")
    return Saved(names, state, {})


def write(wanted: Writing) -> bytes:
    """A checkpoint of what the optimizer stores, without the parameters themselves."""
    module, _, name = wanted.api.rpartition(".")
    given = [mindspore.Parameter(mindspore.Tensor(zeros), name=key) for key, zeros in wanted.shapes.items()]
    optimizer = getattr(importlib.import_module(module), name)(given, **wanted.arguments)
    put(optimizer, wanted.slots, wanted.state)
    written = {wanted.slots[name].replace(PARAMETER, key) for name, items in wanted.state.items() for key in items}
    written |= {slot for slot in wanted.slots.values() if PARAMETER not in slot}
    content = [{"name": item.name, "data": item} for item in optimizer.get_parameters() if item.name in written]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.ckpt")
        mindspore.save_checkpoint(content, str(path))
        return path.read_bytes()


def _stored(optimizer: Any) -> list[Any]:
    """The parameters of an optimizer, those included that it keeps in lists, where MindSpore does not find them."""
    listed = [item for value in vars(optimizer).values() if isinstance(value, list) for item in value]
    return [*optimizer.get_parameters(), *(item for item in listed if isinstance(item, mindspore.Parameter))]


def _quantities(stored: Mapping[str, Any], parameters: Iterable[str], slots: Mapping[str, str]) -> State:
    found: State = {}
    for name, slot in slots.items():
        own = {key: slot.replace(PARAMETER, key) for key in parameters}
        items = {key: _array(stored[text], shared=text == slot) for key, text in own.items() if text in stored}
        if items:
            found[name] = items
    return found


def _array(value: Any, *, shared: bool) -> Any:
    array = (value.float() if value.dtype is mindspore.bfloat16 else value).asnumpy().copy()
    return array.reshape(()) if shared and array.size == 1 else array
