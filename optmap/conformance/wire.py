"""Messages between optmap and its workers: JSON and raw arrays, in frames that start with a distinctive mark.

A frame is the mark, the length of what follows (8 bytes), the length of the JSON (8 bytes), the JSON, and the bytes of all
arrays. In the JSON an array is {"@": [dtype, shape, offset]}. Tuples arrive as lists.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any, Final

import numpy as np

from optmap.conformance.scenario import (
    Failure,
    GroupChange,
    Job,
    JobGroup,
    Loss,
    Model,
    Outcome,
    Rows,
    Scenario,
    Trace,
)

MARK: Final = b"\x00optmap\x01"
_KEY: Final = "@"


class WireError(Exception):
    """The received data is not a complete frame."""


def write_frame(stream: IO[bytes], message: object) -> None:
    """Send one message."""
    blobs: list[bytes] = []
    text = json.dumps(_flatten(message, blobs, [0])).encode()
    data = b"".join(blobs)
    stream.write(MARK + (8 + len(text) + len(data)).to_bytes(8, "little") + len(text).to_bytes(8, "little") + text)
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Any:
    """Receive one message; None at the end of the stream. Raises WireError for anything other than a frame."""
    head = stream.read(len(MARK))
    if not head:
        return None
    if head != MARK:
        raise WireError(f"found {head[:40]!r} where a frame was expected")
    body = stream.read(int.from_bytes(_exactly(stream, 8), "little"))
    cut = 8 + int.from_bytes(body[:8], "little")
    return _restore(json.loads(body[8:cut]), memoryview(body)[cut:])


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise WireError("the stream ended within a frame")
    return data


def _flatten(value: Any, blobs: list[bytes], used: list[int]) -> Any:
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value).tobytes()
        blobs.append(data)
        used[0] += len(data)
        return {_KEY: [value.dtype.str, value.shape, used[0] - len(data)]}
    if isinstance(value, dict):
        return {key: _flatten(item, blobs, used) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_flatten(item, blobs, used) for item in value]
    return value


def _restore(value: Any, data: memoryview) -> Any:
    if isinstance(value, dict):
        if _KEY in value:
            dtype, shape, offset = value[_KEY]
            count = int(np.prod(shape, dtype=np.int64))
            return np.frombuffer(data, np.dtype(dtype), count, offset).reshape(shape).copy()
        return {key: _restore(item, data) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, data) for item in value]
    return value


def jobs_message(jobs: Sequence[Job]) -> dict[str, Any]:
    """Jobs as a message, in which each scenario occurs once."""
    scenarios: dict[int, int] = {}
    listed: list[Scenario] = []
    for job in jobs:
        if id(job.scenario) not in scenarios:
            scenarios[id(job.scenario)] = len(listed)
            listed.append(job.scenario)
    rows = [{**vars(job), "scenario": scenarios[id(job.scenario)], "gradients": _gradients(job.gradients),
             "groups": None if job.groups is None else [vars(group) for group in job.groups]} for job in jobs]  # fmt: skip
    return {"scenarios": [{**vars(item), "groups": [vars(g) for g in item.groups]} for item in listed], "jobs": rows}


def read_jobs(message: dict[str, Any]) -> list[Job]:
    """The jobs of a message."""
    scenarios = [
        Scenario(**{**item, "model": Model(item["model"]), "loss": Loss(item["loss"]),
                    "rate_factors": tuple(item["rate_factors"]),
                    "groups": tuple(GroupChange(**{**g, "parameters": tuple(g["parameters"])}) for g in item["groups"])})
        for item in message["scenarios"]
    ]  # fmt: skip
    jobs = []
    for row in message["jobs"]:
        groups = row["groups"]
        made = None if groups is None else tuple(
            JobGroup(tuple(group["parameters"]), _tuples(group["arguments"])) for group in groups
        )  # fmt: skip
        jobs.append(Job(**{**row, "arguments": _tuples(row["arguments"]), "scenario": scenarios[row["scenario"]],
                           "gradients": None if row["gradients"] is None else _read_gradients(row["gradients"]),
                           "rates": None if row["rates"] is None else tuple(row["rates"]), "groups": made}))  # fmt: skip
    return jobs


def outcome_message(outcome: Outcome) -> dict[str, Any]:
    """A trace or a failure as a message."""
    if isinstance(outcome, Failure):
        return {"failure": outcome.reason}
    return {"loss": outcome.loss, "gradients": _gradients(outcome.gradients), "parameters": outcome.parameters}


def read_outcome(message: dict[str, Any]) -> Outcome:
    """The trace or failure of a message."""
    if "failure" in message:
        return Failure(message["failure"])
    return Trace(message["loss"], _read_gradients(message["gradients"]), message["parameters"])


def _gradients(gradients: dict[str, Any] | None) -> dict[str, Any] | None:
    if gradients is None:
        return None
    return {name: vars(value) if isinstance(value, Rows) else value for name, value in gradients.items()}


def _read_gradients(message: dict[str, Any]) -> dict[str, Any]:
    return {name: Rows(**value) if isinstance(value, dict) else value for name, value in message.items()}


def _tuples(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
