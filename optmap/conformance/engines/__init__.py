"""The engines by name. Each is a plain module with `version()` and `run(jobs)`, imported only in its own worker."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol, cast

from optmap.conformance.scenario import Job, Outcome


class Engine(Protocol):
    """The interface of an engine's module."""

    def version(self) -> str:
        """The framework's version. Imports the framework; raises ImportError if it is not installed."""
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run the jobs in order. A job that the framework rejects gives a Failure and does not stop the others."""
        ...


class EngineInfo(NamedTuple):
    """An engine's module, the package that it needs, and the command that installs the package.

    `sparse` says whether it trains on sparse gradients.
    """

    module: str
    package: str
    install: str
    in_process: bool = False
    sparse: bool = True


ENGINES: Final = {
    "torch": EngineInfo("optmap.conformance.engines.torch", "torch", "pip install torch"),
    "tensorflow": EngineInfo(
        "optmap.conformance.engines.tensorflow", "tensorflow", "pip install tensorflow-cpu", sparse=False
    ),
    "mindspore": EngineInfo("optmap.conformance.engines.mindspore", "numpy", "pip install numpy", in_process=True),
    "mindspore-real": EngineInfo(
        "optmap.conformance.engines.mindspore_real", "mindspore", "pip install mindspore 'numpy<2'"
    ),
}


def load_engine(name: str) -> Engine:
    """Import an engine's module."""
    return cast(Engine, importlib.import_module(ENGINES[name].module))
