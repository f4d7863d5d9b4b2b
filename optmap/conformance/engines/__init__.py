"""The engines by name. Each is a plain module that follows `Engine`, imported only in its own worker."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol, cast

from optmap.conformance.scenario import Failure, Job, Outcome, Rates, ScheduleJob, Trace


class Engine(Protocol):
    """The interface of an engine's module."""

    def version(self) -> str:
        """The framework's version. Imports the framework; raises ImportError if it is not installed."""
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run the jobs in order. A job that the framework rejects gives a Failure and does not stop the others."""
        ...

    def rates(self, job: ScheduleJob) -> Sequence[float]:
        """The learning rate of each step. Raises any error of the framework."""
        ...


class EngineInfo(NamedTuple):
    """An engine's module, the package that it needs, and the command that installs the package.

    `sparse` says whether it trains on sparse gradients, and on some that are missing. `halves` are the half precisions in which
    it is run, `silent` what becomes of a parameter without gradient.
    """

    module: str
    package: str
    install: str
    in_process: bool = False
    sparse: bool = True
    halves: tuple[str, ...] = ()
    silent: str = "leaves a parameter without gradient as it is"


ZEROS: Final = "takes zeros for its gradient, by which moments and decay go on"

ENGINES: Final = {
    "torch": EngineInfo(
        "optmap.conformance.engines.torch", "torch", "pip install torch", halves=("float16", "bfloat16")
    ),
    "tensorflow": EngineInfo(
        "optmap.conformance.engines.tensorflow",
        "tensorflow",
        "pip install tensorflow-cpu",
        sparse=False,
        halves=("float16", "bfloat16"),
    ),
    "mindspore": EngineInfo(
        "optmap.conformance.engines.mindspore", "numpy", "pip install numpy", in_process=True, silent=ZEROS
    ),
    "mindspore-real": EngineInfo(
        "optmap.conformance.engines.mindspore_real", "mindspore", "pip install mindspore 'numpy<2'", silent=ZEROS
    ),
}

STATE_MODULES: Final = {
    name: f"optmap.conformance.engines.{name}_state" for name in ("torch", "tensorflow", "mindspore")
}
"""The modules that read and write the states of a framework's optimizers; see `saved`."""


def load_engine(name: str) -> Engine:
    """Import an engine's module."""
    return cast(Engine, importlib.import_module(ENGINES[name].module))


def each(jobs: Sequence[Job], train: Callable[[Job], Trace]) -> Iterator[Outcome]:
    """Run jobs one by one; an error of any type, from constructors, kernels or checks, is the failure of its job."""
    for job in jobs:
        try:
            yield train(job)
        except Exception as error:
            yield Failure(described(error))


def all_rates(engine: Engine, jobs: Sequence[ScheduleJob]) -> list[Rates]:
    """The rates of schedules, in order; an error is the failure of its schedule."""
    found = []
    for job in jobs:
        try:
            found.append(Rates(tuple(engine.rates(job))))
        except Exception as error:
            found.append(Rates(failure=described(error)))
    return found


def described(error: Exception) -> str:
    """An error as one line: its type and the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
