"""Messages between optmap and its workers: JSON and raw arrays, in frames that start with a distinctive mark.

A frame is the mark, the length of what follows (8 bytes), the length of the JSON (8 bytes), the JSON, and the bytes of all
arrays. What JSON lacks is {"@": [kind, ...]} there: an array with dtype, shape and offset, a tuple with its items, a value of
one of the classes that both sides know with its fields, or the number of one that stands earlier in the message.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from enum import Enum
from typing import IO, Any, Final

MARK: Final = b"\x00optmap\x01"
_KEY: Final = "@"


class WireError(Exception):
    """The received data is not a complete frame."""


def write_frame(stream: IO[bytes], message: object, classes: Sequence[type]) -> None:
    """Send one message, made of what JSON has, tuples, numpy's arrays and values of these classes."""
    stream.write(framed(message, classes))
    stream.flush()


def framed(message: object, classes: Sequence[type]) -> bytes:
    """The bytes of a message."""
    writer = _Writer(frozenset(classes))
    text = json.dumps(writer.plain(message)).encode()
    body = len(text).to_bytes(8, "little") + text + b"".join(writer.blobs)
    return MARK + len(body).to_bytes(8, "little") + body


def read_frame(stream: IO[bytes], classes: Sequence[type]) -> Any:
    """Receive one message; None at the end of the stream. Raises WireError for anything other than a frame."""
    head = stream.read(len(MARK))
    if not head:
        return None
    if head != MARK:
        raise WireError(f"found {head[:40]!r} where a frame was expected")
    body = stream.read(int.from_bytes(_exactly(stream, 8), "little"))
    cut = 8 + int.from_bytes(body[:8], "little")
    return _Reader(memoryview(body)[cut:], {kind.__name__: kind for kind in classes}).value(json.loads(body[8:cut]))


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise WireError("the stream ended within a frame")
    return data


class _Writer:
    """Turns values into what JSON has; an array or object that occurs several times is written once."""

    def __init__(self, classes: frozenset[type]) -> None:
        self.classes = classes
        self.blobs: list[bytes] = []
        self.used = 0
        self.arrays: dict[int, int] = {}
        self.objects: dict[int, int] = {}

    def plain(self, value: Any) -> Any:
        if type(value) in self.classes:
            return {_KEY: self._object(value)}
        if hasattr(value, "dtype"):
            return {_KEY: ["array", value.dtype.str, value.shape, self._offset(value)]}
        if isinstance(value, dict):
            return {key: self.plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        return {_KEY: ["tuple", *map(self.plain, value)]} if isinstance(value, tuple) else value

    def _offset(self, array: Any) -> int:
        if id(array) not in self.arrays:
            self.arrays[id(array)] = self.used
            self.blobs.append(array.tobytes())
            self.used += len(self.blobs[-1])
        return self.arrays[id(array)]

    def _object(self, value: Any) -> list[Any]:
        if id(value) in self.objects:
            return ["earlier", self.objects[id(value)]]
        fields = (
            [value.value]
            if isinstance(value, Enum)
            else list(value)
            if isinstance(value, tuple)
            else vars(value).values()
        )
        plain = [self.plain(item) for item in fields]
        self.objects[id(value)] = len(self.objects)
        return [type(value).__name__, *plain]


class _Reader:
    """The reverse of a `_Writer`."""

    def __init__(self, data: memoryview, classes: dict[str, type]) -> None:
        self.data = data
        self.classes = classes
        self.objects: list[Any] = []

    def value(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self.value(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        if _KEY not in plain:
            return {key: self.value(item) for key, item in plain.items()}
        kind, *parts = plain[_KEY]
        if kind == "array":
            import numpy as np

            dtype, shape, offset = parts
            return np.frombuffer(self.data, np.dtype(dtype), math.prod(shape), offset).reshape(shape).copy()
        if kind == "earlier":
            return self.objects[parts[0]]
        items = [self.value(item) for item in parts]
        if kind == "tuple":
            return tuple(items)
        self.objects.append(self.classes[kind](*items))
        return self.objects[-1]
