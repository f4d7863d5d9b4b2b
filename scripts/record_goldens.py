"""Record the parameter updates of the real MindSpore as goldens for the numpy rules.

Usage: python scripts/record_goldens.py FOLDER        (the repository keeps them in tests/conformance/goldens)

Writes one .npz per API, and one for sparse rows. `header` is JSON: versions, threads, command, parameter shapes in order,
cases, recorded steps. The elements of all parameters are concatenated in C order: `start` (n,), `gradients` (steps, n) at unit
scale, which each case multiplies by its float32 `scale`, and `parameters` (cases, recorded, n).
MindSpore is imported only when something is run.
"""

import argparse
import importlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from golden_cases import (
    EXPERIMENTAL,
    RATES,
    RECORDED,
    ROWS_SHAPE,
    SHAPES,
    SPECS,
    STEPS,
    Array,
    Case,
    cases,
    inputs,
    rows_cases,
    rows_inputs,
)
from numpy.typing import NDArray


@cache
def single_threaded() -> Any:
    """The module mindspore, with one kernel thread."""
    os.environ.setdefault("GLOG_v", "3")
    import mindspore

    with suppress(RuntimeError):  # it can be set only once per process
        mindspore.device_context.cpu.op_tuning.threads_num(1)
    return mindspore


def run_mindspore(case: Case, start: Mapping[str, Array], gradients: Mapping[str, Array]) -> list[dict[str, Array]]:
    """The parameters after every step of the real optimizer."""
    mindspore = single_threaded()
    parameters = {key: mindspore.Parameter(mindspore.Tensor(value.copy()), name=key) for key, value in start.items()}
    groups = case.groups or ((tuple(start), {}),)
    order = [key for keys, _ in groups for key in keys]
    given: list[Any] = [parameters[key] for key in order]
    if case.groups:
        given = [{"params": [parameters[key] for key in keys], **_plain(over)} for keys, over in groups]
    arguments = _plain(case.hyperparameters)
    rates = arguments.get("lr") if case.api.startswith(EXPERIMENTAL) else None
    if isinstance(rates, list):
        arguments["lr"] = rates[0]
    optimizer = _optimizer(case.api)(given, **arguments)
    history = []
    for step in range(STEPS):
        for rate in optimizer.lrs if isinstance(rates, list) else ():
            mindspore.ops.assign(rate, mindspore.Tensor(np.float32(rates[step])))
        optimizer(tuple(mindspore.Tensor(gradients[key][step] * np.float32(case.scale)) for key in order))
        history.append({key: parameter.asnumpy().copy() for key, parameter in parameters.items()})
    return history


def run_mindspore_rows(case: Case, start: Array, indices: NDArray[np.int32], values: Array) -> list[Array]:
    """As `run_mindspore` for one parameter with sparse gradients, which exist only in graph mode."""
    mindspore = single_threaded()
    rows = importlib.import_module("mindspore.common.sparse_tensor").RowTensorInner
    arguments = {key: value for key, value in case.hyperparameters.items() if key != "target"}
    parameter = mindspore.Parameter(mindspore.Tensor(start.copy()), name="embedding")
    optimizer = _optimizer(case.api)([parameter], **arguments)
    if case.hyperparameters["target"] is not None:
        optimizer.target = case.hyperparameters["target"]

    class Step(mindspore.nn.Cell):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.optimizer = optimizer

        def construct(self, named: Any, gradient: Any) -> Any:
            return self.optimizer((rows(named, gradient, ROWS_SHAPE),))

    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    step, history = Step(), []
    for named, gradient in zip(indices, values, strict=True):
        step(mindspore.Tensor(named), mindspore.Tensor(gradient))
        history.append(parameter.asnumpy().copy())
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    return history


def _optimizer(api: str) -> Any:
    """The class of an API."""
    module, name = api.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments, with learning rates per step as the lists that MindSpore expects."""
    return {key: list(value) if value is RATES else value for key, value in arguments.items()}


def flat(arrays: Mapping[str, Array], lead: int = 0) -> Array:
    """All arrays concatenated in C order; the first `lead` axes are kept."""
    return np.concatenate([value.reshape(*value.shape[:lead], -1) for value in arrays.values()], axis=lead)


def save(path: Path, listed: Sequence[Case], shapes: Mapping[str, Sequence[int]], **arrays: Any) -> None:
    """Write one golden file."""
    header = {
        "mindspore": single_threaded().__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel_threads": 1,
        "command": "python scripts/record_goldens.py FOLDER",
        "recorded": RECORDED,
        "shapes": shapes,
        "cases": [asdict(case) for case in listed],
    }
    np.savez_compressed(path, header=np.array(json.dumps(header)), **arrays)
    print(f"{path}: {path.stat().st_size} bytes")


def main(folder: Path) -> None:
    """Record all goldens into a folder."""
    start, gradients = inputs(SHAPES)
    for api in SPECS:
        listed = list(cases(api))
        runs = [run_mindspore(case, start, gradients) for case in listed]
        traces = np.stack([[flat(run[step - 1]) for step in RECORDED] for run in runs])
        save(folder / f"{api}.npz", listed, SHAPES, start=flat(start), gradients=flat(gradients, 1), parameters=traces)
    table, indices, values = rows_inputs()
    listed = list(rows_cases())
    tables = [run_mindspore_rows(case, table, indices, values) for case in listed]
    recorded = np.stack([[run[step - 1].reshape(-1) for step in RECORDED] for run in tables])
    shapes = {"embedding": ROWS_SHAPE}
    save(folder / "rows.npz", listed, shapes, start=table, indices=indices, values=values, parameters=recorded)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    chosen: Path = parser.parse_args().folder
    if not chosen.is_dir():
        parser.error(f"{chosen} is not a directory")
    main(chosen)
