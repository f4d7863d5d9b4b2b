"""The state of Keras 3 optimizers: in a live one, and in files: .keras, .h5, and .npz of `save_own_variables`."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from optmap.conformance.engines.saved import Reading, Saved, State, Writing
from optmap.mapping.state import StateError

WEIGHTS = "model.weights.h5"
"""The file of weights in a .keras archive."""
VARIABLES = "optimizer/vars"
LEGACY = "optimizer_weights"


class _Content(NamedTuple):
    arrays: list[Any]
    configuration: Any = None


def get(optimizer: Any, names: Sequence[str], slots: Mapping[str, str]) -> State:
    """What an optimizer stores, by quantity; the parameters are those it was built with, in order."""
    found: State = {}
    for name, slot in slots.items():
        if variables := held(optimizer, slot, len(names)):
            found[name] = {key: np.array(item) for key, item in zip(names, variables, strict=True)}
    return found


def put(optimizer: Any, names: Sequence[str], slots: Mapping[str, str], state: State) -> None:
    """Have an optimizer that is built store this."""
    for name, items in state.items():
        for key, variable in zip(names, held(optimizer, slots[name], len(names)), strict=False):
            variable.assign(np.asarray(items[key]).reshape(variable.shape))


def held(optimizer: Any, slot: str, count: int) -> list[Any]:
    """The variables that an attribute holds, one for each parameter; none where the call has no use for them."""
    value = getattr(optimizer, slot, None)
    if isinstance(value, list):
        return value
    return [value] * count if hasattr(value, "assign") else []


def read(wanted: Reading) -> Saved:
    """Read the variables of an optimizer; which of them is what, an optimizer of the same class tells."""
    arrays, configuration = _content(Path(wanted.path))
    found = _hyperparameters(wanted.api, configuration)
    if not wanted.expected:
        raise StateError(
            "a file of Keras has no names of parameters: the map must list all of them, in the optimizer's order"
        )
    names = [str(index) for index in range(wanted.expected)]
    optimizer = _made(wanted.api, {**found, **wanted.arguments}, {name: np.zeros(1, np.float32) for name in names})
    if len(arrays) != (expected := len(optimizer.variables)):
        schedule = "; one with a schedule of learning rates has none for the rate, and is not read"
        raise StateError(
            f"{wanted.path} holds {len(arrays)} variables, but this call of {wanted.api} has {expected} for "
            f"{wanted.expected} parameters" + (schedule if len(arrays) == expected - 1 else "")
        )
    index = {id(item): number for number, item in enumerate(optimizer.variables)}
    known = {id(item) for slot in wanted.slots.values() for item in held(optimizer, slot, 1)}
    if strange := [item.path for item in optimizer.variables if id(item) not in known]:
        raise StateError(f"{wanted.api} also stores {strange[0]}, which the tables do not describe")
    state = {
        name: {key: arrays[index[id(item)]] for key, item in zip(names, variables, strict=True)}
        for name, slot in wanted.slots.items() if (variables := held(optimizer, slot, len(names)))
    }  # fmt: skip
    return Saved(names, state, found)


def write(wanted: Writing) -> bytes:
    """What `load_own_variables` takes, as an .npz file."""
    optimizer = _made(wanted.api, wanted.arguments, wanted.shapes)
    put(optimizer, list(wanted.shapes), wanted.slots, wanted.state)
    content: dict[str, Any] = {}
    optimizer.save_own_variables(content)
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    return buffer.getvalue()


def _made(api: str, arguments: Mapping[str, Any], shapes: Mapping[str, Any]) -> Any:
    optimizer = getattr(keras.optimizers, api.rpartition(".")[2])(**arguments)
    optimizer.build([keras.Variable(zeros, dtype=str(zeros.dtype)) for zeros in shapes.values()])
    return optimizer


def _content(path: Path) -> _Content:
    """The variables of the optimizer in a file, in order, and its configuration where the file has one."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as content:
                return _Content(_ordered({name: content[name] for name in content.files}, path))
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                version = str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
                found = _weights(io.BytesIO(archive.read(WEIGHTS)), path, version)
                compiled = json.loads(archive.read("config.json")).get("compile_config") or {}
                return found._replace(configuration=compiled.get("optimizer"))
        return _weights(path, path, "")
    except StateError:
        raise
    except Exception as error:
        raise StateError(f"{path} cannot be read as a file of Keras: {type(error).__name__}: {error}") from None


def _weights(source: Any, path: Path, version: str) -> _Content:
    import h5py  # a dependency of Keras

    with h5py.File(source, "r") as content:
        version = version or str(content.attrs.get("keras_version", ""))
        if version and version.partition(".")[0] != "3":
            raise StateError(f"{path} was saved by Keras {version}; only the state of Keras 3 is read")
        if LEGACY in content:
            group = content[LEGACY]
            trained = json.loads(content.attrs.get("training_config", "{}"))
            arrays = [np.array(group[name]) for name in group.attrs["weight_names"]]
            return _Content(arrays, trained.get("optimizer_config"))
        if VARIABLES not in content:
            raise StateError(f"{path} has no optimizer state; a model has it once it is compiled and trained")
        return _Content(_ordered({name: np.array(item) for name, item in content[VARIABLES].items()}, path))


def _hyperparameters(api: str, configuration: Any) -> dict[str, Any]:
    """The hyperparameters of a configuration but for the learning rate, whose current value is among the variables."""
    if not isinstance(configuration, dict) or not isinstance(configuration.get("config"), dict):
        return {}
    name = api.rpartition(".")[2]
    if configuration.get("class_name") != name:
        raise StateError(f"the file was saved with {configuration.get('class_name')}, not with {name}")
    return {key: value for key, value in configuration["config"].items() if key != "learning_rate"}


def _ordered(found: Mapping[str, Any], path: Path) -> list[Any]:
    names = [str(index) for index in range(len(found))]
    if set(names) != set(found):
        raise StateError(f"{path} is not what save_own_variables gives: its arrays are {', '.join(sorted(found)[:6])}")
    return [found[name] for name in names]
