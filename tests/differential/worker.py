"""A process that runs programs of one framework: `python -m tests.differential.worker torch`, which the pool starts."""

from __future__ import annotations

import ast
import importlib
import linecache
import os
import pickle
import random
import struct
import sys
import traceback
import types
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any, BinaryIO, Protocol

import numpy as np

from tests.differential.outcome import Array, Job, Outcome, arrays, first_weights
from tests.differential.replay import Nothing, Replay, Shim, stand_ins

NAME = "program.py"
"""Under which frameworks that read the source of functions find it."""


class Side(Protocol):
    """What the worker has to know of a framework."""

    name: str

    def reset(self, seed: int, replays: bool) -> None: ...
    def tensor(self, value: Array) -> Any: ...
    def module(self) -> type: ...
    def weights(self, model: Any) -> list[Array]: ...
    def statistics(self, model: Any) -> list[Array]: ...
    def set_weights(self, model: Any, weights: list[Array]) -> None: ...
    def number(self, value: Any) -> float: ...
    def make_model(self) -> Any: ...
    def criterion(self, one: Any, two: Any) -> Any: ...
    def replayed(self, model: Any, replay: Replay) -> Any: ...
    def nothing(self, replay: Replay, model: Any) -> Nothing: ...
    def optimizer(self) -> tuple[type, ...]: ...
    def schedules(self) -> tuple[type, ...]: ...
    def patched(self, model: Callable[[], Any], replay: Replay) -> AbstractContextManager[None]: ...
    def apply(self, optimizer: Any, model: Any, replay: Replay) -> None: ...


class Models:
    """The models of a program. Each gets its first weights once: an object at the top when its name is bound, others when made."""

    def __init__(self, side: Side, job: Job) -> None:
        self.side = side
        self.job = job
        self.known: dict[int, tuple[str, Any]] = {}
        self.start: dict[str, list[Array]] = {}

    def take(self, name: str, model: Any) -> None:
        if id(model) in self.known:
            return
        shapes = [weight.shape for weight in self.side.weights(model)]
        self.side.set_weights(model, first_weights(shapes, self.job.seed + 7, self.job.jitter))
        self.known[id(model)] = (name, model)
        self.start[name] = self.side.weights(model)

    def first(self) -> Any:
        return next(iter(self.known.values()))[1]

    def look(self, names: dict[str, Any], seen: dict[str, int]) -> None:
        """Take what a statement has bound."""
        module = self.side.module()
        for name, value in list(names.items()):
            if seen.get(name) != id(value):
                seen[name] = id(value)
                if isinstance(value, module) and name in ("model", "net", "network", "critic"):
                    self.take(name, value)


def run(side: Side, job: Job) -> Outcome:
    side.reset(job.seed, job.replay is not None)
    random.seed(job.seed)
    np.random.seed(job.seed)
    given = arrays(job.task, job.seed)
    workshop = types.ModuleType("workshop")
    batches = [(side.tensor(x), side.tensor(y)) for x, y in given]
    vars(workshop).update({"batches": batches, "arrays": given, "criterion": side.criterion})
    sys.modules["workshop"] = workshop
    linecache.cache[NAME] = (len(job.text), None, job.text.splitlines(keepends=True), NAME)
    models = Models(side, job)
    replay = Replay(job.seed)

    def make_model() -> Any:
        model = side.make_model()
        models.take("model", model)
        return side.replayed(model, replay) if job.replay else model

    vars(workshop)["make_model"] = make_model
    if job.replay:
        vars(workshop)["criterion"] = lambda one, two: side.nothing(replay, models.first())
    names: dict[str, Any] = {"__name__": "__main__", "__file__": NAME}
    seen: dict[str, int] = {}
    error: str | None = None
    lines: tuple[int, ...] = ()
    try:
        with (
            side.patched(lambda: models.first(), replay) if job.replay == side.name else nullcontext(),
            stand_ins(job.replay) if job.replay and job.replay != side.name else nullcontext(),
        ):
            for statement in ast.parse(job.text).body:
                if job.replay and job.replay != side.name and trains(statement):
                    shim(side, job.replay, names, models, replay)
                exec(compile(ast.Module([statement], []), NAME, "exec"), names)
                if not job.replay:
                    models.look(names, seen)
    except BaseException as caught:
        if isinstance(caught, KeyboardInterrupt):
            raise
        lines = tuple(
            frame.lineno or 0 for frame in traceback.extract_tb(caught.__traceback__) if frame.filename == NAME
        )
        error = f"{type(caught).__name__}: {str(caught).strip().partition(chr(10))[0][:300]}"
    history: list[float] = []
    try:
        history = [side.number(value) for value in names.get("history", [])]
    except Exception as caught:
        error = error or f"history: {type(caught).__name__}: {str(caught).strip()[:300]}"
    weights = {}
    for name, model in models.known.values():
        weights[name] = side.weights(model)
        weights[f"{name} statistics"] = side.statistics(model)
    return Outcome(history, weights, models.start, error, lines)


def trains(statement: ast.stmt) -> bool:
    """Whether a statement belongs to the training, not to what is set up for it."""
    return isinstance(statement, ast.For | ast.Expr) or "grad_fn" in ast.unparse(statement)


def shim(side: Side, source: str, names: dict[str, Any], models: Models, replay: Replay) -> None:
    """Put every optimizer at the top of the program into something that its loop can step.

    Programs of torch step their schedules themselves; those that a translation attaches to an optimizer are stepped here.
    """
    attached = [value for value in names.values() if source != "torch" and isinstance(value, side.schedules())]
    for name, value in list(names.items()):
        if isinstance(value, side.optimizer()):
            names[name] = Shim(value, partial(side.apply, value, models.first()), replay, attached)


def serve(side: Side, read: BinaryIO, write: BinaryIO) -> None:
    while head := read.read(8):
        job = pickle.loads(read.read(struct.unpack("q", head)[0]))
        body = pickle.dumps(run(side, job))
        write.write(struct.pack("q", len(body)) + body)
        write.flush()


def main(framework: str) -> None:
    """Serve on standard input and output; whatever programs print goes nowhere."""
    write = os.fdopen(os.dup(1), "wb")
    read = os.fdopen(os.dup(0), "rb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, *([] if os.environ.get("DIFFERENTIAL_STDERR") else [2])):
        os.dup2(nowhere, number)
    warnings.simplefilter("ignore")
    make: Callable[[], Side] = importlib.import_module(f"tests.differential.side_{framework}").Side
    side = make()
    ready = pickle.dumps("ready")
    write.write(struct.pack("q", len(ready)) + ready)
    write.flush()
    with suppress(BrokenPipeError):
        serve(side, read, write)


if __name__ == "__main__":
    main(sys.argv[1])
